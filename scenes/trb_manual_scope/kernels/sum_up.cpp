// total[0] += the sum of x. Arguments: total, x.
#include "trb_kernel.h"

SIMPLER_KERNEL void kernel_entry(__gm__ int64_t *args) {
    auto *x = data<const uint64_t>(args, 1);
    for (int64_t i = 0; i < count(args, 1); ++i) {
        *data<uint64_t>(args, 0) += x[i];
    }
}
