use std::error::Error;
use std::fmt;
use std::sync::{Arc, Mutex};

use crate::arch::CoreId;
use crate::dev_ptr::DevPtr;
use crate::phases::RunOutcome;
use crate::program::TaskId;
use crate::stall::Stall;
use crate::sync::lock;

/// An error of a lower layer whose type is not part of this crate's interface.
pub(crate) type BoxedError = Box<dyn Error + Send + Sync>;

/// What a device refuses or cannot do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// There is no device of this id.
    #[error("device {id} does not exist; ids {available} do")]
    NoSuchDevice {
        /// The id.
        id: u32,
        /// Which ids exist.
        available: String,
    },
    /// Device memory ran out.
    #[error(
        "device memory: {requested} bytes cannot be allocated ({in_use}{} in use); free memory or use smaller \
         tensors{}",
        optional(" of ", capacity.as_ref()),
        optional(": ", source.as_ref())
    )]
    OutOfMemory {
        /// Bytes asked for.
        requested: u64,
        /// Bytes allocated at that moment.
        in_use: u64,
        /// Bytes the device has, where that is known.
        capacity: Option<u64>,
        /// The refusal of the platform below, where there is one.
        source: Option<BoxedError>,
    },
    /// An address or range that is not inside one live allocation of this device.
    #[error("{operation} at {ptr} for {len} bytes: {reason}")]
    InvalidPointer {
        /// What was tried.
        operation: &'static str,
        /// The address.
        ptr: DevPtr,
        /// Bytes of the range.
        len: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// A kernel's code could not be made callable.
    #[error("kernel {name} cannot be loaded: {source}")]
    KernelLoad {
        /// What messages call the kernel.
        name: String,
        /// Why.
        source: BoxedError,
    },
    /// A kernel handle that this device did not give out, or took back.
    #[error("kernel handle {handle:#x} is not registered on this device")]
    UnknownKernel {
        /// The handle.
        handle: u64,
    },
    /// A kernel ended with an error of its own.
    #[error("{task} failed: kernel {kernel} on {core}: {source}")]
    KernelFailed {
        /// The task.
        task: TaskId,
        /// Name of its kernel.
        kernel: String,
        /// Where it ran.
        core: CoreId,
        /// What the kernel reported or threw.
        source: BoxedError,
    },
    /// Nothing could run any more and work was left.
    #[error("the run is deadlocked: {0}")]
    Stalled(Box<Stall>),
    /// Nothing finished within the watchdog's limit.
    #[error(
        "nothing finished for {limit:.1?}; the device stays unusable: close it, and raise the watchdog if this is only slow: {stall}"
    )]
    Watchdog {
        /// The limit.
        limit: std::time::Duration,
        /// What was running and what waited.
        stall: Box<Stall>,
    },
    /// A launch did not end, or left the device in a state that nobody knows.
    #[error(
        "the launch failed and the device cannot be used any more: {source}; close this worker and open another"
    )]
    Lost {
        /// What it met.
        source: BoxedError,
    },
    /// An earlier launch could not be ended, so nothing new can be started.
    #[error("the device is unusable since an earlier run: {reason}; close this worker and open another")]
    Unusable {
        /// The error of that run.
        reason: String,
    },
    /// A launch, a registration or a clean-up is under way.
    #[error("the device is busy with another run or registration; let that one end first")]
    Busy,
    /// The launch was dropped before it ended.
    #[error("the run was cancelled")]
    Cancelled,
    /// The worker whose memory it is was closed.
    #[error("the worker is closed; open another one")]
    Closed,
    /// This device cannot do that at all.
    #[error("{what} is not supported on {device}")]
    Unsupported {
        /// What was asked.
        what: &'static str,
        /// The kind of device.
        device: &'static str,
    },
    /// A call into the platform below failed.
    #[error("{call} failed: {source}")]
    Platform {
        /// The call.
        call: &'static str,
        /// Why.
        source: BoxedError,
    },
    /// The device panicked, which is a mistake in it; please report it.
    #[error("internal error: {0}")]
    Internal(String),
}

/// Part of a message that is there with its value only.
fn optional(before: &str, value: Option<&impl fmt::Display>) -> String {
    value.map(|value| format!("{before}{value}")).unwrap_or_default()
}

impl DeviceError {
    /// Whether the device cannot be launched on again after this error.
    #[must_use]
    pub fn leaves_device_unusable(&self) -> bool {
        match self {
            Self::Watchdog { .. } | Self::Lost { .. } | Self::Unusable { .. } => true,
            Self::Stalled(stall) => !stall.running.is_empty(),
            _ => false,
        }
    }
}

