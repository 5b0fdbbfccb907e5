//! Compiled callables for tests.
#![allow(dead_code, reason = "each test file uses a part")]

use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use chip_worker::{
    ArgDirection, CallConfig, ChipCallable, ChipWorker, CoreCallable, CoreType, Platform, RuntimeKind,
};
use kernel_compiler::{KernelCompiler, Runtime, Source};

/// One compiler and one cache for all tests of a file.
fn compiler() -> &'static KernelCompiler {
    static COMPILER: OnceLock<KernelCompiler> = OnceLock::new();
    COMPILER.get_or_init(|| {
        let cache = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("kernels");
        std::fs::create_dir_all(&cache).unwrap();
        KernelCompiler::builder().cache_dir(cache).build().unwrap()
    })
}

/// Compiles C++ text; kernels get their own source file by content.
fn compile(name: &str, text: &str, make: impl FnOnce(PathBuf) -> Source) -> Vec<u8> {
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("sources");
    std::fs::create_dir_all(&dir).unwrap();
    let path = dir.join(format!("{name}-{:016x}.cpp", task_interface::fnv1a64(text.as_bytes())));
    // Several threads and processes write the same text: each its own file, then one step.
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let own = path.with_extension(format!("{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)));
    std::fs::write(&own, text).unwrap();
    std::fs::rename(&own, &path).unwrap();
    compiler().compile(&make(path)).unwrap().bytes.to_vec()
}

/// A kernel from its body.
pub(crate) fn kernel(core_type: CoreType, body: &str) -> CoreCallable {
    let text = format!(
        "#include <atomic>\n#include <dlfcn.h>\n#include <stdexcept>\n#include \"simpler_kernel.h\"\n\
         SIMPLER_KERNEL void kernel_entry(__gm__ int64_t *args) {{\n{body}\n}}\n"
    );
    let bytes = compile("kernel", &text, |path| Source::kernel(path, core_type));
    CoreCallable::encode(&[ArgDirection::Scalar], &bytes).unwrap()
}

/// The same kernel, whose tensors are told.
pub(crate) fn with_signature(kernel: &CoreCallable, signature: &[ArgDirection]) -> CoreCallable {
    CoreCallable::encode(signature, kernel.view().binary()).unwrap()
}

pub(crate) fn orchestration(body: &str) -> Vec<u8> {
    let text = format!(
        "#include <stdexcept>\n#include \"orchestration_api.h\"\n\
         extern \"C\" int build(OrchestrationRuntime *rt, const ChipStorageTaskArgs &args) {{\n{body}\n}}\n"
    );
    compile("graph", &text, |path| Source::orchestration(path, Runtime::HostBuildGraph).entry("build"))
}

/// A library for `tensormap_and_ringbuffer` from its whole text.
pub(crate) fn trb_library(text: &str) -> Vec<u8> {
    let text = format!("#include <stdexcept>\n#include \"pto_orchestration_api.h\"\n{text}\n");
    compile("trb", &text, |path| Source::orchestration(path, Runtime::TensormapAndRingbuffer))
}

pub(crate) fn callable(graph: &str, kernels: &[(u32, CoreCallable)]) -> ChipCallable {
    let graph = orchestration(graph);
    let builder = ChipCallable::builder("build").binary(&graph);
    kernels.iter().fold(builder, |builder, (id, kernel)| builder.child(*id, kernel)).build().unwrap()
}

pub(crate) fn worker(platform: Platform) -> ChipWorker {
    ChipWorker::builder().platform(platform).runtime(RuntimeKind::HostBuildGraph).device(0).build().unwrap()
}

pub(crate) fn config(block_dim: i32, threads: i32) -> CallConfig {
    CallConfig { block_dim, aicpu_thread_num: threads, ..CallConfig::default() }
}

/// A graph of one task that copies a word from tensor 0 to tensor 1 and adds scalar 0.
pub(crate) const ADD_GRAPH: &str = r"
    size_t n = args.tensor(0).nbytes();
    void *in = device_malloc(rt, n), *out = device_malloc(rt, n);
    copy_to_device(rt, in, args.tensor(0).data_as<void>(), n);
    record_tensor_pair(rt, args.tensor(1).data_as<void>(), out, n);
    uint64_t slots[4] = {(uint64_t)in, (uint64_t)out, n / 8, args.scalar(0)};
    add_task(rt, slots, 4, 0, CoreType::AIV);
    return 0;";

pub(crate) const ADD_KERNEL: &str = r"
    auto *in = reinterpret_cast<int64_t *>(args[0]);
    auto *out = reinterpret_cast<int64_t *>(args[1]);
    for (int64_t i = 0; i < args[2]; ++i) out[i] = in[i] + args[3];";

pub(crate) fn add_callable() -> ChipCallable {
    callable(ADD_GRAPH, &[(0, kernel(CoreType::Aiv, ADD_KERNEL))])
}

/// out[0] = in[0] + scalar; tensors come as descriptors.
pub(crate) const TRB_ADD_KERNEL: &str = r"
    struct Tensor { int64_t addr, size, owner, start; };
    auto *in = reinterpret_cast<Tensor *>(args[0]);
    auto *out = reinterpret_cast<Tensor *>(args[1]);
    reinterpret_cast<int64_t *>(out->addr)[out->start] = reinterpret_cast<int64_t *>(in->addr)[in->start] + args[2];";

/// Adds scalar 0 to the one element of tensor 0 in two tasks; the sum is in tensor 1.
pub(crate) const TRB_ADD_BODY: &str = r"
    const Tensor in = from_tensor_arg(args.tensor(0)), out = from_tensor_arg(args.tensor(1));
    const uint32_t shape[1] = {1};
    const TensorCreateInfo info(shape, 1, DataType::INT64);
    TaskOutputTensors half;
    PTO2_SCOPE() {
        Arg first;
        first.add_input(in); first.add_output(info); first.add_scalar(args.scalar(0) - 1);
        half = rt_submit_aiv_task(0, first);
        Arg second;
        second.add_input(half.get_ref(0)); second.add_output(out); second.add_scalar(uint64_t{1});
        rt_submit_aiv_task(0, second);
    }";

/// [`add_callable`] of one element for `tensormap_and_ringbuffer`.
pub(crate) fn trb_add_callable() -> ChipCallable {
    let library = trb_library(&format!(
        "extern \"C\" void build(const ChipStorageTaskArgs &args) {{ {TRB_ADD_BODY} }}"
    ));
    let add = kernel(CoreType::Aiv, TRB_ADD_KERNEL);
    ChipCallable::builder("build").binary(&library).child(0, &add).build().unwrap()
}
