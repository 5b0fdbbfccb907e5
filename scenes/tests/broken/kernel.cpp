// Does not compile, for the test of how that is told.
#include "simpler_kernel.h"

SIMPLER_KERNEL void kernel_entry(__gm__ int64_t *args) { args[0] = no_such_thing; }
