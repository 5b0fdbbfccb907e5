use std::path::Path;
use std::sync::Arc;

use device_runner::{
    CallableId, CallableSource, DevPtr, DeviceRunner, DlopenCounts, PreparedRun, ResourceReport, RunOutcome,
};
use host_library::{Companions, HostContext, HostLibrary, LibraryFiles};
use task_interface::{CallConfig, ChipCallable};

use crate::args::Args;
use crate::builder::ChipWorkerBuilder;
use crate::error::WorkerError;
use crate::loaded::{LoadedRunner, image};
use crate::platform::{Platform, RuntimeKind};
use crate::purpose;

/// One chip in use: registers callables and runs them.
///
/// What runs them is either part of this program ([`builder`](Self::builder)) or a library that is loaded
/// ([`load`](Self::load)); the methods are the same.
///
/// Any number may exist in a process, of any platforms and device ids, used from any threads. Runs of one
/// worker take place one after the other. Dropping a worker gives everything back; [`close`](Self::close)
/// also tells of errors on the way.
///
/// Compiled kernels and orchestrations, and loaded libraries, are trusted like the program itself: they run in
/// its process.
#[derive(Debug)]
pub struct ChipWorker {
    pub(crate) engine: Engine,
    platform: Platform,
    runtime: RuntimeKind,
}

/// What does the work.
#[derive(Debug)]
pub(crate) enum Engine {
    Linked(Arc<DeviceRunner>),
    Loaded(Arc<LoadedRunner>),
}

impl ChipWorker {
    /// Begins to describe a worker.
    pub fn builder() -> ChipWorkerBuilder {
        ChipWorkerBuilder::default()
    }

    /// A worker whose runtime is a loaded `libhost_runtime.so`: any one that has the C API of
    /// `spec/public-abi.md`, section A.3.
    ///
    /// Platform and runtime are what the library says, or what its path in a `build/lib` tree says. The platform
    /// need not be part of this build of the crate.
    ///
    /// The calls of such a worker, and its runs, take place one after the other. Runs are not split into phases,
    /// callables are [`ChipCallable`]s of compiled objects, and whatever the C API does not tell is zero:
    /// [`RunOutcome::tasks`] and most of [`ResourceReport`]. Libraries of simpler-rs tell these by functions of
    /// their own. What a run does with host memory is the library's matter; inputs are copied before, as libraries
    /// write to them as well. So is how it ends: a library that never returns from a run is waited for without limit.
    ///
    /// ```no_run
    /// use chip_worker::{Args, CallConfig, ChipCallable, ChipWorker, Companions};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let folder = "build/lib/a2a3/sim/host_build_graph";
    /// let companions = Companions::programs(
    ///     format!("{folder}/libaicpu_kernel.so"),
    ///     format!("{folder}/libaicore_kernel.so"),
    /// )
    /// .log("build/lib/libsimpler_log.so")
    /// .sim_context("build/lib/libcpu_sim_context.so");
    /// let worker = ChipWorker::load(format!("{folder}/libhost_runtime.so"), &companions, 0)?;
    ///
    /// let callable = worker.register(&ChipCallable::from_bytes(std::fs::read("callable.bin")?)?)?;
    /// let (input, mut output) = ([1.0f32, 2.0], [0.0f32; 2]);
    /// let args = Args::new().input(&input, &[2])?.output(&mut output, &[2])?;
    /// let outcome = worker.run(&callable, &args, &CallConfig::default())?;
    /// println!("{:?} on the device", outcome.device_wall);
    /// worker.close()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`WorkerError::Library`] when a file is missing or cannot be loaded, or the device cannot be had;
    /// [`WorkerError::UntoldPurpose`] when it cannot be told what the library is for.
    pub fn load(
        library: impl AsRef<Path>,
        companions: &Companions,
        device: u32,
    ) -> Result<Self, WorkerError> {
        let library = HostLibrary::open(library, companions)?;
        let (platform, runtime) = purpose::find(&library)?;
        Self::with_library(library, companions, platform, runtime, device)
    }

    /// As [`load`](Self::load), for a library that does not tell what it is for.
    ///
    /// # Errors
    /// As [`load`](Self::load); [`WorkerError::OtherPurpose`] when the library says something else.
    pub fn load_as(
        library: impl AsRef<Path>,
        companions: &Companions,
        platform: Platform,
        runtime: RuntimeKind,
        device: u32,
    ) -> Result<Self, WorkerError> {
        let library = HostLibrary::open(library, companions)?;
        purpose::check(&library, platform, runtime)?;
        Self::with_library(library, companions, platform, runtime, device)
    }

