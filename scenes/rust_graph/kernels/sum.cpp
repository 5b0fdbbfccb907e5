// total[0] = y[0] + y[1] + ... Arguments: y, count, total.
#include "simpler_kernel.h"

SIMPLER_KERNEL void kernel_entry(__gm__ int64_t *args) {
    auto *y = reinterpret_cast<__gm__ const uint64_t *>(args[0]);
    const int64_t count = args[1];
    uint64_t total = 0;
    for (int64_t i = 0; i < count; ++i) {
        total += y[i];
    }
    *reinterpret_cast<__gm__ uint64_t *>(args[2]) = total;
}
