// Where things are in the windows of this scene. Of `count` tokens a rank has: its results, a word each; then for
// every rank an inbox with the number of tokens that it sent, and an index and a token for each of them.
#ifndef SCENES_COMM_EXPERTS_EXPERTS_H_
#define SCENES_COMM_EXPERTS_EXPERTS_H_

#include "ranks.h"
#include "trb_kernel.h"

/// Experts are dealt out to the ranks in turn, two to each.
inline uint64_t expert_of(uint64_t token, uint32_t ranks) {
    return token % (2 * ranks);
}

inline __gm__ uint64_t *results(const Ranks &ranks, uint32_t rank) {
    return ranks.data<uint64_t>(rank);
}

inline __gm__ uint64_t *inbox(const Ranks &ranks, uint32_t rank, uint32_t from, uint64_t count) {
    return ranks.data<uint64_t>(rank, count + from * (1 + 2 * count));
}

/// A counter that deferred tasks wait for: 32 bits.
inline __gm__ uint32_t *counter(const Ranks &ranks, uint32_t rank, uint32_t number) {
    return reinterpret_cast<__gm__ uint32_t *>(ranks.word(rank, number));
}

inline void count_up(const Ranks &ranks, uint32_t rank, uint32_t number) {
    __atomic_fetch_add(counter(ranks, rank, number), 1, __ATOMIC_RELEASE);
}

#endif  // SCENES_COMM_EXPERTS_EXPERTS_H_
