// t += 1, but not soon. Arguments: t.
#include "trb_kernel.h"

SIMPLER_KERNEL void kernel_entry(__gm__ int64_t *args) {
    dawdle();
    auto *t = data<float>(args, 0);
    for (int64_t i = 0; i < count(args, 0); ++i) {
        t[i] += 1.0f;
    }
}
