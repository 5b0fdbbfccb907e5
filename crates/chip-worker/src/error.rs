use device_runner::{DeviceError, RunnerError};

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
    /// A handle of another worker.
    #[error("the callable handle belongs to another worker; register the callable on this one")]
    ForeignHandle,
    /// The arguments are not valid.
    #[error(transparent)]
    Args(#[from] ArgsError),
    /// The runner, and what is below it.
    #[error(transparent)]
    Runner(#[from] RunnerError),
}

impl From<DeviceError> for WorkerError {
    fn from(error: DeviceError) -> Self {
        Self::Runner(error.into())
    }
}
