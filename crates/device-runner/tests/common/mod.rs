//! A small chip, a small variant and the fixtures that most tests start from.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part")]

use std::any::Any;
use std::collections::VecDeque;
use std::fmt;
use std::mem::offset_of;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Once};

use device_runner::testing::{FakeDevice, Fault, FaultyDevice};
use device_runner::{
    AicoreRings, Arch, BoundRun, CallableId, CallableSource, CoreId, Cores, DevBuffer, DeviceProgram,
    DeviceRunner, DeviceTime, Diagnostics, Dispatch, DumpedArg, KernelArgs, KernelSource, Limits, Memory,
    NativeKernel, Orchestration, OrchestrationSource, PmuCounter, PmuEvents, Recorder, Register, RunContext,
    RunnerError, RuntimeVariant, SimPrograms, SubmitRecords, TaskId, TensorView, VariantError, WaitingTask,
    current_runner,
};
use run_records::dump::{Role, Stage};
use run_records::{Deps, deps};
use task_interface::records::{
    BufferState, CoreTimesMemory, DumpHeader, KIND_PHASES, KIND_TASKS, PhaseHeader, PhaseRecord, PmuHeader,
    PmuMemory, PmuRecordHead, RecordMemory, ScopeHeader, SwimlaneHeader, SwimlaneMemory, TaskRecordHead,
};
use task_interface::{
    CallConfig, ChipCallable, ChipStorageTaskArgs, CoreCallable, CoreType, DataType, RUNTIME_MAX_ARGS,
};

/// A chip of 4 clusters and 3 AICPU threads.
#[derive(Debug)]
pub struct TestArch;

pub static ARCH: TestArch = TestArch;

impl Arch for TestArch {
    fn name(&self) -> &'static str {
        "test-chip"
    }

    fn limits(&self) -> &'static Limits {
        static LIMITS: Limits = Limits {
            max_block_dim: 4,
            max_aicpu_threads: 3,
            launched_aicpu_threads: 3,
            physical_core_ids: 12,
            clock_hz: 1_000_000_000,
            op_timeout_us: 1_000,
            stream_sync_timeout_ms: 2_000,
        };
        &LIMITS
    }

    fn has_sdma_event_records(&self) -> bool {
        false
    }

    fn diagnostics(&self) -> &'static Diagnostics {
        static COUNTERS: [PmuCounter; 2] =
            [PmuCounter { event: 8, name: "busy" }, PmuCounter { event: 0, name: "" }];
        static EVENTS: [PmuEvents; 1] = [PmuEvents { event_type: 2, counters: &COUNTERS }];
        static DIAGNOSTICS: Diagnostics = Diagnostics {
            has_dep_gen: true,
            has_fanout: true,
            submits: SubmitRecords::Whole,
            has_idle_phases: false,
            pmu: &EVENTS,
        };
        &DIAGNOSTICS
    }

    fn registers(&self) -> &'static [Register] {
        &[]
    }

    fn sim_register_bytes(&self) -> u32 {
        0
    }

    fn sim_register_offset(&self, offset: u32) -> u32 {
        offset
    }

    fn records(&self) -> &'static RecordMemory {
        static RECORDS: RecordMemory = RecordMemory {
            swimlane: SwimlaneMemory {
                queues: SwimlaneHeader::<3, 4>::QUEUES,
                num_cores: offset_of!(SwimlaneHeader<3, 4>, num_cores),
                level: offset_of!(SwimlaneHeader<3, 4>, l2_perf_level),
                tasks: BufferState::layout::<TaskRecordHead, 4>(KIND_TASKS, 2, 1),
                core_times: CoreTimesMemory::Ring { bytes: 64, address: 0 },
                phase_header_bytes: size_of::<PhaseHeader<12>>(),
                phases: BufferState::layout::<PhaseRecord, 4>(KIND_PHASES, 2, 1),
            },
            dump: DumpHeader::<3, 4>::memory(1 << 10),
            pmu: PmuMemory {
                queues: PmuHeader::<3, 4>::QUEUES,
                num_cores: offset_of!(PmuHeader<3, 4>, num_cores),
                event_type: offset_of!(PmuHeader<3, 4>, event_type),
                rows: BufferState::layout::<PmuRecordHead, 4>(0, 2, 2),
                counters: 2,
                ring: None,
            },
            scopes: ScopeHeader::<3, 4>::MEMORY,
            submits: None,
        };
        &RECORDS
    }

    fn sim_programs(&self) -> &'static SimPrograms {
        &SimPrograms { addresses: &[], switches: &[], rings: AicoreRings::Swimlane }
    }
}

type HookFn = dyn Fn() -> Result<(), VariantError> + Send + Sync;

