// out = the sum of all ranks' in, in two turns around the ring: each rank sums up one part of the data, then passes
// these parts on. A window has a slot for each of the 2 * (ranks - 1) steps, and a signal.
#include "collective.h"

namespace {

/// Where part `index` of `parts` starts.
int64_t part(int64_t count, uint32_t index, uint32_t parts) { return count * index / parts; }

}  // namespace

SIMPLER_KERNEL void kernel_entry(__gm__ int64_t *args) {
    const Collective c(args);
    const Ranks &ranks = c.ranks;
    const uint32_t n = ranks.count();
    const int64_t slot = c.count / n + 1;
    std::copy(c.in, c.in + c.count, c.out);

    const auto begin = [&](uint32_t index) { return part(c.count, index % n, n); };
    const auto end = [&](uint32_t index) { return part(c.count, index % n + 1, n); };
    for (uint32_t step = 0; step < 2 * (n - 1); ++step) {
        const bool adds = step < n - 1;
        // The part that this rank has just completed or received goes to the next one.
        const uint32_t sent = ranks.own() + 2 * n - step;
        std::copy(c.out + begin(sent), c.out + end(sent), ranks.data<int32_t>(ranks.next(), step * slot));
        ranks.signal(ranks.next(), step, c.round);

        ranks.wait(step, c.round);
        const uint32_t received = sent - 1;
        auto *from = ranks.data<const int32_t>(ranks.own(), step * slot);
        for (int64_t i = begin(received); i < end(received); ++i, ++from) {
            c.out[i] = adds ? c.out[i] + *from : *from;
        }
    }
}
