// Tasks of many blocks, each on several cores of a cluster.
//
// Arguments: x (in, uint64, [blocks]), all, cube_and_one, vectors (out, uint64, [blocks, 3]): a row per block with
// what its cube core and its two vector cores stored.
#include "trb_graph.h"

namespace {

enum Kernel { LEAD = 0, FOLLOW = 1 };

void submit(const MixedKernels &kernels, const Tensor &x, const Tensor &out) {
    Arg args;
    args.add_input(x);
    args.add_inout(out);
    args.add_scalar(kernels.to_active_mask().core_mask());
    set_blocks(args, x.shapes[0]);
    rt_submit_task(kernels, args);
}

}  // namespace

extern "C" void build_spmd_multiblock_mix(const ChipStorageTaskArgs &args) {
    const Tensor x = from_tensor_arg(args.tensor(0));
    submit({LEAD, FOLLOW, FOLLOW}, x, from_tensor_arg(args.tensor(1)));
    submit({LEAD, FOLLOW, INVALID_KERNEL_ID}, x, from_tensor_arg(args.tensor(2)));
    submit({INVALID_KERNEL_ID, FOLLOW, FOLLOW}, x, from_tensor_arg(args.tensor(3)));
}
