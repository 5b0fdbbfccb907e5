use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, PoisonError, TryLockError};
use std::time::Instant;

use task_interface::{CallConfig, ChipCallable, ChipStorageTaskArgs};

use crate::arch::{Arch, Topology};
use crate::arena::{ArenaSizes, StaticArenas};
use crate::args::RunArgs;
use crate::binding::BindGuard;
use crate::callable::{Callable, CallableCaches, CallableSource, UploadedImage};
use crate::comm::Communicators;
use crate::dev_ptr::DevPtr;
use crate::device::Device;
use crate::diagnostics::{Recorder, Request, Spare};
use crate::error::{DeferredErrors, DeviceError, RunnerError};
use crate::guarded::GuardedDevice;
use crate::life::{Life, Ticket, Work};
use crate::memory::Memory;
use crate::phases::{Parts, PreparedRun, RunClock, RunOutcome};
use crate::registry::{CallableId, DlopenCounts, Registry};
use crate::report::ResourceReport;
use crate::sync::lock;
use crate::variant::{ImageTarget, RunContext, RuntimeVariant, Target};

/// One device context: a chip, a device and a variant, with everything that belongs to them.
///
/// Any number may exist in a process. All methods may be called from any thread. Dropping the last reference
/// closes it as [`finalize`](Self::finalize) does.
pub struct DeviceRunner {
    arch: &'static dyn Arch,
    variant: Box<dyn RuntimeVariant>,
    device: Arc<dyn Device>,
    memory: Arc<Memory>,
    arenas: StaticArenas,
    caches: CallableCaches,
    registry: Registry,
    /// Callables uploaded through `HostApi`, which has no call to give them back.
    host_uploads: Mutex<BTreeMap<DevPtr, UploadedImage>>,
    communicators: Communicators,
    deferred: DeferredErrors,
    life: Arc<Life>,
    /// Whether everything was given back; locked while that is being done.
    closed: Mutex<bool>,
    /// Memory of what earlier runs have recorded.
    spare_records: Spare,
    on_device: Mutex<Occupant>,
    device_free: Condvar,
}

impl fmt::Debug for DeviceRunner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceRunner")
            .field("arch", &self.arch.name())
            .field("variant", &self.variant.name())
            .field("device", &self.device.id())
            .finish_non_exhaustive()
    }
}

impl DeviceRunner {
    /// Takes a device into use.
    ///
    /// # Errors
    /// The device's, when it cannot be bound.
    pub fn attach(
        arch: &'static dyn Arch,
        variant: Box<dyn RuntimeVariant>,
        device: Arc<dyn Device>,
    ) -> Result<Arc<Self>, RunnerError> {
        let deferred = DeferredErrors::default();
        let device: Arc<dyn Device> = GuardedDevice::new(device, deferred.clone());
        device.bind_thread()?;
        let memory = Memory::new(Arc::clone(&device), deferred.clone());
        Ok(Arc::new(Self {
            arch,
            variant,
            arenas: StaticArenas::new(Arc::clone(&memory), deferred.clone()),
            caches: CallableCaches::new(Arc::clone(&device), Arc::clone(&memory), deferred.clone()),
            registry: Registry::default(),
            host_uploads: Mutex::default(),
            device,
            memory,
            communicators: Communicators::default(),
            deferred,
            life: Arc::default(),
            closed: Mutex::new(false),
            spare_records: Spare::default(),
            on_device: Mutex::new(Occupant::None),
            device_free: Condvar::new(),
        }))
    }

