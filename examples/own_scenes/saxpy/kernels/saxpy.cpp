// y += a * x. Arguments: x, y, number of elements, bits of a.
#include <cstring>

#include "simpler_kernel.h"

SIMPLER_KERNEL void kernel_entry(__gm__ int64_t *args) {
    auto *x = reinterpret_cast<__gm__ const float *>(args[0]);
    auto *y = reinterpret_cast<__gm__ float *>(args[1]);
    const auto bits = static_cast<uint32_t>(args[3]);
    float a;
    std::memcpy(&a, &bits, sizeof(a));
    for (int64_t i = 0; i < args[2]; ++i) {
        y[i] += a * x[i];
    }
}
