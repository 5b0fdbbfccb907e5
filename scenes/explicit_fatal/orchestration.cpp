// Two tasks one after the other; between them the run may be ended.
//
// Arguments: x (inout, uint64, [n]); the scalar code: 0, or what the run is to fail with.
#include "trb_graph.h"

namespace {

enum Kernel { ADD_ONE = 0 };

TaskOutputTensors add_one(const Tensor &x) {
    Arg args;
    args.add_inout(x);
    return rt_submit_aiv_task(ADD_ONE, args);
}

}  // namespace

extern "C" void build_explicit_fatal(const ChipStorageTaskArgs &args) {
    const Tensor x = from_tensor_arg(args.tensor(0));
    const auto code = static_cast<int32_t>(args.scalar(0));
    const uint32_t first[] = {0};

    add_one(x);
    if (code != 0) {
        rt_report_fatal(code, "asked to end with %d", code);
        // The first one counts.
        rt_report_fatal(PTO2_ERROR_EXPLICIT_ORCH_FATAL + 1, "too late");
        always_assert(rt_is_fatal());
        always_assert(get_tensor_data<uint64_t>(x, 1, first) == 0);
    }
    PTO2_SCOPE() {
        always_assert(add_one(x).task_id().is_valid() == (code == 0));
    }
}
