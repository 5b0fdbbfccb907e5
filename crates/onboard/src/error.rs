use std::path::PathBuf;
use std::time::Duration;

use collectors::CollectorError;
use device_runner::DeviceError;
use hal_sys::HalError;

/// What a device on CANN meets. The calls it names are those of `spec/hal.md`, section 1.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OnboardError {
    /// A program for the device is missing.
    #[error("the {program} is empty; give all three programs of this chip and runtime")]
    NoProgram {
        /// Which one.
        program: &'static str,
    },
    /// A call into CANN failed.
    #[error(transparent)]
    Hal(#[from] HalError),
    /// Device memory ran out.
    #[error("device memory: {requested} bytes cannot be allocated ({in_use} in use): {source}")]
    OutOfMemory {
        /// Bytes asked for.
        requested: u64,
        /// Bytes that this device has in use.
        in_use: u64,
        /// The call.
        source: HalError,
    },
    /// An address that is no allocation of this device.
    #[error("no allocation of this device starts at {address:#x}")]
    NotAllocated {
        /// The address.
        address: u64,
    },
    /// The driver reads the AICPU program's description from a file, which could not be written.
    #[error("{} cannot be written: {source}; see to space and rights there, or set TMPDIR", path.display())]
    Description {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Another worker of this process had to take the device down.
    #[error(
        "device {device} was taken down for everybody in this process, as a run of another worker on it did not end; \
         close this worker and open another"
    )]
    TakenDown {
        /// The device.
        device: i32,
    },
    /// The image that a variant made contradicts itself, which is a mistake in it; please report it.
    #[error("the image says that bytes {offset} to {end} of its {bytes} are written")]
    Image {
        /// Where the part starts.
        offset: usize,
        /// Where it ends.
        end: usize,
        /// Size of the image.
        bytes: usize,
    },
    /// Ranks could not get together.
    #[error(transparent)]
    Ranks(#[from] rendezvous::RendezvousError),
    /// Other ranks could not do what all of them have to.
    #[error("{ranks} could not {step}; see what they say")]
    Others {
        /// Which.
        ranks: String,
        /// What they could not do.
        step: &'static str,
    },
    /// Devices do not reach each other's memory.
    #[error(
        "device {device} cannot reach the memory of device {peer} within {limit:.1?}; see whether the two are linked and \
         whether their processes may share memory"
    )]
    NoPeerAccess {
        /// The one device.
        device: u32,
        /// The other one.
        peer: i32,
        /// How long it was waited.
        limit: Duration,
    },
    /// The stream that barriers go through has failed before.
    #[error("an earlier barrier has failed on the device; destroy the communicator and join again")]
    BarrierBroken,
    /// What a launch records could not be taken over.
    #[error(transparent)]
    Collectors(Box<CollectorError<Self>>),
    /// The memory of a collector is not as its layout says, which is a mistake in the chip's; please report it.
    #[error("{reason}; please report it")]
    Records {
        /// What is wrong.
        reason: String,
    },
    /// A run did not end well on one of its streams.
    #[error("the {stream} part of the run on {block_dim} cluster(s) failed within {limit:.1?}: {source}")]
    Run {
        /// AICPU or AICore.
        stream: &'static str,
        /// Clusters of the run.
        block_dim: u32,
        /// How long the stream was waited for.
        limit: Duration,
        /// What the stream reported.
        source: HalError,
    },
}

impl From<CollectorError<Self>> for OnboardError {
    fn from(error: CollectorError<Self>) -> Self {
        match error {
            CollectorError::Memory(error) => error,
            other => Self::Collectors(Box::new(other)),
        }
    }
}

impl OnboardError {
    /// The call into CANN that failed, if it was one.
    pub(crate) fn hal(&self) -> Option<&HalError> {
        match self {
            Self::Hal(source) | Self::Run { source, .. } | Self::OutOfMemory { source, .. } => Some(source),
            _ => None,
        }
    }

    /// Whether the device is in doubt after this.
    pub(crate) fn is_suspect(&self) -> bool {
        let gone = matches!(self, Self::TakenDown { .. });
        gone || self.hal().and_then(HalError::code).is_some_and(|code| code.suspect())
    }

    /// For whoever called a device; `step` says what was being done.
    pub(crate) fn during(self, step: &'static str) -> DeviceError {
        match self {
            Self::OutOfMemory { requested, in_use, source } => {
                DeviceError::OutOfMemory { requested, in_use, capacity: None, source: Some(Box::new(source)) }
            }
            other => DeviceError::Platform { call: step, source: Box::new(other) },
        }
    }
}
