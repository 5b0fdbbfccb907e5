//! What can be wrong.

use std::fmt;

use run_records::Micros;
use run_records::dump::Stage;
use run_records::swimlane::TaskRecord;

use crate::task_name;

/// A record of the swimlane, for someone who looks for it in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordRef {
    /// The task.
    pub task_id: u64,
    /// The kernel.
    pub func_id: u32,
    /// The core.
    pub core_id: u32,
    /// When it began.
    pub start: Micros,
    /// When it ended.
    pub end: Micros,
}

impl From<&TaskRecord> for RecordRef {
    fn from(record: &TaskRecord) -> Self {
        let &TaskRecord { task_id, func_id, core_id, start, end, .. } = record;
        Self { task_id, func_id, core_id, start, end }
    }
}

impl fmt::Display for RecordRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { func_id, core_id, start, end, .. } = self;
        write!(f, "task {} (func {func_id}) on core {core_id}, {start} to {end} us", TaskId(self.task_id))
    }
}

/// A task id as files have it, and how pictures show it.
struct TaskId(u64);

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.0, task_name(self.0))
    }
}

/// Something that is wrong with the records of a run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the texts say it, for variants and fields")]
pub enum Finding {
    #[error("{record}: it ends before it starts")]
    EndBeforeStart { record: RecordRef },
    #[error("{record}: its duration is said to be {duration} us")]
    WrongDuration { record: RecordRef, duration: Micros },
    #[error("{record}: it was dispatched only at {dispatch} us, after its start")]
    StartBeforeDispatch { record: RecordRef, dispatch: Micros },
    #[error("{record}: it was seen done at {finish} us, before its end")]
    FinishBeforeEnd { record: RecordRef, finish: Micros },
    #[error("{record}: it lies before the first time of the run")]
    NegativeTime { record: RecordRef },
    #[error("{record}: its ring is said to be {ring_id}")]
    WrongRing { record: RecordRef, ring_id: u32 },
    #[error("{record}: it stands behind a task with a larger id")]
    NotSorted { record: RecordRef },
    #[error("{record}: it is there twice")]
    Duplicate { record: RecordRef },
    #[error("{first}, and {second}: they overlap")]
    Overlap { first: RecordRef, second: RecordRef },
    #[error("{record}: the core ran kernels of the other kind before")]
    CoreChangesKind { record: RecordRef },
    #[error("{record}: the run has {cores} cores only")]
    UnknownCore { record: RecordRef, cores: usize },
    #[error("core {core_id} is scheduled by AICPU thread {thread}, of {threads}")]
    UnknownThread { core_id: usize, thread: i32, threads: usize },
    #[error("task {} has {aic} records of AIC and {aiv} of AIV; with both, there is one AIC and there are one or two AIV per block", TaskId(*task_id))]
    UnevenBlocks { task_id: u64, aic: usize, aiv: usize },
    #[error("task {} has {records} records of func {func_id} and {other_records} of func {other}; there is one of each per block", TaskId(*task_id))]
    UnevenKernels { task_id: u64, func_id: u32, records: usize, other: u32, other_records: usize },
    #[error("task {} has {records} records instead of {expected}", TaskId(*task_id))]
    RecordCount { task_id: u64, records: usize, expected: usize },
    #[error("{record}: it names {listed} successors, but says {count}")]
    FanoutCount { record: RecordRef, listed: usize, count: u32 },
    #[error("the level is {level}, not 1 to 4")]
    UnknownLevel { level: u32 },
    #[error("AICPU thread {thread}, phase {index} of {what}: it ends before it starts ({start} to {end} us)")]
    PhaseEndBeforeStart { what: &'static str, thread: usize, index: usize, start: Micros, end: Micros },
    #[error("AICPU thread {thread}, phase {index} of {what}: its kind is unknown")]
    UnknownPhase { what: &'static str, thread: usize, index: usize },
    #[error("task {} was submitted twice (submits {first} and {second})", TaskId(*task_id))]
    SubmittedTwice { task_id: u64, first: u32, second: u32 },
    #[error("task {} ran but was not submitted", TaskId(*task_id))]
    NotSubmitted { task_id: u64 },
    #[error("{record}: its submit began only at {submit} us, after its dispatch")]
    DispatchBeforeSubmit { record: RecordRef, submit: Micros },

    #[error("task {} was submitted and has a kernel, but has no record", TaskId(*task_id))]
    NeverRan { task_id: u64 },
    #[error("{record}: the task has no kernel (run.json)")]
    RanWithoutKernel { record: RecordRef },
    #[error("{records} records were lost on their way to the files (run.json)")]
    Lost { records: u64 },
    #[error("{record}: the task is not in deps.json")]
    NotInDeps { record: RecordRef },
    #[error("{record}: it started before task {}, which it depends on, ended at {pred_end} us", TaskId(*pred))]
    StartedTooEarly { record: RecordRef, pred: u64, pred_end: Micros },
    #[error("task {} waits for itself, over {tasks} tasks", TaskId(*task_id))]
    Cycle { task_id: u64, tasks: usize },
    #[error("task {} is in deps.json twice", TaskId(*task_id))]
    TaskTwice { task_id: u64 },
    #[error("deps.json has an edge from task {} to task {}, which is not among its tasks", TaskId(*pred), TaskId(*succ))]
    UnknownSuccessor { pred: u64, succ: u64 },
    #[error("deps.json does not describe tensor {tensor_id}, which task {} uses", TaskId(*task_id))]
    UnknownTensor { task_id: u64, tensor_id: u64 },
    #[error("{record}: it names task {} as a successor, but deps.json does not", TaskId(*succ))]
    ExtraFanout { record: RecordRef, succ: u64 },
    #[error("{record}: it does not name task {} as a successor, but that was waiting for it", TaskId(*succ))]
    MissingFanout { record: RecordRef, succ: u64 },

    #[error("task {} (func {func_id}) on core {core_id} has {pmu} rows in pmu.csv and {records} in the swimlane", TaskId(*task_id))]
    PmuCount { task_id: u64, func_id: u32, core_id: u32, pmu: usize, records: usize },
    #[error("pmu.csv, row {row}: its event type is {event_type}, that of the first row is {first}")]
    PmuEventType { row: usize, event_type: u32, first: u32 },

    #[error("tensor_dump.json: {counter} is {says}, but its tensors make {is}")]
    DumpCounter { counter: &'static str, says: u64, is: u64 },
    #[error("tensor {index} of the dump (task {}, argument {arg_index}): bytes {begin} to {end} of a file of {length}", TaskId(*task_id))]
    DumpOutside { index: usize, task_id: u64, arg_index: u32, begin: u64, end: u64, length: u64 },
    #[error("tensor {index} of the dump (task {}, argument {arg_index}): it has {says} elements or bytes, its shape makes {is}", TaskId(*task_id))]
    DumpSize { index: usize, task_id: u64, arg_index: u32, says: u64, is: u64 },
    #[error("tensor {index} of the dump (task {}, argument {arg_index}): there is no such role at stage {stage:?}", TaskId(*task_id))]
    DumpStage { index: usize, task_id: u64, arg_index: u32, stage: Stage },
    #[error("tensor {index} of the dump is of task {}, which has no record", TaskId(*task_id))]
    DumpUnknownTask { index: usize, task_id: u64 },

    #[error("scope_stats.jsonl: {records} records and {dropped} dropped are not {total} in all")]
    ScopeCount { records: usize, dropped: u64, total: u64 },
    #[error("scope_stats.jsonl, record {index} ({site}): it ends no scope that is open")]
    ScopeNotOpen { index: usize, site: String },
    #[error("scope_stats.jsonl, record {index} ({site}): its depth is {depth} inside of {open} open scopes")]
    ScopeDepth { index: usize, site: String, depth: i16, open: usize },
    #[error("scope_stats.jsonl: {open} scopes are never ended")]
    ScopeLeftOpen { open: usize },
    #[error("scope_stats.jsonl, record {index} ({site}): {used} of {capacity} {what} are in use")]
    ScopeOverCapacity { index: usize, site: String, what: &'static str, used: i128, capacity: i128 },
    #[error("scope_stats.jsonl, record {index} ({site}): there is no ring {ring}")]
    ScopeRing { index: usize, site: String, ring: i16 },
}
