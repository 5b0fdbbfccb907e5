// The cube side: sends the values to both vector cores in turn through a pipe each. Arguments: x, out.
#include "../keys.h"

SIMPLER_KERNEL void kernel_entry(__gm__ int64_t *args) {
    auto *x = data<const uint64_t>(args, 0);
    Channel *channels[] = {channel_of_cluster(BOTH_VECTOR_CORES), channel_of_cluster(BOTH_VECTOR_CORES + 1)};
    for (int64_t i = 0; channels[0] != nullptr && channels[1] != nullptr && i < count(args, 0); ++i) {
        channels[i % 2]->push(x[i]);
    }
}
