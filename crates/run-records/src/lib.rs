//! The files that a run's diagnostics leave: `l2_perf_records.json`, `deps.json`, `pmu.csv`,
//! `scope_stats/scope_stats.jsonl` and `tensor_dump/` (`spec/device-abi.md`, section 6); and `run.json`, which is this
//! project's own.
//!
//! **Owns:** the types of these files, which are their schema for whoever writes and whoever reads; reading
//! with exact errors; writing, each file as a whole or not at all.
//!
//! **Must not know:** how records are collected, what they tell about a run, how they are shown.

#![forbid(unsafe_code)]

use std::path::Path;

mod decimal;
pub mod deps;
mod dtype;
pub mod dump;
mod error;
mod file;
mod growing;
mod micros;
pub mod pmu;
pub mod scope;
pub mod summary;
pub mod swimlane;

pub use deps::Deps;
pub use dtype::Dtype;
pub use dump::Dump;
pub use error::RecordsError;
pub use file::replace;
pub use growing::GrowingFile;
pub use micros::Micros;
pub use pmu::Pmu;
pub use scope::ScopeStats;
pub use summary::Summary;
pub use swimlane::Swimlane;

/// What a run left; `None` where its collector was off or had nothing to write.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Run {
    /// When each task ran where.
    pub swimlane: Option<Swimlane>,
    /// Which task depends on which.
    pub deps: Option<Deps>,
    /// How full rings, heaps and the tensor map were at the scopes' borders.
    pub scope_stats: Option<ScopeStats>,
    /// Hardware counters of each task.
    pub pmu: Option<Pmu>,
    /// Tensors before and after tasks.
    pub dump: Option<Dump>,
    /// What the run knows of itself besides.
    pub summary: Option<Summary>,
}

impl Run {
    /// Reads all files that are in the output folder of a run.
    ///
    /// # Errors
    /// The folder does not exist, or a file that exists cannot be read or is malformed.
    pub fn read(directory: &Path) -> Result<Self, RecordsError> {
        // A folder that is missing would else look like a run without any diagnostics.
        std::fs::read_dir(directory).map_err(|source| RecordsError::unreadable(directory, source))?;
        Ok(Self {
            swimlane: Swimlane::read(directory)?,
            deps: Deps::read(directory)?,
            scope_stats: ScopeStats::read(directory)?,
            pmu: Pmu::read(directory)?,
            dump: Dump::read(directory)?,
            summary: Summary::read(directory)?,
        })
    }

    /// Writes what is there into the output folder of a run, which is created when needed.
    ///
    /// Tensors' bytes are not part of this: `tensor_dump.bin` grows while the run goes on.
    ///
    /// # Errors
    /// A file cannot be written. Those before it are in place, each whole.
    pub fn write(&self, directory: &Path) -> Result<(), RecordsError> {
        self.swimlane.iter().try_for_each(|swimlane| swimlane.write(directory))?;
        self.deps.iter().try_for_each(|deps| deps.write(directory))?;
        self.scope_stats.iter().try_for_each(|stats| stats.write(directory))?;
        self.pmu.iter().try_for_each(|pmu| pmu.write(directory))?;
        self.dump.iter().try_for_each(|dump| dump.write(directory))?;
        self.summary.iter().try_for_each(|summary| summary.write(directory))
    }

    /// Whether no file was there.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
