// Both vector cores take turns: core 0 sends x[i] + 7, core 1 sends back twice that, core 0 stores it and only
// then goes on with the next. Arguments: x, out.
#include "../keys.h"

SIMPLER_KERNEL void kernel_entry(__gm__ int64_t *args) {
    auto *x = data<const uint64_t>(args, 0);
    auto *out = data<uint64_t>(args, 1);
    const bool first = get_sub_block_id(args) == 0;
    Channel *there = channel_of_cluster(VECTOR_CORES);
    Channel *back = channel_of_cluster(VECTOR_CORES + 1);
    for (int64_t i = 0; there != nullptr && back != nullptr && i < count(args, 0); ++i) {
        if (first) {
            there->push(x[i] + 7);
            out[i] = back->pop();
        } else {
            back->push(2 * there->pop());
        }
    }
}
