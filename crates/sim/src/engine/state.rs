use std::sync::Arc;
use std::thread::JoinHandle;

use device_runner::{DeviceError, Stall};

use crate::monitor::Ending;
use crate::run::{Orchestration, Run};
use crate::threads::{Activity, WatchedThread};

/// What the engine's lock guards: the run, and which threads there are.
#[derive(Debug)]
pub(crate) struct State {
    pub(super) run: Option<Run>,
    pub(super) next_serial: u64,
    /// By carrier; `None` for one that has ended.
    pub(super) carriers: Vec<Option<CarrierEntry>>,
    /// Carriers that have ended or are about to, to be joined.
    pub(super) leaving: Vec<JoinHandle<()>>,
    /// Carriers that look for work without the lock.
    pub(super) looking: usize,
    /// Carriers that wait on the condition variable.
    pub(super) parked: usize,
    /// Carriers that have been woken and are not here yet.
    pub(super) called: usize,
    /// Clients that wait on the condition variable.
    pub(super) clients_parked: usize,
    /// Whether an orchestration waits on the condition variable.
    pub(super) orchestration_parked: bool,
    /// Kernels inside a carrier that was given up.
    pub(super) abandoned: usize,
    pub(super) unusable: Option<String>,
    pub(super) shutdown: bool,
}

#[derive(Debug)]
pub(super) struct CarrierEntry {
    pub(super) thread: Arc<WatchedThread>,
    pub(super) handle: Option<JoinHandle<()>>,
}

impl State {
    /// Takes a carrier off the list; its thread must end then.
    pub(crate) fn leave(&mut self, carrier: usize) {
        let entry = self.carriers.get_mut(carrier).and_then(Option::take);
        self.leaving.extend(entry.and_then(|entry| entry.handle));
        while self.carriers.last().is_some_and(Option::is_none) {
            self.carriers.pop();
        }
    }

    /// The run of this serial, unless it has ended or was given up.
    pub(super) fn current(&mut self, serial: u64) -> Option<&mut Run> {
        self.run.as_mut().filter(|run| run.serial == serial && !run.ended)
    }

    /// Whether a run is under way that has not ended.
    pub(crate) fn has_run(&self) -> bool {
        self.run.as_ref().is_some_and(|run| !run.ended)
    }

    pub(crate) fn is_current(&self, serial: u64) -> bool {
        self.run.as_ref().is_some_and(|run| run.serial == serial && !run.ended)
    }

    /// Whether another carrier would find work now.
    pub(crate) fn can_start_more(&self) -> bool {
        self.run.as_ref().is_some_and(|run| {
            run.may_start()
                && (matches!(run.orchestration, Orchestration::Ready(_))
                    || run.program.has_startable(&run.cores))
        })
    }

    /// Whether more could start if more kernels were allowed to run.
    pub(crate) fn has_startable(&self) -> bool {
        self.run.as_ref().is_some_and(|run| !run.ended && run.program.has_startable(&run.cores))
    }

    /// Tasks of the run that have ended.
    pub(crate) fn tasks_ended(&self) -> u64 {
        self.run.as_ref().map_or(0, |run| run.progress)
    }

    /// How far the run has got, and whether anything is under way that may take its time.
    pub(crate) fn progress(&self) -> (u64, bool) {
        self.run.as_ref().map_or((0, false), |run| {
            (run.progress + run.program.activity(), run.running > 0 || run.program.awaits_memory())
        })
    }

    /// Whether kernels are running, or the orchestration is.
    pub(crate) fn is_running(&self) -> bool {
        self.running() > 0
    }

    /// How many of them.
    pub(super) fn running(&self) -> usize {
        self.run.as_ref().map_or(0, |run| run.running)
    }

    /// Lets the program look at what its tasks wait for in memory; whether something has come.
    pub(crate) fn poll_memory(&mut self) -> bool {
        self.run.as_mut().is_some_and(Run::poll_memory)
    }

    /// Cores without a task; at least 1.
    pub(crate) fn idle_cores(&self) -> usize {
        self.run.as_ref().map_or(1, |run| run.cores.idle_count()).max(1)
    }

    /// Admits `count` kernels beyond those that run now.
    pub(crate) fn admit(&mut self, count: usize) {
        if let Some(run) = &mut self.run {
            run.allowed = run.running + count;
            run.rescues = count;
        }
    }

    /// Starts no further task of this run.
    pub(crate) fn stop(&mut self, serial: u64, error: DeviceError) {
        if let Some(run) = self.run.as_mut().filter(|run| run.serial == serial) {
            run.stop.get_or_insert(error);
        }
    }

    /// What the threads do that are inside of kernels or the orchestration; `None` while one of them is about to enter
    /// its code, or has just left it.
    pub(crate) fn activities(&self) -> Option<Vec<Activity>> {
        let run = self.run.as_ref()?;
        let busy = run
            .in_flight
            .iter()
            .enumerate()
            .filter(|(_, flight)| flight.is_some())
            .map(|(carrier, _)| carrier);
        let orchestrating = match run.orchestration {
            Orchestration::Running { carrier, .. } => Some(carrier),
            _ => None,
        };
        let carriers = busy.chain(orchestrating);
        carriers.map(|carrier| self.carriers.get(carrier)?.as_ref()?.thread.activity()).collect()
    }

    /// What runs and what waits.
    pub(crate) fn stall(&self) -> Stall {
        self.run.as_ref().map_or_else(Stall::default, |run| {
            Stall::new(run.running_tasks(), run.program.waiting(), run.program.completed())
                .with_orchestration(run.orchestration.carrier().is_some())
        })
    }

    /// Takes the ended run: the program with its end time, or why it was stopped.
    pub(crate) fn take_ended(&mut self, serial: u64) -> Option<Ending> {
        let run = self.run.take_if(|run| run.serial == serial && run.ended)?;
        Some(match run.stop {
            Some(error) => Err(error),
            None => Ok((run.program, run.end)),
        })
    }

    pub(crate) fn threads(&self) -> (usize, usize) {
        (self.carriers.iter().flatten().count(), self.abandoned)
    }
}
