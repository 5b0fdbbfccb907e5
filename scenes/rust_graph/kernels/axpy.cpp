// y[i] += alpha * x[i]. Arguments: x, y, count, alpha.
#include "simpler_kernel.h"

SIMPLER_KERNEL void kernel_entry(__gm__ int64_t *args) {
    auto *x = reinterpret_cast<__gm__ const uint64_t *>(args[0]);
    auto *y = reinterpret_cast<__gm__ uint64_t *>(args[1]);
    const int64_t count = args[2];
    const uint64_t alpha = static_cast<uint64_t>(args[3]);
    for (int64_t i = 0; i < count; ++i) {
        y[i] += alpha * x[i];
    }
}
