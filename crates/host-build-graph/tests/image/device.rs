//! A device that keeps the images it gets, and runs of programs of them.

use std::mem::size_of;
use std::sync::{Arc, Mutex};

use bytemuck::Pod;
use device_runner::testing::{FakeDevice, IdleCores};
use device_runner::{
    Arch, CallableSource, DevPtr, Device, DeviceError, DeviceImage, DeviceOutcome, DeviceProgram, DeviceRun,
    DeviceRunner, DeviceTime, DeviceUsage, DumpedArg, GlobalMemory, KernelHandle, KernelSource, Launch,
    PhaseSink, RunOutcome, RunSinks, RunnerError, ScopeSink, SubmitRecords, SubmitSink, TaskId, TensorSink,
    TensorView, Topology,
};
use host_build_graph::image::{ImageError, Layout, Task, read};
use host_build_graph::{GraphBuilder, GraphError, HostBuildGraph, NativeGraph};
use run_records::dump::{Role, Stage};
use serde_json::Value;
use task_interface::{
    ArgDirection, CallConfig, ChipStorageTaskArgs, CoreCallable, TensorAllocationInfo, TensorInfo,
};

pub(crate) static CHIPS: [&dyn Arch; 2] = [&arch_a2a3::CHIP, &arch_a5::CHIP];

/// Offset of a field of the object, as measured.
pub(crate) fn offset(chip: &dyn Arch, field: &str) -> usize {
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
    pub(crate) memory: Arc<FakeDevice>,
    pub(crate) chip: &'static dyn Arch,
    pub(crate) uploaded: Mutex<Option<Uploaded>>,
    /// Whom a program of the image tells about its tensors, if it is to be run.
    pub(crate) told: Option<Arc<Told>>,
}

/// What device programs would have been given.
#[derive(Clone, Debug)]
pub(crate) struct Uploaded {
    pub(crate) chip: &'static dyn Arch,
    pub(crate) image: DeviceImage,
    /// By func id: the address of the kernel's header.
    pub(crate) kernels: Vec<u64>,
    pub(crate) tensor_infos: Vec<TensorInfo>,
    pub(crate) allocations: Vec<TensorAllocationInfo>,
}

/// Where the image is; around its parts the memory is full of rubbish.
const BASE: u64 = 1 << 40;
const RUBBISH: u8 = 0xa5;

impl Uploaded {
    /// A value of the image; rubbish where nothing was written.
    pub(crate) fn get<T: Pod>(&self, at: usize) -> T {
        let mut value = T::zeroed();
        self.copy_from_device(bytemuck::bytes_of_mut(&mut value), DevPtr::new(BASE + at as u64)).unwrap();
        value
    }

    pub(crate) fn field<T: Pod>(&self, name: &str, index: usize) -> T {
        self.get(offset(self.chip, name) + index * size_of::<T>())
    }

    pub(crate) fn task(&self, index: usize) -> Task {
        self.get(Layout::of(self.chip).unwrap().task(index).unwrap())
    }

    pub(crate) fn set(&mut self, at: usize, value: &[u8]) {
        let parts = self.image.parts.iter_mut();
        let (start, part) = parts.rev().find(|(start, _)| *start <= at).unwrap();
        part[at - *start..][..value.len()].copy_from_slice(value);
    }

    pub(crate) fn program(&self) -> Result<Box<dyn DeviceProgram>, ImageError> {
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
pub(crate) struct ImageAndMemory<'a> {
    pub(crate) uploaded: &'a Uploaded,
    pub(crate) memory: &'a FakeDevice,
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
pub(crate) type ToldTensor = (u64, u32, u32, Role, Stage, u64, u64);

/// Only takes tensors.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) tensors: Mutex<Vec<ToldTensor>>,
    pub(crate) skipped: Mutex<Vec<(u64, usize, usize)>>,
    pub(crate) refused: Mutex<Option<ImageError>>,
    /// Changes the image before it is read.
    pub(crate) spoil: Option<(usize, u64)>,
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
pub(crate) fn drive(mut program: Box<dyn DeviceProgram>) {
    while let Some(dispatch) = program.next(&IdleCores(Topology::new(1))) {
        program.complete(dispatch.task, dispatch.core, DeviceTime(0));
    }
    assert!(program.is_done());
}

/// Kernels that every callable here has, by func id.
pub(crate) const KERNELS: u32 = 3;

/// Runs a graph on a chip; what its device was given. Nothing is left of it afterwards.
pub(crate) fn run(
    chip: &'static dyn Arch,
    config: &CallConfig,
    graph: impl Fn(&mut GraphBuilder<'_>) -> Result<(), GraphError> + Send + Sync + 'static,
) -> Result<(Uploaded, RunOutcome), RunnerError> {
    run_telling(chip, config, None, graph)
}

/// The same, with a program of the image that tells of its tensors.
pub(crate) fn run_telling(
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

pub(crate) fn config(block_dim: i32, threads: i32) -> CallConfig {
    let mut config = CallConfig::default();
    config.set_block_dim(block_dim).unwrap().set_aicpu_thread_num(threads).unwrap();
    config
}
