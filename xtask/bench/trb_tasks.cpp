// scalar 0: number of tasks; scalar 1: whether each waits for the one before it; scalar 2: tasks per scope, 0 for
// one scope around all.
#include "pto_orchestration_api.h"

namespace {

void submit(uint64_t task, bool chain, const Tensor &shared) {
    Arg arg;
    if (chain) {
        arg.add_inout(shared);
    }
    arg.add_scalar(task);
    rt_submit_aiv_task(0, arg);
}

}  // namespace

extern "C" void build_tasks(const ChipStorageTaskArgs &args) {
    const uint64_t tasks = args.scalar(0);
    const bool chain = args.scalar(1) != 0;
    const uint64_t per_scope = args.scalar(2) != 0 ? args.scalar(2) : tasks;
    const Tensor shared = from_tensor_arg(args.tensor(0));
    for (uint64_t task = 0; task < tasks;) {
        PTO2_SCOPE() {
            for (uint64_t in_scope = 0; in_scope < per_scope && task < tasks; ++in_scope, ++task) {
                submit(task, chain, shared);
            }
        }
    }
}
