// Sends the values one by one through the channel of the cluster. Arguments: values, count.
#include "channel.h"

SIMPLER_KERNEL void kernel_entry(__gm__ int64_t *args) {
    auto *values = reinterpret_cast<__gm__ const uint64_t *>(args[0]);
    const int64_t count = args[1];
    Channel *channel = channel_of_cluster();
    if (channel == nullptr) {
        return;
    }
    for (int64_t i = 0; i < count; ++i) {
        channel->push(values[i]);
    }
}
