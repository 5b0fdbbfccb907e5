// A long stream of small tasks that always has some ready, and in its middle one task that needs all cores of
// its kind at once.
//
// Arguments: lanes (inout, uint64, [n]): each small task adds to one of them; seen (out, uint64, [1]): how many
// cores met in the wide task; the scalars small tasks, blocks of the wide one, and its shape (1 vector, 2 all of
// a cluster).
#include "trb_graph.h"

namespace {

enum Kernel { SMALL_CUBE = 0, SMALL_VECTOR = 1, WIDE_CUBE = 2, WIDE_VECTOR = 3 };

void submit_wide(const Tensor &seen, uint64_t blocks, bool whole_clusters) {
    Arg wide;
    wide.add_inout(seen);
    wide.add_scalar(whole_clusters ? 3 * blocks : blocks);
    set_blocks(wide, blocks);
    wide.launch_spec.set_require_sync_start(true);
    MixedKernels kernels;
    kernels.aiv0_kernel_id = WIDE_VECTOR;
    if (whole_clusters) {
        kernels.aic_kernel_id = WIDE_CUBE;
        kernels.aiv1_kernel_id = WIDE_VECTOR;
    }
    rt_submit_task(kernels, wide);
}

}  // namespace

extern "C" void build_spmd_starvation(const ChipStorageTaskArgs &args) {
    const Tensor lanes = from_tensor_arg(args.tensor(0));
    const Tensor seen = from_tensor_arg(args.tensor(1));
    const auto small_tasks = static_cast<uint32_t>(args.scalar(0));

    for (uint32_t i = 0; i < small_tasks; ++i) {
        if (i == small_tasks / 2) {
            submit_wide(seen, args.scalar(1), args.scalar(2) == 2);
        }
        const Tensor lane = part(lanes, i % lanes.shapes[0], 1);
        Arg small;
        small.add_inout(lane);
        if (i % 3 == 0) {
            rt_submit_aic_task(SMALL_CUBE, small);
        } else {
            rt_submit_aiv_task(SMALL_VECTOR, small);
        }
    }
}
