// A task, a chain of dummy tasks, and a task at its end.
//
// Arguments: value (out, uint64, one element), sum (out, uint64, one element); the scalars length of the chain,
// and how: 0 names the dependencies, 1 lets them follow from a tensor that every dummy takes for its own.
#include "trb_graph.h"

namespace {

enum Kernel { STORE = 0, SUM = 1 };

}  // namespace

extern "C" void build_chain(const ChipStorageTaskArgs &args) {
    const Tensor value = from_tensor_arg(args.tensor(0));
    const Tensor sum = from_tensor_arg(args.tensor(1));
    const uint64_t length = args.scalar(0);
    const bool named = args.scalar(1) == 0;

    PTO2_SCOPE(named ? PTO2ScopeMode::MANUAL : PTO2ScopeMode::AUTO) {
        Arg first;
        first.add_output(value);
        // Later than the submission of all the others.
        first.add_scalar(uint64_t{41}, uint64_t{100});
        PTO2TaskId last = rt_submit_aiv_task(STORE, first).task_id();

        for (uint64_t i = 0; i < length; ++i) {
            Arg link;
            if (named) {
                link.set_dependencies(&last, 1);
            } else {
                link.add_inout(value);
            }
            const PTO2TaskId id = rt_submit_dummy_task(link).task_id();
            last = id;
        }

        Arg end;
        end.add_input(value);
        end.add_output(sum);
        end.add_scalar(uint64_t{1});
        if (named) {
            end.set_dependencies(&last, 1);
        }
        rt_submit_aic_task(SUM, end);
    }
}
