use std::sync::{Arc, Mutex};

use run_records::Micros;
use run_records::swimlane::{OrchestratorPhase, OrchestratorWork, SchedulerPhase, SchedulerWork, TaskRecord};
use task_interface::CoreType;

use super::chip::{Diagnostics, SubmitRecords};
use super::log::{Log, Pieces};
use super::phases::Phases;
use super::recorder::{Recorded, Roles};
use crate::arch::{CoreId, Limits, Topology};
use crate::program::{DeviceTime, TaskId};
use crate::sync::lock;

/// As many waiting tasks are named in a record at most.
const FANOUT_LIMIT: usize = 128;

/// What a pass of a scheduler takes on the device clock: one tick of the slower chip, half of it for tasks that have
/// ended, half for those to be started. Scheduling costs no device time otherwise; this is what pictures show of it.
const PASS_NANOS: u64 = 20;

/// One kernel on one core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "plain data of devices")]
pub struct TaskRun {
    /// The task.
    pub task: TaskId,
    /// Its kernel.
    pub func_id: u32,
    /// The core.
    pub core: CoreId,
    /// When it was given to the core.
    pub dispatch: DeviceTime,
    /// When its kernel began.
    pub start: DeviceTime,
    /// When its kernel returned.
    pub end: DeviceTime,
    /// When it was seen to be done.
    pub finish: DeviceTime,
}

/// A submit, or a step of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "plain data of variants")]
pub struct SubmitPhase {
    /// Which.
    pub work: OrchestratorWork,
    /// When it began.
    pub start: DeviceTime,
    /// When it ended.
    pub end: DeviceTime,
    /// The submit, counted from 0.
    pub submit: u32,
    /// Its task.
    pub task: TaskId,
}

/// Collects when each task ran where.
///
/// Whoever has something to tell keeps a log of its own while the run goes on, so that nobody waits for others.
#[derive(Debug)]
pub struct Swimlane {
    level: u32,
    has_fanout: bool,
    submit_records: SubmitRecords,
    spare: Spare,
    tasks: Mutex<Vec<TaskLog>>,
    submits: Mutex<Vec<SubmitLog>>,
    /// What AICPU threads have told of themselves, where they do.
    phases: Mutex<Option<Phases>>,
}

/// Runs of kernels, from one device.
#[derive(Debug)]
pub struct TaskLog {
    has_fanout: bool,
    runs: Log<TaskRun>,
    /// Of chips that record it, by run: how many tasks wait; and then all of them.
    fanout_counts: Log<usize>,
    fanouts: Log<TaskId>,
}

/// Submits, from one orchestrator.
#[derive(Debug)]
pub struct SubmitLog(Log<SubmitPhase>);

/// Memory of the swimlanes of earlier runs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Spare {
    tasks: Arc<Pieces<TaskRun>>,
    submits: Arc<Pieces<SubmitPhase>>,
}

impl TaskLog {
    /// Whether [`push`](Self::push) is to be told which tasks wait.
    #[must_use]
    pub fn has_fanout(&self) -> bool {
        self.has_fanout
    }

    /// Adds a run of a kernel, with the tasks that wait for it.
    pub fn push(&mut self, run: TaskRun, fanout: &[TaskId]) {
        if self.runs.push(run) && self.has_fanout {
            let named = fanout.iter().take(FANOUT_LIMIT);
            let count = named.filter(|&&task| self.fanouts.push(task)).count();
            self.fanout_counts.push(count);
        }
    }

    fn recorded(&self) -> Recorded {
        let lost = self.runs.lost() + self.fanouts.lost() + self.fanout_counts.lost();
        Recorded { records: self.runs.len() as u64, lost }
    }
}

impl SubmitLog {
    /// Adds a submit or a step of one.
    pub fn push(&mut self, phase: SubmitPhase) {
        self.0.push(phase);
    }

    fn recorded(&self) -> Recorded {
        Recorded { records: self.0.len() as u64, lost: self.0.lost() }
    }
}

impl Swimlane {
    pub(super) fn new(level: u32, chip: &Diagnostics, spare: &Spare) -> Self {
        Self {
            level,
            has_fanout: chip.has_fanout && level >= 2,
            submit_records: chip.submits,
            spare: spare.clone(),
            tasks: Mutex::default(),
            submits: Mutex::default(),
            phases: Mutex::default(),
        }
    }

    /// How much is recorded, 1 to 4.
    #[must_use]
    pub fn level(&self) -> u32 {
        self.level
    }

