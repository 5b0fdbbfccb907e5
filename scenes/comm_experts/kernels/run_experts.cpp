// Makes 1000 * token + expert of each token in the inboxes, and puts it into the results of the rank that sent it.
// Arguments: what the inboxes wait for, context, tokens of a rank.
#include "experts.h"

SIMPLER_KERNEL void kernel_entry(__gm__ int64_t *args) {
    const Ranks ranks(args[1]);
    const auto total = scalar(args, 2);
    for (uint32_t from = 0; from < ranks.count(); ++from) {
        auto *box = inbox(ranks, ranks.own(), from, total);
        for (uint64_t i = 0; i < box[0]; ++i) {
            const uint64_t token = box[2 + 2 * i];
            results(ranks, from)[box[1 + 2 * i]] = 1000 * token + expert_of(token, ranks.count());
        }
        count_up(ranks, from, 1);
    }
}
