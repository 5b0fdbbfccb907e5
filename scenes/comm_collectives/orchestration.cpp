// One task, which talks to the same task of the other ranks. Arguments: in (int32), out (int32); the scalars kernel,
// context and round.
#include "orchestration_api.h"

extern "C" int build_comm_collectives(OrchestrationRuntime *rt, const ChipStorageTaskArgs &args) {
    const ContinuousTensor &in = args.tensor(0);
    const ContinuousTensor &out = args.tensor(1);
    void *dev_in = device_malloc(rt, in.nbytes());
    void *dev_out = device_malloc(rt, out.nbytes());
    copy_to_device(rt, dev_in, in.data_as<void>(), in.nbytes());
    record_tensor_pair(rt, out.data_as<void>(), dev_out, out.nbytes());
    uint64_t slots[5] = {
        reinterpret_cast<uint64_t>(dev_in),
        reinterpret_cast<uint64_t>(dev_out),
        in.nbytes() / sizeof(int32_t),
        args.scalar(1),
        args.scalar(2),
    };
    const TensorInfo tensors[] = {make_tensor_info_from_tensor_arg(in), make_tensor_info_from_tensor_arg(out)};
    add_task_with_tensor_info(rt, slots, 5, static_cast<int>(args.scalar(0)), CoreType::AIV, tensors, 2);
    return 0;
}
