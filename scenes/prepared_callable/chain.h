// Two vector tasks, one after the other.
#ifndef SCENES_PREPARED_CALLABLE_CHAIN_H_
#define SCENES_PREPARED_CALLABLE_CHAIN_H_

#include "orchestration_api.h"

enum Kernel { SCALE = 0, SHIFT = 1 };

struct Step {
    Kernel kernel;
    uint64_t operand;
};

/// Applies `first`, then `second` to the uint64 tensor 0; the result is tensor 1.
inline int build_chain(OrchestrationRuntime *rt, const ChipStorageTaskArgs &args, Step first, Step second) {
    const ContinuousTensor &x = args.tensor(0);
    const ContinuousTensor &out = args.tensor(1);
    const uint64_t bytes = x.nbytes();
    if (out.nbytes() != bytes) {
        return 1;
    }
    void *dev_x = device_malloc(rt, bytes);
    copy_to_device(rt, dev_x, x.data_as<void>(), bytes);
    void *dev_between = device_malloc(rt, bytes);
    void *dev_out = device_malloc(rt, bytes);
    record_tensor_pair(rt, out.data_as<void>(), dev_out, bytes);

    const TensorInfo like = make_tensor_info_from_tensor_arg(x);
    const TensorInfo tensors[] = {like, like};
    const auto task = [&](Step step, void *from, void *to) {
        uint64_t slots[] = {reinterpret_cast<uint64_t>(from), step.operand, reinterpret_cast<uint64_t>(to),
                            bytes / sizeof(uint64_t)};
        return add_task_with_tensor_info(rt, slots, 4, step.kernel, CoreType::AIV, tensors, 2);
    };
    const int t_first = task(first, dev_x, dev_between);
    const int t_second = task(second, dev_between, dev_out);
    add_successor(rt, t_first, t_second);
    return 0;
}

#endif  // SCENES_PREPARED_CALLABLE_CHAIN_H_
