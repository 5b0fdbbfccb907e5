//! `l2_perf_records.json`: when each task ran where (`spec/device-abi.md`, section 6.1).

use std::path::Path;

use serde::{Deserialize, Serialize};
use task_interface::CoreType;

use crate::error::RecordsError;
use crate::file::{self, Lines};
use crate::micros::Micros;

/// Where the file lies in a run's output folder.
pub const FILE: &str = "l2_perf_records.json";

/// The file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Swimlane {
    /// 1 times of cores, 2 also of dispatch and finish, 3 also scheduler phases, 4 also orchestrator phases.
    #[serde(rename = "l2_perf_level")]
    pub level: u32,
    /// One per block and sub-task, ordered by task id.
    pub tasks: Vec<TaskRecord>,
    /// At level 3 and above: per AICPU thread slot what it did as a scheduler.
    #[serde(rename = "aicpu_scheduler_phases")]
    pub scheduler: Option<Vec<Vec<SchedulerPhase>>>,
    /// At level 4: per AICPU thread slot what it did as the orchestrator.
    #[serde(rename = "aicpu_orchestrator_phases")]
    pub orchestrator: Option<Vec<Vec<OrchestratorPhase>>>,
    /// Per core the AICPU thread that schedules it, -1 if none does.
    pub core_to_thread: Option<Vec<i32>>,
}

/// One block of one sub-task on one core.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskRecord {
    /// The task: ring in the upper half, number in the ring in the lower half.
    pub task_id: u64,
    /// The kernel.
    pub func_id: u32,
    /// The core's index: all AIC first, then all AIV.
    pub core_id: u32,
    /// The core's kind.
    #[serde(with = "core_type")]
    pub core_type: CoreType,
    /// `task_id >> 32`.
    pub ring_id: u32,
    /// When the kernel began, in µs from the first time of the run.
    #[serde(rename = "start_time_us")]
    pub start: Micros,
    /// When the kernel returned.
    #[serde(rename = "end_time_us")]
    pub end: Micros,
    /// `end - start`.
    #[serde(rename = "duration_us")]
    pub duration: Micros,
    /// When the AICPU gave it to the core; 0 below level 2.
    #[serde(rename = "dispatch_time_us")]
    pub dispatch: Micros,
    /// When the AICPU saw it done; 0 below level 2.
    #[serde(rename = "finish_time_us")]
    pub finish: Micros,
    /// a5 at level 2 and above: the tasks that waited for it when it was done, at most 128.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fanout: Option<Vec<u64>>,
    /// How many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fanout_count: Option<u32>,
}

/// What a scheduler did in one pass of its loop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchedulerPhase {
    /// When it began.
    #[serde(rename = "start_time_us")]
    pub start: Micros,
    /// When it ended.
    #[serde(rename = "end_time_us")]
    pub end: Micros,
    /// What it was.
    pub phase: SchedulerWork,
    /// The pass.
    pub loop_iter: u32,
    /// How many tasks it was about.
    pub tasks_processed: u64,
    /// Only of [`SchedulerWork::Dispatch`]: ready queues that had a task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pop_hit: Option<u32>,
    /// Only of [`SchedulerWork::Dispatch`]: ready queues that were empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pop_miss: Option<u32>,
}

/// The phases of a scheduler, with the numbers that devices record them by (`spec/device-abi.md`, section 6.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u32)]
pub enum SchedulerWork {
    /// Cores that are done.
    Complete = 0,
    /// Tasks given to cores.
    Dispatch = 1,
    /// a5: looking for ready tasks.
    Scan = 2,
    /// a5: nothing to do.
    Idle = 3,
    /// A number that has no name.
    #[serde(other)]
    Unknown = u32::MAX,
}

/// What the orchestrator did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrchestratorPhase {
    /// What it was.
    pub phase: OrchestratorWork,
    /// When it began.
    #[serde(rename = "start_time_us")]
    pub start: Micros,
    /// When it ended.
    #[serde(rename = "end_time_us")]
    pub end: Micros,
    /// Which submit it belongs to, from 0.
    pub submit_idx: u32,
    /// The task.
    pub task_id: u64,
}

/// The phases of an orchestrator, likewise. a2a3 records whole submits, a5 their steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the names say all that is known of them")]
#[repr(u32)]
pub enum OrchestratorWork {
    OrchSync = 16,
    OrchAlloc = 17,
    OrchParams = 18,
    OrchLookup = 19,
    OrchHeap = 20,
    OrchInsert = 21,
    OrchFanin = 22,
    OrchFinalize = 23,
    OrchScopeEnd = 24,
    OrchSubmit = 25,
    #[serde(other)]
    Unknown = u32::MAX,
}

