// A chain of tasks of many blocks; the next one starts when all blocks of the one before are done.
//
// Arguments: x (inout, uint64, [n]), runs (inout, uint64, [steps, blocks]): how often each block ran; the scalar
// blocks. A step reverses x, so that it needs all blocks of the step before.
#include "trb_graph.h"

namespace {

enum Kernel { REVERSE = 0, COPY = 1 };

}  // namespace

extern "C" void build_spmd_multiblock_aiv(const ChipStorageTaskArgs &args) {
    const Tensor x = from_tensor_arg(args.tensor(0));
    const Tensor runs = from_tensor_arg(args.tensor(1));
    const TensorCreateInfo like(x.shapes, x.ndims, x.dtype);

    for (uint32_t step = 0; step < runs.shapes[0]; ++step) {
        PTO2_SCOPE() {
            const Tensor counts = runs.slice(0, step, step + 1);
            Arg reverse;
            reverse.add_input(x);
            reverse.add_output(like);
            reverse.add_inout(counts);
            set_blocks(reverse, args.scalar(0));
            const TaskOutputTensors reversed = rt_submit_aiv_task(REVERSE, reverse);

            Arg copy;
            copy.add_input(reversed.get_ref(0));
            copy.add_inout(x);
            set_blocks(copy, args.scalar(0));
            rt_submit_aiv_task(COPY, copy);
        }
    }
}
