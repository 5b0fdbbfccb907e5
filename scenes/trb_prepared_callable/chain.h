// Two vector tasks, one after the other.
#ifndef SCENES_TRB_PREPARED_CALLABLE_CHAIN_H_
#define SCENES_TRB_PREPARED_CALLABLE_CHAIN_H_

#include "trb_graph.h"

enum Kernel { SCALE = 0, SHIFT = 1 };

struct Step {
    Kernel kernel;
    uint64_t operand;
};

template <typename Out>
TaskOutputTensors submit(Step step, const Tensor &x, const Out &out) {
    Arg args;
    args.add_input(x);
    args.add_output(out);
    args.add_scalar(step.operand);
    return rt_submit_aiv_task(step.kernel, args);
}

/// Applies `first`, then `second` to the uint64 tensor 0; the result is tensor 1.
inline void build_chain(const ChipStorageTaskArgs &args, Step first, Step second) {
    const Tensor x = from_tensor_arg(args.tensor(0));
    const Tensor out = from_tensor_arg(args.tensor(1));
    const TaskOutputTensors between = submit(first, x, TensorCreateInfo(x.shapes, x.ndims, x.dtype));
    submit(second, between.get_ref(0), out);
}

#endif  // SCENES_TRB_PREPARED_CALLABLE_CHAIN_H_