/// The numbers of phases, and what a number means.
macro_rules! numbered {
    ($work:ident: $($known:ident),+) => {
        impl $work {
            /// What devices record it by.
            #[must_use]
            pub const fn number(self) -> u32 {
                self as u32
            }
        }

        impl From<u32> for $work {
            fn from(number: u32) -> Self {
                [$(Self::$known),+].into_iter().find(|work| work.number() == number).unwrap_or(Self::Unknown)
            }
        }
    };
}

numbered!(SchedulerWork: Complete, Dispatch, Scan, Idle);
numbered!(
    OrchestratorWork: OrchSync, OrchAlloc, OrchParams, OrchLookup, OrchHeap, OrchInsert, OrchFanin, OrchFinalize,
    OrchScopeEnd, OrchSubmit
);

impl TaskRecord {
    /// A record of level 1; what follows from the arguments is filled in.
    #[must_use]
    pub fn new(task_id: u64, func_id: u32, core: (u32, CoreType), start: Micros, end: Micros) -> Self {
        Self {
            task_id,
            func_id,
            core_id: core.0,
            core_type: core.1,
            ring_id: ring_of(task_id),
            start,
            end,
            duration: end - start,
            dispatch: Micros::default(),
            finish: Micros::default(),
            fanout: None,
            fanout_count: None,
        }
    }
}

/// The ring of a task.
#[must_use]
#[allow(clippy::cast_possible_truncation, reason = "the upper half of 64 bits has 32")]
pub const fn ring_of(task_id: u64) -> u32 {
    (task_id >> 32) as u32
}

impl Swimlane {
    /// Reads the file from a run's output folder; `None` if it is not there.
    ///
    /// # Errors
    /// It cannot be read, or is malformed.
    pub fn read(directory: &Path) -> Result<Option<Self>, RecordsError> {
        file::read_json(&directory.join(FILE))
    }

    /// Writes the file into a run's output folder, which is created when needed: one record per line, keys in the
    /// order of section 6.1.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, directory: &Path) -> Result<(), RecordsError> {
        let mut out = Lines::create(&directory.join(FILE))?;
        out.push(&format!("{{\n  \"l2_perf_level\": {},\n  \"tasks\": [", self.level));
        out.push_lines("    ", &self.tasks)?;
        out.push("\n  ]");
        push_threads(&mut out, "aicpu_scheduler_phases", self.scheduler.as_deref())?;
        push_threads(&mut out, "aicpu_orchestrator_phases", self.orchestrator.as_deref())?;
        if let Some(threads) = &self.core_to_thread {
            out.push(",\n  \"core_to_thread\": ");
            out.push_json(threads);
        }
        out.push("\n}\n");
        out.publish()
    }
}

fn push_threads<T: Serialize>(
    out: &mut Lines,
    key: &str,
    threads: Option<&[Vec<T>]>,
) -> Result<(), RecordsError> {
    let Some(threads) = threads else { return Ok(()) };
    out.push(&format!(",\n  \"{key}\": ["));
    for (thread, phases) in threads.iter().enumerate() {
        out.push(if thread == 0 { "\n    [" } else { ",\n    [" });
        out.push_lines("      ", phases)?;
        out.push(if phases.is_empty() { "]" } else { "\n    ]" });
    }
    out.push("\n  ]");
    Ok(())
}

mod core_type {
    use serde::de::{Error as _, Unexpected};
    use serde::{Deserialize, Deserializer, Serializer};
    use task_interface::CoreType;

    pub(super) fn serialize<S: Serializer>(core: &CoreType, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(match core {
            CoreType::Aic => "aic",
            CoreType::Aiv => "aiv",
        })
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<CoreType, D::Error> {
        let name = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        match &*name {
            "aic" => Ok(CoreType::Aic),
            "aiv" => Ok(CoreType::Aiv),
            other => Err(D::Error::invalid_value(Unexpected::Str(other), &"\"aic\" or \"aiv\"")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{OrchestratorWork, SchedulerWork};

    #[test]
    fn phases_are_known_by_their_numbers() {
        let schedulers: Vec<u32> =
            (0..99).filter(|&number| SchedulerWork::from(number).number() == number).collect();
        assert_eq!(schedulers, [0, 1, 2, 3]);
        let all = (0..99).filter(|&number| OrchestratorWork::from(number).number() == number);
        assert!(all.eq(16..26));
        assert_eq!(SchedulerWork::from(16), SchedulerWork::Unknown);
        assert_eq!(OrchestratorWork::from(25), OrchestratorWork::OrchSubmit);
        assert_eq!(OrchestratorWork::from(3), OrchestratorWork::Unknown);
    }
}
