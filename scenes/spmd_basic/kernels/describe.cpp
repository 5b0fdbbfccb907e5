// A row per block: its number, how many there are, whether the core's place in its cluster is one that its kind
// has, and the block's element of x times 3. Arguments: x [blocks], out [blocks, 4].
#include "trb_kernel.h"

SIMPLER_KERNEL void kernel_entry(__gm__ int64_t *args) {
#if defined(__DAV_CUBE__)
    constexpr int32_t PLACES = 1;
#else
    constexpr int32_t PLACES = 2;
#endif
    const int32_t block = get_block_idx(args);
    const int32_t place = get_sub_block_id(args);
    auto *row = data<uint64_t>(args, 1) + 4 * block;
    row[0] = static_cast<uint64_t>(block);
    row[1] = static_cast<uint64_t>(get_block_num(args));
    row[2] = place >= 0 && place < PLACES && static_cast<uint32_t>(place) == simpler::subblock_id() ? 1 : 0;
    row[3] = 3 * data<const uint64_t>(args, 0)[block];
}
