// out = x, but not soon. Arguments: x, out.
#include "trb_kernel.h"

SIMPLER_KERNEL void kernel_entry(__gm__ int64_t *args) {
    dawdle();
    auto *x = data<const float>(args, 0);
    auto *out = data<float>(args, 1);
    for (int64_t i = 0; i < count(args, 0); ++i) {
        out[i] = x[i];
    }
}
