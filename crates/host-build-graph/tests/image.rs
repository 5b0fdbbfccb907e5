//! Images as a device gets them: written by a run, read back by the device half.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is the report of a test")]

use std::mem::size_of;
use std::sync::{Arc, Mutex};

use bytemuck::Pod;
use device_runner::testing::FakeDevice;
use device_runner::{
    Arch, CallableSource, CoreId, Cores, DevPtr, Device, DeviceError, DeviceImage, DeviceOutcome,
    DeviceProgram, DeviceRun, DeviceRunner, DeviceTime, DeviceUsage, DumpedArg, GlobalMemory, IdleCore,
    KernelArgs, KernelHandle, KernelSource, Launch, PhaseSink, RunOutcome, RunSinks, RunnerError, ScopeSink,
    SubmitRecords, SubmitSink, TaskId, TensorSink, TensorView, Topology,
};
use host_build_graph::image::{ImageError, Layout, Task, read};
use host_build_graph::{GraphBuilder, GraphError, HostBuildGraph, NativeGraph};
use proptest::prelude::*;
use run_records::dump::{Role, Stage};
use serde_json::Value;
use task_interface::{
    ArgDirection, CallConfig, ChipStorageTaskArgs, CoreCallable, CoreType, DataType, Handshake,
    TensorAllocationInfo, TensorInfo,
};

static CHIPS: [&dyn Arch; 2] = [&arch_a2a3::CHIP, &arch_a5::CHIP];

/// Offset of a field of the object, as measured.
fn offset(chip: &dyn Arch, field: &str) -> usize {
    static SPEC: std::sync::LazyLock<Value> = std::sync::LazyLock::new(|| {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../spec/device-layouts.json");
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    });
    let fields = SPEC[chip.name()]["hbg"]["Runtime"]["fields"].as_array().unwrap();
    let found = fields.iter().find(|known| known["name"] == field).unwrap();
    usize::try_from(found["offset"].as_u64().unwrap()).unwrap()
}

/// A device whose programs are never run: it only keeps the last image.
#[derive(Debug)]
struct ImageDevice {
    memory: Arc<FakeDevice>,
    chip: &'static dyn Arch,
    uploaded: Mutex<Option<Uploaded>>,
    /// Whom a program of the image tells about its tensors, if it is to be run.
    told: Option<Arc<Told>>,
}

/// What device programs would have been given.
#[derive(Clone, Debug)]
struct Uploaded {
    chip: &'static dyn Arch,
    image: DeviceImage,
    /// By func id: the address of the kernel's header.
    kernels: Vec<u64>,
    tensor_infos: Vec<TensorInfo>,
    allocations: Vec<TensorAllocationInfo>,
}

/// Where the image is; around its parts the memory is full of rubbish.
const BASE: u64 = 1 << 40;
const RUBBISH: u8 = 0xa5;

impl Uploaded {
    /// A value of the image; rubbish where nothing was written.
    fn get<T: Pod>(&self, at: usize) -> T {
        let mut value = T::zeroed();
        self.copy_from_device(bytemuck::bytes_of_mut(&mut value), DevPtr::new(BASE + at as u64)).unwrap();
        value
    }

    fn field<T: Pod>(&self, name: &str, index: usize) -> T {
        self.get(offset(self.chip, name) + index * size_of::<T>())
    }

    fn task(&self, index: usize) -> Task {
        self.get(Layout::of(self.chip).unwrap().task(index).unwrap())
    }

    fn set(&mut self, at: usize, value: &[u8]) {
        let parts = self.image.parts.iter_mut();
        let (start, part) = parts.rev().find(|(start, _)| *start <= at).unwrap();
        part[at - *start..][..value.len()].copy_from_slice(value);
    }

    fn program(&self) -> Result<Box<dyn DeviceProgram>, ImageError> {
        read(self, DevPtr::new(BASE), self.chip, None)
    }
}

impl GlobalMemory for Uploaded {
    fn copy_to_device(&self, _to: DevPtr, _from: &[u8]) -> Result<(), DeviceError> {
        unreachable!("a reader does not write")
    }

