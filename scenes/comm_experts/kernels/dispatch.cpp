// Puts each token into the inbox of its expert's rank. Arguments: tokens, context.
#include "experts.h"

SIMPLER_KERNEL void kernel_entry(__gm__ int64_t *args) {
    auto *tokens = data<const uint64_t>(args, 0);
    const auto total = static_cast<uint64_t>(count(args, 0));
    const Ranks ranks(args[1]);
    for (uint32_t rank = 0; rank < ranks.count(); ++rank) {
        auto *box = inbox(ranks, rank, ranks.own(), total);
        uint64_t sent = 0;
        for (uint64_t i = 0; i < total; ++i) {
            if (expert_of(tokens[i], ranks.count()) % ranks.count() == rank) {
                box[1 + 2 * sent] = i;
                box[2 + 2 * sent] = tokens[i];
                ++sent;
            }
        }
        box[0] = sent;
        count_up(ranks, rank, 0);
    }
}
