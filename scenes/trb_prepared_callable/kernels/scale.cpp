// out[i] = x[i] * factor. Arguments: x, out, factor.
#include "trb_kernel.h"

SIMPLER_KERNEL void kernel_entry(__gm__ int64_t *args) {
    auto *x = data<const uint64_t>(args, 0);
    auto *out = data<uint64_t>(args, 1);
    for (int64_t i = 0; i < count(args, 0); ++i) {
        out[i] = x[i] * scalar(args, 2);
    }
}
