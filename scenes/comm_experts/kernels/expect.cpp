// Leaves at once; the task is over when all ranks have counted up, each once a round. Arguments: arrived, context,
// round, number of the counter.
#include "experts.h"
#include "pto_async_kernel_api.h"

SIMPLER_KERNEL void kernel_entry(__gm__ int64_t *args) {
    const Ranks ranks(args[1]);
    const auto expected = scalar<uint32_t>(args, 2) * ranks.count();
    AsyncCtx context = get_async_ctx(args);
    save_expected_notification_counter(context, counter(ranks, ranks.own(), scalar<uint32_t>(args, 3)), expected);
}
