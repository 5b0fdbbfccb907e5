// Waits until all have come. Arguments: seen, how many come.
#include "trb_kernel.h"

SIMPLER_KERNEL void kernel_entry(__gm__ int64_t *args) { barrier(data<uint64_t>(args, 0), scalar(args, 1)); }
