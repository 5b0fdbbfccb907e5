// x[0] += 1. Arguments: x.
#include "trb_kernel.h"

SIMPLER_KERNEL void kernel_entry(__gm__ int64_t *args) { *data<uint64_t>(args, 0) += 1; }
