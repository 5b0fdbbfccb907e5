// Where the cores of a block meet: no core leaves before all have come, and all see the same block.
#ifndef SCENES_SPMD_MULTIBLOCK_MIX_MEETING_H_
#define SCENES_SPMD_MULTIBLOCK_MIX_MEETING_H_

#include "trb_kernel.h"

/// Waits for the other cores of the cluster that run this block; `mask` tells which do. The sum of the values of
/// all of them.
inline uint64_t meet(uint64_t mask, uint64_t value) {
    struct Shared {
        uint64_t arrived;
        uint64_t left;
        uint64_t sum;
    };
    // Tasks of different shapes do not meet each other.
    auto *shared = static_cast<Shared *>(simpler::pipe_shared_state(mask, sizeof(Shared)));
    if (shared == nullptr) {
        return 0;
    }
    const auto cores = static_cast<uint64_t>(__builtin_popcountll(mask));
    __atomic_fetch_add(&shared->sum, value, __ATOMIC_ACQ_REL);
    const uint64_t round = __atomic_fetch_add(&shared->arrived, 1, __ATOMIC_ACQ_REL) / cores;
    wait_until([=] { return __atomic_load_n(&shared->arrived, __ATOMIC_ACQUIRE) >= (round + 1) * cores; });
    const uint64_t sum = __atomic_load_n(&shared->sum, __ATOMIC_ACQUIRE);
    // Nobody takes its value back before all have read the sum. The next block finds 0 again: it starts when all
    // of its cores are free.
    __atomic_fetch_add(&shared->left, 1, __ATOMIC_ACQ_REL);
    wait_until([=] { return __atomic_load_n(&shared->left, __ATOMIC_ACQUIRE) >= (round + 1) * cores; });
    __atomic_fetch_sub(&shared->sum, value, __ATOMIC_ACQ_REL);
    return sum;
}

#endif  // SCENES_SPMD_MULTIBLOCK_MIX_MEETING_H_
