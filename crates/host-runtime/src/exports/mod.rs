//! The exported functions. What each promises is in `include/simpler/host_runtime.h`.
//!
//! # Safety
//! Of all of them: pointers are null or lead to what the header says, for the length of the call. Handles need not be
//! valid.
#![allow(clippy::missing_safety_doc, reason = "said above for all")]

mod additions;
mod callables;
mod comm;
mod host_api;
mod lifecycle;
mod memory;

pub use additions::*;
pub use callables::*;
pub use comm::*;
pub use host_api::*;
pub use lifecycle::*;
pub use memory::*;

use std::ffi::{CStr, c_char, c_int};

use crate::error::Failure;

/// What a function returns that returns a code.
fn code(failure: &Failure) -> c_int {
    failure.code
}

/// The bytes of a client's array.
///
/// # Safety
/// `data` is null or leads to `size` bytes that nobody writes to during `'a`.
unsafe fn bytes<'a>(what: &str, data: *const u8, size: usize) -> Result<&'a [u8], Failure> {
    if size == 0 {
        return Ok(&[]);
    }
    check_range(what, data.is_null(), size)?;
    // SAFETY: not null, not larger than an object can be, and the caller vouches for the rest.
    Ok(unsafe { std::slice::from_raw_parts(data, size) })
}

/// A client's text; null stands for none.
///
/// # Safety
/// `text` is null or leads to a text with a NUL at its end that nobody writes to during `'a`.
unsafe fn text<'a>(text: *const c_char) -> Option<&'a CStr> {
    // SAFETY: not null, and the caller vouches for the rest.
    (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) })
}

fn check_range(what: &str, null: bool, size: usize) -> Result<(), Failure> {
    if null {
        return Err(Failure::null(what));
    }
    if isize::try_from(size).is_err() {
        return Err(Failure::invalid(format!("{what}: {size} bytes are more than any memory has")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use host_library::{AdditionalFunctions, Functions};

    /// Compiles only while every function has the signature that users of this library are compiled against.
    #[test]
    fn signatures_are_those_that_libraries_are_loaded_with() {
        let functions = Functions {
            create_device_context: super::create_device_context,
            destroy_device_context: super::destroy_device_context,
            get_runtime_size: super::get_runtime_size,
            simpler_init: super::simpler_init,
            finalize_device: super::finalize_device,
            device_malloc_ctx: super::device_malloc_ctx,
            device_free_ctx: super::device_free_ctx,
            copy_to_device_ctx: super::copy_to_device_ctx,
            copy_from_device_ctx: super::copy_from_device_ctx,
            prepare_callable: super::prepare_callable,
            run_prepared: super::run_prepared,
            unregister_callable: super::unregister_callable,
            get_aicpu_dlopen_count: super::get_aicpu_dlopen_count,
            get_host_dlopen_count: super::get_host_dlopen_count,
            ensure_acl_ready_ctx: super::ensure_acl_ready_ctx,
            create_comm_stream_ctx: super::create_comm_stream_ctx,
            destroy_comm_stream_ctx: super::destroy_comm_stream_ctx,
            comm_init: super::comm_init,
            comm_alloc_windows: super::comm_alloc_windows,
            comm_get_local_window_base: super::comm_get_local_window_base,
            comm_get_window_size: super::comm_get_window_size,
            comm_derive_context: super::comm_derive_context,
            comm_alloc_domain_windows: super::comm_alloc_domain_windows,
            comm_release_domain_windows: super::comm_release_domain_windows,
            comm_barrier: super::comm_barrier,
            comm_destroy: super::comm_destroy,
        };
        let additional = AdditionalFunctions {
            get_platform: Some(super::get_platform),
            get_incore_compiler: Some(super::get_incore_compiler),
            get_orchestration_compiler: Some(super::get_orchestration_compiler),
            set_device: Some(super::set_device),
            run_runtime: Some(super::run_runtime),
            simpler_rs_version: Some(super::simpler_rs_version),
            simpler_rs_runtime: Some(super::simpler_rs_runtime),
            simpler_rs_last_error: Some(super::simpler_rs_last_error),
            simpler_rs_resource_report: Some(super::simpler_rs_resource_report),
            simpler_rs_run_info: Some(super::simpler_rs_run_info),
            simpler_rs_set_option: Some(super::simpler_rs_set_option),
            simpler_rs_set_log_sink: Some(super::simpler_rs_set_log_sink),
            simpler_rs_host_api: Some(super::simpler_rs_host_api),
        };
        // SAFETY: it takes nothing and gives back a number.
        assert!(unsafe { (functions.get_runtime_size)() } > 0);
        assert!(additional.get_platform.is_some());
    }
}