/// A function that a test puts into the variant.
#[derive(Default)]
pub struct Hook(Mutex<Option<Arc<HookFn>>>);

impl Hook {
    pub fn set(&self, hook: impl Fn() -> Result<(), VariantError> + Send + Sync + 'static) {
        *self.0.lock().unwrap() = Some(Arc::new(hook));
    }

    pub fn clear(&self) {
        *self.0.lock().unwrap() = None;
    }

    fn call(&self) -> Result<(), VariantError> {
        let hook = self.0.lock().unwrap().clone();
        hook.map_or(Ok(()), |hook| hook())
    }
}

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hook")
    }
}

/// What a test sees of its variant, and how it meddles.
#[derive(Debug, Default)]
pub struct Probe {
    /// Orchestrations that exist.
    pub orchestrations: AtomicUsize,
    /// Bound runs that exist.
    pub bound_runs: AtomicUsize,
    /// Runs that copied their results back.
    pub finished: AtomicUsize,
    /// What the last finished run computed.
    pub output: Mutex<Vec<u64>>,
    /// Runs get a task that can never start.
    pub stuck: AtomicBool,
    pub on_open: Hook,
    pub on_bind: Hook,
    pub on_finish: Hook,
}

impl Probe {
    pub fn output(&self) -> Vec<u64> {
        self.output.lock().unwrap().clone()
    }

    pub fn assert_nothing_left(&self) {
        assert_eq!(self.orchestrations.load(Ordering::SeqCst), 0, "orchestrations are left");
        assert_eq!(self.bound_runs.load(Ordering::SeqCst), 0, "bound runs are left");
    }
}

/// Counts itself in one of a probe's counters for as long as it lives.
#[derive(Debug)]
struct Counted {
    probe: Arc<Probe>,
    counter: fn(&Probe) -> &AtomicUsize,
}

impl Counted {
    fn new(probe: &Arc<Probe>, counter: fn(&Probe) -> &AtomicUsize) -> Self {
        counter(probe).fetch_add(1, Ordering::SeqCst);
        Self { probe: Arc::clone(probe), counter }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        (self.counter)(&self.probe).fetch_sub(1, Ordering::SeqCst);
    }
}

/// Stages the scalar arguments, runs every kernel of the callable on them once, and copies them back into
/// [`Probe::output`].
#[derive(Debug)]
pub struct TestVariant {
    pub probe: Arc<Probe>,
    /// Whether orchestration objects run on the device rather than on the host.
    pub on_device: bool,
    pub fingerprint: fn(&[u8]) -> u64,
}

impl TestVariant {
    pub fn new(probe: &Arc<Probe>) -> Self {
        Self { probe: Arc::clone(probe), on_device: false, fingerprint: task_interface::fnv1a64 }
    }
}

impl RuntimeVariant for TestVariant {
    fn name(&self) -> &'static str {
        "test_variant"
    }

    fn fingerprint(&self, object: &[u8]) -> u64 {
        (self.fingerprint)(object)
    }

    fn open(
        &self,
        source: &OrchestrationSource,
        _for_image: bool,
    ) -> Result<Box<dyn Orchestration>, VariantError> {
        self.probe.on_open.call()?;
        let object = match source {
            OrchestrationSource::Object { entry, .. } if entry.is_empty() => {
                return Err(VariantError::Load("it has no entry".into()));
            }
            OrchestrationSource::Object { .. } => true,
            _ => false,
        };
        Ok(Box::new(TestOrchestration {
            probe: Arc::clone(&self.probe),
            on_host: object && !self.on_device,
            on_device: object && self.on_device,
            _counted: Counted::new(&self.probe, |probe| &probe.orchestrations),
        }))
    }
}

#[derive(Debug)]
struct TestOrchestration {
    probe: Arc<Probe>,
    on_host: bool,
    on_device: bool,
    _counted: Counted,
}

impl Orchestration for TestOrchestration {
    fn loaded_on_host(&self) -> bool {
        self.on_host
    }

    fn loads_on_device(&self) -> bool {
        self.on_device
    }

