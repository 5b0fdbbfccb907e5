use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::arch::Topology;
use crate::callable::Callable;
use crate::device::{DeviceOutcome, DeviceRun, Launch};
use crate::diagnostics::{Recorded, Recorder};
use crate::error::{DeviceError, RunnerError, VariantError};
use crate::life::Ticket;
use crate::program::DeviceTime;
use crate::runner::{DeviceRunner, LaunchSlot};
use crate::variant::BoundRun;

/// A run whose graph is built and whose inputs are staged.
///
/// `'a` is the borrow of the arguments: host memory they name must stay valid until the run is finished
/// or dropped. Dropping it releases everything.
pub struct PreparedRun<'a> {
    parts: Parts,
    _args: PhantomData<&'a ()>,
}

/// A run on the device. Dropping it stops the run, copies nothing back and releases everything.
pub struct ActiveRun<'a> {
    // Declared first, so that it is dropped first: the device stops before its memory goes.
    device_run: Option<Box<dyn DeviceRun>>,
    outcome: Option<Result<DeviceOutcome, RunnerError>>,
    slot: LaunchSlot,
    /// Of the device programs that it runs on.
    generation: u64,
    parts: Parts,
    _args: PhantomData<&'a ()>,
}

pub(crate) struct Parts {
    pub(crate) bound: Box<dyn BoundRun>,
    // Keeps kernels and orchestration alive even if the callable is unregistered meanwhile.
    pub(crate) callable: Arc<Callable>,
    // Dropped behind what it stands for: a runner without runs holds nothing of any run.
    pub(crate) ticket: Ticket,
    pub(crate) runner: Arc<DeviceRunner>,
    pub(crate) topology: Topology,
    pub(crate) aicpu_threads: u32,
    pub(crate) recorder: Option<Arc<Recorder>>,
    pub(crate) clock: RunClock,
}

/// Where the host's time goes in a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RunClock {
    started: Instant,
    /// When the stage under way began.
    stage: Instant,
    stages: HostStages,
}

impl RunClock {
    /// The clock of a run that was begun at `started` and is prepared now.
    pub(crate) fn prepared(started: Instant) -> Self {
        let mut clock = Self { started, stage: started, stages: HostStages::default() };
        clock.stages.prepare = clock.next();
        clock
    }

    /// The stages so far, that of writing what was recorded being the one under way.
    fn while_exporting(&self) -> HostStages {
        HostStages { export: self.stage.elapsed(), ..self.stages }
    }

    /// Ends a stage; how long it took.
    fn next(&mut self) -> Duration {
        let now = Instant::now();
        now.duration_since(std::mem::replace(&mut self.stage, now))
    }
}

/// Wall clock of the stages of a run, as its host half sees them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct HostStages {
    /// Graph and inputs, up to the launch.
    pub prepare: Duration,
    /// The launch itself, and waiting for the device to be free.
    pub launch: Duration,
    /// Until the device has ended and somebody has waited for it.
    pub wait: Duration,
    /// Copying results back, and releasing what the run held.
    pub copy_back: Duration,
    /// Writing what was recorded; 0 if nothing was.
    pub export: Duration,
}

impl HostStages {
    pub(crate) fn for_file(&self) -> run_records::summary::HostStages {
        let micros = |time: Duration| {
            run_records::Micros::from_nanos(i64::try_from(time.as_nanos()).unwrap_or(i64::MAX))
        };
        run_records::summary::HostStages {
            prepare: micros(self.prepare),
            launch: micros(self.launch),
            wait: micros(self.wait),
            copy_back: micros(self.copy_back),
            export: micros(self.export),
        }
    }
}

/// How a run ended well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunOutcome {
    /// Wall clock of the whole run: from the start of prepare to the end of finish.
    pub host_wall: Duration,
    /// Time on the device's own clock, from the launch to the end of the last task.
    pub device_wall: Duration,
    /// The same in ticks of the chip's system counter: 50 MHz on a2a3, 1 GHz on a5.
    pub device_ticks: u64,
    /// Tasks that ran.
    pub tasks: u64,
    /// Clusters the run had.
    pub block_dim: u32,
    /// What it recorded about itself, and wrote.
    pub recorded: Recorded,
    /// Where the host's time went; all 0 if something else than a runner of this process has driven the run.
    pub stages: HostStages,
}

impl RunOutcome {
    /// The outcome of a run that something else than a runner of this process has driven.
    #[must_use]
    pub fn new(
        host_wall: Duration,
        device_wall: Duration,
        device_ticks: u64,
        tasks: u64,
        block_dim: u32,
    ) -> Self {
        let (recorded, stages) = (Recorded::default(), HostStages::default());
        Self { host_wall, device_wall, device_ticks, tasks, block_dim, recorded, stages }
    }
}

impl<'a> PreparedRun<'a> {
    pub(crate) fn new(parts: Parts) -> Self {
        Self { parts, _args: PhantomData }
    }

