use std::sync::Arc;

use device_runner::{
    CallableId, CallableSource, DevPtr, DeviceRunner, DlopenCounts, PreparedRun, ResourceReport, RunOutcome,
};
use task_interface::{CallConfig, ChipCallable};

use crate::args::Args;
use crate::builder::ChipWorkerBuilder;
use crate::error::WorkerError;
use crate::platform::{Platform, RuntimeKind};

/// One chip in use: registers callables and runs them.
///
/// Any number may exist in a process, of any platforms and device ids, used from any threads. Runs of one
/// worker take place one after the other. Dropping a worker gives everything back; [`close`](Self::close)
/// also tells of errors on the way.
///
/// Compiled kernels and orchestrations are trusted like the program itself: they run in its process.
#[derive(Debug)]
pub struct ChipWorker {
    runner: Arc<DeviceRunner>,
    platform: Platform,
    runtime: RuntimeKind,
}

impl ChipWorker {
    /// Begins to describe a worker.
    pub fn builder() -> ChipWorkerBuilder {
        ChipWorkerBuilder::default()
    }

    pub(crate) fn new(runner: Arc<DeviceRunner>, platform: Platform, runtime: RuntimeKind) -> Self {
        Self { runner, platform, runtime }
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

    /// Registers an encoded callable under the lowest free id.
    ///
    /// # Errors
    /// When a kernel or the orchestration cannot be loaded, or all 64 ids are taken. Nothing is kept then.
    pub fn register(&self, callable: &ChipCallable) -> Result<CallableHandle, WorkerError> {
        self.register_source(&CallableSource::from_image(callable)?)
    }

    /// Registers a callable made of parts: compiled objects and Rust functions, as you like.
    ///
    /// # Errors
    /// As [`register`](Self::register).
    pub fn register_source(&self, source: &CallableSource) -> Result<CallableHandle, WorkerError> {
        let id = self.runner.register(None, source)?;
        Ok(CallableHandle { runner: Arc::clone(&self.runner), id })
    }

    /// Puts another callable in the place of a registered one. Runs under way keep the old one.
    ///
    /// # Errors
    /// As [`register`](Self::register); the old callable then stays.
    pub fn replace(&self, handle: &mut CallableHandle, source: &CallableSource) -> Result<(), WorkerError> {
        self.check(handle)?;
        handle.id = self.runner.replace(handle.id, source)?;
        Ok(())
    }

    /// Runs a callable and waits for the result.
    ///
    /// # Errors
    /// What went wrong; the tensors of `args` then keep the values they had.
    pub fn run(
        &self,
        handle: &CallableHandle,
        args: &Args<'_>,
        config: &CallConfig,
    ) -> Result<RunOutcome, WorkerError> {
        self.check(handle)?;
        Ok(self.runner.run(handle.id, args.as_raw(), config)?)
    }

    /// Builds the graph of a run, to be launched in a further step.
    ///
    /// # Errors
    /// What went wrong; nothing is kept then.
    pub fn prepare<'a>(
        &self,
        handle: &CallableHandle,
        args: &'a Args<'_>,
        config: &CallConfig,
    ) -> Result<PreparedRun<'a>, WorkerError> {
        self.check(handle)?;
        Ok(self.runner.prepare(handle.id, args.as_raw(), config)?)
    }

    fn check(&self, handle: &CallableHandle) -> Result<(), WorkerError> {
        if Arc::ptr_eq(&handle.runner, &self.runner) { Ok(()) } else { Err(WorkerError::ForeignHandle) }
    }

    /// Allocates device memory that lives until it is freed or the worker is closed. Its contents are undefined.
    ///
    /// # Errors
    /// When the device has no more.
    pub fn malloc(&self, bytes: usize) -> Result<DevPtr, WorkerError> {
        let _guard = self.runner.bind()?;
        Ok(self.runner.memory().alloc_unowned(bytes)?)
    }

    /// Frees device memory.
    ///
    /// # Errors
    /// When it was not allocated by this worker, or was freed before.
    pub fn free(&self, ptr: DevPtr) -> Result<(), WorkerError> {
        let _guard = self.runner.bind()?;
        Ok(self.runner.memory().free(ptr)?)
    }

    /// Copies host bytes to the device.
    ///
    /// # Errors
    /// When the range is not inside one live allocation.
    pub fn copy_to(&self, to: DevPtr, from: &[u8]) -> Result<(), WorkerError> {
        let _guard = self.runner.bind()?;
        Ok(self.runner.memory().copy_to_device(to, from)?)
    }

    /// Copies device memory to the host.
    ///
    /// # Errors
    /// When the range is not inside one live allocation.
    pub fn copy_from(&self, to: &mut [u8], from: DevPtr) -> Result<(), WorkerError> {
        let _guard = self.runner.bind()?;
        Ok(self.runner.memory().copy_from_device(to, from)?)
    }

    /// How often orchestrations were loaded.
    #[must_use]
    pub fn dlopen_counts(&self) -> DlopenCounts {
        self.runner.dlopen_counts()
    }

    /// What is held at the moment.
    #[must_use]
    pub fn report(&self) -> ResourceReport {
        self.runner.report()
    }

    /// Gives everything back; the report is what could not be, all zero if all is well.
    ///
    /// # Errors
    /// The first error met on the way; the worker is gone all the same.
    pub fn close(self) -> Result<ResourceReport, WorkerError> {
        self.runner.finalize()?;
        Ok(self.runner.report())
    }
}

impl Drop for ChipWorker {
    fn drop(&mut self) {
        if let Err(error) = self.runner.finalize() {
            log::error!("closing a worker: {error}");
        }
    }
}

/// A registered callable; dropping it unregisters.
#[derive(Debug)]
pub struct CallableHandle {
    runner: Arc<DeviceRunner>,
    id: CallableId,
}

impl CallableHandle {
    /// Its id on the worker, 0 to 63.
    #[must_use]
    pub fn id(&self) -> i32 {
        self.id.index()
    }
}

impl Drop for CallableHandle {
    fn drop(&mut self) {
        self.runner.unregister(self.id);
    }
}
