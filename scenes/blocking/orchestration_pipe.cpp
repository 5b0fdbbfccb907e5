// A cube task that produces and a vector task that consumes at the same time, without an edge between them.
//
// Arguments: the uint64 tensors values (in) and out (out). To be run with one cluster: the channel is that of
// a cluster, and tasks without an edge may run on any.
#include "orchestration_api.h"

namespace {

enum Kernel { PRODUCE = 0, CONSUME = 1 };

}  // namespace

extern "C" int build_pipe(OrchestrationRuntime *rt, const ChipStorageTaskArgs &args) {
    const ContinuousTensor &values = args.tensor(0);
    const ContinuousTensor &out = args.tensor(1);
    const uint64_t bytes = values.nbytes();
    const uint64_t count = bytes / sizeof(uint64_t);
    if (out.nbytes() != bytes) {
        return 1;
    }
    void *dev_values = device_malloc(rt, bytes);
    copy_to_device(rt, dev_values, values.data_as<void>(), bytes);
    void *dev_out = device_malloc(rt, bytes);
    record_tensor_pair(rt, out.data_as<void>(), dev_out, bytes);

    const TensorInfo all = make_tensor_info_from_tensor_arg(values);
    uint64_t consume[] = {reinterpret_cast<uint64_t>(dev_out), count};
    add_task_with_tensor_info(rt, consume, 2, CONSUME, CoreType::AIV, &all, 1);
    uint64_t produce[] = {reinterpret_cast<uint64_t>(dev_values), count};
    add_task_with_tensor_info(rt, produce, 2, PRODUCE, CoreType::AIC, &all, 1);
    return 0;
}