    fn bind(
        &self,
        context: &RunContext<'_>,
        args: &ChipStorageTaskArgs,
    ) -> Result<Box<dyn BoundRun>, VariantError> {
        let input = args.used_scalars().map_err(|error| VariantError::Graph(error.into()))?;
        let data = context.memory.alloc(size_of_val(input))?;
        context.memory.copy_to_device(data.ptr(), bytemuck::must_cast_slice(input))?;
        self.probe.on_bind.call()?;

        let mut slots = [0; RUNTIME_MAX_ARGS];
        slots[0] = data.ptr().addr();
        slots[1] = input.len() as u64;
        // The second kernel and those behind it get their arguments from device memory.
        let shared_args = context.memory.alloc(size_of_val(&slots))?;
        context.memory.copy_to_device(shared_args.ptr(), bytemuck::must_cast_slice(&slots))?;
        let tasks = (0u32..)
            .zip(context.kernels.kernels())
            .map(|(kernel, _)| match kernel {
                0 => (kernel, KernelArgs::Inline(slots)),
                _ => (kernel, KernelArgs::Device(shared_args.ptr())),
            })
            .collect();
        let stuck = self.probe.stuck.load(Ordering::SeqCst);
        Ok(Box::new(TestRun {
            memory: Arc::clone(context.memory),
            data,
            _shared_args: shared_args,
            values: input.len(),
            program: Some(TestProgram { tasks, completed: 0, stuck }),
            probe: Arc::clone(&self.probe),
            recorder: context.recorder.map(Arc::clone),
            _counted: Counted::new(&self.probe, |probe| &probe.bound_runs),
        }))
    }
}

#[derive(Debug)]
struct TestRun {
    memory: Arc<Memory>,
    data: DevBuffer,
    _shared_args: DevBuffer,
    values: usize,
    program: Option<TestProgram>,
    probe: Arc<Probe>,
    recorder: Option<Arc<Recorder>>,
    _counted: Counted,
}

impl BoundRun for TestRun {
    fn take_program(&mut self) -> Box<dyn DeviceProgram> {
        Box::new(self.program.take().unwrap())
    }

    fn finish(self: Box<Self>, program: Box<dyn DeviceProgram>) -> Result<u64, VariantError> {
        self.probe.on_finish.call()?;
        let completed = program.completed();
        assert!(program.into_any().is::<TestProgram>());
        let mut output = vec![0; self.values];
        self.memory
            .copy_from_device(bytemuck::must_cast_slice_mut::<u64, u8>(&mut output), self.data.ptr())?;
        self.record();
        *self.probe.output.lock().unwrap() = output;
        self.probe.finished.fetch_add(1, Ordering::SeqCst);
        Ok(completed)
    }
}

impl TestRun {
    /// Its results are a dumped tensor of task 0, and its graph has one task.
    fn record(&self) {
        let Some(recorder) = &self.recorder else { return };
        if let Some(dump) = recorder.dump() {
            let shape = [u32::try_from(self.values).unwrap()];
            let (buffer, dtype) = (self.data.ptr(), DataType::Uint64.raw());
            let (bytes, start_offset) = (u64::MAX, 0);
            let view = TensorView { buffer, bytes, dtype, start_offset, shape: &shape, strides: &[1] };
            let arg = DumpedArg {
                task: TaskId(0),
                subtask: 0,
                func_id: 0,
                index: 0,
                role: Role::Output,
                chosen: None,
            };
            dump.tensor(&arg, Stage::AfterCompletion, &view);
        }
        if let Some(scopes) = recorder.scopes() {
            scopes.capacities(4, 1024, 16);
        }
        if recorder.submits().is_some() {
            let task = deps::Task { task_id: 0, scope: deps::Scope::Auto, args: Vec::new() };
            recorder.set_deps(Deps { tasks: vec![task], ..Deps::default() });
        }
    }
}

#[derive(Debug)]
struct TestProgram {
    tasks: VecDeque<(u32, KernelArgs)>,
    completed: u64,
    stuck: bool,
}

impl DeviceProgram for TestProgram {
    fn next(&mut self, cores: &dyn Cores) -> Option<Dispatch> {
        let idle = cores.earliest_idle(CoreType::Aiv)?;
        let (kernel, args) = self.tasks.pop_front()?;
        let task = TaskId(kernel.into());
        Some(Dispatch { task, kernel, core: idle.core, ready_at: DeviceTime(0), args, followers: 0 })
    }

    fn has_startable(&self, _: &dyn Cores) -> bool {
        !self.tasks.is_empty()
    }

    fn complete(&mut self, _: TaskId, _: CoreId, _: DeviceTime) {
        self.completed += 1;
    }

    fn is_done(&self) -> bool {
        self.tasks.is_empty() && !self.stuck
    }

    fn completed(&self) -> u64 {
        self.completed
    }

