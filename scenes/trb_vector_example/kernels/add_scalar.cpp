// out = x + addend. Arguments: x, out, addend.
#include "trb_kernel.h"

SIMPLER_KERNEL void kernel_entry(__gm__ int64_t *args) {
    auto *x = data<const float>(args, 0);
    auto *out = data<float>(args, 1);
    const float addend = scalar<float>(args, 2);
    for (int64_t i = 0; i < count(args, 1); ++i) {
        out[i] = x[i] + addend;
    }
}
