// out[i] = 2 * in[i], as one task.
#include "orchestration_api.h"

extern "C" int build(OrchestrationRuntime *runtime, const ChipStorageTaskArgs &args) {
    const size_t bytes = args.tensor(0).nbytes();
    void *in = device_malloc(runtime, bytes);
    void *out = device_malloc(runtime, bytes);
    copy_to_device(runtime, in, args.tensor(0).data_as<void>(), bytes);
    record_tensor_pair(runtime, args.tensor(1).data_as<void>(), out, bytes);  // copied back after the run
    uint64_t slots[] = {reinterpret_cast<uint64_t>(in), reinterpret_cast<uint64_t>(out), bytes / sizeof(float)};
    return add_task(runtime, slots, 3, /*func_id=*/0, CoreType::AIV) < 0 ? 1 : 0;
}
