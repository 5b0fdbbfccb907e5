//! A device that runs images: real memory, and device programs that do one thing at a time on one thread.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part")]

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex};

use bytemuck::Pod;
use device_runner::{
    Arch, CallableSource, Chip, CoreId, Cores, DevPtr, Device, DeviceError, DeviceImage, DeviceOutcome,
    DeviceProgram, DeviceRun, DeviceRunner, DeviceTime, DeviceUsage, GlobalMemory, IdleCore, KernelArgs,
    KernelContext, KernelHandle, KernelSource, Launch, NativeKernel, OrchestrationSource, Topology,
};
use kernel_compiler::{KernelCompiler, Runtime, Source};
use serde_json::Value;
use sim::{SimDevice, SimOptions};
use task_interface::trb::{DispatchPayload, TrbErrorCode};
use task_interface::{ArgDirection, CORE_CALLABLE_BINARY_OFFSET, CoreCallable, CoreType};
use tensormap_and_ringbuffer::image::{DeviceHalf, DeviceLaunch, ImageError};
use tensormap_and_ringbuffer::{RingOptions, TensorKernel, TensormapAndRingbuffer};

pub static CHIPS: [&dyn Arch; 2] = [&arch_a2a3::CHIP, &arch_a5::CHIP];

/// Offset of a member of a structure, as measured.
pub fn offset(chip: &dyn Arch, structure: &str, member: &str) -> usize {
    static SPEC: LazyLock<Value> = LazyLock::new(|| {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../spec/device-layouts.json");
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    });
    let fields = SPEC[chip.name()]["trb"][structure]["fields"].as_array().unwrap();
    let found = fields.iter().find(|field| field["name"] == member).unwrap();
    usize::try_from(found["offset"].as_u64().unwrap()).unwrap()
}

/// The memory of a device as its own programs reach it: by address.
#[derive(Clone, Copy, Debug)]
pub struct ByAddress;

impl ByAddress {
    pub fn read<T: Pod>(address: u64) -> T {
        let mut value = T::zeroed();
        ByAddress.copy_from_device(bytemuck::bytes_of_mut(&mut value), DevPtr::new(address)).unwrap();
        value
    }

    pub fn write<T: Pod>(address: u64, value: &T) {
        ByAddress.copy_to_device(DevPtr::new(address), bytemuck::bytes_of(value)).unwrap();
    }
}

fn place(address: DevPtr) -> *mut u8 {
    std::ptr::with_exposed_provenance_mut(usize::try_from(address.addr()).unwrap())
}

impl GlobalMemory for ByAddress {
    fn copy_to_device(&self, to: DevPtr, from: &[u8]) -> Result<(), DeviceError> {
        // SAFETY: tests name live memory of the device, or of the device program.
        unsafe { std::ptr::copy_nonoverlapping(from.as_ptr(), place(to), from.len()) };
        Ok(())
    }

    fn copy_from_device(&self, to: &mut [u8], from: DevPtr) -> Result<(), DeviceError> {
        // SAFETY: as above.
        unsafe { std::ptr::copy_nonoverlapping(place(from).cast_const(), to.as_mut_ptr(), to.len()) };
        Ok(())
    }
}

/// What device programs do wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Misbehaviour {
    #[default]
    None,
    /// The launch ends well without having run anything.
    NeverBoots,
    /// The launch fails without having run anything.
    Lost,
    /// A thread gives up before the first task.
    GivesUp,
}

/// Called with the address of each image before device programs read it.
type Tamper = Box<dyn Fn(u64) + Send>;

pub struct ImageDevice {
    memory: SimDevice,
    chip: &'static dyn Arch,
    half: Arc<DeviceHalf>,
    /// By the address that cores call.
    kernels: Mutex<BTreeMap<u64, NativeKernel>>,
    pub misbehaviour: Mutex<Misbehaviour>,
    pub tamper: Mutex<Option<Tamper>>,
    /// The image of the last launch.
    pub last_image: Mutex<Option<DeviceImage>>,
    /// Why the last image was refused.
    pub refused: Mutex<Option<ImageError>>,
    /// See [`Device::program_generation`].
    pub generation: AtomicU64,
    seed: Mutex<u64>,
}

impl std::fmt::Debug for ImageDevice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ImageDevice").finish_non_exhaustive()
    }
}

