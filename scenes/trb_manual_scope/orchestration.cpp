// Diamonds whose edges are all named, and a task that gathers them by names and tensors.
//
// Arguments: x (in, uint64, [lanes]), out (out, uint64, [lanes]): 10 * x; total (inout, uint64, [1]): the sum of
// out is added to twice what it was; the scalar wrong: 1 opens a scope that cannot be.
#include <vector>

#include "trb_graph.h"

namespace {

enum Kernel { COMBINE = 0, SUM_UP = 1, DOUBLE = 2 };

/// x + factor * y after the tasks in `after`, in `out`: a tensor, or what asks for one.
template <typename Out>
TaskOutputTensors combine(const Tensor &x, const Tensor &y, uint64_t factor, const Out &out,
                          std::initializer_list<PTO2TaskId> after) {
    ArgWithDeps<2> args;
    args.add_input(x, y);
    args.add_output(out);
    args.add_scalar(factor);
    for (const PTO2TaskId id : after) {
        args.add_dep(id);
    }
    return factor % 2 == 0 ? rt_submit_aic_task(COMBINE + 3, args) : rt_submit_aiv_task(COMBINE, args);
}

PTO2TaskId diamond(const Tensor &x, const Tensor &out) {
    const TensorCreateInfo one = new_u64(1);
    const TaskOutputTensors top = combine(x, x, 1, one, {});
    PTO2TaskId bottom = PTO2TaskId::invalid();
    PTO2_SCOPE(PTO2ScopeMode::MANUAL) {
        const Tensor &twice = top.get_ref(0);
        const TaskOutputTensors left = combine(twice, twice, 1, one, {top.task_id()});
        const TaskOutputTensors right = combine(twice, twice, 2, one, {top.task_id()});
        bottom = combine(left.get_ref(0), right.get_ref(0), 1, out, {left.task_id(), right.task_id()}).task_id();
    }
    return bottom;
}

}  // namespace

extern "C" void build_trb_manual_scope(const ChipStorageTaskArgs &args) {
    const Tensor x = from_tensor_arg(args.tensor(0));
    const Tensor out = from_tensor_arg(args.tensor(1));
    const Tensor total = from_tensor_arg(args.tensor(2));

    std::vector<PTO2TaskId> bottoms;
    PTO2_SCOPE(PTO2ScopeMode::MANUAL) {
        for (uint32_t lane = 0; lane < x.shapes[0]; ++lane) {
            bottoms.push_back(diamond(part(x, lane, 1), part(out, lane, 1)));
        }
        if (args.scalar(0) == 1) {
            rt_scope_begin(PTO2ScopeMode::AUTO);
        }
    }

    // Nothing is known about what the manual scope wrote, so it is named; the other edge follows from total.
    Arg twice;
    twice.add_inout(total);
    rt_submit_aic_task(DOUBLE, twice);
    Arg sum;
    sum.add_inout(total);
    sum.add_input(out);
    sum.set_dependencies(bottoms.data(), static_cast<uint32_t>(bottoms.size()));
    rt_submit_aiv_task(SUM_UP, sum);
}
