// Tasks whose blocks start together and wait for each other, among tasks that wait for nobody.
//
// Arguments: arrived (inout, uint64, [tasks]): the meeting points of the tasks that start together; stamps (inout,
// uint64, [tasks]): how many cores have left each; plain (inout, uint64, [n]): what the other tasks change; the
// scalars shape (0 cube, 1 vector, 2 all of a cluster, 3 all shapes in turn), blocks, and plain tasks between two
// that start together.
#include "trb_graph.h"

namespace {

enum Kernel { MEET_CUBE = 0, MEET_VECTOR = 1, ADD_CUBE = 2, ADD_VECTOR = 3 };

MixedKernels kernels_of(uint64_t shape) {
    switch (shape) {
        case 0:
            return {MEET_CUBE, INVALID_KERNEL_ID, INVALID_KERNEL_ID};
        case 1:
            return {INVALID_KERNEL_ID, MEET_VECTOR, INVALID_KERNEL_ID};
        default:
            return {MEET_CUBE, MEET_VECTOR, MEET_VECTOR};
    }
}

void submit_plain(const Tensor &tensor, uint32_t number) {
    const Tensor element = part(tensor, number % tensor.shapes[0], 1);
    Arg args;
    args.add_inout(element);
    args.add_scalar(uint64_t{number});
    if (number % 2 == 0) {
        rt_submit_aic_task(ADD_CUBE, args);
    } else {
        rt_submit_aiv_task(ADD_VECTOR, args);
    }
}

}  // namespace

extern "C" void build_spmd_sync_start(const ChipStorageTaskArgs &args) {
    const Tensor arrived = from_tensor_arg(args.tensor(0));
    const Tensor stamps = from_tensor_arg(args.tensor(1));
    const Tensor plain = from_tensor_arg(args.tensor(2));
    const uint64_t shape = args.scalar(0);
    const uint64_t blocks = args.scalar(1);
    const uint64_t between = args.scalar(2);

    uint32_t number = 0;
    for (uint32_t task = 0; task < arrived.shapes[0]; ++task) {
        const MixedKernels kernels = kernels_of(shape == 3 ? task % 3 : shape);
        const Tensor meeting_point = part(arrived, task, 1);
        const Tensor stamp = part(stamps, task, 1);
        Arg together;
        together.add_inout(meeting_point, stamp);
        // Of a cluster all three cores come.
        together.add_scalar(kernels.to_active_mask().to_shape() == PTO2ResourceShape::MIX ? 3 * blocks : blocks);
        set_blocks(together, blocks);
        together.launch_spec.set_require_sync_start(true);
        rt_submit_task(kernels, together);
        for (uint64_t i = 0; i < between; ++i) {
            submit_plain(plain, number++);
        }
    }
}
