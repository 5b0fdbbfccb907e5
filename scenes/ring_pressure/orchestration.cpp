// Many more tasks than the rings hold, with outputs in every ring.
//
// Arguments: sums (inout, uint64, [lanes, n]); the scalar rounds. A round takes a lane through three scopes, each
// with an output of its own, and adds the last one to the lane.
#include "trb_graph.h"

namespace {

enum Kernel { STEP = 0, ADD = 1 };

TaskOutputTensors step(const Tensor &x, const TensorCreateInfo &like, uint64_t addend) {
    Arg args;
    args.add_input(x);
    args.add_output(like);
    args.add_scalar(addend);
    return addend % 2 == 0 ? rt_submit_aic_task(STEP, args) : rt_submit_aiv_task(STEP + 2, args);
}

}  // namespace

extern "C" void build_ring_pressure(const ChipStorageTaskArgs &args) {
    const Tensor sums = from_tensor_arg(args.tensor(0));
    const TensorCreateInfo like = new_u64(sums.shapes[1]);

    for (uint64_t round = 0; round < args.scalar(0); ++round) {
        const auto number = static_cast<uint32_t>(round) % sums.shapes[0];
        const Tensor lane = sums.slice(0, number, number + 1);
        PTO2_SCOPE() {
            const TaskOutputTensors first = step(lane, like, round);
            PTO2_SCOPE() {
                const TaskOutputTensors second = step(first.get_ref(0), like, round + 1);
                PTO2_SCOPE() {
                    const TaskOutputTensors third = step(second.get_ref(0), like, round + 2);
                    Arg add;
                    add.add_inout(lane);
                    add.add_input(third.get_ref(0));
                    rt_submit_aiv_task(ADD, add);
                }
            }
        }
    }
}
