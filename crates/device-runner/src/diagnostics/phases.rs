use run_records::swimlane::{OrchestratorPhase, SchedulerPhase, SchedulerWork};

use super::swimlane::{Clock, SubmitPhase, orchestrator_phase};
use crate::program::DeviceTime;

/// One thing that a scheduler did in a pass of its loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "plain data of devices")]
pub struct SchedulerPass {
    /// What it was.
    pub work: SchedulerWork,
    /// When it began.
    pub start: DeviceTime,
    /// When it ended.
    pub end: DeviceTime,
    /// The pass, by the scheduler's count.
    pub pass: u32,
    /// How many tasks it was about.
    pub tasks: u64,
    /// Of dispatches: ready queues that had a task, and those that were empty.
    pub pops: Option<(u32, u32)>,
}

/// What AICPU threads did, as they have recorded it themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "plain data of devices")]
pub struct Phases {
    /// By thread: what it did as a scheduler.
    pub schedulers: Vec<Vec<SchedulerPass>>,
    /// By thread: what it did as the orchestrator.
    pub orchestrators: Vec<Vec<SubmitPhase>>,
    /// By core: the thread that schedules it, if that was told.
    pub core_to_thread: Option<Vec<i32>>,
}

impl Phases {
    pub(super) fn records(&self) -> u64 {
        let passes = self.schedulers.iter().map(Vec::len).sum::<usize>();
        let steps = self.orchestrators.iter().map(Vec::len).sum::<usize>();
        passes as u64 + steps as u64
    }

    /// When each began; those that say nothing are left out.
    pub(super) fn starts(&self) -> impl Iterator<Item = DeviceTime> + '_ {
        let passes = self.schedulers.iter().flatten().map(|pass| pass.start);
        let steps = self.orchestrators.iter().flatten().map(|step| step.start);
        passes.chain(steps).filter(|start| *start > DeviceTime(0))
    }

    /// As the file has it, for so many threads.
    pub(super) fn scheduler_lanes(&self, threads: usize, clock: &Clock<'_>) -> Vec<Vec<SchedulerPhase>> {
        lanes(&self.schedulers, threads, |pass| scheduler_phase(pass, clock))
    }

    /// Likewise; `None` if there is nothing.
    pub(super) fn orchestrator_lanes(
        &self,
        threads: usize,
        clock: &Clock<'_>,
    ) -> Option<Vec<Vec<OrchestratorPhase>>> {
        self.orchestrators.iter().flatten().next()?;
        Some(lanes(&self.orchestrators, threads, |step| orchestrator_phase(step, clock)))
    }
}

fn lanes<T, U>(told: &[Vec<T>], threads: usize, phase: impl Fn(&T) -> U) -> Vec<Vec<U>> {
    let lane = |thread: usize| told.get(thread).map_or(&[][..], Vec::as_slice).iter().map(&phase).collect();
    (0..threads).map(lane).collect()
}

fn scheduler_phase(pass: &SchedulerPass, clock: &Clock<'_>) -> SchedulerPhase {
    SchedulerPhase {
        start: clock.micros(pass.start),
        end: clock.micros(pass.end),
        phase: pass.work,
        loop_iter: pass.pass,
        tasks_processed: pass.tasks,
        pop_hit: pass.pops.map(|(hits, _)| hits),
        pop_miss: pass.pops.map(|(_, misses)| misses),
    }
}
