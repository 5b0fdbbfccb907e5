// The block's part of out, which is x backwards plus 1. Counts its runs. Arguments: x, out, runs [1, blocks].
#include "../share.h"

SIMPLER_KERNEL void kernel_entry(__gm__ int64_t *args) {
    auto *x = data<const uint64_t>(args, 0);
    auto *out = data<uint64_t>(args, 1);
    const int64_t n = count(args, 1);
    const Share share = own_share(args, n);
    for (int64_t i = share.first; i < share.end; ++i) {
        out[i] = x[n - 1 - i] + 1;
    }
    __atomic_fetch_add(data<uint64_t>(args, 2) + get_block_idx(args), 1, __ATOMIC_RELAXED);
}
