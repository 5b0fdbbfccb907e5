// Elements that the orchestration reads and writes between tasks that do.
//
// Arguments: t (inout, float, [3, 4]), before, after (out, float, [3, 4]): t as two tasks saw it.
#include "trb_graph.h"

namespace {

enum Kernel { ADD_ONE = 0, COPY_LATE = 1 };

void copy(const Tensor &from, const Tensor &to) {
    Arg args;
    args.add_input(from);
    args.add_output(to);
    rt_submit_aic_task(COPY_LATE, args);
}

}  // namespace

extern "C" void build_rewrite(const ChipStorageTaskArgs &args) {
    const Tensor t = from_tensor_arg(args.tensor(0));
    const Tensor before = from_tensor_arg(args.tensor(1));
    const Tensor after = from_tensor_arg(args.tensor(2));

    Arg add;
    add.add_inout(t);
    rt_submit_aiv_task(ADD_ONE, add);
    copy(t, before);

    // The sum of an element and itself goes into another one, which the copy must not see.
    const uint32_t from[] = {1, 2};
    const uint32_t to[] = {2, 3};
    const auto read = get_tensor_data<float>(t, 2, from);
    set_tensor_data<float>(t, 2, to, 2.0f * read);
    copy(t, after);

    // Of a view, by its own indices, and in the task's own memory.
    const TensorCreateInfo like(t.shapes, t.ndims, t.dtype);
    Arg make;
    make.add_input(t);
    make.add_output(like);
    const TaskOutputTensors made = rt_submit_aic_task(COPY_LATE, make);
    const Tensor row = made.get_ref(0).slice(0, 1, 2);
    const uint32_t last[] = {0, 3};
    const uint32_t origin[] = {0, 0};
    set_tensor_data<float>(t, 2, origin, get_tensor_data<float>(row, 2, last));
}
