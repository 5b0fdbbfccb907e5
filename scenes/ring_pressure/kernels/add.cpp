// sum += x. Arguments: sum, x.
#include "trb_kernel.h"

SIMPLER_KERNEL void kernel_entry(__gm__ int64_t *args) {
    auto *sum = data<uint64_t>(args, 0);
    auto *x = data<const uint64_t>(args, 1);
    for (int64_t i = 0; i < count(args, 1); ++i) {
        sum[i] += x[i];
    }
}