    /// The chip.
    pub fn arch(&self) -> &'static dyn Arch {
        self.arch
    }

    /// The runtime variant.
    pub fn variant(&self) -> &dyn RuntimeVariant {
        self.variant.as_ref()
    }

    /// Device memory.
    pub fn memory(&self) -> &Arc<Memory> {
        &self.memory
    }

    /// The three pooled regions.
    pub fn arenas(&self) -> &StaticArenas {
        &self.arenas
    }

    pub(crate) fn communicators(&self) -> &Communicators {
        &self.communicators
    }

    pub(crate) fn device(&self) -> &Arc<dyn Device> {
        &self.device
    }

    /// Binds this runner to the calling thread until the guard is dropped.
    ///
    /// # Errors
    /// [`RunnerError::Closed`], or the device's.
    pub fn bind(self: &Arc<Self>) -> Result<BindGuard, RunnerError> {
        self.check_open()?;
        self.device.bind_thread()?;
        Ok(self.bind_always())
    }

    /// Binds for a clean-up, which has to go on whatever the device says.
    pub(crate) fn bind_always(self: &Arc<Self>) -> BindGuard {
        BindGuard::new(Arc::clone(self))
    }

    pub(crate) fn check_open(&self) -> Result<(), RunnerError> {
        self.life.check_open()
    }

    pub(crate) fn check_usable(&self) -> Result<(), RunnerError> {
        self.life.check_usable()
    }

    /// Begins new work, if it may start; surfaces an error that an earlier drop met.
    pub(crate) fn start(&self, work: Work) -> Result<Ticket, RunnerError> {
        let ticket = self.life.enter(work)?;
        self.life.check_usable()?;
        match self.deferred.take_first() {
            Some(error) => Err(RunnerError::Deferred(error)),
            None => Ok(ticket),
        }
    }

    /// Notes whether an error of the device makes it unusable.
    pub(crate) fn note(&self, error: DeviceError) -> RunnerError {
        if error.leaves_device_unusable() {
            self.life.make_unusable(error.to_string());
        }
        error.into()
    }

    /// After a launch that failed, and of which the variant knows why.
    pub(crate) fn recover(&self) {
        if self.check_usable().is_ok() {
            return;
        }
        match self.device.recover() {
            Ok(()) => self.life.make_usable(),
            Err(error) => log::warn!("the device stays unusable: {error}"),
        }
    }

    pub(crate) fn count_launch(&self, callable: &Callable) {
        self.registry.count_launch(callable);
    }

    /// Makes a callable ready and enters it under `id`, or under the lowest free id.
    ///
    /// # Errors
    /// [`RunnerError`]; nothing is kept of a callable that could not be registered.
    pub fn register(
        self: &Arc<Self>,
        id: Option<i32>,
        source: &CallableSource,
    ) -> Result<CallableId, RunnerError> {
        let _ticket = self.start(Work::Call)?;
        if let Some(id) = id {
            self.registry.check_free(id)?;
        }
        let _guard = self.bind()?;
        let callable = self.caches.prepare(self.variant(), source)?;
        self.registry.insert(id, callable)
    }

    /// Puts another callable in the place of `id`, in one step. Runs under way keep the old one.
    ///
    /// # Errors
    /// [`RunnerError`]; the old callable stays registered.
    pub fn replace(
        self: &Arc<Self>,
        id: CallableId,
        source: &CallableSource,
    ) -> Result<CallableId, RunnerError> {
        let _ticket = self.start(Work::Call)?;
        self.registry.get(id)?;
        let _guard = self.bind()?;
        let callable = self.caches.prepare(self.variant(), source)?;
        self.registry.replace(id, callable).map(|(id, _old)| id)
    }

    /// Forgets a callable. Runs under way keep it until they end. Unknown ids are fine.
    pub fn unregister(self: &Arc<Self>, id: CallableId) {
        // A closed runner has none.
        let Ok(_ticket) = self.life.enter(Work::Call) else { return };
        let _guard = self.bind_always();
        drop(self.registry.remove(id));
    }

    /// The registration that a bare id stands for at the moment.
    ///
    /// # Errors
    /// [`RunnerError::UnknownCallable`].
    pub fn find(&self, id: i32) -> Result<CallableId, RunnerError> {
        self.registry.find(id).ok_or(RunnerError::UnknownCallable { id })
    }

    /// How often orchestrations were loaded.
    pub fn dlopen_counts(&self) -> DlopenCounts {
        self.registry.counts()
    }

    pub(crate) fn upload_chip_callable(
        &self,
        callable: &ChipCallable,
    ) -> Result<Option<DevPtr>, RunnerError> {
        let _ticket = self.life.enter(Work::Call)?;
        let Some(uploaded) = self.caches.upload_image(callable)? else { return Ok(None) };
        let address = uploaded.address();
        lock(&self.host_uploads).entry(address).or_insert(uploaded);
        Ok(Some(address))
    }

    /// Builds the graph of a run and stages its inputs.
    ///
    /// `'a` ties the run to the arguments; host memory they name must be valid until the run ends.
    ///
    /// # Errors
    /// [`RunnerError`]; everything taken so far is given back.
    pub fn prepare<'a>(
        self: &Arc<Self>,
        id: CallableId,
        args: impl Into<RunArgs<'a>>,
        config: &CallConfig,
    ) -> Result<PreparedRun<'a>, RunnerError> {
        let started = Instant::now();
        let args = args.into();
        let ticket = self.start(Work::Run)?;
        config.validate()?;
        let request = self.request(config)?;
        self.arch.resolve_block_dim(config.block_dim)?;
        let aicpu_threads = self.arch.resolve_aicpu_threads(config.aicpu_thread_num)?;
        self.check_args(args.raw())?;
        let callable = self.registry.get(id)?;
        let _guard = self.bind()?;
        let topology = Topology::new(self.resolve_block_dim(config.block_dim)?);
        let recorder = request.map(|request| {
            let spare = &self.spare_records;
            Recorder::new(request, self.arch, topology, aicpu_threads, &self.memory, spare)
        });
        let context = RunContext {
            memory: &self.memory,
            kernels: &callable.kernels,
            topology,
            arch: self.arch,
            arenas: &self.arenas,
            read_only: args.lent(),
            target: self.target(id, aicpu_threads),
            recorder: recorder.as_ref(),
        };
        let bound = callable.orchestration.bind(&context, args.raw())?;
        let runner = Arc::clone(self);
        let clock = RunClock::prepared(started);
        Ok(PreparedRun::new(Parts {
            bound,
            callable,
            ticket,
            runner,
            topology,
            aicpu_threads,
            recorder,
            clock,
        }))
    }

    /// What the run is to record.
    fn request(&self, config: &CallConfig) -> Result<Option<Request>, RunnerError> {
        let request = Request::new(config, self.arch.diagnostics())?;
        if !self.device.runs_images() {
            return Ok(request);
        }
        let takes_records = self.device.takes_records();
        request.map(|request| request.by_device_programs(takes_records)).transpose()
    }

    fn resolve_block_dim(&self, requested: i32) -> Result<u32, RunnerError> {
        let chip_max = self.arch.limits().max_block_dim;
        let max = self.device.max_block_dim(chip_max).map_err(|error| self.note(error))?.min(chip_max);
        let block_dim = self.arch.resolve_block_dim(requested)?;
        match requested {
            0 => Ok(max),
            _ if block_dim > max => Err(RunnerError::BlockDim { requested, max, arch: self.arch.name() }),
            _ => Ok(block_dim),
        }
    }

    fn target(&self, id: CallableId, aicpu_threads: u32) -> Target<'_> {
        if !self.device.runs_images() {
            return Target::Engine;
        }
        Target::Image(ImageTarget::new(self.device.as_ref(), aicpu_threads, id.index()))
    }

    /// Tensors that claim to be on the device must be: kernels follow these addresses unchecked.
    fn check_args(&self, args: &ChipStorageTaskArgs) -> Result<(), RunnerError> {
        args.used_scalars()?;
        for (index, tensor) in args.used_tensors()?.iter().enumerate() {
            let bytes = tensor.nbytes().map_err(|source| RunnerError::Tensor { index, source })?;
            let ptr = DevPtr::new(tensor.data);
            if tensor.is_child_memory() && !self.memory.contains(ptr, bytes) {
                return Err(RunnerError::DeviceTensor { index, ptr, bytes });
            }
        }
        Ok(())
    }

    /// A whole run: prepare, launch, wait, finish. Waits for its turn when other threads run as well.
    ///
    /// # Errors
    /// Those of each phase.
    pub fn run<'a>(
        self: &Arc<Self>,
        id: CallableId,
        args: impl Into<RunArgs<'a>>,
        config: &CallConfig,
    ) -> Result<RunOutcome, RunnerError> {
        let prepared = self.prepare(id, args, config)?;
        prepared.launch_when_free()?.finish()
    }

    /// Gives everything back: callables, arenas, memory, and what the device itself holds.
    ///
    /// Every step is attempted; the first error is returned. Calling it again retries what the device
    /// could not give back, and does nothing once all is given back.
    ///
    /// # Errors
    /// [`DeviceError::Busy`] while a run, a registration or another call of this is under way; otherwise the
    /// first clean-up error.
    pub fn finalize(self: &Arc<Self>) -> Result<(), RunnerError> {
        let _guard = self.bind_always();
        self.close()
    }

    fn close(&self) -> Result<(), RunnerError> {
        // Not waited for: the other caller may be further up on this very thread.
        let mut closed = match self.closed.try_lock() {
            Ok(closed) => closed,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return Err(DeviceError::Busy.into()),
        };
        if *closed {
            return Ok(());
        }
        self.life.close()?;
        self.communicators.close();
        self.memory.close();
        let uploads = std::mem::take(&mut *lock(&self.host_uploads));
        drop(uploads);
        self.registry.clear();
        self.caches.clear();
        let arenas = self.arenas.setup(ArenaSizes::default());
        let memory = self.memory.release_all();
        let bound = self.device.bind_thread();
        let reset = self.device.reset();
        // What could not be freed one by one went with the reset.
        *closed = reset.is_ok();
        let deferred = self.deferred.take_all();
        arenas.and(memory).and(bound).and(reset)?;
        deferred.map_or(Ok(()), |error| Err(RunnerError::Deferred(error)))
    }

    /// What is held at the moment.
    pub fn report(&self) -> ResourceReport {
        let (allocations, bytes) = self.memory.in_use();
        let (communicators, windows) = self.communicators.count();
        ResourceReport {
            communicators,
            windows,
            allocations,
            bytes,
            arenas: self.arenas.committed(),
            callables: self.registry.len(),
            kernels: self.caches.kernels.len(),
            images: self.caches.images.len(),
            orchestrations: self.caches.orchestrations.len(),
            runs: self.life.runs(),
            deferred_errors: self.deferred.len(),
            device: self.device.usage(),
        }
    }
}

