//! Calling C++ functions such that no C++ exception reaches Rust.
//!
//! Both calls go through a C++ shim with a `catch (...)`; a call that returns costs one direct foreign call
//! more and touches no memory of its own. What is *not* an exception still passes through:
//!
//! * A Rust panic that the callee lets through (the callee called back into Rust through an
//!   `extern "C-unwind"` function) continues to its own `catch_unwind`.
//! * Thread exit and cancellation (`pthread_exit`, `pthread_cancel`): glibc ends the process when somebody stops
//!   them, so they cannot be reported as an error. The shim lets them go on, but `std::thread` stops them at
//!   the root of its threads. A callee must not end its thread.
//! * `std::terminate`: an exception that leaves a `noexcept` function or a destructor ends the process before
//!   the shim could see it.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::fmt;
use std::mem::MaybeUninit;
use std::ptr;

use crate::SymbolAddress;

/// Room for the type name and the text of an exception; longer ones are cut. Less than a page, so that the
/// frame of the calls needs no stack probe.
const MESSAGE_BYTES: usize = 2048;

/// The outcomes of the shim, defined at the top of guard.cpp.
const RETURNED: c_int = 0;
const THREW_WITH_TEXT: c_int = 2;

// C-unwind: panics and thread exit pass through the shim, see the module text.
unsafe extern "C-unwind" {
    fn object_loader_guard_call_void(
        f: *const c_void,
        args: *mut i64,
        err: *mut c_char,
        err_size: usize,
    ) -> c_int;

    fn object_loader_guard_call_int(
        f: *const c_void,
        a: *mut c_void,
        b: *const c_void,
        result: *mut c_int,
        err: *mut c_char,
        err_size: usize,
    ) -> c_int;
}

/// A C++ exception that a called function let escape.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CxxException {
    /// The type of the thrown object, demangled: `std::runtime_error`, `int`.
    pub type_name: String,
    /// The text of `what()`; `None` when the thrown object is not a `std::exception`.
    pub what: Option<String>,
}

impl fmt::Display for CxxException {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.what {
            Some(what) => write!(f, "C++ exception {}: {what}", self.type_name),
            None => write!(f, "C++ exception of type {}", self.type_name),
        }
    }
}

impl std::error::Error for CxxException {}

/// Calls `void f(int64_t *args)`.
///
/// # Errors
///
/// The exception that `f` threw. Everything `f` did before stays done.
///
/// # Safety
///
/// * `f` is a function of this C signature whose object is still loaded.
/// * `args` points to what `f` expects there and nothing else uses it in a way that `f` forbids.
/// * `f` does not end the calling thread (see the module text).
#[inline]
pub unsafe fn call_kernel(f: SymbolAddress, args: *mut i64) -> Result<(), CxxException> {
    let mut message = MessageBuffer::uninit();
    let f = ptr::with_exposed_provenance::<c_void>(f.0.get());
    // SAFETY: the caller vouches for `f` and `args`; the shim writes at most MESSAGE_BYTES of the message.
    let outcome =
        unsafe { object_loader_guard_call_void(f, args, message.as_mut_ptr().cast(), MESSAGE_BYTES) };
    if outcome == RETURNED {
        return Ok(());
    }
    // SAFETY: the shim reported an exception, so it wrote the message that belongs to `outcome`.
    Err(unsafe { read_exception(outcome, &message) })
}

/// Calls `int f(void *a, const void *b)` and returns its result.
///
/// # Errors
///
/// The exception that `f` threw. Everything `f` did before stays done.
///
/// # Safety
///
/// * `f` is a function of this C signature whose object is still loaded (C++ references count as pointers).
/// * `a` and `b` point to what `f` expects there and nothing else uses it in a way that `f` forbids.
/// * `f` does not end the calling thread (see the module text).
#[inline]
pub unsafe fn call_entry(f: SymbolAddress, a: *mut c_void, b: *const c_void) -> Result<i32, CxxException> {
    let mut message = MessageBuffer::uninit();
    let mut result: c_int = 0;
    let f = ptr::with_exposed_provenance::<c_void>(f.0.get());
    // SAFETY: the caller vouches for `f`, `a` and `b`; the shim writes one int to `result` and at most
    // MESSAGE_BYTES of the message.
    let outcome = unsafe {
        object_loader_guard_call_int(f, a, b, &raw mut result, message.as_mut_ptr().cast(), MESSAGE_BYTES)
    };
    if outcome == RETURNED {
        return Ok(result);
    }
    // SAFETY: the shim reported an exception, so it wrote the message that belongs to `outcome`.
    Err(unsafe { read_exception(outcome, &message) })
}

/// Left uninitialised: clearing it would cost more than the call it waits for.
type MessageBuffer = MaybeUninit<[u8; MESSAGE_BYTES]>;

/// # Safety
///
/// A guarded call with this buffer returned `outcome`, and it is not `RETURNED`.
#[cold]
unsafe fn read_exception(outcome: c_int, message: &MessageBuffer) -> CxxException {
    let begin: *const c_char = message.as_ptr().cast();
    // SAFETY: after an exception the buffer starts with the NUL-terminated type name.
    let type_name = unsafe { CStr::from_ptr(begin) };
    let what = (outcome == THREW_WITH_TEXT).then(|| {
        // SAFETY: with this outcome the NUL-terminated text follows the type name inside the buffer.
        let text = unsafe { CStr::from_ptr(begin.add(type_name.count_bytes() + 1)) };
        text.to_string_lossy().into_owned()
    });
    CxxException { type_name: type_name.to_string_lossy().into_owned(), what }
}
