// value = value / 2 if it is even, else 3 * value + 1. Arguments: value.
#include "trb_kernel.h"

SIMPLER_KERNEL void kernel_entry(__gm__ int64_t *args) {
    auto *value = data<uint64_t>(args, 0);
    *value = *value % 2 == 0 ? *value / 2 : 3 * *value + 1;
}
