// out[i] = 2 * in[i] on `tasks` tasks, after what the client asked for besides.
#include <stdexcept>

#include "orchestration_api.h"

extern "C" int build(OrchestrationRuntime *rt, const ChipStorageTaskArgs &args) {
    // scalars: what to do, an argument of it, and where a client's function and its own pointer are
    const uint64_t what = args.scalar(0);
    if (what == 1) return static_cast<int>(static_cast<int64_t>(args.scalar(1)));
    if (what == 2) throw std::runtime_error("thrown on purpose");
    if (what == 3) {
        auto call = reinterpret_cast<int (*)(void *)>(args.scalar(2));
        if (int status = call(reinterpret_cast<void *>(args.scalar(3)))) return status;
    }
    const ContinuousTensor &in = args.tensor(0);
    const ContinuousTensor &out = args.tensor(1);
    void *dev_in = device_malloc(rt, in.nbytes());
    void *dev_out = device_malloc(rt, out.nbytes());
    copy_to_device(rt, dev_in, in.data_as<void>(), in.nbytes());
    record_tensor_pair(rt, out.data_as<void>(), dev_out, out.nbytes());
    const uint64_t count = in.nbytes() / sizeof(float);
    uint64_t slots[] = {reinterpret_cast<uint64_t>(dev_in), reinterpret_cast<uint64_t>(dev_out), count};
    const int kernel = what == 4 ? 1 : what == 5 ? 7 : 0;
    const int task = add_task(rt, slots, 3, kernel, CoreType::AIV);
    if (what == 6) add_successor(rt, task, task);
    // The input is freed with the run when it is recorded, which also copies it back unchanged.
    record_tensor_pair(rt, in.data_as<void>(), dev_in, in.nbytes());
    return task < 0 ? 1 : 0;
}
