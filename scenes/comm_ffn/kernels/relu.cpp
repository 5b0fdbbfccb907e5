// Negative values become 0. Arguments: values, count.
#include "simpler_kernel.h"

SIMPLER_KERNEL void kernel_entry(__gm__ int64_t *args) {
    auto *values = reinterpret_cast<__gm__ float *>(args[0]);
    for (int64_t i = 0; i < args[1]; ++i) {
        values[i] = values[i] < 0 ? 0 : values[i];
    }
}