    fn copy_from_device(&self, to: &mut [u8], from: DevPtr) -> Result<(), DeviceError> {
        let first = usize::try_from(from.addr().wrapping_sub(BASE)).unwrap();
        if first.checked_add(to.len()).is_none_or(|end| end > self.image.bytes) {
            let reason = "outside of the image".to_owned();
            return Err(DeviceError::InvalidPointer {
                operation: "copy",
                ptr: from,
                len: to.len() as u64,
                reason,
            });
        }
        let byte = |at: usize| {
            let part = self.image.parts.iter().rev().find(|(start, _)| *start <= at);
            part.and_then(|(start, bytes)| bytes.get(at - start)).copied().unwrap_or(RUBBISH)
        };
        to.iter_mut().zip(first..).for_each(|(to, at)| *to = byte(at));
        Ok(())
    }
}

#[derive(Debug)]
struct Ended(Launch);

impl DeviceRun for Ended {
    fn poll(&mut self) -> bool {
        true
    }

    fn wait(self: Box<Self>) -> Result<DeviceOutcome, DeviceError> {
        Ok(DeviceOutcome { device_wall_ns: 1, program: self.0.program })
    }
}

impl ImageDevice {
    /// Runs the image with somebody who wants to know about tensors, if there is somebody.
    fn tell(&self, uploaded: &Uploaded) {
        let Some(told) = &self.told else { return };
        let sinks = Arc::clone(told) as Arc<dyn RunSinks>;
        let memory = ImageAndMemory { uploaded, memory: &self.memory };
        match read(&memory, DevPtr::new(BASE), self.chip, Some(sinks)) {
            Ok(program) => drive(program),
            Err(error) => *told.refused.lock().unwrap() = Some(error),
        }
    }

    /// The entries of a table that the image names by address and size.
    fn table<T: Pod>(&self, uploaded: &Uploaded, name: &str) -> Vec<T> {
        let address = uploaded.field(&format!("{name}_"), 0);
        let bytes: u64 = uploaded.field(&format!("{name}_bytes_"), 0);
        let mut entries = vec![T::zeroed(); usize::try_from(bytes).unwrap() / size_of::<T>()];
        assert_eq!(address == 0, entries.is_empty(), "{name}");
        if address != 0 {
            self.memory
                .copy_from_device(bytemuck::must_cast_slice_mut(&mut entries), DevPtr::new(address))
                .unwrap();
        }
        entries
    }
}

impl GlobalMemory for ImageDevice {
    fn copy_to_device(&self, to: DevPtr, from: &[u8]) -> Result<(), DeviceError> {
        self.memory.copy_to_device(to, from)
    }

    fn copy_from_device(&self, to: &mut [u8], from: DevPtr) -> Result<(), DeviceError> {
        self.memory.copy_from_device(to, from)
    }
}

impl Device for ImageDevice {
    fn id(&self) -> u32 {
        self.memory.id()
    }

    fn bind_thread(&self) -> Result<(), DeviceError> {
        self.memory.bind_thread()
    }

    fn alloc(&self, bytes: usize) -> Result<DevPtr, DeviceError> {
        self.memory.alloc(bytes)
    }

    fn free(&self, ptr: DevPtr) -> Result<(), DeviceError> {
        self.memory.free(ptr)
    }

    fn register_kernel(
        &self,
        name: &str,
        source: &KernelSource,
        signature: &[ArgDirection],
    ) -> Result<KernelHandle, DeviceError> {
        let KernelSource::Object(code) = source else { panic!("{name} is a compiled kernel") };
        let callable = CoreCallable::encode(signature, code).unwrap();
        let header = self.memory.alloc(callable.as_bytes().len())?;
        self.memory.copy_to_device(header, callable.as_bytes())?;
        Ok(KernelHandle(header.addr()))
    }

    fn unregister_kernel(&self, handle: KernelHandle) -> Result<(), DeviceError> {
        self.memory.free(DevPtr::new(handle.0))
    }

    fn runs_images(&self) -> bool {
        true
    }

