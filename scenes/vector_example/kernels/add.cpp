// out[i] = x[i] + y[i]. Arguments: x, y, out, count.
#include "simpler_kernel.h"

SIMPLER_KERNEL void kernel_entry(__gm__ int64_t *args) {
    auto *x = reinterpret_cast<__gm__ const float *>(args[0]);
    auto *y = reinterpret_cast<__gm__ const float *>(args[1]);
    auto *out = reinterpret_cast<__gm__ float *>(args[2]);
    const int64_t count = args[3];
    for (int64_t i = 0; i < count; ++i) {
        out[i] = x[i] + y[i];
    }
}