    /// A log for a device, to be [kept](Self::keep_tasks).
    #[must_use]
    pub fn task_log(&self) -> TaskLog {
        TaskLog {
            has_fanout: self.has_fanout,
            runs: Log::new(Arc::clone(&self.spare.tasks)),
            fanout_counts: Log::default(),
            fanouts: Log::default(),
        }
    }

    /// Takes a log whose launch has ended.
    pub fn keep_tasks(&self, log: TaskLog) {
        lock(&self.tasks).push(log);
    }

    /// What is to be recorded of submits and a log for it, to be [kept](Self::keep_submits); nothing below the level
    /// that has them.
    #[must_use]
    pub fn submit_log(&self) -> Option<(SubmitRecords, SubmitLog)> {
        (self.level >= 4).then(|| (self.submit_records, SubmitLog(Log::new(Arc::clone(&self.spare.submits)))))
    }

    /// Takes the log of an orchestration that has returned.
    pub fn keep_submits(&self, log: SubmitLog) {
        lock(&self.submits).push(log);
    }

    /// Takes what AICPU threads have recorded of themselves. It counts instead of what would follow from tasks and
    /// submits, also if it is nothing.
    pub fn keep_phases(&self, phases: Phases) {
        *lock(&self.phases) = Some(phases);
    }

    pub(super) fn recorded(&self) -> Recorded {
        let (tasks, submits, phases) = (lock(&self.tasks), lock(&self.submits), lock(&self.phases));
        let all = tasks.iter().map(TaskLog::recorded).chain(submits.iter().map(SubmitLog::recorded));
        let phases = phases.as_ref().map(|phases| Recorded { records: phases.records(), lost: 0 });
        all.chain(phases).fold(Recorded::default(), |sum, one| sum + one)
    }

    /// The file; `None` without tasks.
    pub(super) fn file(
        &self,
        limits: &Limits,
        topology: Topology,
        threads: u32,
        roles: &Roles,
    ) -> Option<run_records::Swimlane> {
        let (tasks, submits, phases) = (lock(&self.tasks), lock(&self.submits), lock(&self.phases));
        let runs = || tasks.iter().flat_map(|log| log.runs.iter());
        let steps = || submits.iter().flat_map(|log| log.0.iter());
        let begin = runs().map(|run| run.dispatch.min(run.start)).chain(steps().map(|step| step.start));
        let begin = begin.chain(phases.iter().flat_map(Phases::starts)).min()?;
        let clock = Clock { limits, begin: limits.ticks(begin) };
        let mut records: Vec<TaskRecord> = runs().map(|run| self.record(run, topology, &clock)).collect();
        if records.is_empty() {
            return None;
        }
        if self.has_fanout {
            let counts = tasks.iter().flat_map(|log| log.fanout_counts.iter());
            let mut named = tasks.iter().flat_map(|log| log.fanouts.iter()).map(|task| task.0);
            for (record, &count) in records.iter_mut().zip(counts) {
                let fanout: Vec<u64> = named.by_ref().take(count).collect();
                record.fanout_count = u32::try_from(fanout.len()).ok();
                record.fanout = Some(fanout);
            }
        }
        records.sort_by_key(|record| record.task_id);
        let mut file =
            run_records::Swimlane { level: self.level, tasks: records, ..run_records::Swimlane::default() };
        let slots = limits.max_aicpu_threads as usize;
        match &*phases {
            _ if self.level < 3 => {}
            Some(phases) => {
                file.scheduler = Some(phases.scheduler_lanes(slots, &clock));
                file.orchestrator = phases.orchestrator_lanes(slots, &clock);
                file.core_to_thread = phases.core_to_thread.clone();
            }
            None => {
                let mut lanes = vec![Vec::new(); slots];
                if let Some(orchestrator) = roles.orchestrator {
                    scheduler_phases(runs(), topology, roles, &clock, &mut lanes);
                    file.orchestrator = orchestrator_lanes(steps(), orchestrator, slots, &clock);
                    file.core_to_thread = Some(core_map(topology, threads, roles));
                }
                file.scheduler = Some(lanes);
            }
        }
        Some(file)
    }

    fn record(&self, run: &TaskRun, topology: Topology, clock: &Clock<'_>) -> TaskRecord {
        let core = (run.core.0, topology.core_type(run.core));
        let mut record =
            TaskRecord::new(run.task.0, run.func_id, core, clock.micros(run.start), clock.micros(run.end));
        if self.level >= 2 {
            record.dispatch = clock.micros(run.dispatch);
            record.finish = clock.micros(run.finish);
        }
        record
    }
}