impl ImageDevice {
    pub fn new(chip: &'static dyn Arch, seed: u64) -> Arc<Self> {
        Self::with_half(chip, seed, Arc::new(DeviceHalf::new(chip)))
    }

    /// A device whose AICPU program others have loaded, too.
    pub fn with_half(chip: &'static dyn Arch, seed: u64, half: Arc<DeviceHalf>) -> Arc<Self> {
        Arc::new(Self {
            memory: SimDevice::new(0, SimOptions::default()).unwrap(),
            chip,
            half,
            kernels: Mutex::default(),
            misbehaviour: Mutex::default(),
            tamper: Mutex::default(),
            last_image: Mutex::default(),
            refused: Mutex::default(),
            generation: AtomicU64::new(1),
            seed: Mutex::new(seed | 1),
        })
    }

    /// A runner on this device.
    pub fn runner(self: &Arc<Self>, rings: RingOptions) -> Arc<DeviceRunner> {
        let variant = Box::new(TensormapAndRingbuffer::with_rings(rings));
        DeviceRunner::attach(self.chip, variant, Arc::clone(self) as Arc<dyn Device>).unwrap()
    }

    /// A member of the last image's `Runtime` object.
    pub fn member<T: Pod>(&self, member: &str) -> T {
        let image = self.last_image.lock().unwrap();
        let (start, bytes) = &image.as_ref().unwrap().parts[0];
        let at = offset(self.chip, "Runtime", member) - start;
        bytemuck::pod_read_unaligned(&bytes[at..at + size_of::<T>()])
    }

    /// What the AICPU program does; its return code.
    fn execute(&self, runtime: u64) -> i32 {
        match *self.misbehaviour.lock().unwrap() {
            Misbehaviour::NeverBoots => return 0,
            Misbehaviour::Lost => return -1,
            _ => {}
        }
        // SAFETY: the image is there until `launch` returns, and so is what it names.
        let launch = match unsafe { self.half.open(runtime, None) } {
            Ok(launch) => launch,
            Err(error) => {
                let status = error.status();
                *self.refused.lock().unwrap() = Some(error);
                return status;
            }
        };
        let topology = launch.topology();
        if *self.misbehaviour.lock().unwrap() == Misbehaviour::GivesUp {
            launch.fail(1, TrbErrorCode::SchedulerTimeout, "no progress");
        }
        let mut seed = self.seed.lock().unwrap();
        let program = launch.take_program();
        let machine = Machine {
            program: RefCell::new(program),
            cores: RefCell::new(vec![Core::default(); topology.cores() as usize]),
            topology,
            pairs: (0..topology.cores()).map(|core| launch.payload_pair(CoreId(core))).collect(),
            launch: &launch,
            device: self,
            random: Cell::new(*seed),
            ended: Cell::new(0),
        };
        let orchestration = machine.program.borrow_mut().take_orchestration();
        orchestration.unwrap().run(&machine);
        while machine.step() {}
        *seed = machine.random.get() | 1;
        let done = machine.program.borrow().is_done();
        let program = machine.program.into_inner();
        launch.finish(program, if done { 0 } else { -1 })
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Core {
    dispatches: u64,
    /// The task, and what its kernel is called with.
    running: Option<(device_runner::TaskId, u64)>,
}

/// Starts tasks as soon as it can, and ends them in any order.
struct Machine<'a> {
    program: RefCell<Box<dyn DeviceProgram>>,
    cores: RefCell<Vec<Core>>,
    topology: Topology,
    pairs: Vec<u64>,
    launch: &'a DeviceLaunch,
    device: &'a ImageDevice,
    random: Cell<u64>,
    ended: Cell<u64>,
}

impl Machine<'_> {
    fn random(&self, below: usize) -> usize {
        let mut word = self.random.get();
        word ^= word << 13;
        word ^= word >> 7;
        word ^= word << 17;
        self.random.set(word);
        usize::try_from(word % below as u64).unwrap()
    }

    fn start_all(&self) {
        while let Some(dispatch) = self.program.borrow_mut().next(&Idle(self)) {
            let core = &mut self.cores.borrow_mut()[dispatch.core.0 as usize];
            assert!(core.running.is_none(), "{:?} is busy", dispatch.core);
            core.dispatches += 1;
            // A core finds its payload by the parity of the token alone.
            let payload = self.pairs[dispatch.core.0 as usize]
                + (core.dispatches & 1) * size_of::<DispatchPayload>() as u64;
            let KernelArgs::Device(args) = dispatch.args else { panic!("arguments are in memory") };
            assert_eq!(args.addr(), payload + DispatchPayload::ARGS_OFFSET);
            assert_eq!(ByAddress::read::<u64>(payload), self.launch.kernel_entry(dispatch.kernel));
            core.running = Some((dispatch.task, payload));
        }
    }

