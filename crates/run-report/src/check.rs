//! The rules that the records of a run keep.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use run_records::Run;

use crate::graph::TaskGraph;

mod deps;
mod dump;
mod finding;
mod pmu;
mod scope;
mod swimlane;

pub use finding::{Finding, RecordRef};

/// What is known of a run besides its files.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// How many records (blocks times sub-tasks) tasks have; of others it is only checked that their
    /// sub-tasks have equally many.
    pub records_per_task: BTreeMap<u64, usize>,
    /// Tasks whose completion was deferred: a sub-task that defers it has no record.
    pub deferred: BTreeSet<u64>,
    /// How long the file of dumped bytes is.
    pub dump_bytes: Option<u64>,
}

impl Facts {
    /// What the output folder of a run tells besides its records.
    #[must_use]
    pub fn of(directory: &Path, run: &Run) -> Self {
        let bytes =
            run.dump.as_ref().map(|dump| directory.join(run_records::dump::FOLDER).join(&dump.bin_file));
        // A file that is missing has no bytes.
        let dump_bytes = bytes.map(|path| std::fs::metadata(path).map_or(0, |file| file.len()));
        Self { dump_bytes, ..Self::default() }
    }
}

/// What is wrong with the records of a run; nothing, if it is as it should be.
///
/// Rules between two files apply where both are there. Times of dependencies are checked although `deps.json`
/// may hold edges that the run did not need: those are from tasks that were over.
#[must_use]
pub fn check(run: &Run, facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    let lost = run.summary.as_ref().map_or(0, |summary| summary.lost_records);
    if lost > 0 {
        findings.push(Finding::Lost { records: lost });
    }
    if let Some(swimlane) = &run.swimlane {
        swimlane::check(swimlane, facts, &mut findings);
        let graph = TaskGraph::new(run);
        deps::check(run, swimlane, &graph, facts, &mut findings);
    }
    if let Some(deps) = &run.deps {
        deps::check_alone(deps, &mut findings);
    }
    if let Some(pmu) = &run.pmu {
        pmu::check(pmu, run.swimlane.as_ref(), &mut findings);
    }
    if let Some(dump) = &run.dump {
        dump::check(dump, run.swimlane.as_ref(), facts, &mut findings);
    }
    if let Some(stats) = &run.scope_stats {
        scope::check(stats, &mut findings);
    }
    findings
}

/// How many submitted tasks have no record where nothing tells whether they have a kernel. It is no finding: a task
/// without a kernel has no record, and which ones those are only `run.json` tells.
#[must_use]
pub fn untold(run: &Run) -> usize {
    deps::untold(run)
}
