//! Ways to break a run, each against one rule.

use run_records::swimlane::{SchedulerWork, TaskRecord};
use run_records::{Micros, Run};
use task_interface::CoreType;

use super::random::Random;
use crate::check::Finding;
use crate::graph::TaskGraph;

/// A way to break a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say what is done")]
pub enum Mutation {
    EndBeforeStart,
    WrongDuration,
    StartBeforeDispatch,
    FinishBeforeEnd,
    WrongRing,
    SwapTasks,
    RecordTwice,
    RecordOnBusyCore,
    OtherKindOfCore,
    UnknownCore,
    UnknownThread,
    LosePart,
    LoseTask,
    LoseRecords,
    ForeignTask,
    RunWithoutKernel,
    StartTooEarly,
    StartTooEarlyBehindNoKernel,
    WrongFanoutCount,
    ExtraFanout,
    LoseFanout,
    PhaseBackwards,
    UnknownPhase,
    SubmitTwice,
    LoseSubmit,
    SubmitLate,
    Cycle,
    NodeTwice,
    LoseNode,
    LoseTensor,
    LosePmuRow,
    PmuEventType,
    DumpCounter,
    DumpSize,
    DumpStage,
    DumpTask,
    LoseScopeRecord,
    ScopeOverfull,
    ScopeRing,
    ScopeDepth,
}

/// The kind of finding that tells of a mutation.
pub type Telling = fn(&Finding) -> bool;

macro_rules! tells {
    ($($pattern:tt)+) => {
        |finding: &Finding| matches!(finding, $($pattern)+)
    };
}

impl Mutation {
    /// All of them.
    pub const ALL: [Self; 40] = [
        Self::EndBeforeStart,
        Self::WrongDuration,
        Self::StartBeforeDispatch,
        Self::FinishBeforeEnd,
        Self::WrongRing,
        Self::SwapTasks,
        Self::RecordTwice,
        Self::RecordOnBusyCore,
        Self::OtherKindOfCore,
        Self::UnknownCore,
        Self::UnknownThread,
        Self::LosePart,
        Self::LoseTask,
        Self::LoseRecords,
        Self::ForeignTask,
        Self::RunWithoutKernel,
        Self::StartTooEarly,
        Self::StartTooEarlyBehindNoKernel,
        Self::WrongFanoutCount,
        Self::ExtraFanout,
        Self::LoseFanout,
        Self::PhaseBackwards,
        Self::UnknownPhase,
        Self::SubmitTwice,
        Self::LoseSubmit,
        Self::SubmitLate,
        Self::Cycle,
        Self::NodeTwice,
        Self::LoseNode,
        Self::LoseTensor,
        Self::LosePmuRow,
        Self::PmuEventType,
        Self::DumpCounter,
        Self::DumpSize,
        Self::DumpStage,
        Self::DumpTask,
        Self::LoseScopeRecord,
        Self::ScopeOverfull,
        Self::ScopeRing,
        Self::ScopeDepth,
    ];

    /// Breaks a run at a random place; `None` if it has nothing of the kind. Returned is what tells of it.
    pub fn apply(self, run: &mut Run, seed: u64) -> Option<Telling> {
        let random = &mut Random::new(seed);
        match self {
            Self::EndBeforeStart
            | Self::WrongDuration
            | Self::StartBeforeDispatch
            | Self::FinishBeforeEnd
            | Self::WrongRing
            | Self::WrongFanoutCount
            | Self::UnknownCore
            | Self::ExtraFanout => self.one_record(run, random),
            Self::SwapTasks
            | Self::RecordTwice
            | Self::RecordOnBusyCore
            | Self::OtherKindOfCore
            | Self::LosePart
            | Self::LoseTask
            | Self::ForeignTask => self.some_records(run, random),
            Self::LoseRecords | Self::RunWithoutKernel => self.summary(run, random),
            Self::StartTooEarly | Self::StartTooEarlyBehindNoKernel | Self::LoseFanout | Self::Cycle => {
                self.edges(run, random)
            }
            Self::UnknownThread
            | Self::PhaseBackwards
            | Self::UnknownPhase
            | Self::SubmitTwice
            | Self::LoseSubmit
            | Self::SubmitLate => self.phases(run, random),
            Self::NodeTwice | Self::LoseNode | Self::LoseTensor => self.deps(run, random),
            Self::LosePmuRow | Self::PmuEventType => self.pmu(run, random),
            Self::DumpCounter | Self::DumpSize | Self::DumpStage | Self::DumpTask => self.dump(run, random),
            Self::LoseScopeRecord | Self::ScopeOverfull | Self::ScopeRing | Self::ScopeDepth => {
                self.scopes(run, random)
            }
        }
    }

