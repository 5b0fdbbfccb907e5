// An orchestration that makes every call of the API once.
#include "orchestration_api.h"

extern "C" int build_graph(OrchestrationRuntime *rt, const ChipStorageTaskArgs &args) {
    const ContinuousTensor &in = args.tensor(0);
    const ContinuousTensor &out = args.tensor(1);
    void *dev_in = device_malloc(rt, in.nbytes());
    void *dev_out = device_malloc(rt, out.nbytes());
    void *unused = device_malloc(rt, 1);
    device_free(rt, unused);
    if (copy_to_device(rt, dev_in, in.data_as<void>(), in.nbytes()) != 0) {
        return 1;
    }
    record_tensor_pair(rt, out.data_as<void>(), dev_out, out.nbytes());

    uint64_t slots[4] = {reinterpret_cast<uint64_t>(dev_in), reinterpret_cast<uint64_t>(dev_out), in.shapes[0],
                         args.scalar(0)};
    const int scale = add_task(rt, slots, 4, 0, CoreType::AIV);
    const TensorInfo info[2] = {make_tensor_info_from_tensor_arg(in), make_tensor_info_from_tensor_arg(out)};
    if (set_tensor_info_to_task(rt, scale, info, 2) != 0) {
        return 2;
    }
    slots[0] = slots[1];
    const int again = add_task_with_tensor_info(rt, slots, 4, 0, CoreType::AIV, &info[1], 1);
    add_successor(rt, scale, again);
    print_runtime(rt);
    return get_task_count(rt) == 2 ? 0 : 3;
}
