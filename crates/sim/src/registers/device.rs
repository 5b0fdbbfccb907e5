use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use collectors::Collection;
use device_runner::{
    Arch, CommRank, DevPtr, Device, DeviceError, DeviceImage, DeviceRun, DeviceUsage, GlobalMemory,
    KernelHandle, KernelSource, Launch, Programs,
};
use task_interface::records::flags;
use task_interface::{ArgDirection, CoreCallable};

use super::blocks::RegisterBlocks;
use super::crew::Crew;
use super::flight::Flight;
use super::programs::{LoadedPrograms, ProgramError};
use super::records::{self, RecordSpace};
use super::run::RegisterRun;
use super::{lock, note};
use crate::comm::{Jobs, SimRank};
use crate::device::MAX_ID;
use crate::identity;
use crate::kernels::KernelStore;
use crate::memory::AddressSpace;
use crate::options::SimOptions;

/// A simulated device that runs device programs. Any number may exist in a process, with equal ids or not; they share
/// nothing, not even the static data of equal programs.
#[derive(Debug)]
pub struct RegisterDevice {
    inner: Arc<Inner>,
    kernels: KernelStore,
    /// The address that programs call, by that of the header which a kernel is known by.
    entries: Mutex<BTreeMap<u64, KernelHandle>>,
}

/// What a device and its launches share.
#[derive(Debug)]
pub(super) struct Inner {
    id: u32,
    arch: &'static dyn Arch,
    options: SimOptions,
    programs: Programs,
    space: Arc<AddressSpace>,
    jobs: Arc<Jobs>,
    /// See [`Device::program_generation`].
    generation: AtomicU64,
    abandoned: Arc<AtomicUsize>,
    life: Mutex<Life>,
}

#[derive(Debug, Default)]
struct Life {
    // Declared before what they may call when they end.
    aicpu: Crew,
    cores: Crew,
    programs: Option<Arc<LoadedPrograms>>,
    registers: Option<Arc<RegisterBlocks>>,
    is_flying: bool,
    /// Whether the programs may not be what they were after they had been loaded.
    is_spoilt: bool,
    /// Why nothing can be launched any more.
    lost: Option<String>,
}

impl RegisterDevice {
    /// A device with these programs, which are for that chip and runtime. Threads are made when they are first needed.
    ///
    /// # Errors
    /// [`DeviceError::NoSuchDevice`] for an id that is not a C `int`; [`DeviceError::Platform`] for programs that say
    /// that they are for something else, cannot be loaded, or lack a function.
    pub fn open(
        id: u32,
        arch: &'static dyn Arch,
        runtime: &str,
        programs: Programs,
        options: SimOptions,
    ) -> Result<Self, DeviceError> {
        if id > MAX_ID {
            return Err(DeviceError::NoSuchDevice { id, available: format!("0 to {MAX_ID}") });
        }
        note::check(&programs, arch.name(), runtime).map_err(refused)?;
        let space = Arc::new(AddressSpace::new(options.memory_capacity));
        let (jobs, generation, abandoned) = (Arc::default(), AtomicU64::new(1), Arc::default());
        let life = Mutex::default();
        let inner = Arc::new(Inner { id, arch, options, programs, space, jobs, generation, abandoned, life });
        inner.make_ready(&mut lock(&inner.life))?;
        Ok(Self { inner, kernels: KernelStore::default(), entries: Mutex::default() })
    }

    fn copy_in(&self, bytes: &[u8]) -> Result<DevPtr, DeviceError> {
        let place = self.inner.space.alloc(bytes.len())?;
        self.inner.space.copy_to_device(place, bytes).inspect_err(|_| self.inner.free_or_log(place))?;
        Ok(place)
    }
}

fn refused(error: ProgramError) -> DeviceError {
    DeviceError::Platform { call: "taking device programs into use", source: Box::new(error) }
}

impl Inner {
    pub(super) fn watchdog(&self) -> Option<Duration> {
        self.options.watchdog
    }

    pub(super) fn jobs(&self) -> &Arc<Jobs> {
        &self.jobs
    }