    fn launch(&self, mut launch: Launch) -> Result<Box<dyn DeviceRun>, DeviceError> {
        let image = launch.program.take_image().expect("a program for this device has an image");
        let kernels = launch.kernels.iter().map(|kernel| kernel.handle.0).collect();
        let (tensor_infos, allocations) = (Vec::new(), Vec::new());
        let mut uploaded = Uploaded { chip: self.chip, image, kernels, tensor_infos, allocations };
        if let Some((at, value)) = self.told.as_ref().and_then(|told| told.spoil) {
            uploaded.set(at, &value.to_le_bytes());
        }
        self.tell(&uploaded);
        if self.told.is_none() {
            uploaded.tensor_infos = self.table(&uploaded, "tensor_info_storage");
            uploaded.allocations = self.table(&uploaded, "tensor_allocation_storage");
        }
        *self.uploaded.lock().unwrap() = Some(uploaded);
        Ok(Box::new(Ended(launch)))
    }

    fn reset(&self) -> Result<(), DeviceError> {
        self.memory.reset()
    }

    fn usage(&self) -> DeviceUsage {
        self.memory.usage()
    }
}

/// An image, and the memory that it names.
#[derive(Debug)]
struct ImageAndMemory<'a> {
    uploaded: &'a Uploaded,
    memory: &'a FakeDevice,
}

impl GlobalMemory for ImageAndMemory<'_> {
    fn copy_to_device(&self, _to: DevPtr, _from: &[u8]) -> Result<(), DeviceError> {
        unreachable!("a reader does not write")
    }

    fn copy_from_device(&self, to: &mut [u8], from: DevPtr) -> Result<(), DeviceError> {
        let bytes = self.uploaded.image.bytes as u64;
        let is_image = (BASE..BASE + bytes).contains(&from.addr());
        let memory: &dyn GlobalMemory = if is_image { self.uploaded } else { self.memory };
        memory.copy_from_device(to, from)
    }
}

/// What a program tells of tensors: task, kernel, argument, role, stage, and first element.
type ToldTensor = (u64, u32, u32, Role, Stage, u64, u64);

/// Only takes tensors.
#[derive(Debug, Default)]
struct Told {
    tensors: Mutex<Vec<ToldTensor>>,
    skipped: Mutex<Vec<(u64, usize, usize)>>,
    refused: Mutex<Option<ImageError>>,
    /// Changes the image before it is read.
    spoil: Option<(usize, u64)>,
}

impl RunSinks for Told {
    fn scopes(&self) -> Option<&dyn ScopeSink> {
        None
    }

    fn tensors(&self) -> Option<&dyn TensorSink> {
        Some(self)
    }

    fn submits(&self) -> Option<&dyn SubmitSink> {
        None
    }

    fn phases(self: Arc<Self>) -> Option<(SubmitRecords, Box<dyn PhaseSink>)> {
        None
    }
}

impl TensorSink for Told {
    fn select(&self) {}

    fn skip(&self, task: TaskId, expected: usize, is: usize) {
        self.skipped.lock().unwrap().push((task.0, expected, is));
    }

    fn tensor(&self, arg: &DumpedArg, stage: Stage, view: &TensorView<'_>) {
        let DumpedArg { task, func_id, index, role, .. } = *arg;
        let place = (view.buffer.addr(), view.start_offset);
        self.tensors.lock().unwrap().push((task.0, func_id, index, role, stage, place.0, place.1));
    }
}

/// Runs all tasks, one after the other.
fn drive(mut program: Box<dyn DeviceProgram>) {
    while let Some(dispatch) = program.next(&Idle(Topology::new(1))) {
        program.complete(dispatch.task, dispatch.core, DeviceTime(0));
    }
    assert!(program.is_done());
}

/// Kernels that every callable here has, by func id.
const KERNELS: u32 = 3;

