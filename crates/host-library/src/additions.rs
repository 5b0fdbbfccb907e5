//! Structures and numbers of our additions to the C API; `include/simpler/host_runtime.h` has the same for C.

use std::ffi::{c_char, c_int, c_void};

/// Receives log records: `(user, level, target, message)`.
///
/// Levels are 0 debug, 1 info, 2 warn, 3 error; both texts end with a NUL and are valid during the call.
pub type LogSink =
    unsafe extern "C" fn(user: *mut c_void, level: c_int, target: *const c_char, message: *const c_char);

/// What kind of error the last one was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[repr(i32)]
pub enum ErrorKind {
    /// There was none.
    None = 0,
    /// An argument is null or out of range.
    InvalidArgument = 1,
    /// A handle is null, destroyed, or of another library.
    InvalidHandle = 2,
    /// The context has no device (any more).
    NotInitialized = 3,
    /// Nothing is registered under the id.
    UnknownCallable = 4,
    /// A callable cannot be registered.
    Callable = 5,
    /// The orchestration or its graph failed.
    Orchestration = 6,
    /// The device or a kernel failed.
    Device = 7,
    /// No device memory is left.
    OutOfMemory = 8,
    /// The run could not go on, or a kernel never returned.
    Stalled = 9,
    /// The device cannot be used any more since an earlier error.
    Unusable = 10,
    /// The context is busy on another thread.
    Busy = 11,
    /// This version or platform does not have it.
    Unsupported = 12,
    /// The context was made by the process this one was forked from.
    WrongProcess = 13,
    /// A mistake in this library.
    Internal = 14,
    /// The run went well, but what it recorded could not be written.
    Diagnostics = 15,
}

impl ErrorKind {
    /// All kinds.
    pub const ALL: [Self; 16] = [
        Self::None,
        Self::InvalidArgument,
        Self::InvalidHandle,
        Self::NotInitialized,
        Self::UnknownCallable,
        Self::Callable,
        Self::Orchestration,
        Self::Device,
        Self::OutOfMemory,
        Self::Stalled,
        Self::Unusable,
        Self::Busy,
        Self::Unsupported,
        Self::WrongProcess,
        Self::Internal,
        Self::Diagnostics,
    ];

    /// The kind of a number; `None` for one that only a later version knows.
    #[must_use]
    pub fn from_code(code: c_int) -> Option<Self> {
        Self::ALL.into_iter().find(|&kind| kind as c_int == code)
    }
}

/// What a context, or all of them, hold. 136 bytes; `struct_size` is set by the caller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
#[allow(clippy::exhaustive_structs, reason = "the layout is the contract; struct_size lets it grow")]
pub struct ContextReport {
    /// Bytes of the structure as the caller knows it.
    pub struct_size: usize,
    /// Contexts that exist.
    pub contexts: u64,
    /// Live allocations of device memory.
    pub allocations: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes of the committed GM heap.
    pub gm_heap: u64,
    /// Bytes of the committed shared memory.
    pub gm_sm: u64,
    /// Bytes of the committed runtime arena.
    pub runtime_arena: u64,
    /// Registered callables.
    pub callables: u64,
    /// Registered kernels, by content.
    pub kernels: u64,
    /// Callable images on the device, by content.
    pub images: u64,
    /// Orchestrations, by content.
    pub orchestrations: u64,
    /// Runs under way.
    pub runs: u64,
    /// Errors of clean-ups that nobody was told of yet.
    pub deferred_errors: u64,
    /// Allocations by the device's own count.
    pub device_allocations: u64,
    /// Kernels by the device's own count.
    pub device_kernels: u64,
    /// Threads that exist to run kernels.
    pub threads: u64,
    /// Threads inside of kernels that were given up.
    pub abandoned_threads: u64,
}

/// Figures of a run. 48 bytes; `struct_size` is set by the caller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
#[allow(clippy::exhaustive_structs, reason = "the layout is the contract; struct_size lets it grow")]
pub struct RunInfo {
    /// Bytes of the structure as the caller knows it.
    pub struct_size: usize,
    /// Wall clock of the whole run, in nanoseconds.
    pub host_wall_ns: u64,
    /// Device time of the run, in nanoseconds.
    pub device_wall_ns: u64,
    /// The same in ticks of the chip's system counter.
    pub device_ticks: u64,
    /// Tasks that ran.
    pub tasks: u64,
    /// Clusters the run had.
    pub block_dim: u64,
}

const _: () = assert!(size_of::<ContextReport>() == 136 && size_of::<RunInfo>() == 48);
