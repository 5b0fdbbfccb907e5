// A kernel: writes what it was told into its output tensor, and waits for a counter.
#include "simpler_kernel.h"
#include "intrinsic.h"
#include "pipe_sync.h"
#include "pto_async_kernel_api.h"
#include "tensor.h"

SIMPLER_KERNEL void kernel_entry(__gm__ int64_t *args) {
    auto *tensor = reinterpret_cast<__gm__ Tensor *>(args[0]);
    auto *counter = reinterpret_cast<__gm__ uint32_t *>(args[1]);
    const uint32_t flat[1] = {static_cast<uint32_t>(tensor->numel())};
    const Tensor line = tensor->reshape(flat, 1);
    auto *out = reinterpret_cast<__gm__ int32_t *>(line.buffer.addr) + line.start_offset;
    out[0] = get_block_idx(args);
    out[1] = get_block_num(args);
    out[2] = get_sub_block_id(args);
    AsyncCtx ctx = get_async_ctx(args);
    save_expected_notification_counter(ctx, counter, 3);
    const CompletionToken token{7, 8, COMPLETION_ENGINE_CCU, 5, 9};
    out[3] = register_completion_condition(ctx, token) ? 1 : 0;
    const Tensor other = make_tensor_external(out, flat, 1, DataType::INT32);
    out[4] = static_cast<int32_t>(other.extent_elem());
    pipe_sync();
}
