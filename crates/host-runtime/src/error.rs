//! What fails at the border to C: a code for the return value, a kind for programs, a text for people.

use std::ffi::c_int;

use device_runner::{DeviceError, RunnerError, VariantError};
use host_library::ErrorKind;

/// The return value of every failure that has no code of its own (`spec/public-abi.md`, section F.3).
pub(crate) const FAILED: c_int = -1;

/// Why a call fails.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) kind: ErrorKind,
    /// What the function returns if it returns a code.
    pub(crate) code: c_int,
    pub(crate) text: String,
}

impl Failure {
    pub(crate) fn new(kind: ErrorKind, text: impl Into<String>) -> Self {
        Self { kind, code: FAILED, text: text.into() }
    }

    pub(crate) fn invalid(text: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidArgument, text)
    }

    pub(crate) fn null(argument: &str) -> Self {
        Self::invalid(format!("{argument} is null"))
    }

    pub(crate) fn unsupported(text: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unsupported, text)
    }
}

impl From<RunnerError> for Failure {
    fn from(error: RunnerError) -> Self {
        let (kind, code) = classify(&error);
        Self { kind, code, text: error.to_string() }
    }
}

impl From<DeviceError> for Failure {
    fn from(error: DeviceError) -> Self {
        RunnerError::from(error).into()
    }
}

impl From<chip_worker::WorkerError> for Failure {
    fn from(error: chip_worker::WorkerError) -> Self {
        match error {
            chip_worker::WorkerError::Runner(error) => error.into(),
            error @ chip_worker::WorkerError::NoPrograms { .. } => {
                Self::invalid(format!("{error}; a client of the C API passes all three to simpler_init"))
            }
            other => Self::new(ErrorKind::Device, other.to_string()),
        }
    }
}

fn classify(error: &RunnerError) -> (ErrorKind, c_int) {
    let kind = match error {
        RunnerError::BlockDim { .. }
        | RunnerError::AicpuThreads { .. }
        | RunnerError::Config(_)
        | RunnerError::Args(_)
        | RunnerError::Tensor { .. }
        | RunnerError::DeviceTensor { .. }
        | RunnerError::CallableIdRange { .. } => ErrorKind::InvalidArgument,
        RunnerError::Callable(_)
        | RunnerError::FuncId { .. }
        | RunnerError::NoOrchestration
        | RunnerError::CallableIdTaken { .. }
        | RunnerError::RegistryFull { .. } => ErrorKind::Callable,
        RunnerError::UnknownCallable { .. } => ErrorKind::UnknownCallable,
        RunnerError::Unavailable { .. } => ErrorKind::Unsupported,
        RunnerError::Export { .. } => ErrorKind::Diagnostics,
        RunnerError::Closed | RunnerError::NotBound => ErrorKind::NotInitialized,
        RunnerError::Device(error) | RunnerError::Deferred(error) => kind_of_device(error),
        RunnerError::Variant(error) => return classify_variant(error),
        _ => ErrorKind::Device,
    };
    (kind, FAILED)
}

fn classify_variant(error: &VariantError) -> (ErrorKind, c_int) {
    match error {
        // Both are the program's own answer; 0 cannot be one of a failure.
        VariantError::Returned { code } | VariantError::Status { code, .. } if *code != 0 => {
            (ErrorKind::Orchestration, *code)
        }
        VariantError::Load(_) | VariantError::WrongKind { .. } => (ErrorKind::Callable, FAILED),
        VariantError::Device(error) => (kind_of_device(error), FAILED),
        _ => (ErrorKind::Orchestration, FAILED),
    }
}

fn kind_of_device(error: &DeviceError) -> ErrorKind {
    match error {
        DeviceError::NoSuchDevice { .. } | DeviceError::InvalidPointer { .. } => ErrorKind::InvalidArgument,
        DeviceError::OutOfMemory { .. } => ErrorKind::OutOfMemory,
        DeviceError::KernelLoad { .. } => ErrorKind::Callable,
        DeviceError::Stalled(_) | DeviceError::Watchdog { .. } => ErrorKind::Stalled,
        DeviceError::Lost { .. } | DeviceError::Unusable { .. } => ErrorKind::Unusable,
        DeviceError::Busy => ErrorKind::Busy,
        DeviceError::Closed => ErrorKind::NotInitialized,
        DeviceError::Unsupported { .. } => ErrorKind::Unsupported,
        DeviceError::Internal(_) => ErrorKind::Internal,
        _ => ErrorKind::Device,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(error: impl Into<RunnerError>) -> (ErrorKind, c_int) {
        let failure = Failure::from(error.into());
        assert!(!failure.text.is_empty());
        (failure.kind, failure.code)
    }

    #[test]
    fn a_program_s_own_code_is_handed_on() {
        assert_eq!(failure(VariantError::Returned { code: 7 }), (ErrorKind::Orchestration, 7));
        assert_eq!(failure(VariantError::Returned { code: -5 }), (ErrorKind::Orchestration, -5));
        let status = VariantError::Status { code: -8, text: "late".to_owned() };
        assert_eq!(failure(status), (ErrorKind::Orchestration, -8));
    }

    #[test]
    fn a_failure_never_has_the_code_of_success() {
        let status = VariantError::Status { code: 0, text: "odd".to_owned() };
        assert_eq!(failure(status), (ErrorKind::Orchestration, FAILED));
        assert_eq!(failure(VariantError::Returned { code: 0 }), (ErrorKind::Orchestration, FAILED));
    }

    #[test]
    fn kinds_tell_apart_what_a_client_would_do_next() {
        assert_eq!(failure(RunnerError::UnknownCallable { id: 3 }), (ErrorKind::UnknownCallable, FAILED));
        assert_eq!(failure(RunnerError::CallableIdTaken { id: 3 }), (ErrorKind::Callable, FAILED));
        assert_eq!(failure(RunnerError::Closed), (ErrorKind::NotInitialized, FAILED));
        assert_eq!(failure(DeviceError::Busy), (ErrorKind::Busy, FAILED));
        let unusable = DeviceError::Unusable { reason: "stuck".to_owned() };
        assert_eq!(failure(VariantError::Device(unusable)), (ErrorKind::Unusable, FAILED));
        assert_eq!(failure(RunnerError::Deferred(DeviceError::Cancelled)), (ErrorKind::Device, FAILED));
    }
}
