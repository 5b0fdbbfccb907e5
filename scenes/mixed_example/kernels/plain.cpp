// out = x + 1 on a cube core, x + 2 on a vector core. Arguments: x, out.
#include "trb_kernel.h"

SIMPLER_KERNEL void kernel_entry(__gm__ int64_t *args) {
#if defined(__DAV_CUBE__)
    constexpr uint64_t OFFSET = 1;
#else
    constexpr uint64_t OFFSET = 2;
#endif
    auto *x = data<const uint64_t>(args, 0);
    auto *out = data<uint64_t>(args, 1);
    for (int64_t i = 0; i < count(args, 0); ++i) {
        out[i] = x[i] + OFFSET;
    }
}
