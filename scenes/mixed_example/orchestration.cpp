// Tasks of every shape that occupies cores, round after round; those of several cores exchange values.
//
// Arguments: x (in), out (out), uint64 [rounds, 5, n]: x[r][shape] is what a task of that shape computes
// out[r][shape] from.
#include "trb_graph.h"

namespace {

enum Kernel { PLAIN = 0, PLAIN_VECTOR = 1, FEED_ONE = 2, EAT_ONE = 3, FEED_TWO = 4, EAT_HALF = 5, PING_PONG = 6 };
enum Shape { CUBE, VECTOR, CUBE_AND_VECTOR, CUBE_AND_VECTORS, VECTORS, SHAPES };

MixedKernels kernels_of(uint32_t shape) {
    MixedKernels kernels;
    switch (shape) {
        case CUBE:
            kernels.aic_kernel_id = PLAIN;
            break;
        case VECTOR:
            kernels.aiv0_kernel_id = PLAIN_VECTOR;
            break;
        case CUBE_AND_VECTOR:
            kernels.aic_kernel_id = FEED_ONE;
            kernels.aiv0_kernel_id = EAT_ONE;
            break;
        case CUBE_AND_VECTORS:
            kernels.aic_kernel_id = FEED_TWO;
            kernels.aiv0_kernel_id = EAT_HALF;
            kernels.aiv1_kernel_id = EAT_HALF;
            break;
        default:
            kernels.aiv0_kernel_id = PING_PONG;
            kernels.aiv1_kernel_id = PING_PONG;
            break;
    }
    return kernels;
}

}  // namespace

extern "C" void build_mixed(const ChipStorageTaskArgs &args) {
    const Tensor x = from_tensor_arg(args.tensor(0));
    const Tensor out = from_tensor_arg(args.tensor(1));
    const uint32_t row[] = {1, 1, x.shapes[2]};
    for (uint32_t round = 0; round < x.shapes[0]; ++round) {
        PTO2_SCOPE() {
            for (uint32_t shape = 0; shape < SHAPES; ++shape) {
                const uint32_t first[] = {round, shape, 0};
                const Tensor from = x.view(row, first);
                const Tensor to = out.view(row, first);
                Arg task;
                task.add_input(from);
                task.add_output(to);
                rt_submit_task(kernels_of(shape), task);
            }
        }
    }
}
