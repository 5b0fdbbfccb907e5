// out[i] = factor * in[i]
#include "simpler_kernel.h"

SIMPLER_KERNEL void kernel_entry(__gm__ int64_t *args) {
    auto *in = reinterpret_cast<__gm__ float *>(args[0]);
    auto *out = reinterpret_cast<__gm__ float *>(args[1]);
    const int64_t count = args[2];
    const float factor = static_cast<float>(args[3]);
    for (int64_t i = 0; i < count; ++i) {
        out[i] = factor * in[i];
    }
}
