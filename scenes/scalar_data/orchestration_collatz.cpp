// A task per step from value to 1; how many there are shows only while they run.
//
// Arguments: value (inout, uint64, [1]), steps (out, uint64, [1]), doubled (out, uint64, [1]): twice the steps.
#include "trb_graph.h"

namespace {

enum Kernel { COLLATZ = 0, AXPY = 1 };

}  // namespace

extern "C" void build_collatz(const ChipStorageTaskArgs &args) {
    const Tensor value = from_tensor_arg(args.tensor(0));
    const Tensor steps = from_tensor_arg(args.tensor(1));
    const Tensor doubled = from_tensor_arg(args.tensor(2));
    const uint32_t first[] = {0};

    uint64_t taken = 0;
    while (!rt_is_fatal() && get_tensor_data<uint64_t>(value, 1, first) != 1) {
        PTO2_SCOPE() {
            Arg step;
            step.add_inout(value);
            rt_submit_aiv_task(COLLATZ, step);
        }
        ++taken;
    }
    set_tensor_data(steps, 1, first, taken);

    Arg twice;
    twice.add_input(steps, steps);
    twice.add_output(doubled);
    twice.add_scalar(1.0);
    rt_submit_aic_task(AXPY, twice);
}