    /// Looks for what tasks wait for in memory; whether that has let any go on.
    fn poll(&self) -> bool {
        let mut program = self.program.borrow_mut();
        let before = program.completed();
        if program.awaits_memory() {
            self.ended.set(self.ended.get() + 1);
            program.poll_memory(DeviceTime(self.ended.get()));
        }
        program.completed() > before
    }

    /// Ends one of the running tasks; whether there was any.
    fn step(&self) -> bool {
        self.start_all();
        let running: Vec<usize> = {
            let cores = self.cores.borrow();
            (0..cores.len()).filter(|&core| cores[core].running.is_some()).collect()
        };
        if running.is_empty() {
            return self.poll();
        }
        let core = running[self.random(running.len())];
        let (task, payload) = self.cores.borrow_mut()[core].running.take().unwrap();
        let core = CoreId(u32::try_from(core).unwrap());
        let payload: DispatchPayload = ByAddress::read(payload);
        let kernel = self.device.kernels.lock().unwrap()[&payload.function_bin_addr].clone();
        kernel.call(&KernelContext::new(&ByAddress, task, core, &payload.args)).unwrap();
        self.ended.set(self.ended.get() + 1);
        self.program.borrow_mut().complete(task, core, DeviceTime(self.ended.get()));
        true
    }
}

impl Chip for Machine<'_> {
    fn tasks_added(&self) {
        // Sometimes tasks run at once, sometimes they pile up.
        if self.random(4) == 0 {
            self.step();
        }
    }

    fn progress(&self) -> u64 {
        self.ended.get()
    }

    fn wait_beyond(&self, seen: u64) -> bool {
        while self.ended.get() <= seen {
            if !self.step() {
                return false;
            }
        }
        true
    }
}

struct Idle<'a, 'b>(&'a Machine<'b>);

impl Cores for Idle<'_, '_> {
    fn topology(&self) -> Topology {
        self.0.topology
    }

    fn has_idle(&self, core_type: CoreType) -> bool {
        self.earliest_idle(core_type).is_some()
    }

    fn idle_since(&self, core: CoreId) -> Option<DeviceTime> {
        let core = self.0.cores.borrow()[core.0 as usize];
        core.running.is_none().then_some(DeviceTime(core.dispatches))
    }