    /// Makes what a launch needs and is not there.
    fn make_ready(&self, life: &mut Life) -> Result<(Arc<LoadedPrograms>, Arc<RegisterBlocks>), DeviceError> {
        if std::mem::take(&mut life.is_spoilt) {
            // A failed run can leave any state behind in a program, and with it another run would fail.
            (life.aicpu, life.cores) = Default::default();
            life.programs = None;
        }
        let registers = match &life.registers {
            Some(registers) => Arc::clone(registers),
            None => Arc::clone(life.registers.insert(Arc::new(RegisterBlocks::new(self.arch)?))),
        };
        let programs = match &life.programs {
            Some(programs) => Arc::clone(programs),
            None => {
                identity::make_hooks_global();
                let loaded = LoadedPrograms::load(&self.programs, self.arch).map_err(refused)?;
                Arc::clone(life.programs.insert(Arc::new(loaded)))
            }
        };
        Ok((programs, registers))
    }

    fn launch(self: &Arc<Self>, mut launch: Launch) -> Result<RegisterRun, DeviceError> {
        let mut life = lock(&self.life);
        if let Some(reason) = &life.lost {
            return Err(DeviceError::Unusable { reason: reason.clone() });
        }
        if life.is_flying {
            return Err(DeviceError::Busy);
        }
        let image = launch.program.take_image().ok_or(DeviceError::Unsupported {
            what: "a graph that only an engine can run",
            device: "a simulated device with programs of its own",
        })?;
        let (programs, registers) = self.make_ready(&mut life)?;
        life.aicpu.grow("sim-aicpu", self.arch.limits().launched_aicpu_threads)?;
        life.cores.grow("sim-aicore", launch.topology.cores())?;
        let memory = RecordSpace(Arc::clone(&self.space));
        let mut collection =
            Collection::open(memory, launch.recorder.as_ref()).map_err(records::device_error)?;
        collection.start().map_err(records::device_error)?;
        let places = *collection.places();
        let place = self.place(&image)?;
        registers.clear(launch.topology.cores());
        programs.set_up(&registers, &places);
        let flight = Arc::new(Flight::new(
            (programs, registers),
            (Arc::clone(&self.space), place),
            (launch.topology, launch.aicpu_threads, places),
            Arc::clone(&self.abandoned),
        ));
        life.aicpu.start(Flight::aicpu_jobs(&flight));
        life.cores.start(Flight::core_jobs(&flight));
        life.is_flying = true;
        Ok(RegisterRun::new(Arc::clone(self), flight, launch.program, collection))
    }

    /// Puts an image into memory that is zero elsewhere, as it is where programs come from.
    fn place(&self, image: &DeviceImage) -> Result<DevPtr, DeviceError> {
        let place = self.space.alloc(image.bytes)?;
        let filled = image.parts.iter().try_for_each(|(offset, part)| {
            let to = place.checked_add(*offset as u64).unwrap_or(DevPtr::NULL);
            self.space.copy_to_device(to, part)
        });
        filled.inspect_err(|_| self.free_or_log(place))?;
        Ok(place)
    }

    /// Ends a launch, whose threads are all back unless it is stuck.
    pub(super) fn land(&self, flight: &Flight, error: Option<&DeviceError>) {
        let mut life = lock(&self.life);
        let is_stuck = !flight.has_ended();
        if is_stuck {
            flight.give_up();
            life.aicpu.abandon();
            life.cores.abandon();
            (life.programs, life.registers) = (None, None);
        }
        self.free_or_log(flight.image);
        life.is_flying = false;
        if error.is_some() || flight.places.flags & flags::SWIMLANE != 0 {
            // Programs may hold on to the level of a swimlane, and record the next run into memory that is gone
            // (`spec/device-abi.md`, trap 20).
            life.is_spoilt = true;
            self.generation.fetch_add(1, Ordering::AcqRel);
        }
        if let Some(error) = error.filter(|error| error.leaves_device_unusable() || is_stuck) {
            life.lost.get_or_insert_with(|| error.to_string());
        }
    }

