// out[0] = x[0] + factor * y[0], but not soon. Arguments: x, y, out, factor.
#include "trb_kernel.h"

SIMPLER_KERNEL void kernel_entry(__gm__ int64_t *args) {
    dawdle();
    *data<uint64_t>(args, 2) = *data<const uint64_t>(args, 0) + scalar(args, 3) * *data<const uint64_t>(args, 1);
}
