// s += b. Arguments: s, b, of as many elements.
#include "trb_kernel.h"

SIMPLER_KERNEL void kernel_entry(__gm__ int64_t *args) {
    auto *s = data<float>(args, 0);
    auto *b = data<const float>(args, 1);
    for (int64_t i = 0; i < count(args, 1); ++i) {
        s[i] += b[i];
    }
}
