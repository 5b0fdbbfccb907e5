// Scales tensor 0 by 2 and the result by 3 into tensor 1: two tasks, one after the other.
#include "orchestration_api.h"

extern "C" int scale_twice(OrchestrationRuntime *runtime, const ChipStorageTaskArgs &args) {
    const ContinuousTensor &input = args.tensor(0);
    const ContinuousTensor &output = args.tensor(1);
    const size_t bytes = input.nbytes();

    void *in = device_malloc(runtime, bytes);
    void *between = device_malloc(runtime, bytes);
    void *out = device_malloc(runtime, bytes);
    if (copy_to_device(runtime, in, input.data_as<void>(), bytes) != 0) {
        return -1;
    }
    // Copied back after a run that went well.
    record_tensor_pair(runtime, output.data_as<void>(), out, bytes);

    const uint64_t count = bytes / sizeof(float);
    uint64_t first[] = {reinterpret_cast<uint64_t>(in), reinterpret_cast<uint64_t>(between), count, 2};
    uint64_t second[] = {reinterpret_cast<uint64_t>(between), reinterpret_cast<uint64_t>(out), count, 3};
    const int a = add_task(runtime, first, 4, 0, CoreType::AIV);
    const int b = add_task(runtime, second, 4, 0, CoreType::AIV);
    add_successor(runtime, a, b);
    return 0;
}
