// Says in box[0] that it ran, and leaves; its block is complete when the block's counter is at the number of
// notifiers. Arguments: box, counters [blocks], notifiers.
#include "pto_async_kernel_api.h"
#include "trb_kernel.h"

SIMPLER_KERNEL void kernel_entry(__gm__ int64_t *args) {
    const int32_t block = get_block_idx(args);
    auto *counter = data<uint32_t>(args, 1) + block;
    const auto notifiers = scalar<uint32_t>(args, 2);
    AsyncCtx context = get_async_ctx(args);
    // Two ways of saying the same thing.
    if (block % 2 == 0) {
        save_expected_notification_counter(context, counter, notifiers);
    } else {
        const CompletionToken token{
            reinterpret_cast<uint64_t>(counter), notifiers, COMPLETION_ENGINE_SDMA, COMPLETION_TYPE_COUNTER, 0};
        register_completion_condition(context, token);
    }
    __atomic_fetch_add(data<uint64_t>(args, 0), 1, __ATOMIC_RELEASE);
}
