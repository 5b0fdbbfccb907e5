//! Communication between chips. It needs no preparation in simulation; windows and barriers are not part of this
//! version, and say so.

use std::ffi::{c_char, c_int, c_void};

use super::code;
use crate::border::{enter, enter_context};
use crate::error::Failure;
use crate::selection::PLATFORM;

/// What takes no doing in simulation.
fn nothing_to_do<T>(done: T) -> Result<T, Failure> {
    if PLATFORM.is_simulated() { Ok(done) } else { unsupported() }
}

fn unsupported<T>() -> Result<T, Failure> {
    Err(Failure::unsupported("communication between chips is not part of this version of simpler-rs"))
}

/// Nothing has to be made ready in simulation.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ensure_acl_ready_ctx(ctx: *mut c_void, _device_id: c_int) -> c_int {
    enter_context("ensure_acl_ready_ctx", ctx, code, |_| nothing_to_do(0))
}

/// No stream is needed in simulation: null, which is no error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn create_comm_stream_ctx(ctx: *mut c_void) -> *mut c_void {
    let null = std::ptr::null_mut;
    enter_context("create_comm_stream_ctx", ctx, |_| null(), |_| nothing_to_do(null()))
}

/// Takes back what [`create_comm_stream_ctx`] gave: nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn destroy_comm_stream_ctx(ctx: *mut c_void, _stream: *mut c_void) -> c_int {
    enter_context("destroy_comm_stream_ctx", ctx, code, |_| nothing_to_do(0))
}

/// Not part of this version: null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn comm_init(
    _rank: c_int,
    _nranks: c_int,
    _stream: *mut c_void,
    _rootinfo_path: *const c_char,
) -> *mut c_void {
    enter("comm_init", |_| std::ptr::null_mut(), unsupported)
}

/// Not part of this version: -1, as all that follow.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn comm_alloc_windows(_: *mut c_void, _: usize, _: *mut u64) -> c_int {
    enter("comm_alloc_windows", code, unsupported)
}

/// See [`comm_alloc_windows`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn comm_get_local_window_base(_: *mut c_void, _: *mut u64) -> c_int {
    enter("comm_get_local_window_base", code, unsupported)
}

/// See [`comm_alloc_windows`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn comm_get_window_size(_: *mut c_void, _: *mut usize) -> c_int {
    enter("comm_get_window_size", code, unsupported)
}

/// See [`comm_alloc_windows`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn comm_derive_context(
    _: *mut c_void,
    _: *const u32,
    _: usize,
    _: u32,
    _: usize,
    _: usize,
    _: *mut u64,
) -> c_int {
    enter("comm_derive_context", code, unsupported)
}

/// See [`comm_alloc_windows`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn comm_alloc_domain_windows(
    _: *mut c_void,
    _: u64,
    _: *const u32,
    _: usize,
    _: u32,
    _: usize,
    _: *mut u64,
    _: *mut u64,
) -> c_int {
    enter("comm_alloc_domain_windows", code, unsupported)
}

/// See [`comm_alloc_windows`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn comm_release_domain_windows(_: *mut c_void, _: u64, _: usize, _: u32) -> c_int {
    enter("comm_release_domain_windows", code, unsupported)
}

/// See [`comm_alloc_windows`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn comm_barrier(_: *mut c_void) -> c_int {
    enter("comm_barrier", code, unsupported)
}

/// See [`comm_alloc_windows`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn comm_destroy(_: *mut c_void) -> c_int {
    enter("comm_destroy", code, unsupported)
}
