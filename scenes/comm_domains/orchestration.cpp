// The same task in each of two domains, which some ranks belong to at once. Arguments: in (int64), out (int64,
// [2, count]); the scalars context of the one domain and of the other, 0 for one that this rank is not in.
#include "orchestration_api.h"

extern "C" int build_comm_domains(OrchestrationRuntime *rt, const ChipStorageTaskArgs &args) {
    const ContinuousTensor &in = args.tensor(0);
    const ContinuousTensor &out = args.tensor(1);
    void *dev_in = device_malloc(rt, in.nbytes());
    void *dev_out = device_malloc(rt, out.nbytes());
    copy_to_device(rt, dev_in, in.data_as<void>(), in.nbytes());
    record_tensor_pair(rt, out.data_as<void>(), dev_out, out.nbytes());
    for (uint64_t domain = 0; domain < 2; ++domain) {
        uint64_t slots[4] = {
            reinterpret_cast<uint64_t>(dev_in),
            reinterpret_cast<uint64_t>(dev_out) + domain * in.nbytes(),
            in.nbytes() / sizeof(int64_t),
            args.scalar(static_cast<int>(domain)),
        };
        const TensorInfo like = make_tensor_info_from_tensor_arg(in);
        const TensorInfo tensors[] = {like, like};
        add_task_with_tensor_info(rt, slots, 4, 0, CoreType::AIV, tensors, 2);
    }
    return 0;
}