    fn earliest_idle(&self, core_type: CoreType) -> Option<IdleCore> {
        let ids = self.0.topology.ids_of(core_type).map(CoreId);
        let idle = ids.filter_map(|core| Some(IdleCore { core, free_at: self.idle_since(core)? }));
        idle.min_by_key(|idle| idle.free_at)
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

#[derive(Debug)]
struct Ended(Result<DeviceOutcome, DeviceError>);

impl DeviceRun for Ended {
    fn poll(&mut self) -> bool {
        true
    }

    fn wait(self: Box<Self>) -> Result<DeviceOutcome, DeviceError> {
        self.0
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

    /// The header of a kernel, whose code is only an address here.
    fn register_kernel(
        &self,
        _name: &str,
        source: &KernelSource,
        signature: &[ArgDirection],
    ) -> Result<KernelHandle, DeviceError> {
        let KernelSource::Native(kernel) = source else { panic!("kernels here are Rust functions") };
        let mut header = CoreCallable::encode(signature, b"code").unwrap();
        let at = self.alloc(header.as_bytes().len())?;
        let entry = at.addr() + CORE_CALLABLE_BINARY_OFFSET as u64;
        header.set_resolved_addr(entry);
        self.copy_to_device(at, header.as_bytes())?;
        self.kernels.lock().unwrap().insert(entry, kernel.clone());
        Ok(KernelHandle(at.addr()))
    }

    fn unregister_kernel(&self, handle: KernelHandle) -> Result<(), DeviceError> {
        self.kernels.lock().unwrap().remove(&self.kernel_entry(handle));
        self.free(DevPtr::new(handle.0))
    }

    fn runs_images(&self) -> bool {
        true
    }

    fn program_generation(&self) -> u64 {
        self.generation.load(Ordering::Relaxed)
    }

    fn launch(&self, mut launch: Launch) -> Result<Box<dyn DeviceRun>, DeviceError> {
        let image = launch.program.take_image().expect("a program for this device has an image");
        let object = self.alloc(image.bytes)?;
        self.copy_to_device(object, &vec![0xa5; image.bytes])?;
        for (offset, part) in &image.parts {
            self.copy_to_device(DevPtr::new(object.addr() + *offset as u64), part)?;
        }
        *self.last_image.lock().unwrap() = Some(image);
        if let Some(tamper) = &*self.tamper.lock().unwrap() {
            tamper(object.addr());
        }
        let rc = self.execute(object.addr());
        self.free(object)?;
        Ok(Box::new(Ended(match rc {
            0 => Ok(DeviceOutcome { device_wall_ns: 1, program: launch.program }),
            rc => Err(DeviceError::Platform { call: "simpler_aicpu_exec", source: rc.to_string().into() }),
        })))
    }

    fn reset(&self) -> Result<(), DeviceError> {
        self.kernels.lock().unwrap().clear();
        self.memory.reset()
    }

    fn usage(&self) -> DeviceUsage {
        self.memory.usage()
    }
}

/// The library of tests/orchestrations.
pub fn interpreter() -> Arc<[u8]> {
    static BYTES: LazyLock<Arc<[u8]>> = LazyLock::new(|| {
        let cache = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("kernels");
        std::fs::create_dir_all(&cache).unwrap();
        let compiler = KernelCompiler::builder().cache_dir(cache).build().unwrap();
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/orchestrations/interpreter.cpp");
        let source = Source::orchestration(path, Runtime::TensormapAndRingbuffer).entry("interpret");
        compiler.compile(&source).unwrap().bytes.to_vec().into()
    });
    Arc::clone(&BYTES)
}

pub fn object(bytes: Arc<[u8]>, entry: &str, config: &str) -> OrchestrationSource {
    OrchestrationSource::Object { bytes, entry: entry.to_owned(), config: config.to_owned() }
}

/// c = a * 3 + b * 5 + scalar (+ c * 7): the elements of one lane of one block.
fn combine(kernel: &KernelContext<'_>, lane: usize, lanes: usize) -> Result<(), device_runner::KernelFault> {
    let (a, b) = (kernel.elements::<i64>(0)?, kernel.elements::<i64>(1)?);
    let mut c = kernel.elements::<i64>(2)?;
    let (scalar, overwrite) = (kernel.args()[3].cast_signed(), kernel.args()[4] != 0);
    let local = kernel.local_context()?;
    let (block, blocks) =
        (usize::try_from(local.block_idx).unwrap(), usize::try_from(local.block_num).unwrap());
    if lanes == 3 {
        assert_eq!(kernel.global_context()?.sub_block_id, i32::from(lane == 2));
    }
    for index in (block * lanes + lane..c.len()).step_by(blocks * lanes) {
        c[index] = combined(a[index], b[index], c[index], scalar, overwrite);
    }
    kernel.set_elements(2, &c)
}

pub fn combined(a: i64, b: i64, c: i64, scalar: i64, overwrite: bool) -> i64 {
    let kept = if overwrite { 0 } else { c.wrapping_mul(7) };
    a.wrapping_mul(3).wrapping_add(b.wrapping_mul(5)).wrapping_add(scalar).wrapping_add(kept)
}

/// The interpreter with its kernels.
pub fn callable(orchestration: OrchestrationSource) -> CallableSource {
    let kernel = |id: u32, name: &str, lane: usize, lanes: usize| {
        (id, NativeKernel::new(name, move |kernel| combine(kernel, lane, lanes)).into())
    };
    let kernels = vec![
        kernel(0, "whole", 0, 1),
        kernel(1, "lane 0", 0, 3),
        kernel(2, "lane 1", 1, 3),
        kernel(3, "lane 2", 2, 3),
    ];
    CallableSource::new(orchestration, kernels)
}

/// The header of the shared memory that the last image names, as offsets into it.
pub fn header_word(device: &ImageDevice, chip: &dyn Arch, member: &str) -> i32 {
    let base: u64 = device.member("gm_sm_ptr_");
    ByAddress::read(base + offset(chip, "PTO2SharedMemoryHeader", member) as u64)
}
