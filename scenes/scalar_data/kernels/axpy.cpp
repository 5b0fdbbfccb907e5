// out = factor * x + y, for one number of 64 bits. Arguments: x, y, out, factor (a double).
#include "trb_kernel.h"

SIMPLER_KERNEL void kernel_entry(__gm__ int64_t *args) {
    const auto factor = static_cast<uint64_t>(scalar<double>(args, 3));
    *data<uint64_t>(args, 2) = factor * *data<const uint64_t>(args, 0) + *data<const uint64_t>(args, 1);
}
