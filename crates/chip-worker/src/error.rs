use std::path::PathBuf;

use device_runner::{DeviceError, RunnerError, VariantError};
use host_library::HostLibraryError;

use crate::args::ArgsError;
use crate::platform::Platform;

/// What a [`ChipWorker`](crate::ChipWorker) refuses or meets.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkerError {
    /// A name that stands for nothing.
    #[error("unknown {what} \"{name}\"; known are: {known}")]
    UnknownName {
        /// Platform or runtime.
        what: &'static str,
        /// The name.
        name: String,
        /// The names there are.
        known: &'static str,
    },
    /// This build leaves the platform out.
    #[error(
        "platform {platform} is not part of this build; enable the cargo features {features} of chip-worker"
    )]
    PlatformUnavailable {
        /// The platform.
        platform: Platform,
        /// What to enable.
        features: &'static str,
    },
    /// A worker on hardware needs the programs that run on the device.
    #[error(
        "platform {platform} needs its AICPU program, AICore program and dispatcher; give them with \
         ChipWorkerBuilder::programs"
    )]
    NoPrograms {
        /// The platform.
        platform: Platform,
    },
    /// The libraries of CANN are not on this machine.
    #[error("platform {platform} cannot be used on this machine: {source}")]
    NoCann {
        /// The platform.
        platform: Platform,
        /// What is missing, where it was looked for, and what to set.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A handle of another worker.
    #[error("the callable handle belongs to another worker; register the callable on this one")]
    ForeignHandle,
    /// A loaded library does not say what it is for, and neither does its path.
    #[error(
        "{} does not tell its {what}, and is not at <chip>/<variant>/<runtime>/libhost_runtime.so; name platform and \
         runtime with ChipWorker::load_as",
        library.display()
    )]
    UntoldPurpose {
        /// Platform or runtime.
        what: &'static str,
        /// The library.
        library: PathBuf,
    },
    /// A loaded library is for something else than was said.
    #[error("{} is for the {what} {actual}, not {expected}; load another library", library.display())]
    OtherPurpose {
        /// Platform or runtime.
        what: &'static str,
        /// The library.
        library: PathBuf,
        /// What it is for.
        actual: String,
        /// What was said.
        expected: &'static str,
    },
    /// The C API of a loaded library has no way to do it.
    #[error("a worker of a loaded library cannot {what}; {instead}")]
    LinkedOnly {
        /// What was asked.
        what: &'static str,
        /// What to do.
        instead: &'static str,
    },
    /// A callable was to be replaced; the new one is refused, and so is the old one now. The handle's id is empty.
    #[error(
        "the new callable is refused ({refused}), and the old one could not be put back ({source}); drop the \
         handle and register again"
    )]
    NotPutBack {
        /// Why the new one is refused.
        refused: Box<HostLibraryError>,
        /// Why the old one is refused.
        source: Box<HostLibraryError>,
    },
    /// What a launcher says about the ranks of a job cannot be.
    #[error(transparent)]
    Environment(rendezvous::RendezvousError),
    /// No launcher says which rank this process is.
    #[error(
        "the environment does not say which rank this process is; start it with mpirun or srun, or set \
         SIMPLER_COMM_RANK and SIMPLER_COMM_SIZE"
    )]
    NotLaunched,
    /// The loaded library, or what keeps it from being loaded.
    #[error(transparent)]
    Library(#[from] HostLibraryError),
    /// The arguments are not valid.
    #[error(transparent)]
    Args(#[from] ArgsError),
    /// The runner, and what is below it.
    #[error(transparent)]
    Runner(#[from] RunnerError),
}

impl WorkerError {
    /// The code that the orchestration, the device program or the loaded library ended with, as in the C API
    /// (`spec/public-abi.md`, section F.3); `None` for errors that have no code of their own.
    #[must_use]
    pub fn code(&self) -> Option<i32> {
        match self {
            Self::Runner(RunnerError::Variant(
                VariantError::Status { code, .. } | VariantError::Returned { code },
            )) => Some(*code),
            Self::Library(error) => error.code(),
            Self::NotPutBack { source, .. } => source.code(),
            _ => None,
        }
    }
}

impl From<DeviceError> for WorkerError {
    fn from(error: DeviceError) -> Self {
        Self::Runner(error.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_found_wherever_they_come_from() {
        let runner = |error: VariantError| WorkerError::from(RunnerError::from(error));
        assert_eq!(runner(VariantError::Returned { code: 17 }).code(), Some(17));
        assert_eq!(runner(VariantError::Status { code: -9, text: String::new() }).code(), Some(-9));
        let call = || HostLibraryError::LogInit { path: PathBuf::new(), code: -1 };
        assert_eq!(WorkerError::from(call()).code(), Some(-1));
        let lost =
            WorkerError::NotPutBack { refused: Box::new(HostLibraryError::Closed), source: Box::new(call()) };
        assert_eq!(lost.code(), Some(-1));
        assert_eq!(WorkerError::ForeignHandle.code(), None);
        assert_eq!(WorkerError::from(HostLibraryError::Closed).code(), None);
    }
}
