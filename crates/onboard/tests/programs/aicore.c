/* Cores that say that they have come. */
#include "image.h"

static void arrive(void *args) { atomic_fetch_add(&IMAGE(args)->arrived, 1); }

void aicore_kernel_0_mix_aic(void *args) { arrive(args); }
void aicore_kernel_0_mix_aiv(void *args) { arrive(args); }
