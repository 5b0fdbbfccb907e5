//! Random runs that keep every rule, for tests here and in the crates above, and for looking at the page.

use std::path::Path;

use run_records::scope::{Border, Header, Record, VERSION};
use run_records::swimlane::TaskRecord;
use run_records::{Deps, Dump, Pmu, RecordsError, Run, ScopeStats, Swimlane, dump};
use task_interface::CoreType;

use crate::names::FuncNames;

mod files;
mod mutation;
mod random;
mod schedule;

pub use mutation::{Mutation, Telling};

use random::Random;
use schedule::{Job, Schedule};

/// What a random run looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Two samples with equal fields are the same run.
    pub seed: u64,
    /// Tasks that run kernels.
    pub tasks: usize,
    /// Clusters of the chip.
    pub clusters: u32,
    /// AICPU threads; the last is the orchestrator.
    pub threads: u32,
    /// The swimlane's level.
    pub level: u32,
    /// Which chip's form the files have.
    pub chip: Chip,
}

/// The chips, whose files differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chip {
    /// 50 MHz, whole submits.
    A2a3,
    /// 1 GHz, steps of submits, successors in the records.
    A5,
}

/// The kernels of samples: name, kind of core, usual time in ns.
const KERNELS: [(&str, CoreType, i64); 9] = [
    ("qk_matmul", CoreType::Aic, 9_000),
    ("pv_matmul", CoreType::Aic, 7_000),
    ("gemm_tile", CoreType::Aic, 14_000),
    ("softmax_prepare", CoreType::Aiv, 6_000),
    ("online_update", CoreType::Aiv, 4_000),
    ("rms_norm", CoreType::Aiv, 3_000),
    ("vector_add", CoreType::Aiv, 1_500),
    ("mix_left", CoreType::Aiv, 5_000),
    ("mix_right", CoreType::Aiv, 5_500),
];

impl Sample {
    /// A run of so many tasks on `a2a3` with everything recorded.
    #[must_use]
    pub fn new(seed: u64, tasks: usize) -> Self {
        Self { seed, tasks, clusters: 24, threads: 4, level: 4, chip: Chip::A2a3 }
    }

    /// The records of the run.
    #[must_use]
    pub fn run(&self) -> Run {
        let mut random = Random::new(self.seed);
        let jobs = Job::random(self, &mut random);
        let schedule = Schedule::new(self, &jobs, &mut random);
        let swimlane = files::swimlane(self, &jobs, &schedule, &mut random);
        Run {
            deps: Some(files::deps(&jobs, &mut random)),
            scope_stats: Some(scope_stats(&jobs, &mut random)),
            pmu: Some(files::pmu(&swimlane, &mut random)),
            dump: Some(files::dump(&swimlane)),
            summary: Some(files::summary(&jobs, &schedule, &mut random)),
            swimlane: Some(swimlane),
        }
    }

    /// What the kernels are called.
    #[must_use]
    pub fn names() -> FuncNames {
        (0..).zip(KERNELS.map(|(name, ..)| name)).collect()
    }

    /// Writes the files of the run into a folder, which is created when needed.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn write(&self, directory: &Path) -> Result<Run, RecordsError> {
        let run = self.run();
        run.write(directory)?;
        let bytes = run.dump.iter().flat_map(|dump| &dump.tensors).map(|tensor| tensor.bin_size).sum::<u64>();
        let bytes = vec![0x3f; usize::try_from(bytes).unwrap_or_default()];
        run_records::replace(&directory.join(dump::FOLDER).join(dump::BYTES), &bytes)?;
        Ok(run)
    }
}

/// Borders of the scopes that the jobs lie in.
fn scope_stats(jobs: &[Job], random: &mut Random) -> ScopeStats {
    let (window, heap, tensormap) = (16_384, 268_435_456, 65_536);
    let mut records = Vec::new();
    let mut next_of_ring = [0_i32; 4];
    let mut border = |phase, depth: usize, site: usize, next: &[i32; 4], random: &mut Random| {
        let ring = depth.min(3);
        let alive = i32::try_from(random.below(200)).unwrap_or_default().min(next[ring]);
        let heap_start = random.below(heap / 4);
        records.push(Record {
            site: format!("orchestration.cpp:{}", 40 + 13 * site),
            phase,
            depth: i16::try_from(depth).unwrap_or_default(),
            ring: i16::try_from(ring).unwrap_or_default(),
            task_window_start: next[ring] - alive,
            task_window_end: next[ring],
            heap_start,
            heap_end: heap_start + u64::try_from(alive).unwrap_or_default() * 65_536,
            tensormap: alive * 3,
        });
    };
    let mut open: Vec<usize> = Vec::new();
    for job in jobs {
        while open.len() > job.depth {
            let site = open.pop().unwrap_or_default();
            border(Border::End, open.len() + 1, site, &next_of_ring, random);
        }
        while open.len() < job.depth {
            open.push(open.len() + 1);
            border(Border::Begin, open.len(), open.len(), &next_of_ring, random);
        }
        next_of_ring[job.depth.min(3)] += 1;
    }
    while let Some(site) = open.pop() {
        border(Border::End, open.len() + 1, site, &next_of_ring, random);
    }
    let header = Header {
        version: VERSION,
        fatal: false,
        dropped: 0,
        total: records.len() as u64,
        task_window_max: [window; 4],
        heap_max: [heap; 4],
        tensormap_max: tensormap,
    };
    ScopeStats { header, records }
}
