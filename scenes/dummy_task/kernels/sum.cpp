// out[0] = factor * (sum of x). Arguments: x, out, factor.
#include "trb_kernel.h"

SIMPLER_KERNEL void kernel_entry(__gm__ int64_t *args) {
    auto *x = data<const uint64_t>(args, 0);
    uint64_t sum = 0;
    for (int64_t i = 0; i < count(args, 0); ++i) {
        sum += x[i];
    }
    *data<uint64_t>(args, 1) = scalar(args, 2) * sum;
}
