// Tasks that complete only when others have counted up: what reads their tensor waits for those others, too.
//
// Arguments: boxes (inout, uint64, [rounds, 1 + notifiers]), out (out, uint64, [rounds, notifiers]); the scalar
// blocks of a deferred task.
#include "trb_graph.h"

namespace {

enum Kernel { DEFER = 0, NOTIFY = 1, COLLECT = 2 };

}  // namespace

extern "C" void build_deferred_notify(const ChipStorageTaskArgs &args) {
    const Tensor boxes = from_tensor_arg(args.tensor(0));
    const Tensor out = from_tensor_arg(args.tensor(1));
    const auto blocks = static_cast<uint32_t>(args.scalar(0));
    const uint32_t notifiers = out.shapes[1];

    TensorCreateInfo zeros(&blocks, 1, DataType::UINT32);
    zeros.set_initial_value(uint32_t{0});
    for (uint32_t round = 0; round < boxes.shapes[0]; ++round) {
        PTO2_SCOPE() {
            const TaskOutputTensors allocated = alloc_tensors(zeros);
            const Tensor &counters = allocated.get_ref(0);
            const Tensor box = boxes.slice(0, round, round + 1);
            const Tensor collected = out.slice(0, round, round + 1);

            Arg defer;
            defer.add_inout(box);
            defer.add_no_dep(counters);
            defer.add_scalar(notifiers);
            set_blocks(defer, blocks);
            rt_submit_aiv_task(DEFER, defer);

            // Nothing says that these come before the collector, but for what the deferred task waits for.
            for (uint32_t number = 1; number <= notifiers; ++number) {
                Arg notify;
                notify.add_no_dep(box, counters);
                notify.add_scalar(number, blocks, round);
                rt_submit_aiv_task(NOTIFY, notify);
            }

            Arg collect;
            collect.add_input(box);
            collect.add_output(collected);
            rt_submit_aic_task(COLLECT, collect);
        }
    }
}
