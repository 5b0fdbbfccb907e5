// The cube side: sends all values to the vector core through the pipe. Arguments: x, out.
#include "../keys.h"

SIMPLER_KERNEL void kernel_entry(__gm__ int64_t *args) {
    auto *x = data<const uint64_t>(args, 0);
    Channel *channel = channel_of_cluster(ONE_VECTOR_CORE);
    for (int64_t i = 0; channel != nullptr && i < count(args, 0); ++i) {
        channel->push(x[i]);
    }
}
