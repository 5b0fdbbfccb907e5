// Every tile of s is multiplied by w and has b added, again and again: s = s * w + b.
//
// Arguments: w, b (in, float, [tile, tile]), s (inout, float, [tiles, tile, tile]); the scalar steps.
// The steps of one tile follow each other because all of them change it; those of different tiles do not.
#include "trb_graph.h"

namespace {

enum Kernel { MATMUL = 0, ADD = 1 };

}  // namespace

extern "C" void build_alternating(const ChipStorageTaskArgs &args) {
    const Tensor w = from_tensor_arg(args.tensor(0));
    const Tensor b = from_tensor_arg(args.tensor(1));
    const Tensor s = from_tensor_arg(args.tensor(2));
    const uint64_t steps = args.scalar(0);

    for (uint64_t step = 0; step < steps; ++step) {
        PTO2_SCOPE() {
            for (uint32_t i = 0; i < s.shapes[0]; ++i) {
                const Tensor tile = s.slice(0, i, i + 1);

                Arg matmul;
                matmul.add_inout(tile);
                matmul.add_input(w);
                rt_submit_aic_task(MATMUL, matmul);

                Arg add;
                add.add_inout(tile);
                add.add_input(b);
                rt_submit_aiv_task(ADD, add);
            }
        }
    }
}
