//! Control by C programs, `include/soft_cann.h`, and the functions of CANN that are for device programs.

use std::ffi::{CStr, c_char, c_void};
use std::sync::Arc;

use crate::device::{Device, NOBODY};
use crate::exit;
use crate::process::process;

fn device(id: i32) -> Option<Arc<Device>> {
    if id == NOBODY { Some(Arc::clone(&process().nobody)) } else { process().device(id) }
}

/// A string of C; empty for a null pointer and for what is not UTF-8.
///
/// # Safety
///
/// The pointer is null or points to a zero-terminated string, which lives as long as what is done with it.
unsafe fn text<'a>(text: *const c_char) -> &'a str {
    // SAFETY: not null, hence a string by this function's contract.
    if text.is_null() { "" } else { unsafe { CStr::from_ptr(text) }.to_str().unwrap_or("") }
}

/// See `soft_cann.h`.
///
/// # Safety
///
/// `rule` is null or a string.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn soft_cann_inject(id: i32, rule: *const c_char) -> i32 {
    // SAFETY: by this function's contract.
    let parsed = unsafe { text(rule) }.parse();
    let (Some(device), Ok(rule)) = (device(id), parsed) else { return -1 };
    device.inject(rule);
    i32::try_from(device.rules.count()).map_or(-1, |count| count - 1)
}

/// See `soft_cann.h`.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn soft_cann_fired(id: i32, rule: i32) -> u64 {
    let fired = |device: Arc<Device>| device.rules.fired(usize::try_from(rule).ok()?);
    device(id).and_then(fired).unwrap_or(u64::MAX)
}

/// See `soft_cann.h`.
///
/// # Safety
///
/// `function` is null or a string.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn soft_cann_calls(id: i32, function: *const c_char) -> u64 {
    // SAFETY: by this function's contract.
    let function = unsafe { text(function) };
    device(id).map_or(0, |device| device.calls(function))
}

/// See `soft_cann.h`.
///
/// # Safety
///
/// `text` has room for `size` bytes.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn soft_cann_report(text: *mut c_char, size: usize) -> usize {
    let report = exit::report();
    if let Some(most) = size.checked_sub(1).filter(|_| !text.is_null()) {
        let length = report.len().min(most);
        // SAFETY: there is room for `size` bytes, which is one more than `length` at the least.
        unsafe {
            text.cast::<u8>().copy_from_nonoverlapping(report.as_ptr(), length);
            text.cast::<u8>().add(length).write(0);
        }
    }
    report.len()
}

/// Whether messages of a module and level are shown; by default those of errors.
#[unsafe(export_name = "soft_cann_CheckLogLevel")]
pub(crate) extern "C" fn check_log_level(module: i32, level: i32) -> i32 {
    const ERROR: i32 = 3;
    let set = process().log_level(module).or_else(|| process().log_level(-1));
    i32::from(level >= set.map_or(ERROR, |(level, _)| level))
}

/// libnnopbase.so: a program that links it finds its functions; there are no tensors here.
#[unsafe(export_name = "soft_cann_aclCreateTensor")]
pub(crate) extern "C" fn create_tensor() -> *mut c_void {
    std::ptr::null_mut()
}

/// As [`create_tensor`].
#[unsafe(export_name = "soft_cann_aclDestroyTensor")]
pub(crate) extern "C" fn destroy_tensor(_tensor: *const c_void) -> i32 {
    crate::codes::FEATURE_NOT_SUPPORT
}