    /// Starts the run and returns at once.
    ///
    /// # Errors
    /// [`DeviceError::Busy`] while another run of this runner is on the device.
    pub fn launch(self) -> Result<ActiveRun<'a>, RunnerError> {
        let slot = LaunchSlot::claim(&self.parts.runner)?;
        self.launch_in(slot)
    }

    /// Starts the run as soon as no other is on the device.
    pub(crate) fn launch_when_free(self) -> Result<ActiveRun<'a>, RunnerError> {
        let slot = LaunchSlot::wait(&self.parts.runner)?;
        self.launch_in(slot)
    }

    fn launch_in(mut self, slot: LaunchSlot) -> Result<ActiveRun<'a>, RunnerError> {
        let runner = Arc::clone(&self.parts.runner);
        runner.check_usable()?;
        let _guard = runner.bind()?;
        // Only now: a run that was on the device meanwhile may have made it forget what it had.
        let generation = runner.device().program_generation();
        let is_new = self.parts.callable.delivered.load(Ordering::Acquire) != generation;
        self.parts.bound.prepare_launch(is_new)?;
        let launch = Launch {
            topology: self.parts.topology,
            aicpu_threads: self.parts.aicpu_threads,
            kernels: self.parts.callable.kernels.kernels().to_vec(),
            program: self.parts.bound.take_program(),
            recorder: self.parts.recorder.clone(),
        };
        let device_run = runner.device().launch(launch).map_err(|error| runner.note(error))?;
        runner.count_launch(&self.parts.callable);
        self.parts.clock.stages.launch = self.parts.clock.next();
        Ok(ActiveRun {
            device_run: Some(device_run),
            outcome: None,
            slot,
            generation,
            parts: self.parts,
            _args: PhantomData,
        })
    }
}

impl ActiveRun<'_> {
    /// Whether the run has ended on the device; takes no longer than a few milliseconds.
    pub fn poll(&mut self) -> bool {
        self.device_run.as_mut().is_none_or(|run| run.poll())
    }

    /// Blocks until the run has ended on the device; how it ended is told by [`finish`](Self::finish).
    pub fn wait(&mut self) {
        if let Some(run) = self.device_run.take() {
            self.outcome = Some(run.wait().map_err(|error| self.parts.runner.note(error)));
        }
    }

    /// Waits for the end, copies results back, writes what was recorded and releases everything.
    ///
    /// # Errors
    /// What ended the run early; nothing is copied back and nothing written then. [`RunnerError::Export`] when only
    /// the writing failed.
    pub fn finish(mut self) -> Result<RunOutcome, RunnerError> {
        self.wait();
        self.parts.clock.stages.wait = self.parts.clock.next();
        let _guard = self.parts.runner.bind_always();
        let outcome = match self.outcome.take().unwrap_or(Err(DeviceError::Cancelled.into())) {
            Ok(outcome) => outcome,
            Err(error) => {
                let Some(reason) = self.parts.bound.diagnose() else { return Err(error) };
                self.parts.runner.recover();
                if let Some(recorder) = &self.parts.recorder {
                    recorder.export_fatal();
                }
                return Err(reason.into());
            }
        };
        let device_wall = Duration::from_nanos(outcome.device_wall_ns);
        let device_ticks = self.parts.runner.arch().limits().ticks(DeviceTime(outcome.device_wall_ns));
        let Parts { bound, callable, ticket, topology, recorder, mut clock, .. } = self.parts;
        let generation = self.generation;
        let finished = bound.finish(outcome.program);
        if finished.is_ok() {
            callable.delivered.store(generation, Ordering::Release);
        }
        // Results may lie in the pooled arenas: the next run has to wait for the copies.
        drop(self.slot);
        drop(callable);
        clock.stages.copy_back = clock.next();
        let recorded = recorder.as_ref().map_or_else(Recorded::default, |recorder| recorder.recorded());
        let exported = export(recorder.as_deref(), &finished, &clock);
        clock.stages.export = if recorder.is_some() { clock.next() } else { Duration::ZERO };
        drop(ticket);
        let outcome = RunOutcome {
            host_wall: clock.started.elapsed(),
            device_wall,
            device_ticks,
            tasks: finished?,
            block_dim: topology.block_dim(),
            recorded,
            stages: clock.stages,
        };
        exported.map_err(|source| RunnerError::Export { outcome: Box::new(outcome), source })?;
        Ok(outcome)
    }
}

/// Writes what a run has recorded, as far as how it ended allows.
fn export(
    recorder: Option<&Recorder>,
    finished: &Result<u64, VariantError>,
    clock: &RunClock,
) -> Result<(), run_records::RecordsError> {
    let Some(recorder) = recorder else { return Ok(()) };
    match finished {
        Ok(_) => recorder.export(|| clock.while_exporting()),
        Err(_) => {
            recorder.export_fatal();
            Ok(())
        }
    }
}

impl fmt::Debug for PreparedRun<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PreparedRun").field("bound", &self.parts.bound).finish_non_exhaustive()
    }
}

impl fmt::Debug for ActiveRun<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ActiveRun").field("device_run", &self.device_run).finish_non_exhaustive()
    }
}