/// Runs a graph on a chip; what its device was given. Nothing is left of it afterwards.
fn run(
    chip: &'static dyn Arch,
    config: &CallConfig,
    graph: impl Fn(&mut GraphBuilder<'_>) -> Result<(), GraphError> + Send + Sync + 'static,
) -> Result<(Uploaded, RunOutcome), RunnerError> {
    run_telling(chip, config, None, graph)
}

/// The same, with a program of the image that tells of its tensors.
fn run_telling(
    chip: &'static dyn Arch,
    config: &CallConfig,
    told: Option<&Arc<Told>>,
    graph: impl Fn(&mut GraphBuilder<'_>) -> Result<(), GraphError> + Send + Sync + 'static,
) -> Result<(Uploaded, RunOutcome), RunnerError> {
    let told = told.map(Arc::clone);
    let device = Arc::new(ImageDevice { memory: FakeDevice::new(), chip, uploaded: Mutex::default(), told });
    let runner = DeviceRunner::attach(
        chip,
        Box::new(HostBuildGraph::default()),
        Arc::clone(&device) as Arc<dyn Device>,
    )?;
    let kernel = |id: u32| (id, KernelSource::Object(Arc::from(id.to_le_bytes())));
    let source = CallableSource::new(NativeGraph::new(graph).into(), (0..KERNELS).map(kernel).collect());
    let signature = [ArgDirection::In, ArgDirection::Scalar, ArgDirection::Inout];
    let source = source.signature(1, &signature);
    let id = runner.register(Some(7), &source)?;
    let args = ChipStorageTaskArgs::new();
    let ran = runner.run(id, &*args, config);
    runner.finalize()?;
    assert_eq!(device.usage(), DeviceUsage::default());
    let uploaded = device.uploaded.lock().unwrap().take();
    ran.map(|outcome| (uploaded.unwrap(), outcome))
}

fn config(block_dim: i32, threads: i32) -> CallConfig {
    let mut config = CallConfig::default();
    config.set_block_dim(block_dim).unwrap().set_aicpu_thread_num(threads).unwrap();
    config
}

/// All cores idle, always.
struct Idle(Topology);

impl Cores for Idle {
    fn topology(&self) -> Topology {
        self.0
    }

    fn has_idle(&self, _core_type: CoreType) -> bool {
        true
    }

    fn idle_since(&self, _core: CoreId) -> Option<DeviceTime> {
        Some(DeviceTime(0))
    }

    fn earliest_idle(&self, core_type: CoreType) -> Option<IdleCore> {
        let core = CoreId(self.0.ids_of(core_type).next()?);
        Some(IdleCore { core, free_at: DeviceTime(0) })
    }
}

#[derive(Clone, Debug)]
struct Plan {
    tasks: Vec<(Vec<u64>, i32, CoreType, usize)>,
    edges: Vec<(u32, u32)>,
    buffers: Vec<(usize, bool)>,
}

impl Plan {
    fn build(&self, graph: &mut GraphBuilder<'_>) -> Result<(), GraphError> {
        let mut ids = Vec::new();
        for (args, func_id, core_type, tensors) in &self.tasks {
            let id = graph.add_task(args, *func_id, *core_type)?;
            let infos: Vec<_> = (0..*tensors).map(|tensor| info(id.0, tensor)).collect();
            graph.set_tensor_info(id, &infos)?;
            ids.push(id);
        }
        for &(from, to) in &self.edges {
            graph.add_successor(ids[from as usize], ids[to as usize])?;
        }
        for &(bytes, keep) in &self.buffers {
            let buffer = graph.device_malloc(bytes)?;
            if !keep {
                graph.device_free(buffer)?;
            }
        }
        Ok(())
    }

    fn successors(&self, task: usize) -> Vec<i32> {
        let own = self.edges.iter().filter(|(from, _)| *from as usize == task);
        own.map(|&(_, to)| i32::try_from(to).unwrap()).collect()
    }

    fn predecessors(&self, task: usize) -> Vec<usize> {
        self.edges.iter().filter(|(_, to)| *to as usize == task).map(|(from, _)| *from as usize).collect()
    }
}

fn info(task: u64, tensor: usize) -> TensorInfo {
    let shape = [u32::try_from(task).unwrap() + 1, u32::try_from(tensor).unwrap() + 1];
    TensorInfo::whole(DataType::Float32, &shape).unwrap()
}

fn plans() -> impl Strategy<Value = Plan> {
    let core_type = prop_oneof![Just(CoreType::Aic), Just(CoreType::Aiv)];
    let task = (
        proptest::collection::vec(any::<u64>(), 0..=16),
        0..i32::try_from(KERNELS).unwrap(),
        core_type,
        0..=3usize,
    );
    let tasks = proptest::collection::vec(task, 0..40);
    let edges = proptest::collection::vec((any::<u32>(), any::<u32>()), 0..100);
    let buffers = proptest::collection::vec((1..500usize, any::<bool>()), 0..6);
    (tasks, edges, buffers).prop_map(|(tasks, raw, buffers)| {
        let count = u32::try_from(tasks.len()).unwrap().max(1);
        let edges = raw.iter().map(|(a, b)| (a % count, b % count)).filter(|(from, to)| from < to).collect();
        Plan { tasks, edges, buffers }
    })
}

fn assert_head(uploaded: &Uploaded, block_dim: u32, threads: i32) {
    let topology = Topology::new(block_dim);
    let places = uploaded.chip.limits().max_block_dim * 3;
    for core in 0..places {
        let used = core < topology.cores();
        let core_type = if used { topology.core_type(CoreId(core)).raw() } else { 0 };
        let expected = Handshake { core_type, ..Handshake::default() };
        assert_eq!(uploaded.field::<Handshake>("workers", core as usize), expected);
    }
    assert_eq!(uploaded.field::<u32>("worker_count", 0), topology.cores());
    assert_eq!(uploaded.field::<i32>("aicpu_thread_num", 0), threads);
}

fn assert_tasks(uploaded: &Uploaded, plan: &Plan) {
    for (index, (args, func_id, core_type, tensors)) in plan.tasks.iter().enumerate() {
        let task = uploaded.task(index);
        let id = i32::try_from(index).unwrap();
        assert_eq!((task.task_id, task.func_id, task.core_type), (id, *func_id, core_type.raw()));
        assert_eq!(task.args[..args.len()], args[..]);
        assert!(task.args[args.len()..].iter().all(|&slot| slot == 0));
        assert_eq!(usize::try_from(task.num_args), Ok(args.len()));
        let header = uploaded.kernels[usize::try_from(*func_id).unwrap()];
        assert_eq!(task.function_bin_addr, header + 128);
        let successors = plan.successors(index);
        assert_eq!(usize::try_from(task.fanout_count), Ok(successors.len()));
        assert_eq!(task.fanout[..successors.len()], successors[..]);
        assert_eq!(usize::try_from(task.fanin), Ok(plan.predecessors(index).len()));
        assert_eq!((task.start_time, task.end_time), (0, 0));
        let first = uploaded.field::<u32>("tensor_info_offsets_", index) as usize;
        let count = uploaded.field::<u16>("tensor_info_counts_", index) as usize;
        let expected: Vec<_> = (0..*tensors).map(|tensor| info(index as u64, tensor)).collect();
        assert_eq!(uploaded.tensor_infos[first..first + count], expected);
    }
}

fn assert_tables(uploaded: &Uploaded, plan: &Plan) {
    let tasks = i32::try_from(plan.tasks.len()).unwrap();
    assert_eq!(uploaded.field::<i32>("next_task_id", 0), tasks);
    let ready: Vec<i32> =
        (0..tasks).filter(|&task| plan.predecessors(usize::try_from(task).unwrap()).is_empty()).collect();
    assert_eq!(usize::try_from(uploaded.field::<i32>("initial_ready_count", 0)), Ok(ready.len()));
    for (index, task) in ready.into_iter().enumerate() {
        assert_eq!(uploaded.field::<i32>("initial_ready_tasks", index), task);
    }
    for func_id in 0..1024 {
        let header = uploaded.kernels.get(func_id).copied().unwrap_or(0);
        assert_eq!(uploaded.field::<u64>("func_id_to_addr_", func_id), header);
    }
    assert_eq!(uploaded.field::<i32>("registered_kernel_count_", 0), 0);
    let kept = plan.buffers.iter().filter(|(_, keep)| *keep).map(|(bytes, _)| *bytes as u64);
    let sizes: Vec<u64> = uploaded.allocations.iter().map(|entry| entry.size_bytes).collect();
    assert_eq!(sizes, kept.collect::<Vec<_>>());
    assert_eq!(uploaded.field::<u32>("tensor_allocation_count_", 0) as usize, sizes.len());
    for field in ["host_api", "tensor_pairs_", "dev_orch_so_addr_", "dev_orch_so_size_"] {
        assert_eq!(uploaded.field::<u64>(field, 0), 0, "{field}");
    }
    assert_eq!(uploaded.field::<i32>("active_callable_id_", 0), 7);
    assert_eq!(uploaded.field::<u8>("register_new_callable_id_", 0), 0);
    assert_eq!(uploaded.field::<u8>("device_orch_func_name_", 0), 0);
}

/// Runs the graph that was read back: each task once, after its predecessors, with what it was given.
fn assert_runs(uploaded: &Uploaded, plan: &Plan) {
    let mut program = uploaded.program().unwrap();
    let mut done = vec![false; plan.tasks.len()];
    while let Some(dispatch) = program.next(&Idle(Topology::new(1))) {
        let index = usize::try_from(dispatch.task.0).unwrap();
        let (args, func_id, core_type, _) = &plan.tasks[index];
        let KernelArgs::Inline(slots) = dispatch.args else { panic!("arguments by value") };
        assert_eq!(slots[..args.len()], args[..]);
        assert_eq!(i32::try_from(dispatch.kernel), Ok(*func_id));
        assert_eq!(Topology::new(1).core_type(dispatch.core), *core_type);
        assert!(plan.predecessors(index).into_iter().all(|before| done[before]));
        assert!(!std::mem::replace(&mut done[index], true));
        program.complete(dispatch.task, dispatch.core, DeviceTime(0));
    }
    assert!(program.is_done() && done.into_iter().all(|done| done));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn what_is_written_is_read_back(plan in plans(), block_dim in 1..=24i32, threads in 1..=4i32) {
        for chip in CHIPS {
            let graph = plan.clone();
            let (uploaded, outcome) =
                run(chip, &config(block_dim, threads), move |builder| graph.build(builder)).unwrap();
            prop_assert_eq!(outcome.tasks, plan.tasks.len() as u64);
            assert_head(&uploaded, u32::try_from(block_dim).unwrap(), threads);
            assert_tasks(&uploaded, &plan);
            assert_tables(&uploaded, &plan);
            assert_runs(&uploaded, &plan);
        }
    }
}

/// A chain of two tasks and one more.
fn three_tasks() -> Uploaded {
    let build = |graph: &mut GraphBuilder<'_>| {
        let first = graph.add_task(&[1], 0, CoreType::Aiv)?;
        let second = graph.add_task(&[2], 1, CoreType::Aic)?;
        graph.add_task(&[3], 2, CoreType::Aiv)?;
        graph.add_successor(first, second)
    };
    run(&arch_a2a3::CHIP, &config(1, 1), build).unwrap().0
}

#[test]
fn the_129th_successor_is_refused_where_there_is_no_room_for_it() {
    let star = |successors: u32| {
        move |graph: &mut GraphBuilder<'_>| {
            let center = graph.add_task(&[], 0, CoreType::Aic)?;
            for _ in 0..successors {
                let next = graph.add_task(&[], 0, CoreType::Aiv)?;
                graph.add_successor(center, next)?;
            }
            Ok(())
        }
    };
    assert!(run(&arch_a5::CHIP, &config(1, 1), star(128)).is_ok());
    let error = run(&arch_a5::CHIP, &config(1, 1), star(129)).unwrap_err().to_string();
    assert!(error.contains("task 0 has 129 successors"), "{error}");
}