    fn one_record(self, run: &mut Run, random: &mut Random) -> Option<Telling> {
        let swimlane = run.swimlane.as_mut()?;
        let level = swimlane.level;
        let record = pick(&mut swimlane.tasks, random)?;
        let nanosecond = Micros::from_nanos(1);
        match self {
            Self::EndBeforeStart => {
                record.end = record.start - nanosecond;
                Some(tells!(Finding::EndBeforeStart { .. }))
            }
            Self::WrongDuration => {
                record.duration = record.duration + nanosecond + nanosecond;
                Some(tells!(Finding::WrongDuration { .. }))
            }
            Self::StartBeforeDispatch if level >= 2 => {
                record.dispatch = record.start + nanosecond;
                Some(tells!(Finding::StartBeforeDispatch { .. }))
            }
            Self::FinishBeforeEnd if level >= 2 => {
                record.finish = record.end - nanosecond;
                Some(tells!(Finding::FinishBeforeEnd { .. }))
            }
            Self::WrongRing => {
                record.ring_id ^= 1;
                Some(tells!(Finding::WrongRing { .. }))
            }
            Self::UnknownCore if level >= 3 => {
                record.core_id += 1000;
                Some(tells!(Finding::UnknownCore { .. }))
            }
            Self::WrongFanoutCount => {
                *record.fanout_count.as_mut()? += 1;
                Some(tells!(Finding::FanoutCount { .. }))
            }
            Self::ExtraFanout => {
                record.fanout.as_mut()?.push(u64::MAX);
                record.fanout_count = record.fanout_count.map(|count| count + 1);
                Some(tells!(Finding::ExtraFanout { succ: u64::MAX, .. }))
            }
            _ => None,
        }
    }

    fn some_records(self, run: &mut Run, random: &mut Random) -> Option<Telling> {
        let tasks = &mut run.swimlane.as_mut()?.tasks;
        match self {
            Self::SwapTasks => {
                let later = tasks.windows(2).position(|pair| pair[0].task_id < pair[1].task_id)?;
                tasks.swap(later, later + 1);
                Some(tells!(Finding::NotSorted { .. }))
            }
            Self::RecordTwice => {
                let index = random.index(tasks.len());
                tasks.insert(index, tasks.get(index)?.clone());
                Some(tells!(Finding::Duplicate { .. }))
            }
            Self::RecordOnBusyCore => {
                // A kernel of the same kind that ran elsewhere at the same time.
                let index = random.index(tasks.len());
                let record = tasks.get(index)?.clone();
                let other = tasks.iter_mut().find(|other| {
                    other.core_id != record.core_id
                        && other.core_type == record.core_type
                        && other.start < record.end
                        && record.start < other.end
                })?;
                other.core_id = record.core_id;
                Some(tells!(Finding::Overlap { .. }))
            }
            Self::OtherKindOfCore => {
                let record = tasks.iter().rposition(|record| {
                    tasks.iter().any(|other| other.core_id == record.core_id && other.end <= record.start)
                })?;
                tasks[record].core_type = match tasks[record].core_type {
                    CoreType::Aic => CoreType::Aiv,
                    CoreType::Aiv => CoreType::Aic,
                };
                Some(tells!(Finding::CoreChangesKind { .. }))
            }
            Self::LosePart => {
                // Of one block the rest would look like a smaller task.
                let of = |task_id, kind| {
                    let is = move |other: &TaskRecord| other.task_id == task_id && other.core_type == kind;
                    tasks.iter().filter(move |other| is(other)).count()
                };
                let part = tasks.iter().position(|record| {
                    record.core_type == CoreType::Aiv && of(record.task_id, CoreType::Aic) > 1
                })?;
                tasks.remove(part);
                Some(tells!(Finding::UnevenKernels { .. } | Finding::UnevenBlocks { .. }))
            }
            Self::LoseTask => {
                let lost = tasks.get(random.index(tasks.len()))?.task_id;
                tasks.retain(|record| record.task_id != lost);
                Some(tells!(Finding::NeverRan { .. }))
            }
            Self::ForeignTask => {
                let mut foreign = tasks.last()?.clone();
                foreign.task_id = 3 << 32 | 0xFFFF_FFFF;
                foreign.ring_id = 3;
                tasks.push(foreign);
                Some(tells!(Finding::NotInDeps { .. }))
            }
            _ => None,
        }
    }

