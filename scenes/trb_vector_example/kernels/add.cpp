// out = x + y. Arguments: x, y, out.
#include "trb_kernel.h"

SIMPLER_KERNEL void kernel_entry(__gm__ int64_t *args) {
    auto *x = data<const float>(args, 0);
    auto *y = data<const float>(args, 1);
    auto *out = data<float>(args, 2);
    for (int64_t i = 0; i < count(args, 2); ++i) {
        out[i] = x[i] + y[i];
    }
}