#[test]
fn images_that_cannot_be_are_refused() {
    let good = three_tasks();
    good.program().unwrap();
    let layout = Layout::of(&arch_a2a3::CHIP).unwrap();
    let in_task = |task: usize, field: usize| layout.task(task).unwrap() + field;
    for (at, value, told) in [
        (offset(&arch_a2a3::CHIP, "next_task_id"), -1i32, "the number of tasks is -1"),
        (offset(&arch_a2a3::CHIP, "next_task_id"), 131_073, "the number of tasks is 131073"),
        (in_task(1, std::mem::offset_of!(Task, task_id)), 2, "it says that it is task 2"),
        (in_task(1, std::mem::offset_of!(Task, func_id)), -1, "its func_id is -1"),
        (in_task(1, std::mem::offset_of!(Task, num_args)), 17, "arguments of task 1 is 17"),
        (in_task(1, std::mem::offset_of!(Task, core_type)), 2, "not a CoreType"),
        (in_task(1, std::mem::offset_of!(Task, fanin)), 2, "it waits for 2 task(s)"),
        (in_task(0, std::mem::offset_of!(Task, fanout_count)), 129, "successors of task 0 is 129"),
        (in_task(0, std::mem::offset_of!(Task, fanout)), 3, "its successor 3 is none of 3 tasks"),
        (in_task(0, std::mem::offset_of!(Task, fanout)), 0, "wait for each other"),
    ] {
        let mut bad = good.clone();
        bad.set(at, &value.to_le_bytes());
        let error = bad.program().err().unwrap().to_string();
        assert!(error.contains(told), "{error}");
    }
}