    fn summary(self, run: &mut Run, random: &mut Random) -> Option<Telling> {
        let summary = run.summary.as_mut()?;
        if self == Self::LoseRecords {
            summary.lost_records = 1;
            return Some(tells!(Finding::Lost { records: 1 }));
        }
        let ran = pick(&mut run.swimlane.as_mut()?.tasks, random)?.task_id;
        summary.tasks_without_kernel.as_mut()?.push(ran);
        Some(tells!(Finding::RanWithoutKernel { .. }))
    }

    fn edges(self, run: &mut Run, random: &mut Random) -> Option<Telling> {
        let graph = TaskGraph::new(run);
        if self == Self::Cycle {
            let deps = run.deps.as_mut()?;
            let edge = deps.edges.get(random.index(deps.edges.len()))?.clone();
            deps.edges.push(run_records::deps::Edge { pred: edge.succ, succ: edge.pred, ..edge });
            return Some(tells!(Finding::Cycle { .. }));
        }
        let swimlane = run.swimlane.as_mut()?;
        // Edges whose both ends ran; or the later only, behind a task that had to wait but has no kernel.
        let ran = |task: usize| graph.times(task).is_some();
        let behind_none = self == Self::StartTooEarlyBehindNoKernel;
        let edges: Vec<(usize, usize)> = (0..graph.ids().len())
            .flat_map(|pred| graph.successors(pred).iter().map(move |&succ| (pred, succ)))
            .filter(|&(pred, succ)| ran(pred) != behind_none && ran(succ))
            .filter(|&(pred, _)| graph.done_with_record(pred).is_some())
            .collect();
        if behind_none || self == Self::StartTooEarly {
            let &(pred, succ) = edges.get(random.index(edges.len()))?;
            let end = swimlane.tasks[graph.done_with_record(pred)?].end;
            let record = &mut swimlane.tasks[graph.records(succ)[0]];
            record.start = end - Micros::from_nanos(1);
            record.duration = record.end - record.start;
            return Some(tells!(Finding::StartedTooEarly { .. }));
        }
        let submits = swimlane.orchestrator.as_ref()?.last()?;
        let (pred, succ) = edges.into_iter().find(|&(pred, succ)| {
            let submits = submits.iter().filter(|submit| submit.task_id == graph.ids()[succ]);
            graph
                .times(pred)
                .zip(submits.map(|submit| submit.end).max())
                .is_some_and(|((_, end), submit)| submit <= end)
        })?;
        for &record in graph.records(pred) {
            let record = &mut swimlane.tasks[record];
            let fanout = record.fanout.as_mut()?;
            fanout.retain(|&id| id != graph.ids()[succ]);
            record.fanout_count = u32::try_from(fanout.len()).ok();
        }
        Some(tells!(Finding::MissingFanout { .. }))
    }

