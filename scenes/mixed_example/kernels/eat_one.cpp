// The vector side: out = 3 * what comes through the pipe. Arguments: x, out.
#include "../keys.h"

SIMPLER_KERNEL void kernel_entry(__gm__ int64_t *args) {
    auto *out = data<uint64_t>(args, 1);
    Channel *channel = channel_of_cluster(ONE_VECTOR_CORE);
    for (int64_t i = 0; channel != nullptr && i < count(args, 1); ++i) {
        out[i] = 3 * channel->pop();
    }
}
