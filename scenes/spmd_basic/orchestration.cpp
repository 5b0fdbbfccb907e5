// One task of several blocks on cube cores, one on vector cores.
//
// Arguments: x (in, uint64, [blocks]), cube, vector (out, uint64, [blocks, 4]).
#include "trb_graph.h"

namespace {

enum Kernel { DESCRIBE_CUBE = 0, DESCRIBE_VECTOR = 1 };

}  // namespace

extern "C" void build_spmd_basic(const ChipStorageTaskArgs &args) {
    const Tensor x = from_tensor_arg(args.tensor(0));
    const Tensor cube = from_tensor_arg(args.tensor(1));
    const Tensor vector = from_tensor_arg(args.tensor(2));

    Arg on_cubes;
    on_cubes.add_input(x);
    on_cubes.add_output(cube);
    set_blocks(on_cubes, x.shapes[0]);
    rt_submit_aic_task(DESCRIBE_CUBE, on_cubes);

    Arg on_vectors;
    on_vectors.add_input(x);
    on_vectors.add_output(vector);
    set_blocks(on_vectors, x.shapes[0]);
    rt_submit_aiv_task(DESCRIBE_VECTOR, on_vectors);
}
