#include "simpler_kernel.h"

SIMPLER_KERNEL void kernel_entry(__gm__ int64_t *args) {
    auto *in = reinterpret_cast<__gm__ const float *>(args[0]);
    auto *out = reinterpret_cast<__gm__ float *>(args[1]);
    for (int64_t i = 0; i < args[2]; ++i) out[i] = 2 * in[i];
}