    fn free_or_log(&self, place: DevPtr) {
        if let Err(error) = self.space.free(place) {
            log::warn!("device memory is kept until the device is given back: {error}");
        }
    }
}

impl GlobalMemory for RegisterDevice {
    fn copy_to_device(&self, to: DevPtr, from: &[u8]) -> Result<(), DeviceError> {
        self.inner.space.copy_to_device(to, from)
    }

    fn copy_from_device(&self, to: &mut [u8], from: DevPtr) -> Result<(), DeviceError> {
        self.inner.space.copy_from_device(to, from)
    }
}

impl Device for RegisterDevice {
    fn id(&self) -> u32 {
        self.inner.id
    }

    fn bind_thread(&self) -> Result<(), DeviceError> {
        Ok(())
    }

    fn alloc(&self, bytes: usize) -> Result<DevPtr, DeviceError> {
        self.inner.space.alloc(bytes)
    }

    fn free(&self, ptr: DevPtr) -> Result<(), DeviceError> {
        self.inner.space.free(ptr)
    }

    fn register_kernel(
        &self,
        name: &str,
        source: &KernelSource,
        signature: &[ArgDirection],
    ) -> Result<KernelHandle, DeviceError> {
        let KernelSource::Object(binary) = source else {
            let device = "a simulated device with programs of its own";
            return Err(DeviceError::Unsupported { what: "a kernel written as a Rust function", device });
        };
        let not_loaded = |error| DeviceError::KernelLoad { name: name.to_owned(), source: Box::new(error) };
        let mut callable = CoreCallable::encode(signature, binary).map_err(not_loaded)?;
        let entry = self.kernels.register(name, source)?;
        // In simulation the address to call is that of the function itself (`spec/device-abi.md`, section 7.2).
        callable.set_resolved_addr(entry.0);
        let header = self.copy_in(callable.as_bytes()).inspect_err(|_| {
            let _ = self.kernels.unregister(entry);
        })?;
        lock(&self.entries).insert(header.addr(), entry);
        Ok(KernelHandle(header.addr()))
    }

    fn unregister_kernel(&self, handle: KernelHandle) -> Result<(), DeviceError> {
        let known = lock(&self.entries).remove(&handle.0);
        let entry = known.ok_or(DeviceError::UnknownKernel { handle: handle.0 })?;
        self.kernels.unregister(entry).and(self.free(DevPtr::new(handle.0)))
    }

    fn runs_images(&self) -> bool {
        true
    }

    fn takes_records(&self) -> bool {
        true
    }

    fn kernel_entry(&self, kernel: KernelHandle) -> u64 {
        lock(&self.entries).get(&kernel.0).map_or(0, |entry| entry.0)
    }

    fn program_generation(&self) -> u64 {
        self.inner.generation.load(Ordering::Acquire)
    }

    fn join(&self, rank: u32, ranks: u32, path: &Path) -> Result<Box<dyn CommRank>, DeviceError> {
        let Inner { space, jobs, options, .. } = &*self.inner;
        Ok(Box::new(SimRank::join(space, jobs, options.comm_limit, rank, ranks, path)?))
    }

    fn launch(&self, launch: Launch) -> Result<Box<dyn DeviceRun>, DeviceError> {
        Ok(Box::new(self.inner.launch(launch)?))
    }

    fn reset(&self) -> Result<(), DeviceError> {
        let mut life = lock(&self.inner.life);
        if life.is_flying {
            return Err(DeviceError::Busy);
        }
        *life = Life::default();
        self.inner.generation.fetch_add(1, Ordering::AcqRel);
        self.inner.space.free_all();
        self.kernels.clear();
        lock(&self.entries).clear();
        Ok(())
    }

    fn usage(&self) -> DeviceUsage {
        let (allocations, bytes) = self.inner.space.in_use();
        let life = lock(&self.inner.life);
        DeviceUsage {
            allocations,
            bytes,
            kernels: self.kernels.len(),
            threads: life.aicpu.len() + life.cores.len(),
            abandoned_threads: self.inner.abandoned.load(Ordering::Acquire),
        }
    }
}
