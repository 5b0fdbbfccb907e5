//! A device whose launches run the built programs on threads of this process, with plain memory for registers.
#![allow(dead_code, reason = "each test file uses a part")]

mod launch;
mod memory;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Instant;

use device_runner::{
    Arch, DevPtr, Device, DeviceError, DeviceOutcome, DeviceRun, DeviceRunner, DeviceUsage, GlobalMemory,
    KernelHandle, KernelSource, Launch, RuntimeVariant,
};
use kernel_compiler::{CoreType, KernelCompiler, Source};
use object_loader::SharedObject;
use task_interface::{ArgDirection, CoreCallable};

pub(crate) use launch::{Entries, Fault, Registers};
use memory::HostMemory;

pub(crate) static CHIPS: [&dyn Arch; 2] = [&arch_a2a3::CHIP, &arch_a5::CHIP];

/// How the programs are entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// As CANN does it, with `KernelArgs`.
    Onboard,
    /// As the contract's simulator does it (`spec/device-abi.md`, section 7.2).
    Simulated,
}

/// A kernel from C++, compiled.
pub(crate) fn kernel(source: &str) -> KernelSource {
    static COMPILER: OnceLock<KernelCompiler> = OnceLock::new();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("kernel.cpp");
    std::fs::write(&file, source).unwrap();
    let compiler = COMPILER.get_or_init(|| KernelCompiler::new().unwrap());
    let object =
        compiler.compile(&Source::kernel(file, CoreType::Aiv)).unwrap_or_else(|error| panic!("{error}"));
    KernelSource::Object(object.bytes)
}

#[derive(Debug)]
pub(crate) struct ProgramDevice {
    chip: &'static dyn Arch,
    mode: Mode,
    entries: Arc<Entries>,
    memory: HostMemory,
    kernels: Mutex<HashMap<KernelHandle, Kernel>>,
    /// Kept between runs, with what the last one left in it.
    image: Mutex<Option<DevPtr>>,
    pub(crate) fault: Mutex<Option<Fault>>,
    /// Those of the last launch.
    pub(crate) registers: Mutex<Option<Registers>>,
}

/// A kernel's image in device memory, and its code where it is loaded for the device.
#[derive(Debug)]
struct Kernel {
    entry: u64,
    _loaded: Option<SharedObject>,
}

impl ProgramDevice {
    pub(crate) fn new(chip: &'static dyn Arch, runtime: &str, mode: Mode) -> Arc<Self> {
        let programs = device_programs::build(chip.name(), runtime).unwrap_or_else(|error| panic!("{error}"));
        Arc::new(Self {
            chip,
            mode,
            entries: Arc::new(Entries::load(&programs)),
            memory: HostMemory::default(),
            kernels: Mutex::default(),
            image: Mutex::default(),
            fault: Mutex::default(),
            registers: Mutex::default(),
        })
    }

    pub(crate) fn runner(self: &Arc<Self>, variant: Box<dyn RuntimeVariant>) -> Arc<DeviceRunner> {
        DeviceRunner::attach(self.chip, variant, Arc::clone(self) as Arc<dyn Device>).unwrap()
    }

    fn image(&self, bytes: usize) -> DevPtr {
        let mut image = self.image.lock().unwrap();
        *image.get_or_insert_with(|| self.memory.alloc(bytes))
    }
}

impl GlobalMemory for ProgramDevice {
    fn copy_to_device(&self, to: DevPtr, from: &[u8]) -> Result<(), DeviceError> {
        self.memory.copy_to_device(to, from)
    }

    fn copy_from_device(&self, to: &mut [u8], from: DevPtr) -> Result<(), DeviceError> {
        self.memory.copy_from_device(to, from)
    }
}

impl Device for ProgramDevice {
    fn id(&self) -> u32 {
        0
    }

    fn bind_thread(&self) -> Result<(), DeviceError> {
        Ok(())
    }

    fn alloc(&self, bytes: usize) -> Result<DevPtr, DeviceError> {
        Ok(self.memory.alloc(bytes))
    }

    fn free(&self, ptr: DevPtr) -> Result<(), DeviceError> {
        self.memory.free(ptr);
        Ok(())
    }

    fn register_kernel(
        &self,
        name: &str,
        source: &KernelSource,
        signature: &[ArgDirection],
    ) -> Result<KernelHandle, DeviceError> {
        let KernelSource::Object(bytes) = source else { panic!("only compiled kernels") };
        let mut callable = CoreCallable::encode(signature, bytes).unwrap();
        let header = self.memory.alloc(callable.as_bytes().len());
        let loaded = (self.mode == Mode::Simulated).then(|| SharedObject::load(name, bytes).unwrap());
        let entry = loaded
            .as_ref()
            .map_or(header.addr() + 128, |object| object.symbol_address("kernel_entry").unwrap().as_u64());
        callable.set_resolved_addr(entry);
        self.memory.copy_to_device(header, callable.as_bytes())?;
        let handle = KernelHandle(header.addr());
        self.kernels.lock().unwrap().insert(handle, Kernel { entry, _loaded: loaded });
        Ok(handle)
    }

    fn unregister_kernel(&self, handle: KernelHandle) -> Result<(), DeviceError> {
        self.kernels.lock().unwrap().remove(&handle).expect("a registered kernel");
        self.memory.free(DevPtr::new(handle.0));
        Ok(())
    }

    fn runs_images(&self) -> bool {
        true
    }

    fn kernel_entry(&self, kernel: KernelHandle) -> u64 {
        self.kernels.lock().unwrap()[&kernel].entry
    }

    fn launch(&self, mut launch: Launch) -> Result<Box<dyn DeviceRun>, DeviceError> {
        let image = launch.program.take_image().expect("a program for this device has an image");
        let runtime = self.image(image.bytes);
        for (offset, part) in &image.parts {
            self.memory.copy_to_device(runtime.checked_add(*offset as u64).unwrap(), part)?;
        }
        let registers = Registers::new(self.chip, self.mode, launch.topology);
        *self.registers.lock().unwrap() = Some(registers.clone());
        let fault = *self.fault.lock().unwrap();
        let started = Instant::now();
        let running = self.entries.start(self.chip, self.mode, &launch, runtime, &registers, fault);
        Ok(Box::new(ProgramRun { running, launch, started }))
    }

    fn reset(&self) -> Result<(), DeviceError> {
        if let Some(image) = self.image.lock().unwrap().take() {
            self.memory.free(image);
        }
        Ok(())
    }

    fn usage(&self) -> DeviceUsage {
        let (allocations, bytes) = self.memory.in_use();
        DeviceUsage {
            allocations,
            bytes,
            kernels: self.kernels.lock().unwrap().len(),
            ..DeviceUsage::default()
        }
    }
}

#[derive(Debug)]
struct ProgramRun {
    running: launch::Running,
    launch: Launch,
    started: Instant,
}

impl DeviceRun for ProgramRun {
    fn poll(&mut self) -> bool {
        true
    }

    fn wait(self: Box<Self>) -> Result<DeviceOutcome, DeviceError> {
        let (codes, wall) = self.running.join();
        let longest = u64::try_from(self.started.elapsed().as_nanos()).unwrap();
        if let Some(code) = codes.into_iter().find(|&code| code != 0) {
            let source = format!("code {code}").into();
            return Err(DeviceError::Platform { call: "simpler_aicpu_exec", source });
        }
        if let Some(wall) = wall {
            assert!((1..=longest).contains(&wall), "{wall} of {longest} ns");
        }
        Ok(DeviceOutcome { device_wall_ns: wall.unwrap_or(1), program: self.launch.program })
    }
}