    /// As [`load`](Self::load), with all files from a `build/lib` tree (`spec/public-abi.md`, section A.1).
    ///
    /// ```no_run
    /// use chip_worker::{ChipWorker, Platform, RuntimeKind};
    ///
    /// let worker = ChipWorker::load_from_tree("build/lib", Platform::A5Sim, RuntimeKind::HostBuildGraph, 0)?;
    /// # Ok::<(), chip_worker::WorkerError>(())
    /// ```
    ///
    /// # Errors
    /// As [`load_as`](Self::load_as). All files that are missing are named at once.
    pub fn load_from_tree(
        root: impl AsRef<Path>,
        platform: Platform,
        runtime: RuntimeKind,
        device: u32,
    ) -> Result<Self, WorkerError> {
        let (arch, variant) = platform.folders();
        let files = LibraryFiles::in_tree(root, arch, variant, runtime.name())?;
        Self::load_as(&files.library, &files.companions, platform, runtime, device)
    }

    pub(crate) fn new(runner: Arc<DeviceRunner>, platform: Platform, runtime: RuntimeKind) -> Self {
        Self { engine: Engine::Linked(runner), platform, runtime }
    }

    fn with_library(
        library: Arc<HostLibrary>,
        companions: &Companions,
        platform: Platform,
        runtime: RuntimeKind,
        device: u32,
    ) -> Result<Self, WorkerError> {
        let context = HostContext::open(library, device, &companions.read_programs()?, &companions.options)?;
        let engine = Engine::Loaded(Arc::new(LoadedRunner::new(context, platform)));
        Ok(Self { engine, platform, runtime })
    }

    /// The platform it was built for.
    #[must_use]
    pub fn platform(&self) -> Platform {
        self.platform
    }

    /// The runtime it was built for.
    #[must_use]
    pub fn runtime(&self) -> RuntimeKind {
        self.runtime
    }

    /// Whether its runtime is a loaded library.
    #[must_use]
    pub fn is_loaded(&self) -> bool {
        matches!(self.engine, Engine::Loaded(_))
    }

    /// Registers an encoded callable under the lowest free id.
    ///
    /// # Errors
    /// When a kernel or the orchestration cannot be loaded, or all 64 ids are taken. Nothing is kept then.
    pub fn register(&self, callable: &ChipCallable) -> Result<CallableHandle, WorkerError> {
        match &self.engine {
            Engine::Linked(_) => self.register_source(&CallableSource::from_image(callable)?),
            Engine::Loaded(runner) => Ok(CallableHandle::loaded(runner, runner.register(callable)?)),
        }
    }

    /// Registers a callable made of parts: compiled objects and Rust functions, as you like.
    ///
    /// A loaded library takes only what was made by [`CallableSource::from_image`].
    ///
    /// # Errors
    /// As [`register`](Self::register); [`WorkerError::LinkedOnly`].
    pub fn register_source(&self, source: &CallableSource) -> Result<CallableHandle, WorkerError> {
        match &self.engine {
            Engine::Linked(runner) => Ok(CallableHandle::linked(runner, runner.register(None, source)?)),
            Engine::Loaded(_) => self.register(image(source)?),
        }
    }

    /// Puts another callable in the place of a registered one. Runs under way keep the old one.
    ///
    /// A loaded library is asked to forget the old one before it gets the new one.
    ///
    /// # Errors
    /// As [`register_source`](Self::register_source); the old callable then stays, or else it is a
    /// [`WorkerError::NotPutBack`].
    pub fn replace(&self, handle: &mut CallableHandle, source: &CallableSource) -> Result<(), WorkerError> {
        match (&self.engine, &mut handle.registration) {
            (Engine::Linked(runner), Registration::Linked(owner, id)) if Arc::ptr_eq(runner, owner) => {
                *id = runner.replace(*id, source)?;
                Ok(())
            }
            (Engine::Loaded(runner), Registration::Loaded(owner, id)) if Arc::ptr_eq(runner, owner) => {
                runner.replace(*id, image(source)?)
            }
            _ => Err(WorkerError::ForeignHandle),
        }
    }

    /// Runs a callable and waits for the result.
    ///
    /// # Errors
    /// What went wrong; the tensors of `args` then keep the values they had, unless a loaded library does otherwise.
    pub fn run(
        &self,
        handle: &CallableHandle,
        args: &Args<'_>,
        config: &CallConfig,
    ) -> Result<RunOutcome, WorkerError> {
        match (&self.engine, &handle.registration) {
            (Engine::Linked(runner), Registration::Linked(owner, id)) if Arc::ptr_eq(runner, owner) => {
                Ok(runner.run(*id, args.lent(), config)?)
            }
            (Engine::Loaded(runner), Registration::Loaded(owner, id)) if Arc::ptr_eq(runner, owner) => {
                // Libraries copy all tensors back, and may do so while the run lasts.
                let (raw, _inputs) = args.with_own_inputs()?;
                runner.run(*id, &raw, config)
            }
            _ => Err(WorkerError::ForeignHandle),
        }
    }