/// What the orchestrator did, in the lane of its thread; `None` if that is nothing.
fn orchestrator_lanes<'a>(
    steps: impl Iterator<Item = &'a SubmitPhase>,
    thread: u32,
    slots: usize,
    clock: &Clock<'_>,
) -> Option<Vec<Vec<OrchestratorPhase>>> {
    let steps: Vec<_> = steps.map(|step| orchestrator_phase(step, clock)).collect();
    if steps.is_empty() {
        return None;
    }
    let mut lanes = vec![Vec::new(); slots];
    if let Some(lane) = lanes.get_mut(thread as usize) {
        *lane = steps;
    }
    Some(lanes)
}

/// By core: the thread that schedules it.
fn core_map(topology: Topology, threads: u32, roles: &Roles) -> Vec<i32> {
    let thread = |core| i32::try_from(roles.thread_of(topology, core)).unwrap_or(-1);
    (0..topology.cores()).map(|core| if threads == 0 { -1 } else { thread(CoreId(core)) }).collect()
}

/// Times in the file: whole ticks of the chip's counter since the first.
pub(super) struct Clock<'a> {
    limits: &'a Limits,
    /// In ticks.
    begin: u64,
}

impl Clock<'_> {
    pub(super) fn micros(&self, time: DeviceTime) -> Micros {
        let ticks = self.limits.ticks(time).saturating_sub(self.begin);
        let nanos = u128::from(ticks) * 1_000_000_000 / u128::from(self.limits.clock_hz.max(1));
        Micros::from_nanos(i64::try_from(nanos).unwrap_or(i64::MAX))
    }
}

pub(super) fn orchestrator_phase(phase: &SubmitPhase, clock: &Clock<'_>) -> OrchestratorPhase {
    OrchestratorPhase {
        phase: phase.work,
        start: clock.micros(phase.start),
        end: clock.micros(phase.end),
        submit_idx: phase.submit,
        task_id: phase.task.0,
    }
}

/// What each scheduler did: its passes are the points of device time at which kernels of its cores ended or were
/// started.
fn scheduler_phases<'a>(
    runs: impl Iterator<Item = &'a TaskRun>,
    topology: Topology,
    roles: &Roles,
    clock: &Clock<'_>,
    lanes: &mut [Vec<SchedulerPhase>],
) {
    let mut events: Vec<Vec<(DeviceTime, SchedulerWork)>> = vec![Vec::new(); lanes.len()];
    for run in runs {
        if let Some(events) = events.get_mut(roles.thread_of(topology, run.core) as usize) {
            events.push((run.dispatch, SchedulerWork::Dispatch));
            events.push((run.finish, SchedulerWork::Complete));
        }
    }
    for (lane, mut events) in lanes.iter_mut().zip(events) {
        events.sort_unstable_by_key(|(time, _)| *time);
        let mut events = &events[..];
        // The tools that read it take the number of the last pass for the number of passes.
        for pass in 1.. {
            let Some(&(begin, _)) = events.first() else { break };
            let len = events.partition_point(|(time, _)| time.0 < begin.0.saturating_add(PASS_NANOS));
            let (now, later) = events.split_at(len);
            push_pass(lane, pass, clock.micros(begin), now);
            events = later;
        }
    }
}

fn push_pass(
    lane: &mut Vec<SchedulerPhase>,
    pass: u32,
    begin: Micros,
    events: &[(DeviceTime, SchedulerWork)],
) {
    #[allow(clippy::cast_possible_wrap, reason = "a small constant")]
    let half = Micros::from_nanos(PASS_NANOS as i64 / 2);
    for (work, start) in [(SchedulerWork::Complete, begin), (SchedulerWork::Dispatch, begin + half)] {
        let tasks = events.iter().filter(|(_, event)| *event == work).count() as u64;
        if tasks > 0 {
            let is_dispatch = work == SchedulerWork::Dispatch;
            lane.push(SchedulerPhase {
                start,
                end: start + half,
                phase: work,
                loop_iter: pass,
                tasks_processed: tasks,
                pop_hit: is_dispatch.then(|| u32::try_from(tasks).unwrap_or(u32::MAX)),
                pop_miss: is_dispatch.then_some(0),
            });
        }
    }
}

/// The kind of a core and the thread that schedules it.
pub(super) fn place(topology: Topology, roles: &Roles, core: CoreId) -> (CoreType, u32) {
    (topology.core_type(core), roles.thread_of(topology, core))
}
