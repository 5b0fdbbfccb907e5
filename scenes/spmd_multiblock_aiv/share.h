// Which elements belong to a block.
#ifndef SCENES_SPMD_MULTIBLOCK_AIV_SHARE_H_
#define SCENES_SPMD_MULTIBLOCK_AIV_SHARE_H_

#include "trb_kernel.h"

struct Share {
    int64_t first;
    int64_t end;
};

/// The part of `count` elements that is the calling block's; some blocks get one more than others, or none.
inline Share own_share(__gm__ int64_t *args, int64_t count) {
    const int64_t block = get_block_idx(args);
    const int64_t blocks = get_block_num(args);
    return Share{count * block / blocks, count * (block + 1) / blocks};
}

#endif  // SCENES_SPMD_MULTIBLOCK_AIV_SHARE_H_
