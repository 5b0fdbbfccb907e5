// f = (a + b + 1) * (a + b + 2) + (a + b).
//
// Arguments: a, b (in), f (out), float tensors of one shape. Every scope creates tensors that inner ones use.
#include "trb_graph.h"

namespace {

enum Kernel { ADD = 0, ADD_SCALAR = 1, MUL = 2 };

TaskOutputTensors add_scalar(const Tensor &x, const TensorCreateInfo &like, float addend) {
    Arg args;
    args.add_input(x);
    args.add_output(like);
    args.add_scalar(addend);
    return rt_submit_aiv_task(ADD_SCALAR, args);
}

/// The last argument is a tensor or asks for one.
template <typename Out>
TaskOutputTensors combine(Kernel kernel, const Tensor &x, const Tensor &y, const Out &out) {
    Arg args;
    args.add_input(x, y);
    args.add_output(out);
    return rt_submit_aiv_task(kernel, args);
}

}  // namespace

extern "C" void build_trb_vector_example(const ChipStorageTaskArgs &args) {
    const Tensor a = from_tensor_arg(args.tensor(0));
    const Tensor b = from_tensor_arg(args.tensor(1));
    const Tensor f = from_tensor_arg(args.tensor(2));
    const TensorCreateInfo like(a.shapes, a.ndims, a.dtype);

    const TaskOutputTensors sum = combine(ADD, a, b, like);
    PTO2_SCOPE() {
        const TaskOutputTensors plus_1 = add_scalar(sum.get_ref(0), like, 1.0f);
        PTO2_SCOPE() {
            const TaskOutputTensors plus_2 = add_scalar(sum.get_ref(0), like, 2.0f);
            const TaskOutputTensors product = combine(MUL, plus_1.get_ref(0), plus_2.get_ref(0), like);
            combine(ADD, product.get_ref(0), sum.get_ref(0), f);
        }
    }
}

extern "C" PTO2OrchestrationConfig aicpu_orchestration_config(const ChipStorageTaskArgs &) {
    return PTO2OrchestrationConfig{3};
}
