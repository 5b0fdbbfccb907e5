//! Compiled callables that do the same with either runtime.

use std::sync::OnceLock;

use chip_worker::{
    ArgDirection, Args, CallConfig, CallableHandle, ChipCallable, ChipWorker, CoreType, RunOutcome,
    RuntimeKind, WorkerError,
};

use crate::common::{callable, config, kernel, trb_library, with_signature};

/// What the orchestration of [`steps`] is asked to do.
#[derive(Clone, Copy)]
pub(crate) enum Ask {
    Steps = 0,
    /// End with an error of its own, of the code in scalar 2.
    Fail = 1,
    Throw = 2,
    /// Name a kernel that the callable does not have.
    UnknownKernel = 3,
    /// Run the kernel that throws.
    BadKernel = 4,
}

/// out = in + addend, in as many tasks behind each other as asked for; odd ones on AIC cores.
///
/// Scalars: the addend of each task, the number of tasks, what to do instead.
pub(crate) fn steps(runtime: RuntimeKind) -> ChipCallable {
    static HBG: OnceLock<ChipCallable> = OnceLock::new();
    static TRB: OnceLock<ChipCallable> = OnceLock::new();
    match runtime {
        RuntimeKind::HostBuildGraph => HBG.get_or_init(|| hbg(0)),
        _ => TRB.get_or_init(|| trb(0)),
    }
    .clone()
}

/// The same with another content: everything about it is registered anew.
pub(crate) fn other_steps(runtime: RuntimeKind) -> ChipCallable {
    match runtime {
        RuntimeKind::HostBuildGraph => hbg(1),
        _ => trb(1),
    }
}

/// One task, whose kernel counts up the first word of all windows and waits until its own has as many as there are ranks.
/// Scalars: the context of the ranks, how many there are.
pub(crate) fn meeting() -> ChipCallable {
    // The context by words: ranks in the third, windows from the fifth on.
    let body = r"
        auto *context = reinterpret_cast<uint64_t *>(args[0]);
        const uint64_t own = context[2] & 0xffffffff, count = context[2] >> 32;
        if (count != static_cast<uint64_t>(args[1])) return;
        auto word = [=](uint64_t rank) { return reinterpret_cast<uint64_t *>(context[4 + rank]); };
        for (uint64_t rank = 0; rank < count; ++rank) __atomic_fetch_add(word(rank), 1, __ATOMIC_RELEASE);
        while (__atomic_load_n(word(own), __ATOMIC_ACQUIRE) < count) {}";
    let graph = "uint64_t slots[2] = {args.scalar(0), args.scalar(1)}; add_task(rt, slots, 2, 0, CoreType::AIV); return 0;";
    callable(graph, &[(0, kernel(CoreType::Aiv, body))])
}

const THROWS: &str = r#"throw std::runtime_error("thrown by a kernel");"#;

fn hbg(edition: u32) -> ChipCallable {
    let body = format!("static volatile int edition = {edition}; (void)edition;\n{HBG_STEP}");
    let step = |core_type| kernel(core_type, &body);
    let kernels = [(0, step(CoreType::Aiv)), (1, step(CoreType::Aic)), (2, kernel(CoreType::Aiv, THROWS))];
    callable(HBG_GRAPH, &kernels)
}

const HBG_STEP: &str = r"
    auto *in = reinterpret_cast<int64_t *>(args[0]);
    auto *out = reinterpret_cast<int64_t *>(args[1]);
    for (int64_t i = 0; i < args[2]; ++i) out[i] = in[i] + args[3];";

const HBG_GRAPH: &str = r#"
    const uint64_t addend = args.scalar(0), tasks = args.scalar(1), ask = args.scalar(2) & 0xff;
    if (ask == 1) return static_cast<int>(args.scalar(2) >> 8);
    if (ask == 2) throw std::runtime_error("thrown by an orchestration");
    const size_t bytes = args.tensor(0).nbytes();
    void *from = device_malloc(rt, bytes);
    if (copy_to_device(rt, from, args.tensor(0).data_as<void>(), bytes) != 0) return 1;
    int last = -1;
    for (uint64_t i = 0; i < tasks; ++i) {
        void *to = device_malloc(rt, bytes);
        uint64_t slots[4] = {(uint64_t)from, (uint64_t)to, bytes / 8, addend};
        const int kernel = ask == 3 ? 9 : ask == 4 ? 2 : i % 2;
        const int task = add_task(rt, slots, 4, kernel, kernel == 1 ? CoreType::AIC : CoreType::AIV);
        if (task < 0) return 2;
        if (last >= 0) add_successor(rt, last, task);
        last = task;
        from = to;
    }
    record_tensor_pair(rt, args.tensor(1).data_as<void>(), from, bytes);
    return 0;"#;

