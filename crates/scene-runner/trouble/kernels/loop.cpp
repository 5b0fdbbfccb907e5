// Never ends, and is never idle.
#include "simpler_kernel.h"

SIMPLER_KERNEL void kernel_entry(__gm__ int64_t *args) {
    auto *out = reinterpret_cast<volatile uint64_t *>(args[0]);
    while (*out != 7) {
        *out = *out + 1 == 7 ? 8 : *out + 1;
    }
}
