// Does not compile.
#include "simpler_kernel.h"

SIMPLER_KERNEL void kernel_entry(__gm__ int64_t *) { no_such_thing(); }
