// x += 1, but not soon. Arguments: x.
#include "trb_kernel.h"

SIMPLER_KERNEL void kernel_entry(__gm__ int64_t *args) {
    dawdle();
    auto *x = data<uint64_t>(args, 0);
    for (int64_t i = 0; i < count(args, 0); ++i) {
        x[i] += 1;
    }
}
