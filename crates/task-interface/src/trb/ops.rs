//! What an orchestration library of the trb runtime exports, and what it can call (`spec/public-abi.md`, sections D.1
//! and D.2).
//!
//! This module declares function types and never calls one.

use core::ffi::{c_char, c_int};

use bytemuck::{Pod, Zeroable};

use super::arg::Arg;
use super::enums::ScopeMode;
use super::kernels::MixedKernels;
use super::outputs::TaskOutputTensors;
use super::tensor::Tensor;
use crate::chip_args::ChipStorageTaskArgs;
use crate::wire::assert_layout;
use crate::wire_enum::EnumError;

/// Symbol of the [`OrchestrationEntry`] when the callable does not name it.
pub const DEFAULT_ENTRY_SYMBOL: &str = "aicpu_orchestration_entry";
/// Symbol of the optional [`OrchestrationConfigEntry`] when the callable does not name it.
pub const DEFAULT_CONFIG_SYMBOL: &str = "aicpu_orchestration_config";
/// Symbol of the optional [`BindRuntime`] function.
pub const BIND_RUNTIME_SYMBOL: &str = "framework_bind_runtime";

/// Builds the graph. C++ exceptions may come out of it.
pub type OrchestrationEntry = unsafe extern "C-unwind" fn(args: *const ChipStorageTaskArgs);
/// Says what the entry expects. C++ exceptions may come out of it.
pub type OrchestrationConfigEntry =
    unsafe extern "C-unwind" fn(args: *const ChipStorageTaskArgs) -> OrchestrationConfig;
/// Tells the library its runtime; null takes it away again.
pub type BindRuntime = unsafe extern "C" fn(runtime: *mut RuntimeHeader);

/// What an orchestration expects (section D.1). 4 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct OrchestrationConfig {
    /// Least number of tensors and scalars together; 0 and below: any.
    pub expected_arg_count: c_int,
}

assert_layout!(OrchestrationConfig, size 4, align 4, { expected_arg_count @ 0 });

impl OrchestrationConfig {
    /// Whether a call with this many tensors and scalars together is enough.
    #[must_use]
    pub fn accepts(&self, arg_count: usize) -> bool {
        usize::try_from(self.expected_arg_count).map_or(true, |expected| arg_count >= expected)
    }
}

/// The part of the runtime object that an orchestration library sees (`PTO2Runtime`, section D.2). 16 bytes.
///
/// Implementations put their own data behind it.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct RuntimeHeader {
    /// The operations.
    pub ops: *const RuntimeOps,
    /// Raw [`ScopeMode`] of the scope that the library is about to open.
    pub pending_scope_mode: u8,
    /// Undefined.
    pub pad: [u8; 7],
}

assert_layout!(RuntimeHeader, size 16, align 8, { ops @ 0, pending_scope_mode @ 8, pad @ 9 });

impl RuntimeHeader {
    /// A header whose next scope is automatic.
    #[must_use]
    pub const fn new(ops: *const RuntimeOps) -> Self {
        Self { ops, pending_scope_mode: ScopeMode::Auto.raw(), pad: [0; 7] }
    }

    /// The mode of the scope that is being opened; the next one is automatic again unless the library says otherwise.
    ///
    /// # Errors
    /// [`EnumError::ScopeMode`] when the library left another number; it is reset all the same.
    pub fn take_pending_scope_mode(&mut self) -> Result<ScopeMode, EnumError> {
        ScopeMode::try_from(core::mem::replace(&mut self.pending_scope_mode, ScopeMode::Auto.raw()))
    }
}

