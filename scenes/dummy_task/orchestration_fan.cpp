// Producers write the parts of x; consumers add all of x up. Between them is one dummy task.
//
// Arguments: parts (out, uint64, one element per producer), sums (out, uint64, one element per consumer); the
// scalar how: 0 names the dependencies, 1 lets them follow from a dummy that takes all parts for its own.
#include <vector>

#include "trb_graph.h"

namespace {

enum Kernel { STORE = 0, SUM = 1 };

PTO2TaskId store(const Tensor &out, uint64_t value) {
    Arg args;
    args.add_output(out);
    args.add_scalar(value, uint64_t{1});
    return rt_submit_aiv_task(STORE, args).task_id();
}

void sum(const Tensor &parts, const Tensor &out, uint64_t factor, const PTO2TaskId *after) {
    Arg args;
    args.add_input(parts);
    args.add_output(out);
    args.add_scalar(factor);
    args.set_dependencies(after, after == nullptr ? 0 : 1);
    rt_submit_aic_task(SUM, args);
}

}  // namespace

extern "C" void build_fan(const ChipStorageTaskArgs &args) {
    const Tensor parts = from_tensor_arg(args.tensor(0));
    const Tensor sums = from_tensor_arg(args.tensor(1));
    const bool named = args.scalar(0) == 0;

    PTO2_SCOPE(named ? PTO2ScopeMode::MANUAL : PTO2ScopeMode::AUTO) {
        std::vector<PTO2TaskId> producers;
        for (uint32_t i = 0; i < parts.shapes[0]; ++i) {
            producers.push_back(store(part(parts, i, 1), 3 * uint64_t{i} + 1));
        }
        Arg all;
        if (named) {
            all.set_dependencies(producers.data(), static_cast<uint32_t>(producers.size()));
        } else {
            all.add_inout(parts);
        }
        const PTO2TaskId joined = rt_submit_dummy_task(all).task_id();
        for (uint32_t i = 0; i < sums.shapes[0]; ++i) {
            sum(parts, part(sums, i, 1), i + 1, named ? &joined : nullptr);
        }
    }
}
