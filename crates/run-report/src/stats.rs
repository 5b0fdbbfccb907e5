//! Sums over a run: its length, its cores, its kernels.

use std::collections::BTreeMap;

use run_records::swimlane::TaskRecord;
use run_records::{Micros, Swimlane};
use task_interface::CoreType;

/// From the first start of a kernel to the last end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Makespan {
    /// The first start.
    pub start: Micros,
    /// The last end.
    pub end: Micros,
}

impl Makespan {
    /// That of a run; `None` if no kernel ran.
    #[must_use]
    pub fn of(swimlane: &Swimlane) -> Option<Self> {
        let start = swimlane.tasks.iter().map(|record| record.start).min()?;
        let end = swimlane.tasks.iter().map(|record| record.end).max()?;
        Some(Self { start, end })
    }

    /// How long it is.
    #[must_use]
    pub fn length(self) -> Micros {
        self.end - self.start
    }
}

/// What a core did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CoreUse {
    /// The core.
    pub core_id: u32,
    /// Its kind.
    pub core_type: CoreType,
    /// Kernels that ran on it.
    pub kernels: usize,
    /// How long they took.
    pub busy: Micros,
}

impl CoreUse {
    /// All cores that ran a kernel, by number.
    #[must_use]
    pub fn of(swimlane: &Swimlane) -> Vec<Self> {
        let mut cores = BTreeMap::new();
        for record in &swimlane.tasks {
            let core = cores.entry(record.core_id).or_insert(Self {
                core_id: record.core_id,
                core_type: record.core_type,
                kernels: 0,
                busy: Micros::default(),
            });
            core.kernels += 1;
            core.busy = core.busy + length(record);
        }
        cores.into_values().collect()
    }
}

/// What a kernel took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KernelUse {
    /// The kernel.
    pub func_id: u32,
    /// How often it ran.
    pub count: usize,
    /// How long in all.
    pub total: Micros,
    /// Its longest record, an index into the swimlane.
    pub longest: usize,
    /// How long that took.
    pub max: Micros,
}

impl KernelUse {
    /// All kernels, the one that took most in all first.
    #[must_use]
    pub fn of(swimlane: &Swimlane) -> Vec<Self> {
        let mut kernels = BTreeMap::new();
        for (index, record) in swimlane.tasks.iter().enumerate() {
            let kernel = kernels.entry(record.func_id).or_insert(Self {
                func_id: record.func_id,
                count: 0,
                total: Micros::default(),
                longest: index,
                max: length(record),
            });
            kernel.count += 1;
            kernel.total = kernel.total + length(record);
            if length(record) > kernel.max {
                (kernel.longest, kernel.max) = (index, length(record));
            }
        }
        let mut kernels: Vec<Self> = kernels.into_values().collect();
        kernels.sort_by_key(|kernel| std::cmp::Reverse(kernel.total));
        kernels
    }

    /// How long it took on average.
    #[must_use]
    pub fn mean(&self) -> Micros {
        Micros::from_nanos(self.total.nanos() / i64::try_from(self.count.max(1)).unwrap_or(i64::MAX))
    }
}

fn length(record: &TaskRecord) -> Micros {
    record.end - record.start
}