/// The operations an orchestration can use (section D.2). 120 bytes; every entry but the last is set.
///
/// C++ references are pointers here and never null; strings are NUL-terminated. The five entries with `...` take the
/// arguments of a `printf` format and must be functions written in C: Rust can name and call such functions, but
/// stable Rust cannot define them.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct RuntimeOps {
    /// Submits a task. The result is empty after a fatal error.
    pub submit_task: unsafe extern "C" fn(
        runtime: *mut RuntimeHeader,
        kernels: *const MixedKernels,
        arg: *const Arg,
    ) -> TaskOutputTensors,
    /// Opens a scope with the pending scope mode.
    pub scope_begin: unsafe extern "C" fn(runtime: *mut RuntimeHeader),
    /// Closes the innermost scope.
    pub scope_end: unsafe extern "C" fn(runtime: *mut RuntimeHeader),
    /// Closes all scopes; nothing is submitted any more.
    pub orchestration_done: unsafe extern "C" fn(runtime: *mut RuntimeHeader),
    /// Whether a fatal error was raised. Orchestrations ask before every other operation.
    pub is_fatal: unsafe extern "C" fn(runtime: *mut RuntimeHeader) -> bool,
    /// Raises a fatal error; the first code wins. The format may be null or empty.
    pub report_fatal: unsafe extern "C" fn(
        runtime: *mut RuntimeHeader,
        code: i32,
        func: *const c_char,
        fmt: *const c_char,
        ...
    ),
    /// Logs an error.
    pub log_error: unsafe extern "C" fn(func: *const c_char, fmt: *const c_char, ...),
    /// Logs a warning.
    pub log_warn: unsafe extern "C" fn(func: *const c_char, fmt: *const c_char, ...),
    /// Logs for debugging.
    pub log_debug: unsafe extern "C" fn(func: *const c_char, fmt: *const c_char, ...),
    /// Logs information of verbosity `v`.
    pub log_info_v: unsafe extern "C" fn(func: *const c_char, v: c_int, fmt: *const c_char, ...),
    /// Waits for the writers of a tensor and reads one element, extended with zeros. `indices` has `ndims` entries.
    pub get_tensor_data: unsafe extern "C" fn(
        runtime: *mut RuntimeHeader,
        tensor: *const Tensor,
        ndims: u32,
        indices: *const u32,
    ) -> u64,
    /// Waits for the writers and readers of a tensor and writes the low bytes of `value` to one element.
    pub set_tensor_data: unsafe extern "C" fn(
        runtime: *mut RuntimeHeader,
        tensor: *const Tensor,
        ndims: u32,
        indices: *const u32,
        value: u64,
    ),
    /// Allocates the outputs of `arg` without running anything.
    pub alloc_tensors:
        unsafe extern "C" fn(runtime: *mut RuntimeHeader, arg: *const Arg) -> TaskOutputTensors,
    /// Submits a task without kernels, which only carries dependencies.
    pub submit_dummy_task:
        unsafe extern "C" fn(runtime: *mut RuntimeHeader, arg: *const Arg) -> TaskOutputTensors,
    /// Notes the source line of the scope that is about to be opened. May be missing.
    pub scope_set_site: Option<unsafe extern "C" fn(file: *const c_char, line: c_int)>,
}

assert_layout!(RuntimeOps, size 120, align 8, {
    submit_task @ 0, scope_begin @ 8, scope_end @ 16, orchestration_done @ 24, is_fatal @ 32, report_fatal @ 40,
    log_error @ 48, log_warn @ 56, log_debug @ 64, log_info_v @ 72, get_tensor_data @ 80, set_tensor_data @ 88,
    alloc_tensors @ 96, submit_dummy_task @ 104, scope_set_site @ 112,
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scope_modes_are_taken_once() {
        let mut header = RuntimeHeader::new(core::ptr::null());
        assert_eq!(header.take_pending_scope_mode(), Ok(ScopeMode::Auto));
        header.pending_scope_mode = 1;
        assert_eq!(header.take_pending_scope_mode(), Ok(ScopeMode::Manual));
        assert_eq!(header.take_pending_scope_mode(), Ok(ScopeMode::Auto));
        header.pending_scope_mode = 9;
        assert_eq!(header.take_pending_scope_mode(), Err(EnumError::ScopeMode(9)));
        assert_eq!(header.pending_scope_mode, 0);
    }

    #[test]
    fn expected_counts_are_a_lower_bound() {
        for (expected, given, accepted) in
            [(0, 0, true), (-3, 0, true), (2, 1, false), (2, 2, true), (2, 3, true)]
        {
            assert_eq!(OrchestrationConfig { expected_arg_count: expected }.accepts(given), accepted);
        }
    }
}