    fn phases(self, run: &mut Run, random: &mut Random) -> Option<Telling> {
        let swimlane = run.swimlane.as_mut()?;
        let first = swimlane.tasks.first()?.clone();
        let scheduler = swimlane.scheduler.iter_mut().flatten().find(|phases| !phases.is_empty());
        match self {
            Self::UnknownThread => {
                *pick(swimlane.core_to_thread.as_mut()?, random)? = 99;
                return Some(tells!(Finding::UnknownThread { .. }));
            }
            Self::PhaseBackwards => {
                let phase = pick(scheduler?, random)?;
                phase.end = phase.start - Micros::from_nanos(1);
                return Some(tells!(Finding::PhaseEndBeforeStart { .. }));
            }
            Self::UnknownPhase => {
                pick(scheduler?, random)?.phase = SchedulerWork::Unknown;
                return Some(tells!(Finding::UnknownPhase { .. }));
            }
            _ => {}
        }
        let submits = swimlane.orchestrator.as_mut()?.last_mut()?;
        let own = submits.iter().position(|submit| {
            submit.task_id == first.task_id
                && submit.phase == run_records::swimlane::OrchestratorWork::OrchSubmit
        })?;
        match self {
            Self::SubmitTwice => {
                submits.push(submits[own].clone());
                Some(tells!(Finding::SubmittedTwice { .. }))
            }
            Self::LoseSubmit if submits.len() > 1 => {
                submits.remove(own);
                Some(tells!(Finding::NotSubmitted { .. }))
            }
            Self::SubmitLate => {
                submits[own].start = first.finish;
                Some(tells!(Finding::DispatchBeforeSubmit { .. }))
            }
            _ => None,
        }
    }

    fn deps(self, run: &mut Run, random: &mut Random) -> Option<Telling> {
        let deps = run.deps.as_mut()?;
        match self {
            Self::NodeTwice => {
                let node = pick(&mut deps.tasks, random)?.clone();
                deps.tasks.push(node);
                Some(tells!(Finding::TaskTwice { .. }))
            }
            Self::LoseNode => {
                let succ = deps.edges.get(random.index(deps.edges.len()))?.succ;
                deps.tasks.retain(|task| task.task_id != succ);
                Some(tells!(Finding::UnknownSuccessor { .. }))
            }
            _ => {
                deps.tensors.pop()?;
                Some(tells!(Finding::UnknownTensor { .. }))
            }
        }
    }

    fn pmu(self, run: &mut Run, random: &mut Random) -> Option<Telling> {
        let rows = &mut run.pmu.as_mut()?.rows;
        if self == Self::LosePmuRow {
            (!rows.is_empty()).then(|| rows.remove(random.index(rows.len())))?;
            return Some(tells!(Finding::PmuCount { pmu: 0.., .. }));
        }
        rows.get_mut(1)?.event_type = 4;
        Some(tells!(Finding::PmuEventType { row: 1, .. }))
    }

    fn dump(self, run: &mut Run, random: &mut Random) -> Option<Telling> {
        let dump = run.dump.as_mut()?;
        if self == Self::DumpCounter {
            dump.input_tensors += 1;
            return Some(tells!(Finding::DumpCounter { counter: "input_tensors", .. }));
        }
        let tensor = pick(&mut dump.tensors, random)?;
        match self {
            Self::DumpSize => {
                tensor.bin_size -= 1;
                Some(tells!(Finding::DumpSize { .. }))
            }
            Self::DumpStage => {
                use run_records::dump::Stage::{AfterCompletion, BeforeDispatch};
                tensor.stage = if tensor.stage == BeforeDispatch { AfterCompletion } else { BeforeDispatch };
                Some(tells!(Finding::DumpStage { .. }))
            }
            _ => {
                tensor.task_id = u64::MAX;
                Some(tells!(Finding::DumpUnknownTask { task_id: u64::MAX, .. }))
            }
        }
    }

    fn scopes(self, run: &mut Run, random: &mut Random) -> Option<Telling> {
        let stats = run.scope_stats.as_mut()?;
        if self == Self::LoseScopeRecord {
            stats.records.pop()?;
            return Some(tells!(Finding::ScopeCount { .. }));
        }
        let record = pick(&mut stats.records, random)?;
        match self {
            Self::ScopeOverfull => {
                record.tensormap = stats.header.tensormap_max + 1;
                Some(tells!(Finding::ScopeOverCapacity { .. }))
            }
            Self::ScopeRing => {
                record.ring = 4;
                Some(tells!(Finding::ScopeRing { ring: 4, .. }))
            }
            _ => {
                record.depth += 1;
                Some(tells!(Finding::ScopeDepth { .. }))
            }
        }
    }
}

fn pick<'a, T>(values: &'a mut [T], random: &mut Random) -> Option<&'a mut T> {
    let index = random.index(values.len());
    values.get_mut(index)
}
