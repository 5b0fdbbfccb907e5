// A kernel: out[i] = in[i] * factor + lane, where the lane tells that the hooks arrived.
#include "simpler_kernel.h"
#include "data_type.h"
#include "pipe_sync.h"

SIMPLER_KERNEL void kernel_entry(__gm__ int64_t *args) {
    const auto *in = reinterpret_cast<__gm__ const float *>(args[0]);
    auto *out = reinterpret_cast<__gm__ float *>(args[1]);
    const auto count = static_cast<size_t>(args[2]);
    const auto factor = from_u64<float>(static_cast<uint64_t>(args[3]));
    for (size_t i = 0; i < count; ++i) {
        out[i] = in[i] * factor + static_cast<float>(simpler::subblock_id());
    }
    if (auto *shared = static_cast<uint64_t *>(simpler::pipe_shared_state(7, sizeof(uint64_t)))) {
        *shared += 1;
    }
    pipe_sync();
}
