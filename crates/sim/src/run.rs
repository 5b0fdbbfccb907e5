//! One launch under way: its program, its cores, and where its tasks stand.

use std::sync::Arc;
use std::time::{Duration, Instant};

use device_runner::{
    CoreId, Cores, DeviceError, DeviceOrchestration, DeviceProgram, DeviceTime, Dispatch, KernelArgs,
    LaunchKernel, RunningTask, TaskId, Topology,
};

use crate::cores::CoreTable;
use crate::identity::PipeStates;
use crate::kernels::Kernel;
use crate::pace::Typical;
use crate::placement;
use crate::record::Record;

/// A launch under way.
pub(crate) struct Run {
    pub(crate) serial: u64,
    pub(crate) program: Box<dyn DeviceProgram>,
    pub(crate) cores: CoreTable,
    /// What is told about the cores, if anything is.
    pub(crate) record: Option<Record>,
    pub(crate) shared: Arc<RunShared>,
    /// By carrier.
    pub(crate) in_flight: Vec<Option<InFlight>>,
    pub(crate) running: usize,
    /// Kernels that may run at once now.
    pub(crate) allowed: usize,
    /// Tasks that may still start although the run is being stopped, to free kernels that wait for them.
    pub(crate) rescues: usize,
    /// Tasks that have ended, for whoever watches progress.
    pub(crate) progress: u64,
    pub(crate) end: DeviceTime,
    pub(crate) stop: Option<DeviceError>,
    pub(crate) ended: bool,
    pub(crate) orchestration: Orchestration,
    /// Dispatches that have to start whatever the permits, to run together with one that has.
    pub(crate) followers: usize,
}

/// Where the code that builds a graph stands.
pub(crate) enum Orchestration {
    /// There is none, or it has returned.
    None,
    Ready(Box<dyn DeviceOrchestration>),
    Running {
        carrier: usize,
        /// Where the carrier was when it began, or went on.
        cpu: Option<usize>,
    },
    /// It waits for a task to end; `stuck` once that cannot happen any more.
    Waiting {
        carrier: usize,
        stuck: bool,
    },
}

/// What carriers keep of a run while they work for it.
#[derive(Debug)]
pub(crate) struct RunShared {
    pub(crate) serial: u64,
    pub(crate) topology: Topology,
    pub(crate) kernels: Vec<Arc<Kernel>>,
    pub(crate) names: Vec<LaunchKernel>,
    pub(crate) pipes: Arc<PipeStates>,
}

/// A task inside its kernel.
#[derive(Debug)]
pub(crate) struct InFlight {
    pub(crate) task: TaskId,
    pub(crate) kernel: u32,
    pub(crate) core: CoreId,
    pub(crate) start: DeviceTime,
    pub(crate) since: Instant,
    /// Where its carrier was when it began.
    pub(crate) cpu: Option<usize>,
}

/// Something for a carrier to do.
pub(crate) enum Work {
    Task(Job),
    Orchestration(Arc<RunShared>, Box<dyn DeviceOrchestration>),
}

/// A task for a carrier.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) run: Arc<RunShared>,
    pub(crate) dispatch: Dispatch,
}

/// How a task ended.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) at: Instant,
    /// Of the kernel alone: what is around it may have waited for other carriers.
    pub(crate) duration: Duration,
    pub(crate) result: Result<(), Box<dyn std::error::Error + Send + Sync>>,
}

impl std::fmt::Debug for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Run")
            .field("serial", &self.serial)
            .field("running", &self.running)
            .finish_non_exhaustive()
    }
}

impl Orchestration {
    /// The carrier it has, if it has started and not returned.
    pub(crate) fn carrier(&self) -> Option<usize> {
        match self {
            Self::Running { carrier, .. } | Self::Waiting { carrier, .. } => Some(*carrier),
            Self::None | Self::Ready(_) => None,
        }
    }
}

impl Run {
    /// Whether the permits allow another task.
    pub(crate) fn may_start(&self) -> bool {
        let admitted = self.running < self.allowed && (self.stop.is_none() || self.rescues > 0);
        !self.ended && (admitted || self.followers > 0)
    }

    /// Whether something can start, or something may come that tasks wait for.
    pub(crate) fn may_go_on(&mut self) -> bool {
        if self.program.has_startable(&self.cores) {
            return true;
        }
        self.poll_memory();
        self.program.has_startable(&self.cores) || self.program.awaits_memory()
    }

    /// Whether something that tasks waited for has come.
    pub(crate) fn poll_memory(&mut self) -> bool {
        if !self.program.awaits_memory() {
            return false;
        }
        let before = self.program.completed();
        self.program.poll_memory(self.end);
        let came = self.program.completed() != before;
        self.progress += u64::from(came);
        came
    }

