// An orchestration that uses the whole API once.
#include "pto_orchestration_api.h"

enum Kernel : int32_t { CUBE, VECTOR, PAIR };

extern "C" PTO2OrchestrationConfig aicpu_orchestration_config(const ChipStorageTaskArgs &) {
    return PTO2OrchestrationConfig{3};
}

static void set_blocks(PTO2LaunchSpec &spec, int16_t blocks) {
#if defined(SIMPLER_ARCH_A5)
    spec.set_core_num(blocks);
#else
    spec.set_block_num(blocks);
#endif
}

static TaskOutputTensors produce(const Tensor &in, const TensorCreateInfo &info) {
    Arg args;
    args.add_input(in);
    args.add_output(info);
    args.add_scalar(in.shapes[0], 0.5f, VECTOR);
    args.dump(in, info);
    return rt_submit_aiv_task(VECTOR, args);
}

static void in_scopes(const Tensor &made, const Tensor &out) {
    PTO2_SCOPE() {
        Arg args;
        args.add_no_dep(made);
        args.add_inout(out);
        set_blocks(args.launch_spec, 4);
        args.launch_spec.set_require_sync_start(true);
        PTO2TaskId first = rt_submit_aic_task(CUBE, args).task_id();
        PTO2_SCOPE(PTO2ScopeMode::MANUAL) {
            ArgWithDeps<4> more;
            more.add_input(made);
            more.add_dep(first);
            MixedKernels pair;
            pair.aic_kernel_id = CUBE;
            pair.aiv1_kernel_id = PAIR;
            rt_submit_task(pair, more);
        }
        PTO2_SCOPE_GUARD();
        args.reset();
        args.set_dependencies(&first, 1);
        rt_submit_dummy_task(args);
    }
    rt_scope_begin(PTO2ScopeMode::MANUAL);
    rt_scope_end();
}

extern "C" void aicpu_orchestration_entry(const ChipStorageTaskArgs &args) {
    LOG_INFO_V0("%d tensors", args.tensor_count());
    enable_dump_tensor_selective();
    const Tensor in = from_tensor_arg(args.tensor(0));
    const Tensor out = from_tensor_arg(args.tensor(1), true, 2);
    TensorCreateInfo info(in.shapes, in.ndims, in.dtype);
    info.set_initial_value(1.0f);
    const TaskOutputTensors room = alloc_tensors(info, info);
    const TaskOutputTensors made = produce(in, info);
    const uint32_t at[2] = {1, 2};
    set_tensor_data(room.get_ref(1), 2, at, get_tensor_data<float>(made.get_ref(0), 2, at) + 1.0f);
    const uint32_t shape[2] = {2, 2};
    const Tensor part = in.view(shape, at).transpose(0, 1).slice(0, 1, 2);
    LOG_DEBUG("%s", part.dump().c_str());
    in_scopes(made.get_ref(0), out);
    if (args.scalar(0) != 0) {
        LOG_WARN("stop");
        LOG_ERROR("stop: %d", 7);
        rt_report_fatal(PTO2_ERROR_EXPLICIT_ORCH_FATAL, "asked to stop with %d", 7);
    }
    if (rt_is_fatal()) {
        return;
    }
    always_assert(args.scalar(0) == 0);
}
