//! Callables whose tensors are told, for what device programs record of them.

use chip_worker::{ArgDirection, ChipCallable, CoreCallable, CoreType, RuntimeKind};

use crate::common::{self, with_signature};

/// Kernels that read tensor 0 and write tensor 1: out = in + scalar.
fn add(body: &str) -> CoreCallable {
    let signature = [ArgDirection::In, ArgDirection::Out, ArgDirection::Scalar];
    with_signature(&common::kernel(CoreType::Aiv, body), &signature)
}

const HBG_ADD: &str = r"
    auto *in = reinterpret_cast<int64_t *>(args[0]);
    auto *out = reinterpret_cast<int64_t *>(args[1]);
    for (int64_t i = 0; i < 2; ++i) out[i] = in[i] + args[2];";

/// Two tasks. The first one's output is told to be elements 1 and 3 of what begins there, the second one's whole.
const HBG_GRAPH: &str = r"
    void *in = device_malloc(rt, 32), *between = device_malloc(rt, 64), *out = device_malloc(rt, 16);
    int64_t zeros[8] = {};
    copy_to_device(rt, in, args.tensor(0).data_as<void>(), 16);
    copy_to_device(rt, between, zeros, 64);
    const uint32_t two[1] = {2}, part[2] = {2, 1}, around[2] = {2, 2}, at[2] = {0, 1};
    const uint64_t window = reinterpret_cast<uint64_t>(between) + 16;
    uint64_t first[3] = {reinterpret_cast<uint64_t>(in), window, 1};
    TensorInfo infos[2] = {make_tensor_info(DataType::INT64, 1, two),
                           make_tensor_info(DataType::INT64, 2, part, around, at)};
    const int a = add_task_with_tensor_info(rt, first, 3, 0, CoreType::AIV, infos, 2);
    uint64_t second[3] = {window, reinterpret_cast<uint64_t>(out), 10};
    infos[1] = infos[0];
    const int b = add_task_with_tensor_info(rt, second, 3, 0, CoreType::AIV, infos, 2);
    add_successor(rt, a, b);
    record_tensor_pair(rt, args.tensor(1).data_as<void>(), out, 16);
    return a < 0 || b < 0;";

const TRB_ADD: &str = r"
    auto elements = [](int64_t arg) {
        auto *words = reinterpret_cast<int64_t *>(arg);
        return reinterpret_cast<int64_t *>(words[0]) + words[3];
    };
    for (int64_t i = 0; i < 2; ++i) elements(args[1])[i] = elements(args[0])[i] + args[2];";

/// a = in + 1; in a scope of its own b = a + 10, out = b + 100; two blocks of a cluster that do nothing; and a task
/// that depends on 70 others by hand. Between them one that only allocates, and one without a kernel. Scalar 0: 1 chooses
/// only the result of the last sum, 2 fails in a scope of its own, 3 chooses likewise when the first sum has ended.
const TRB_GRAPH: &str = r#"
extern "C" void build(const ChipStorageTaskArgs &args) {
    if (args.scalar(0) == 2) {
        rt_submit_aiv_task(1, Arg());
        PTO2_SCOPE() { rt_report_fatal(PTO2_ERROR_INVALID_ARGS, "on purpose"); }
        return;
    }
    const Tensor in = from_tensor_arg(args.tensor(0)), out = from_tensor_arg(args.tensor(1));
    const uint32_t shape[1] = {2};
    const TensorCreateInfo info(shape, 1, DataType::INT64);
    set_tensor_dump_selective_requested(args.scalar(0) == 1);
    Arg first;
    first.add_input(in); first.add_output(info); first.add_scalar(uint64_t{1});
    const TaskOutputTensors a = rt_submit_aiv_task(0, first);
    const uint32_t start[1] = {0};
    if (args.scalar(0) == 3 && get_tensor_data<int64_t>(a.get_ref(0), 1, start) == 0) return;
    PTO2_SCOPE() {
        Arg second;
        second.add_input(a.get_ref(0)); second.add_output(info); second.add_scalar(uint64_t{10});
        const TaskOutputTensors b = rt_submit_aiv_task(0, second);
        Arg third;
        third.add_input(b.get_ref(0)); third.add_output(out); third.add_scalar(uint64_t{100});
        if (args.scalar(0) != 0) third.dump(out);
        rt_submit_aiv_task(0, third);
        alloc_tensors(info);
    }
    rt_submit_dummy_task(Arg());
    Arg cluster;
    cluster.launch_spec.set_block_num(2);
    MixedKernels kernels;
    kernels.aic_kernel_id = kernels.aiv0_kernel_id = kernels.aiv1_kernel_id = 1;
    rt_submit_task(kernels, cluster);
    PTO2TaskId before[70];
    for (int i = 0; i < 70; ++i) before[i] = rt_submit_aiv_task(1, Arg()).task_id();
    Arg last;
    last.set_dependencies(before, 70);
    rt_submit_aiv_task(1, last);
}"#;

/// Adds to tensor 0 in several tasks; tensor 1 is the sum.
pub(crate) fn sums(runtime: RuntimeKind) -> ChipCallable {
    if runtime == RuntimeKind::HostBuildGraph {
        return common::callable(HBG_GRAPH, &[(0, add(HBG_ADD))]);
    }
    let library = common::trb_library(TRB_GRAPH);
    let nothing = with_signature(&common::kernel(CoreType::Aiv, "(void)args;"), &[]);
    let builder = ChipCallable::builder("build").binary(&library);
    builder.child(0, &add(TRB_ADD)).child(1, &nothing).build().unwrap()
}

/// between = in + 1, out = between + 10, all of them in memory of the client: tensor 0 is all of it, with two elements
/// each, and tensor 1 what is between. Scalar 0: elements that the last one is told to have.
const CLIENT_GRAPH: &str = r"
    const uint64_t in = reinterpret_cast<uint64_t>(args.tensor(0).data_as<void>());
    const uint64_t between = reinterpret_cast<uint64_t>(args.tensor(1).data_as<void>());
    const uint32_t two[1] = {2}, told[1] = {static_cast<uint32_t>(args.scalar(0))};
    uint64_t first[3] = {in, between, 1}, second[3] = {between, between + 16, 10};
    TensorInfo infos[2] = {make_tensor_info(DataType::INT64, 1, two), make_tensor_info(DataType::INT64, 1, two)};
    const int a = add_task_with_tensor_info(rt, first, 3, 0, CoreType::AIV, infos, 2);
    infos[1] = make_tensor_info(DataType::INT64, 1, told);
    const int b = add_task_with_tensor_info(rt, second, 3, 0, CoreType::AIV, infos, 2);
    add_successor(rt, a, b);
    return a < 0 || b < 0;";

/// Adds to tensors that the client has on the device.
pub(crate) fn sums_of_client() -> ChipCallable {
    common::callable(CLIENT_GRAPH, &[(0, add(HBG_ADD))])
}

const TRB_SCOPES: &str = r#"
extern "C" void build(const ChipStorageTaskArgs &args) {
    for (uint64_t i = 0; i < args.scalar(0); ++i) {
        PTO2_SCOPE() {
            rt_submit_aiv_task(0, Arg());
            rt_submit_dummy_task(Arg());
        }
    }
}"#;

/// As many scopes as scalar 0 says, with a task and one that has no kernel.
pub(crate) fn scopes() -> ChipCallable {
    let library = common::trb_library(TRB_SCOPES);
    let nothing = common::kernel(CoreType::Aiv, "(void)args;");
    ChipCallable::builder("build").binary(&library).child(0, &nothing).build().unwrap()
}