    /// Builds the graph of a run, to be launched in a further step.
    ///
    /// # Errors
    /// What went wrong; nothing is kept then. [`WorkerError::LinkedOnly`] where a library was loaded.
    pub fn prepare<'a>(
        &self,
        handle: &CallableHandle,
        args: &'a Args<'_>,
        config: &CallConfig,
    ) -> Result<PreparedRun<'a>, WorkerError> {
        match (&self.engine, &handle.registration) {
            (Engine::Linked(runner), Registration::Linked(owner, id)) if Arc::ptr_eq(runner, owner) => {
                Ok(runner.prepare(*id, args.lent(), config)?)
            }
            (Engine::Loaded(_), _) => Err(WorkerError::LinkedOnly {
                what: "split a run into phases",
                instead: "use ChipWorker::run",
            }),
            _ => Err(WorkerError::ForeignHandle),
        }
    }

    /// Allocates device memory that lives until it is freed or the worker is closed. Its contents are undefined.
    ///
    /// # Errors
    /// When the device has no more.
    pub fn malloc(&self, bytes: usize) -> Result<DevPtr, WorkerError> {
        match &self.engine {
            Engine::Linked(runner) => {
                let _guard = runner.bind()?;
                Ok(runner.memory().alloc_unowned(bytes)?)
            }
            Engine::Loaded(runner) => runner.malloc(bytes),
        }
    }

    /// Frees device memory.
    ///
    /// # Errors
    /// When it was not allocated by this worker, or was freed before.
    pub fn free(&self, ptr: DevPtr) -> Result<(), WorkerError> {
        match &self.engine {
            Engine::Linked(runner) => {
                let _guard = runner.bind()?;
                Ok(runner.memory().free(ptr)?)
            }
            Engine::Loaded(runner) => runner.free(ptr),
        }
    }

    /// Copies host bytes to the device.
    ///
    /// # Errors
    /// When the range is not inside one live allocation or window of a rank.
    pub fn copy_to(&self, to: DevPtr, from: &[u8]) -> Result<(), WorkerError> {
        match &self.engine {
            Engine::Linked(runner) => {
                let _guard = runner.bind()?;
                Ok(runner.memory().copy_to_device(to, from)?)
            }
            Engine::Loaded(runner) => runner.copy_to(to, from),
        }
    }

    /// Copies device memory to the host.
    ///
    /// # Errors
    /// When the range is not inside one live allocation or window of a rank.
    pub fn copy_from(&self, to: &mut [u8], from: DevPtr) -> Result<(), WorkerError> {
        match &self.engine {
            Engine::Linked(runner) => {
                let _guard = runner.bind()?;
                Ok(runner.memory().copy_from_device(to, from)?)
            }
            Engine::Loaded(runner) => runner.copy_from(to, from),
        }
    }

    /// How often orchestrations were loaded.
    #[must_use]
    pub fn dlopen_counts(&self) -> DlopenCounts {
        match &self.engine {
            Engine::Linked(runner) => runner.dlopen_counts(),
            Engine::Loaded(runner) => runner.dlopen_counts(),
        }
    }

    /// What is held at the moment.
    ///
    /// Of a loaded library that does not tell: what went through this worker. Such a report waits for a run that
    /// is under way.
    #[must_use]
    pub fn report(&self) -> ResourceReport {
        match &self.engine {
            Engine::Linked(runner) => runner.report(),
            Engine::Loaded(runner) => runner.report(),
        }
    }

    /// Gives everything back; the report is what could not be, all zero if all is well.
    ///
    /// A loaded library is unloaded with its last worker.
    ///
    /// # Errors
    /// The first error met on the way; the worker is gone all the same.
    pub fn close(self) -> Result<ResourceReport, WorkerError> {
        self.engine.close()
    }
}

impl Engine {
    fn close(&self) -> Result<ResourceReport, WorkerError> {
        match self {
            Self::Linked(runner) => {
                runner.finalize()?;
                Ok(runner.report())
            }
            Self::Loaded(runner) => runner.close(),
        }
    }
}

impl Drop for ChipWorker {
    fn drop(&mut self) {
        if let Err(error) = self.engine.close() {
            log::error!("closing a worker: {error}");
        }
    }
}

/// A registered callable; dropping it unregisters.
#[derive(Debug)]
pub struct CallableHandle {
    registration: Registration,
}

#[derive(Debug)]
enum Registration {
    Linked(Arc<DeviceRunner>, CallableId),
    Loaded(Arc<LoadedRunner>, i32),
}

impl CallableHandle {
    fn linked(runner: &Arc<DeviceRunner>, id: CallableId) -> Self {
        Self { registration: Registration::Linked(Arc::clone(runner), id) }
    }

    fn loaded(runner: &Arc<LoadedRunner>, id: i32) -> Self {
        Self { registration: Registration::Loaded(Arc::clone(runner), id) }
    }

    /// Its id on the worker, 0 to 63.
    #[must_use]
    pub fn id(&self) -> i32 {
        match &self.registration {
            Registration::Linked(_, id) => id.index(),
            Registration::Loaded(_, id) => *id,
        }
    }
}

impl Drop for CallableHandle {
    fn drop(&mut self) {
        match &self.registration {
            Registration::Linked(runner, id) => runner.unregister(*id),
            Registration::Loaded(runner, id) => runner.unregister(*id),
        }
    }
}