impl Drop for DeviceRunner {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            log::error!("closing a runner: {error}");
        }
    }
}

/// Who is on the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Occupant {
    None,
    /// A [`DeviceRunner::run`], which ends by itself: others may wait for it.
    Run,
    /// An [`ActiveRun`](crate::ActiveRun) in a client's hands: waiting for it could wait for oneself.
    Client,
}

/// The right to be on the device; one run has it at a time.
pub(crate) struct LaunchSlot(Arc<DeviceRunner>);

impl LaunchSlot {
    /// Takes the slot for a client's own run, if it is free.
    pub(crate) fn claim(runner: &Arc<DeviceRunner>) -> Result<Self, DeviceError> {
        let mut occupant = lock(&runner.on_device);
        if *occupant != Occupant::None {
            return Err(DeviceError::Busy);
        }
        *occupant = Occupant::Client;
        Ok(Self(Arc::clone(runner)))
    }

    /// Takes the slot for a whole run, after those of other threads.
    pub(crate) fn wait(runner: &Arc<DeviceRunner>) -> Result<Self, DeviceError> {
        let mut occupant = lock(&runner.on_device);
        while *occupant == Occupant::Run {
            occupant = runner.device_free.wait(occupant).unwrap_or_else(PoisonError::into_inner);
        }
        if *occupant == Occupant::Client {
            return Err(DeviceError::Busy);
        }
        *occupant = Occupant::Run;
        Ok(Self(Arc::clone(runner)))
    }
}

impl Drop for LaunchSlot {
    fn drop(&mut self) {
        *lock(&self.0.on_device) = Occupant::None;
        // All waiters look again: one of them takes the slot, and the rest must see a client's run.
        self.0.device_free.notify_all();
    }
}
