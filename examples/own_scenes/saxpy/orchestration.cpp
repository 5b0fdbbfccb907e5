// y += a * x in equal blocks. Arguments: the float tensors x (in) and y (in and out), the bits of a, blocks.
#include "orchestration_api.h"

extern "C" int build_saxpy(OrchestrationRuntime *runtime, const ChipStorageTaskArgs &args) {
    const size_t bytes = args.tensor(0).nbytes();
    void *x = device_malloc(runtime, bytes), *y = device_malloc(runtime, bytes);
    copy_to_device(runtime, x, args.tensor(0).data_as<void>(), bytes);
    copy_to_device(runtime, y, args.tensor(1).data_as<void>(), bytes);
    record_tensor_pair(runtime, args.tensor(1).data_as<void>(), y, bytes);
    const uint64_t a = args.scalar(0), blocks = args.scalar(1), block = bytes / sizeof(float) / blocks;
    for (uint64_t i = 0; i < blocks; ++i) {
        const uint64_t offset = i * block * sizeof(float);
        uint64_t slots[] = {reinterpret_cast<uint64_t>(x) + offset, reinterpret_cast<uint64_t>(y) + offset, block, a};
        add_task(runtime, slots, 4, /*func_id*/ 0, CoreType::AIV);
    }
    return 0;
}
