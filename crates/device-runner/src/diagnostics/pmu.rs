use std::sync::Mutex;

use run_records::pmu::PmuRow;
use task_interface::CoreType;

use super::chip::PmuEvents;
use super::log::Log;
use super::recorder::Recorded;
use crate::arch::CoreId;
use crate::program::TaskId;
use crate::sync::lock;

/// Hardware counters of the chip that has most.
pub const MAX_COUNTERS: usize = 10;

/// What was counted while a kernel ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "plain data of devices")]
pub struct PmuSample {
    /// The task.
    pub task: TaskId,
    /// Its kernel.
    pub func_id: u32,
    /// The core.
    pub core: CoreId,
    /// Cycles of the kernel.
    pub total_cycles: u64,
    /// By hardware counter; those that the chip does not have are 0.
    pub counters: [u32; MAX_COUNTERS],
}

/// Collects hardware counters.
#[derive(Debug)]
pub struct Pmu {
    events: &'static PmuEvents,
    samples: Mutex<Log<PmuSample>>,
}

impl Pmu {
    pub(super) fn new(events: &'static PmuEvents) -> Self {
        Self { events, samples: Mutex::default() }
    }

    /// What is to be counted.
    pub fn events(&self) -> &'static PmuEvents {
        self.events
    }

    /// Keeps what was counted.
    pub fn sample(&self, sample: PmuSample) {
        lock(&self.samples).push(sample);
    }

    pub(super) fn recorded(&self) -> Recorded {
        let samples = lock(&self.samples);
        Recorded { records: samples.len() as u64, lost: samples.lost() }
    }

    /// The file; `None` without samples. `place` tells the kind of a core and the thread that schedules it.
    pub(super) fn file(&self, place: impl Fn(CoreId) -> (CoreType, u32)) -> Option<run_records::Pmu> {
        let samples = lock(&self.samples);
        if samples.len() == 0 {
            return None;
        }
        let named =
            || self.events.counters.iter().enumerate().filter(|(_, counter)| !counter.name.is_empty());
        let row = |sample: &PmuSample| {
            let (core_type, thread_id) = place(sample.core);
            PmuRow {
                thread_id,
                core_id: sample.core.0,
                task_id: sample.task.0,
                func_id: sample.func_id,
                core_type,
                total_cycles: sample.total_cycles,
                values: named()
                    .map(|(index, _)| u64::from(sample.counters.get(index).copied().unwrap_or(0)))
                    .collect(),
                event_type: self.events.event_type,
            }
        };
        Some(run_records::Pmu {
            counters: named().map(|(_, counter)| counter.name.to_owned()).collect(),
            rows: samples.iter().map(row).collect(),
        })
    }
}
