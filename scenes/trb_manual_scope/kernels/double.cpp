// x[0] *= 2, but not soon. Arguments: x.
#include "trb_kernel.h"

SIMPLER_KERNEL void kernel_entry(__gm__ int64_t *args) {
    dawdle();
    *data<uint64_t>(args, 0) *= 2;
}
