// out = a b. Arguments: a [m, k], b [k, n], out [m, n], m, k, n.
#include "simpler_kernel.h"

SIMPLER_KERNEL void kernel_entry(__gm__ int64_t *args) {
    auto *a = reinterpret_cast<__gm__ const float *>(args[0]);
    auto *b = reinterpret_cast<__gm__ const float *>(args[1]);
    auto *out = reinterpret_cast<__gm__ float *>(args[2]);
    const int64_t m = args[3], k = args[4], n = args[5];
    for (int64_t row = 0; row < m; ++row) {
        for (int64_t column = 0; column < n; ++column) {
            float sum = 0;
            for (int64_t i = 0; i < k; ++i) {
                sum += a[row * k + i] * b[i * n + column];
            }
            out[row * n + column] = sum;
        }
    }
}
