use chip_worker::{ArgsError, DeviceError, ResourceReport, RunnerError, WorkerError};

use crate::compare::Mismatch;

/// Why a case failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CaseError {
    /// Results are not what they should be.
    #[error("{}", texts(.0))]
    Wrong(Vec<Mismatch>),
    /// Something else is not as it should be.
    #[error("{0}")]
    Check(String),
    /// The scene has no program of that name.
    #[error("the scene has no program \"{0}\"")]
    NoProgram(&'static str),
    /// The case has ended and more is held than before.
    #[error("the case left something behind; before: {before}; after: {after}")]
    Left {
        /// What the worker held before.
        before: Box<ResourceReport>,
        /// What it holds now.
        after: Box<ResourceReport>,
    },
    /// The worker is closed and something is still held.
    #[error("the closed worker still holds {0}")]
    NotReleased(Box<ResourceReport>),
    /// The case is for simulation, and this is hardware.
    #[error("it runs in simulation only: {why}")]
    SimulatedOnly {
        /// What it needs.
        why: &'static str,
    },
    /// The case has failed, and threads of it were given up: they may still run.
    #[error("{source}")]
    LeftRunning {
        /// Why it failed.
        source: Box<CaseError>,
    },
    /// A rank of several failed, before the others did.
    #[error("rank {rank}: {source}")]
    Rank {
        /// Which.
        rank: u32,
        /// Whether something of any rank may still run.
        still_running: bool,
        /// Why it failed.
        source: Box<CaseError>,
    },
    /// The worker refused or failed.
    #[error(transparent)]
    Worker(#[from] WorkerError),
}

impl CaseError {
    /// Whether kernels or orchestrations of the case may still run: they take a CPU, and end with the process only.
    #[must_use]
    pub fn may_still_run(&self) -> bool {
        match self {
            Self::LeftRunning { .. } => true,
            Self::Rank { still_running, .. } => *still_running,
            Self::NotReleased(report) => report.device.abandoned_threads > 0,
            _ => false,
        }
    }

    /// What the case needs and no worker of such a kind has, if that is why it did not run: graphs, kernels or phases
    /// of a run in Rust, for a loaded library or a chip on hardware; or what it says itself
    /// ([`Case::simulated_only`](crate::Case::simulated_only)).
    #[must_use]
    pub fn lacks(&self) -> Option<String> {
        match self.of_rank() {
            Self::Worker(WorkerError::LinkedOnly { .. }) => {
                Some("it needs a worker that is linked in".to_owned())
            }
            Self::SimulatedOnly { why } => Some((*why).to_owned()),
            Self::Worker(WorkerError::Runner(RunnerError::Device(DeviceError::Unsupported {
                what, ..
            }))) if what.contains("Rust") => Some(format!("no device takes {what}")),
            _ => None,
        }
    }
}

impl CaseError {
    /// Why the first of several ranks failed, or what is known of a case of one.
    pub(crate) fn of_rank(&self) -> &Self {
        match self {
            Self::Rank { source, .. } => source.of_rank(),
            other => other,
        }
    }
}

impl From<ArgsError> for CaseError {
    fn from(error: ArgsError) -> Self {
        Self::Worker(error.into())
    }
}

impl From<RunnerError> for CaseError {
    fn from(error: RunnerError) -> Self {
        Self::Worker(error.into())
    }
}

fn texts(mismatches: &[Mismatch]) -> String {
    mismatches.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}
