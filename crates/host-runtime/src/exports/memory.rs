use std::ffi::{c_int, c_void};

use chip_worker::DevPtr;

use super::{bytes, check_range, code};
use crate::border::enter_context;

/// Allocates device memory that lives until it is freed or the device is finalized; null on failure.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn device_malloc_ctx(ctx: *mut c_void, size: usize) -> *mut c_void {
    enter_context(
        "device_malloc_ctx",
        ctx,
        |_| std::ptr::null_mut(),
        |context| Ok(address(context.malloc(size)?)),
    )
}

/// Frees device memory; null and unknown addresses change nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn device_free_ctx(ctx: *mut c_void, dev_ptr: *mut c_void) {
    if dev_ptr.is_null() {
        return;
    }
    enter_context("device_free_ctx", ctx, |_| (), |context| context.free(device_address(dev_ptr)));
}

/// Copies host memory to the device.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn copy_to_device_ctx(
    ctx: *mut c_void,
    dev_ptr: *mut c_void,
    host_ptr: *const c_void,
    size: usize,
) -> c_int {
    enter_context("copy_to_device_ctx", ctx, code, |context| {
        check_range("dev_ptr", dev_ptr.is_null(), size)?;
        check_range("host_ptr", host_ptr.is_null(), size)?;
        // SAFETY: the client's array is valid during the call.
        let from = unsafe { bytes("host_ptr", host_ptr.cast(), size) }?;
        context.copy_to(device_address(dev_ptr), from)?;
        Ok(0)
    })
}

/// Copies device memory to the host.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn copy_from_device_ctx(
    ctx: *mut c_void,
    host_ptr: *mut c_void,
    dev_ptr: *const c_void,
    size: usize,
) -> c_int {
    enter_context("copy_from_device_ctx", ctx, code, |context| {
        check_range("dev_ptr", dev_ptr.is_null(), size)?;
        check_range("host_ptr", host_ptr.is_null(), size)?;
        // SAFETY: not null, not larger than an object can be, and the client's own during the call.
        let to = unsafe { std::slice::from_raw_parts_mut(host_ptr.cast::<u8>(), size) };
        context.copy_from(to, device_address(dev_ptr))?;
        Ok(0)
    })
}

/// A device address as C sees it.
pub(super) fn address(ptr: DevPtr) -> *mut c_void {
    std::ptr::with_exposed_provenance_mut(usize::try_from(ptr.addr()).unwrap_or(0))
}

pub(super) fn device_address(ptr: *const c_void) -> DevPtr {
    DevPtr::new(ptr.expose_provenance() as u64)
}