    pub(crate) fn is_stuck(&self) -> bool {
        matches!(self.orchestration, Orchestration::Waiting { stuck: true, .. })
    }

    pub(crate) fn start_orchestration(&mut self, carrier: usize) -> Option<Work> {
        if !matches!(self.orchestration, Orchestration::Ready(_)) {
            return None;
        }
        let running = Orchestration::Running { carrier, cpu: placement::here() };
        match std::mem::replace(&mut self.orchestration, running) {
            Orchestration::Ready(code) => {
                self.running += 1;
                Some(Work::Orchestration(Arc::clone(&self.shared), code))
            }
            _ => None,
        }
    }

    /// A task whose kernel can be expected to return at once, for a thread that has other things to do.
    pub(crate) fn start_short_task(&mut self, carrier: usize, now: Instant) -> Option<Job> {
        if !self.may_start() {
            return None;
        }
        let kernels = &self.shared.kernels;
        let is_short = |kernel: u32| kernels[kernel as usize].pace().is_short();
        let dispatch = self.program.next_if(&self.cores, &is_short)?;
        Some(self.enter(carrier, now, dispatch))
    }

    /// Starts a task; `now` need not be exact.
    pub(crate) fn start_task(&mut self, carrier: usize, now: Instant) -> Option<Job> {
        if !self.may_start() {
            return None;
        }
        let dispatch = self.program.next(&self.cores)?;
        Some(self.enter(carrier, now, dispatch))
    }

    fn enter(&mut self, carrier: usize, now: Instant, dispatch: Dispatch) -> Job {
        self.rescues = self.rescues.saturating_sub(1);
        self.followers = match self.followers {
            0 => dispatch.followers as usize,
            followers => followers - 1,
        };
        self.running += 1;
        self.in_flight[carrier] = Some(InFlight {
            task: dispatch.task,
            kernel: dispatch.kernel,
            core: dispatch.core,
            start: self.cores.occupy(dispatch.core, dispatch.ready_at),
            since: now,
            cpu: placement::here(),
        });
        Job { run: Arc::clone(&self.shared), dispatch }
    }

    pub(crate) fn end_task(&mut self, carrier: usize, job: &Job, duration: Duration, permits: usize) {
        let start = self.in_flight[carrier].take().map_or(DeviceTime(0), |flight| flight.start);
        let end = self.cores.release(job.dispatch.core, start, duration);
        if let Some(record) = &mut self.record {
            record.task(self.program.as_ref(), job, start, end);
        }
        self.program.complete(job.dispatch.task, job.dispatch.core, end);
        self.end = self.end.max(end);
        self.poll_memory();
        self.running -= 1;
        self.progress += 1;
        // Kernels that were admitted beyond the permits leave one by one.
        self.allowed = self.running.max(permits);
    }

    /// Whether those that work now are quicker with one more, which has just ended a kernel that takes `typical`.
    pub(crate) fn leaves_room_for_another(&self, typical: &Typical) -> bool {
        let kernels =
            self.in_flight.iter().flatten().map(|flight| &self.shared.kernels[flight.kernel as usize]);
        let mut lengths = kernels.map(|kernel| kernel.pace().typical()).chain([typical]);
        lengths.any(|length| length.leaves_room_for(self.running))
    }

    /// Whether somebody works for the run on this CPU.
    pub(crate) fn has_work_on(&self, cpu: usize) -> bool {
        let orchestrates =
            matches!(self.orchestration, Orchestration::Running { cpu: on, .. } if on == Some(cpu));
        orchestrates || self.in_flight.iter().flatten().any(|flight| flight.cpu == Some(cpu))
    }

    pub(crate) fn running_tasks(&self) -> Vec<RunningTask> {
        let flights = self.in_flight.iter().flatten();
        let mut tasks: Vec<_> = flights
            .map(|flight| RunningTask {
                task: flight.task,
                kernel: self.shared.names[flight.kernel as usize].name.to_string(),
                core: flight.core,
                core_type: self.cores.topology().core_type(flight.core),
                elapsed: flight.since.elapsed(),
            })
            .collect();
        tasks.sort_unstable_by_key(|running| running.task);
        tasks
    }
}

impl Job {
    pub(crate) fn kernel(&self) -> &Kernel {
        &self.run.kernels[self.dispatch.kernel as usize]
    }

    /// The argument array: by value where the task has its own, else where it lies.
    pub(crate) fn args(&mut self) -> *mut i64 {
        match &mut self.dispatch.args {
            KernelArgs::Inline(slots) => slots.as_mut_ptr().cast(),
            KernelArgs::Device(array) => {
                std::ptr::with_exposed_provenance_mut(usize::try_from(array.addr()).unwrap_or(0))
            }
        }
    }
}
