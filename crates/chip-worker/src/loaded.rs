//! A worker whose runtime is a loaded host library.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use device_runner::{
    CallableSource, DevPtr, DlopenCounts, OrchestrationSource, ResourceReport, RunOutcome, RunnerError,
};
use host_library::{ContextReport, HostContext, RunFigures};
use task_interface::{CallConfig, ChipCallable, ChipStorageTaskArgs, MAX_REGISTERED_CALLABLE_IDS};

use crate::error::WorkerError;
use crate::platform::Platform;

/// One context, with the callables that are registered on it.
#[derive(Debug)]
pub(crate) struct LoadedRunner {
    context: HostContext,
    platform: Platform,
    /// The callables by id, kept to be put back. `None`: the id belongs to a handle, but nothing is registered.
    callables: Mutex<BTreeMap<i32, Option<ChipCallable>>>,
}

impl LoadedRunner {
    pub(crate) fn new(context: HostContext, platform: Platform) -> Self {
        Self { context, platform, callables: Mutex::default() }
    }

    /// Registers under the lowest free id.
    pub(crate) fn register(&self, callable: &ChipCallable) -> Result<i32, WorkerError> {
        let mut callables = self.callables();
        let free = (0i32..).take(MAX_REGISTERED_CALLABLE_IDS).find(|id| !callables.contains_key(id));
        let id = free.ok_or(RunnerError::RegistryFull { capacity: MAX_REGISTERED_CALLABLE_IDS })?;
        self.context.prepare_callable(id, callable)?;
        callables.insert(id, Some(callable.clone()));
        Ok(id)
    }

    /// Registers another callable under the id. The C API has no such call, so the old one goes first, and comes back
    /// if the new one is refused.
    pub(crate) fn replace(&self, id: i32, callable: &ChipCallable) -> Result<(), WorkerError> {
        let mut callables = self.callables();
        let slot = callables.get_mut(&id).ok_or(RunnerError::UnknownCallable { id })?;
        self.context.unregister_callable(id)?;
        let old = slot.take();
        let Err(refused) = self.context.prepare_callable(id, callable) else {
            *slot = Some(callable.clone());
            return Ok(());
        };
        let Some(old) = old else { return Err(refused.into()) };
        if let Err(error) = self.context.prepare_callable(id, &old) {
            return Err(WorkerError::NotPutBack { refused: Box::new(refused), source: Box::new(error) });
        }
        *slot = Some(old);
        Err(refused.into())
    }

    /// Forgets a callable. What goes wrong can only be logged; the id is not used again then.
    pub(crate) fn unregister(&self, id: i32) {
        let mut callables = self.callables();
        match self.context.unregister_callable(id) {
            Ok(()) | Err(host_library::HostLibraryError::Closed) => {
                callables.remove(&id);
            }
            Err(error) => {
                log::error!("callable {id} stays registered: {error}");
                callables.insert(id, None);
            }
        }
    }

    pub(crate) fn run(
        &self,
        id: i32,
        args: &ChipStorageTaskArgs,
        config: &CallConfig,
    ) -> Result<RunOutcome, WorkerError> {
        let figures = self.context.run(id, args, config)?;
        Ok(outcome(self.platform, config, &figures))
    }

    pub(crate) fn malloc(&self, bytes: usize) -> Result<DevPtr, WorkerError> {
        Ok(DevPtr::new(self.context.malloc(bytes)?))
    }

    pub(crate) fn free(&self, ptr: DevPtr) -> Result<(), WorkerError> {
        Ok(self.context.free(ptr.addr())?)
    }

    pub(crate) fn copy_to(&self, to: DevPtr, from: &[u8]) -> Result<(), WorkerError> {
        Ok(self.context.copy_to(to.addr(), from)?)
    }

    pub(crate) fn copy_from(&self, to: &mut [u8], from: DevPtr) -> Result<(), WorkerError> {
        Ok(self.context.copy_from(to, from.addr())?)
    }

    pub(crate) fn dlopen_counts(&self) -> DlopenCounts {
        let counted = self.context.load_counts();
        let mut counts = DlopenCounts::default();
        (counts.host, counts.aicpu) = (counted.host, counted.aicpu);
        counts
    }

    /// The context, for whoever does more with it than this type.
    pub(crate) fn context(&self) -> &HostContext {
        &self.context
    }