/// What a runtime variant refuses while it loads, builds or ends a graph.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VariantError {
    /// The orchestration cannot be loaded.
    #[error("the orchestration cannot be loaded: {0}")]
    Load(#[source] BoxedError),
    /// The orchestration is of a kind that this variant does not run.
    #[error("{variant} cannot run this orchestration: {reason}")]
    WrongKind {
        /// The variant.
        variant: &'static str,
        /// What it expects.
        reason: &'static str,
    },
    /// The orchestration returned a code other than 0; it is handed on as it is.
    #[error("the orchestration returned {code}")]
    Returned {
        /// Its return value.
        code: i32,
    },
    /// The device program ended with a status other than 0 (`spec/public-abi.md`, section F.2).
    #[error("the device program ended with status {code}: {text}")]
    Status {
        /// The code as in the C API: negative.
        code: i32,
        /// What it means, what happened, and what to do.
        text: String,
    },
    /// The orchestration threw or failed.
    #[error("the orchestration failed: {0}")]
    Failed(#[source] BoxedError),
    /// The graph it built cannot be run.
    #[error("the graph cannot be run: {0}")]
    Graph(#[source] BoxedError),
    /// The device refused something on the way.
    #[error(transparent)]
    Device(#[from] DeviceError),
}

/// What a [`DeviceRunner`](crate::DeviceRunner) refuses.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunnerError {
    /// `block_dim` outside of what the chip has.
    #[error("block_dim {requested} is out of range: {arch} takes 1 to {max}, or 0 for all")]
    BlockDim {
        /// The value.
        requested: i32,
        /// The chip's maximum.
        max: u32,
        /// The chip.
        arch: &'static str,
    },
    /// `aicpu_thread_num` outside of what the chip has.
    #[error("aicpu_thread_num {requested} is out of range: {arch} takes 1 to {max}")]
    AicpuThreads {
        /// The value.
        requested: i32,
        /// The chip's maximum.
        max: u32,
        /// The chip.
        arch: &'static str,
    },
    /// The call configuration is not valid.
    #[error(transparent)]
    Config(#[from] task_interface::CallConfigError),
    /// The callable image is not valid.
    #[error("the callable is not valid: {0}")]
    Callable(#[from] task_interface::CallableError),
    /// The task arguments are not valid.
    #[error("the task arguments are not valid: {0}")]
    Args(#[from] task_interface::TaskArgsError),
    /// A tensor argument is not valid.
    #[error("tensor argument {index} is not valid: {source}")]
    Tensor {
        /// Its index.
        index: usize,
        /// What is wrong.
        source: task_interface::TensorError,
    },
    /// A tensor argument says it is in device memory, and is not.
    #[error(
        "tensor argument {index} is said to be in device memory, but {bytes} bytes at {ptr} are not inside one allocation of this worker"
    )]
    DeviceTensor {
        /// Its index.
        index: usize,
        /// Its address.
        ptr: DevPtr,
        /// Its size.
        bytes: u64,
    },
    /// A kernel id outside of the table.
    #[error("kernel func_id {func_id} is out of range: 0 to {max} are valid")]
    FuncId {
        /// The id.
        func_id: u32,
        /// The largest valid one.
        max: usize,
    },
    /// A callable id outside of the table.
    #[error("callable id {id} is out of range: 0 to {max} are valid")]
    CallableIdRange {
        /// The id.
        id: i32,
        /// The largest valid one.
        max: usize,
    },
    /// The id is taken.
    #[error("callable id {id} is already registered; unregister it first")]
    CallableIdTaken {
        /// The id.
        id: i32,
    },
    /// Nothing is registered under the id.
    #[error("callable id {id} is not registered on this worker")]
    UnknownCallable {
        /// The id.
        id: i32,
    },
    /// All ids are taken.
    #[error("all {capacity} callable ids are registered; drop a handle first")]
    RegistryFull {
        /// Number of ids.
        capacity: usize,
    },
    /// The callable carries no orchestration.
    #[error("the callable has no orchestration; build it with one")]
    NoOrchestration,
    /// Something this version cannot do.
    #[error("{what} is not available: {reason}")]
    Unavailable {
        /// What was asked.
        what: &'static str,
        /// Why, and what to do.
        reason: &'static str,
    },
    /// The run has ended well and its results are in place, but what it recorded could not be written.
    #[error("the run has ended well and its results are in place, but {source}")]
    Export {
        /// How the run ended.
        outcome: Box<RunOutcome>,
        /// Which file, and why.
        source: run_records::RecordsError,
    },
    /// The runner is closed.
    #[error("the worker is closed")]
    Closed,
    /// No runner is bound to the calling thread.
    #[error("no worker is bound to this thread; this function works only inside of a run or a registration")]
    NotBound,
    /// The device.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// The runtime variant.
    #[error(transparent)]
    Variant(#[from] VariantError),
    /// An error met earlier, where it could not be returned.
    #[error("an earlier clean-up failed: {0}")]
    Deferred(#[source] DeviceError),
}

/// Errors met where none can be returned (in a drop), until somebody asks.
#[derive(Clone, Debug, Default)]
pub(crate) struct DeferredErrors(Arc<Mutex<Vec<DeviceError>>>);

/// More are dropped with a log line: one cause rarely has more than a few different symptoms.
const DEFERRED_CAPACITY: usize = 16;

impl DeferredErrors {
    pub(crate) fn push(&self, error: DeviceError) {
        log::error!("clean-up failed: {error}");
        let mut errors = lock(&self.0);
        if errors.len() < DEFERRED_CAPACITY {
            errors.push(error);
        }
    }

    pub(crate) fn keep(&self, result: Result<(), DeviceError>) {
        if let Err(error) = result {
            self.push(error);
        }
    }

    /// The oldest error, if any; the others stay for the next call.
    pub(crate) fn take_first(&self) -> Option<DeviceError> {
        let mut errors = lock(&self.0);
        if errors.is_empty() { None } else { Some(errors.remove(0)) }
    }

    /// The oldest error, if any; the others are dropped, as they were logged before.
    pub(crate) fn take_all(&self) -> Option<DeviceError> {
        std::mem::take(&mut *lock(&self.0)).into_iter().next()
    }

    pub(crate) fn len(&self) -> usize {
        lock(&self.0).len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered(number: usize) -> DeviceError {
        DeviceError::Internal(number.to_string())
    }

    #[test]
    fn deferred_errors_come_back_oldest_first_and_do_not_pile_up() {
        let deferred = DeferredErrors::default();
        deferred.keep(Ok(()));
        assert!(deferred.take_first().is_none());
        for number in 0..100 {
            deferred.keep(Err(numbered(number)));
        }
        assert_eq!(deferred.len(), DEFERRED_CAPACITY);
        assert_eq!(deferred.take_first().unwrap().to_string(), "internal error: 0");
        assert_eq!(deferred.take_all().unwrap().to_string(), "internal error: 1");
        assert_eq!(deferred.len(), 0);
        assert!(deferred.take_all().is_none());
    }

    #[test]
    fn only_a_kernel_that_is_still_running_leaves_the_device_unusable() {
        let running = crate::stall::RunningTask {
            task: TaskId(3),
            kernel: "spin".to_owned(),
            core: CoreId(1),
            core_type: task_interface::CoreType::Aiv,
            elapsed: std::time::Duration::ZERO,
        };
        let limit = std::time::Duration::from_secs(2);
        let stall = Box::new(Stall::new(vec![running.clone()], Vec::new(), 0));
        let watchdog = DeviceError::Watchdog { limit, stall };
        assert!(watchdog.leaves_device_unusable());
        assert!(watchdog.to_string().contains("task 3 (spin) on AIV core 1"), "{watchdog}");
        assert!(DeviceError::Unusable { reason: String::new() }.leaves_device_unusable());
        let stalled = |running| DeviceError::Stalled(Box::new(Stall::new(running, Vec::new(), 0)));
        assert!(stalled(vec![running]).leaves_device_unusable());
        assert!(!stalled(Vec::new()).leaves_device_unusable());
        for harmless in [DeviceError::Busy, DeviceError::Cancelled, DeviceError::Closed, numbered(0)] {
            assert!(!harmless.leaves_device_unusable(), "{harmless}");
        }
    }

    #[test]
    fn sources_are_kept() {
        let deferred = RunnerError::Deferred(numbered(5));
        assert_eq!(deferred.to_string(), "an earlier clean-up failed: internal error: 5");
        assert_eq!(deferred.source().unwrap().to_string(), "internal error: 5");
        let failed = DeviceError::Platform { call: "alloc", source: "why".into() };
        assert_eq!(failed.source().unwrap().to_string(), "why");
    }

    #[test]
    fn a_lack_of_memory_tells_what_is_known() {
        let simulated = DeviceError::OutOfMemory { requested: 3, in_use: 7, capacity: Some(9), source: None };
        assert!(simulated.to_string().contains("3 bytes cannot be allocated (7 of 9 in use)"), "{simulated}");
        let refused = Some("rtMalloc failed".into());
        let real = DeviceError::OutOfMemory { requested: 3, in_use: 7, capacity: None, source: refused };
        assert!(real.to_string().contains("(7 in use)"), "{real}");
        assert!(real.to_string().ends_with(": rtMalloc failed"), "{real}");
        assert!(real.source().is_some() && simulated.source().is_none());
    }
}
