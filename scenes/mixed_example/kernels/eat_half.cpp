// The vector side, on both cores: out = 5 * what comes through the core's pipe + which core it is.
// Arguments: x, out.
#include "../keys.h"

SIMPLER_KERNEL void kernel_entry(__gm__ int64_t *args) {
    auto *out = data<uint64_t>(args, 1);
    const auto lane = static_cast<uint64_t>(get_sub_block_id(args));
    Channel *channel = channel_of_cluster(BOTH_VECTOR_CORES + lane);
    for (auto i = static_cast<int64_t>(lane); channel != nullptr && i < count(args, 1); i += 2) {
        out[i] = 5 * channel->pop() + lane;
    }
}