    /// The library's own report; without one, what went through this worker.
    pub(crate) fn report(&self) -> ResourceReport {
        if let Some(report) = self.context.resource_report() {
            return convert(&report);
        }
        let memory = self.context.memory_in_use();
        let mut report = ResourceReport::default();
        report.allocations = memory.allocations;
        report.bytes = memory.bytes;
        (report.communicators, report.windows) = (memory.communicators, memory.windows);
        report.callables = self.callables().values().flatten().count();
        report
    }

    /// Gives everything back; a second call has nothing to do.
    pub(crate) fn close(&self) -> Result<ResourceReport, WorkerError> {
        let left = self.context.close();
        self.callables().clear();
        Ok(left?.as_ref().map(convert).unwrap_or_default())
    }

    fn callables(&self) -> MutexGuard<'_, BTreeMap<i32, Option<ChipCallable>>> {
        self.callables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The image of a callable, which is all that the C API takes.
pub(crate) fn image(source: &CallableSource) -> Result<&ChipCallable, WorkerError> {
    let native = matches!(source.orchestration, OrchestrationSource::Native(_));
    source.image().ok_or(WorkerError::LinkedOnly {
        what: if native { "run an orchestration written in Rust" } else { "take a callable in parts" },
        instead: "register a ChipCallable of compiled objects, or use a worker of ChipWorker::builder",
    })
}

/// The figures of a run, with what the library did not tell computed from what every chip has. Tasks cannot be.
fn outcome(platform: Platform, config: &CallConfig, figures: &RunFigures) -> RunOutcome {
    let host_wall = Duration::from_nanos(figures.timing.host_wall_ns);
    let device_wall = Duration::from_nanos(figures.timing.device_wall_ns);
    let chip = platform.chip();
    let (ticks, tasks, block_dim) = match figures.info {
        Some(info) => (info.device_ticks, info.tasks, info.block_dim),
        None => {
            let ticks = device_wall.as_nanos() * u128::from(chip.clock_hz) / 1_000_000_000;
            let block_dim = match u32::try_from(config.block_dim) {
                Ok(0) | Err(_) => chip.max_block_dim,
                Ok(block_dim) => block_dim,
            };
            (u64::try_from(ticks).unwrap_or(u64::MAX), 0, u64::from(block_dim))
        }
    };
    RunOutcome::new(host_wall, device_wall, ticks, tasks, u32::try_from(block_dim).unwrap_or(u32::MAX))
}

fn convert(report: &ContextReport) -> ResourceReport {
    let count = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    let mut converted = ResourceReport::default();
    converted.allocations = count(report.allocations);
    converted.bytes = report.bytes;
    converted.arenas.gm_heap = count(report.gm_heap);
    converted.arenas.gm_sm = count(report.gm_sm);
    converted.arenas.runtime_arena = count(report.runtime_arena);
    converted.callables = count(report.callables);
    converted.kernels = count(report.kernels);
    converted.images = count(report.images);
    converted.orchestrations = count(report.orchestrations);
    converted.runs = count(report.runs);
    converted.communicators = count(report.communicators);
    converted.windows = count(report.windows);
    converted.deferred_errors = count(report.deferred_errors);
    converted.device.allocations = count(report.device_allocations);
    converted.device.kernels = count(report.device_kernels);
    converted.device.threads = count(report.threads);
    converted.device.abandoned_threads = count(report.abandoned_threads);
    converted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(device_wall_ns: u64) -> RunFigures {
        let mut figures = RunFigures::default();
        figures.timing.device_wall_ns = device_wall_ns;
        figures
    }

    #[test]
    fn ticks_and_blocks_follow_from_the_chip_unless_told() {
        let config = CallConfig::default();
        let a2a3 = outcome(Platform::A2a3Sim, &config, &figures(1_000));
        assert_eq!((a2a3.device_ticks, a2a3.tasks, a2a3.block_dim), (50, 0, 24));
        let a5 = outcome(Platform::A5Sim, &CallConfig { block_dim: 7, ..config }, &figures(1_000));
        assert_eq!((a5.device_ticks, a5.tasks, a5.block_dim), (1_000, 0, 7));
        assert_eq!(outcome(Platform::A5Sim, &config, &figures(u64::MAX)).device_ticks, u64::MAX);

        let mut told = figures(1_000);
        let info = host_library::RunInfo { device_ticks: 3, tasks: 4, block_dim: 5, ..Default::default() };
        told.info = Some(info);
        let told = outcome(Platform::A2a3Sim, &config, &told);
        assert_eq!((told.device_ticks, told.tasks, told.block_dim), (3, 4, 5));
    }
}
