// out[i] = 2 * in[i], after what the client asked for besides.
#include <stdexcept>

#include "pto_orchestration_api.h"

extern "C" void build(const ChipStorageTaskArgs &args) {
    // scalars: what to do, and an argument of it
    const uint64_t what = args.scalar(0);
    if (what == 1) {
        rt_report_fatal(static_cast<int32_t>(args.scalar(1)), "ended on purpose");
        return;
    }
    if (what == 2) throw std::runtime_error("thrown on purpose");
    if (what == 7) {
        LOG_DEBUG("message of level %d", 0);
        LOG_INFO_V5("message of verbosity %d", 5);
        LOG_INFO_V6("message of verbosity %d", 6);
        LOG_WARN("message of level %d", 2);
        LOG_ERROR("message of level %d", 3);
    }
    const Tensor in = from_tensor_arg(args.tensor(0));
    const Tensor out = from_tensor_arg(args.tensor(1));
    Arg task;
    task.add_input(in);
    task.add_output(out);
    rt_submit_aiv_task(what == 4 ? 1 : what == 5 ? 7 : 0, task);
}