#[test]
fn an_image_that_is_not_there_is_refused() {
    let mut gone = three_tasks();
    gone.image.bytes = 4096;
    let error = gone.program().err().unwrap();
    assert!(matches!(error, ImageError::Memory { .. }), "{error}");
}

/// Kernel 1 reads a tensor and changes another.
fn two_windows(graph: &mut GraphBuilder<'_>) -> Result<(), GraphError> {
    let buffer = graph.device_malloc(4096)?;
    let window = TensorInfo::whole(DataType::Float32, &[16, 4]).unwrap();
    let args = [buffer.addr() + 256, 7, buffer.addr() + 512];
    let task = graph.add_task(&args, 1, CoreType::Aiv)?;
    graph.set_tensor_info(task, &[window, window])?;
    // Nobody knows what its tensors are.
    graph.add_task(&args, 1, CoreType::Aic)?;
    Ok(())
}

#[test]
fn programs_of_images_tell_of_tensors() {
    for chip in CHIPS {
        let told = Arc::new(Told::default());
        run_telling(chip, &config(1, 1), Some(&told), two_windows).unwrap();
        assert!(told.refused.lock().unwrap().is_none());
        let tensors = told.tensors.lock().unwrap();
        let base = tensors[0].5 - 256;
        let tensor = |stage, index, role, offset| (0, 1, index, role, stage, base + offset, 0);
        let stage = |stage| [tensor(stage, 0, Role::Input, 256), tensor(stage, 1, Role::Inout, 512)];
        let [before, after] = [Stage::BeforeDispatch, Stage::AfterCompletion].map(stage);
        let expected = [before, after].concat();
        assert_eq!(*tensors, expected);
        assert_eq!(*told.skipped.lock().unwrap(), [(1, 2, 0), (1, 2, 0)]);
    }
}

#[test]
fn tensors_that_cannot_be_are_refused_where_somebody_wants_them() {
    let chip = &arch_a2a3::CHIP;
    for (field, value, reason) in [
        ("tensor_info_storage_bytes_", 64, "task 0 has 2 tensors, which are not there"),
        ("tensor_allocation_storage_bytes_", 17, "1 allocations do not take 17 bytes"),
        ("tensor_info_storage_", 0x10, "cannot be read"),
        ("func_id_to_addr_", 0x10, "cannot be read"),
    ] {
        let told = Told { spoil: Some((offset(chip, field), value)), ..Told::default() };
        let told = Arc::new(told);
        run_telling(chip, &config(1, 1), Some(&told), two_windows).unwrap();
        let refused = told.refused.lock().unwrap().take().map(|error| error.to_string());
        assert!(refused.as_ref().is_some_and(|text| text.contains(reason)), "{refused:?} {reason}");
    }
}
