// c = 3 * a + 5 * b + scalar, and 7 * c unless told to overwrite: the elements of one lane of one block.
#include "intrinsic.h"
#include "simpler_kernel.h"
#include "tensor.h"

#ifndef LANE
#error "LANE and LANES say which part of a block this kernel is"
#endif

static int64_t *data(__gm__ int64_t *args, int index) {
    const Tensor &tensor = *reinterpret_cast<const Tensor *>(args[index]);
    return reinterpret_cast<int64_t *>(tensor.buffer.addr) + tensor.start_offset;
}

SIMPLER_KERNEL void kernel_entry(__gm__ int64_t *args) {
    const uint64_t count = reinterpret_cast<const Tensor *>(args[2])->numel();
    const uint64_t first = static_cast<uint64_t>(get_block_idx(args)) * LANES + LANE;
    const uint64_t step = static_cast<uint64_t>(get_block_num(args)) * LANES;
    const uint64_t kept = args[4] ? 0 : 7;
    // Unsigned, as results may wrap around.
    auto *a = reinterpret_cast<uint64_t *>(data(args, 0)), *b = reinterpret_cast<uint64_t *>(data(args, 1));
    auto *c = reinterpret_cast<uint64_t *>(data(args, 2));
    // The second vector core of a cluster knows that it is that.
    const bool wrong_lane = LANES == 3 && get_sub_block_id(args) != (LANE == 2);
    for (uint64_t i = first; i < count; i += step) {
        c[i] = wrong_lane ? 0 : 3 * a[i] + 5 * b[i] + static_cast<uint64_t>(args[3]) + kept * c[i];
    }
}
