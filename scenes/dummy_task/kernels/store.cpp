// out[0] = value, but not soon. Arguments: out, value, how often to dawdle first.
#include "trb_kernel.h"

SIMPLER_KERNEL void kernel_entry(__gm__ int64_t *args) {
    for (uint64_t i = 0; i < scalar(args, 2); ++i) {
        dawdle();
    }
    *data<uint64_t>(args, 0) = scalar(args, 1);
}
