// Writes where no memory is.
#include "simpler_kernel.h"

SIMPLER_KERNEL void kernel_entry(__gm__ int64_t *) { *reinterpret_cast<volatile int *>(8) = 1; }
