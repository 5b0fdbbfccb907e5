// Tokens go to the ranks of their experts, and what these make of them comes back. A deferred task stands for what the
// other ranks send: it is over when they have counted up a word in this rank's window, and what needs the tokens waits
// for its tensor. Arguments: tokens (uint64), out (uint64); the scalars context and round.
#include "trb_graph.h"

namespace {

enum Kernel { DISPATCH = 0, EXPECT = 1, EXPERTS = 2, COMBINE = 3 };

/// Waits until every rank has counted up counter `number` in this rank's window.
void expect(const Tensor &arrived, uint64_t context, uint64_t round, uint64_t number) {
    Arg arg;
    arg.add_inout(arrived);
    arg.add_scalar(context, round, number);
    rt_submit_aiv_task(EXPECT, arg);
}

}  // namespace

extern "C" void build_comm_experts(const ChipStorageTaskArgs &args) {
    const Tensor tokens = from_tensor_arg(args.tensor(0));
    const Tensor out = from_tensor_arg(args.tensor(1));
    const uint64_t context = args.scalar(0);
    const uint64_t round = args.scalar(1);
    const auto count = static_cast<uint64_t>(tokens.shapes[0]);

    PTO2_SCOPE() {
        const TaskOutputTensors words = alloc_tensors(new_u64(1), new_u64(1));
        const Tensor &sent = words.get_ref(0);
        const Tensor &returned = words.get_ref(1);

        Arg dispatch;
        dispatch.add_input(tokens);
        dispatch.add_scalar(context);
        rt_submit_aiv_task(DISPATCH, dispatch);

        expect(sent, context, round, 0);
        Arg experts;
        experts.add_input(sent);
        experts.add_scalar(context, count);
        rt_submit_aic_task(EXPERTS, experts);

        expect(returned, context, round, 1);
        Arg combine;
        combine.add_input(returned);
        combine.add_output(out);
        combine.add_scalar(context);
        rt_submit_aiv_task(COMBINE, combine);
    }
}