    fn waiting(&self) -> Vec<WaitingTask> {
        let task = WaitingTask {
            task: TaskId(99),
            kernel: "never".to_owned(),
            core_type: CoreType::Aic,
            unmet: vec![TaskId(100)],
        };
        if self.stuck { vec![task] } else { Vec::new() }
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

/// A runner over a faulty fake device, with everything a test wants to look at.
#[derive(Debug)]
pub struct Bench {
    pub device: Arc<FaultyDevice>,
    pub probe: Arc<Probe>,
    pub runner: Arc<DeviceRunner>,
}

impl Bench {
    pub fn new() -> Self {
        Self::with(|_| ())
    }

    /// A bench whose variant was changed by `adapt`.
    pub fn with(adapt: impl FnOnce(&mut TestVariant)) -> Self {
        Self::assembled(FakeDevice::new(), adapt)
    }

    pub fn on(device: Arc<FakeDevice>) -> Self {
        Self::assembled(device, |_| ())
    }

    fn assembled(device: Arc<FakeDevice>, adapt: impl FnOnce(&mut TestVariant)) -> Self {
        let device = FaultyDevice::new(device);
        let probe = Arc::new(Probe::default());
        let mut variant = TestVariant::new(&probe);
        adapt(&mut variant);
        let runner = DeviceRunner::attach(&ARCH, Box::new(variant), device.clone()).unwrap();
        Self { device, probe, runner }
    }

    pub fn register(&self, source: &CallableSource) -> CallableId {
        self.runner.register(None, source).unwrap()
    }

    /// Runs a callable on the numbers and returns what they became.
    pub fn run(&self, id: CallableId, input: &[u64]) -> Result<Vec<u64>, RunnerError> {
        self.runner.run(id, &args(input), &CallConfig::default())?;
        Ok(self.probe.output())
    }

    /// Lets the device call fail that is `calls` calls ahead.
    pub fn fail_in(&self, calls: usize) {
        self.device.set_fault(Some(Fault::Once(self.device.journal().len() + calls)));
    }

    pub fn fail_always(&self, call: &'static str) {
        self.device.set_fault(Some(Fault::Always(call)));
    }

    pub fn heal(&self) {
        self.device.set_fault(None);
    }

    /// Closes the runner, which must go well and leave nothing behind.
    pub fn close(&self) {
        self.runner.finalize().unwrap();
        self.assert_nothing_left();
    }

    pub fn assert_nothing_left(&self) {
        let report = self.runner.report();
        assert!(report.is_zero(), "left: {report}");
        self.probe.assert_nothing_left();
        assert_unbound();
    }
}

pub fn assert_unbound() {
    assert!(current_runner().is_none(), "a runner is still bound to this thread");
}

/// Arguments that are scalars only.
pub fn args(scalars: &[u64]) -> Box<ChipStorageTaskArgs> {
    let mut args = ChipStorageTaskArgs::new();
    for &scalar in scalars {
        args.add_scalar(scalar).unwrap();
    }
    args
}

/// A kernel that adds `summand` to each value.
pub fn add(summand: u64) -> KernelSource {
    NativeKernel::new("add", move |context| {
        let count = usize::try_from(context.args()[1]).unwrap();
        let values: Vec<u64> = context.read(context.ptr(0), count)?;
        let sums: Vec<u64> = values.iter().map(|value| value + summand).collect();
        context.write(context.ptr(0), &sums)
    })
    .into()
}

pub fn native_orchestration() -> OrchestrationSource {
    OrchestrationSource::Native(Arc::new(()))
}

pub fn object_orchestration(bytes: &[u8]) -> OrchestrationSource {
    OrchestrationSource::Object { bytes: bytes.into(), entry: "build".to_owned(), config: String::new() }
}

/// A callable of Rust parts; its kernels have the ids 0, 1, ...
pub fn native_callable(kernels: Vec<KernelSource>) -> CallableSource {
    CallableSource::new(native_orchestration(), (0..).zip(kernels).collect())
}

/// An encoded callable.
pub fn image(orchestration: &[u8], kernels: &[(u32, &[u8])]) -> ChipCallable {
    let kernels: Vec<(u32, CoreCallable)> =
        kernels.iter().map(|(id, bytes)| (*id, CoreCallable::encode(&[], bytes).unwrap())).collect();
    let builder = ChipCallable::builder("build").binary(orchestration);
    kernels.iter().fold(builder, |builder, (id, kernel)| builder.child(*id, kernel)).build().unwrap()
}

pub fn image_callable(orchestration: &[u8], kernels: &[(u32, &[u8])]) -> CallableSource {
    CallableSource::from_image(&image(orchestration, kernels)).unwrap()
}

/// Runs `call`, which must panic.
pub fn assert_panics<R>(call: impl FnOnce() -> R) {
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(call));
    assert!(result.is_err(), "no panic");
}

/// Keeps injected panics out of the test output; all others are reported as ever.
pub fn quiet_injected_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let report = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let text = info.payload().downcast_ref::<String>().map_or("", String::as_str);
            if !text.starts_with("injected panic") {
                report(info);
            }
        }));
    });
}

/// Whether an error is one that [`FaultyDevice`] made, possibly wrapped.
pub fn is_injected(error: &RunnerError) -> bool {
    let text = error.to_string();
    text.contains("injected failure") || text.contains("injected panic")
}