fn trb(edition: u32) -> ChipCallable {
    let body = format!("static volatile int edition = {edition}; (void)edition;\n{TRB_STEP}");
    let step = |core_type| with_signature(&kernel(core_type, &body), &[ArgDirection::In, ArgDirection::Out]);
    let library = trb_library(TRB_GRAPH);
    ChipCallable::builder("build")
        .binary(&library)
        .child(0, &step(CoreType::Aiv))
        .child(1, &step(CoreType::Aic))
        .child(2, &kernel(CoreType::Aiv, THROWS))
        .build()
        .unwrap()
}

/// Tensors come as descriptions: address, size, owner, first element; shapes from byte 44 on.
const TRB_STEP: &str = r"
    auto elements = [](int64_t arg) {
        auto *words = reinterpret_cast<int64_t *>(arg);
        return reinterpret_cast<int64_t *>(words[0]) + words[3];
    };
    const int64_t count = *reinterpret_cast<const uint32_t *>(args[0] + 44);
    for (int64_t i = 0; i < count; ++i) elements(args[1])[i] = elements(args[0])[i] + args[2];";

const TRB_GRAPH: &str = r#"
extern "C" void build(const ChipStorageTaskArgs &args) {
    const uint64_t addend = args.scalar(0), tasks = args.scalar(1), ask = args.scalar(2) & 0xff;
    if (ask == 1) {
        rt_report_fatal(static_cast<int32_t>(args.scalar(2) >> 8), "ended on purpose");
        return;
    }
    if (ask == 2) throw std::runtime_error("thrown by an orchestration");
    const Tensor in = from_tensor_arg(args.tensor(0)), out = from_tensor_arg(args.tensor(1));
    const uint32_t shape[1] = {args.tensor(0).shapes[0]};
    const TensorCreateInfo info(shape, 1, DataType::INT64);
    TaskOutputTensors last;
    for (uint64_t i = 0; i < tasks; ++i) {
        Arg step;
        if (i == 0) step.add_input(in); else step.add_input(last.get_ref(0));
        if (i + 1 == tasks) step.add_output(out); else step.add_output(info);
        step.add_scalar(addend);
        const int kernel = ask == 3 ? 9 : ask == 4 ? 2 : static_cast<int>(i % 2);
        last = kernel == 1 ? rt_submit_aic_task(kernel, step) : rt_submit_aiv_task(kernel, step);
    }
}"#;

/// One call of [`steps`].
#[derive(Clone, Copy)]
pub(crate) struct Call {
    pub(crate) addend: i64,
    pub(crate) tasks: u64,
    pub(crate) elements: u32,
    pub(crate) ask: Ask,
    pub(crate) code: u8,
    pub(crate) config: CallConfig,
}

impl Default for Call {
    fn default() -> Self {
        Self { addend: 3, tasks: 4, elements: 20, ask: Ask::Steps, code: 0, config: config(2, 2) }
    }
}

impl Call {
    pub(crate) fn asking(ask: Ask) -> Self {
        Self { ask, ..Self::default() }
    }

    /// Runs it. The results are those of the model after a good run, and untouched after a bad one.
    pub(crate) fn run(&self, worker: &ChipWorker, steps: &CallableHandle) -> Result<RunOutcome, WorkerError> {
        let input: Vec<i64> = (0..i64::from(self.elements)).map(|value| value * 7 - 5).collect();
        let mut output = vec![-77; input.len()];
        let result = worker.run(steps, &self.args(&input, &mut output), &self.config);
        let added = self.addend * i64::try_from(self.tasks).unwrap();
        let expected = |value: &i64| if result.is_ok() { value + added } else { -77 };
        assert_eq!(output, input.iter().map(expected).collect::<Vec<_>>());
        result
    }

    pub(crate) fn args<'a>(&self, input: &'a [i64], output: &'a mut [i64]) -> Args<'a> {
        let shape = [self.elements];
        let args = Args::new().input(input, &shape).unwrap().output(output, &shape).unwrap();
        let ask = self.ask as u64 | u64::from(self.code) << 8;
        args.scalar(self.addend.cast_unsigned()).unwrap().scalar(self.tasks).unwrap().scalar(ask).unwrap()
    }
}
