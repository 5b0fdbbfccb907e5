// out[i] = x[i] + offset. Arguments: x, offset, out, count.
#include "simpler_kernel.h"

SIMPLER_KERNEL void kernel_entry(__gm__ int64_t *args) {
    auto *x = reinterpret_cast<__gm__ const uint64_t *>(args[0]);
    const uint64_t offset = static_cast<uint64_t>(args[1]);
    auto *out = reinterpret_cast<__gm__ uint64_t *>(args[2]);
    const int64_t count = args[3];
    for (int64_t i = 0; i < count; ++i) {
        out[i] = x[i] + offset;
    }
}
