// Waits until all blocks of the deferred task have run, and some more; then stores 1000 * round + number in
// box[number] and counts up for every block. Arguments: box, counters [blocks], number, blocks, round.
#include "trb_kernel.h"

SIMPLER_KERNEL void kernel_entry(__gm__ int64_t *args) {
    auto *box = data<uint64_t>(args, 0);
    auto *counters = data<uint32_t>(args, 1);
    const uint64_t number = scalar(args, 2);
    const uint64_t blocks = scalar(args, 3);
    wait_until([=] { return __atomic_load_n(box, __ATOMIC_ACQUIRE) == blocks; });
    dawdle();
    box[number] = 1000 * scalar(args, 4) + number;
    for (uint64_t block = 0; block < blocks; ++block) {
        __atomic_fetch_add(counters + block, 1, __ATOMIC_RELEASE);
    }
}
