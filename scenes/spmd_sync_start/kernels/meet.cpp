// Waits for all others, then leaves a stamp. Arguments: arrived [1], stamp [1], how many come.
#include "trb_kernel.h"

SIMPLER_KERNEL void kernel_entry(__gm__ int64_t *args) {
    barrier(data<uint64_t>(args, 0), scalar(args, 2));
    __atomic_fetch_add(data<uint64_t>(args, 1), 1, __ATOMIC_RELAXED);
}
