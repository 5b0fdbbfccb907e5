//! Functions without a context: they work on the one that the calling thread is in the middle of a call with.

use std::ffi::{c_int, c_void};

use device_runner::{ArenaSizes, DevPtr, host_api};
use task_interface::HostApi;

use super::memory::{address, device_address};
use super::{bytes, check_range, code};
use crate::border::enter;
use crate::foreign::read_callable;

static HOST_API: HostApi = HostApi {
    device_malloc: Some(device_malloc),
    device_free: Some(device_free),
    copy_to_device: Some(copy_to_device),
    copy_from_device: Some(copy_from_device),
    setup_static_arena: Some(setup_static_arena),
    acquire_pooled_gm_heap: Some(acquire_pooled_gm_heap),
    acquire_pooled_gm_sm: Some(acquire_pooled_gm_sm),
    acquire_pooled_runtime_arena: Some(acquire_pooled_runtime_arena),
    upload_chip_callable_buffer: Some(upload_chip_callable_buffer),
};

/// The table of these functions (`HostApi` in `spec/public-layouts.json`); valid as long as the library is loaded.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simpler_rs_host_api() -> *const HostApi {
    &raw const HOST_API
}

unsafe extern "C" fn device_malloc(size: usize) -> *mut c_void {
    enter("HostApi.device_malloc", |_| std::ptr::null_mut(), || Ok(address(host_api::device_malloc(size)?)))
}

unsafe extern "C" fn device_free(dev_ptr: *mut c_void) {
    if !dev_ptr.is_null() {
        enter("HostApi.device_free", |_| (), || Ok(host_api::device_free(device_address(dev_ptr))?));
    }
}

unsafe extern "C" fn copy_to_device(dev_ptr: *mut c_void, host_ptr: *const c_void, size: usize) -> c_int {
    enter("HostApi.copy_to_device", code, || {
        check_range("dev_ptr", dev_ptr.is_null(), size)?;
        check_range("host_ptr", host_ptr.is_null(), size)?;
        // SAFETY: the caller's array is valid during the call.
        let from = unsafe { bytes("host_ptr", host_ptr.cast(), size) }?;
        host_api::copy_to_device(device_address(dev_ptr), from)?;
        Ok(0)
    })
}

unsafe extern "C" fn copy_from_device(host_ptr: *mut c_void, dev_ptr: *const c_void, size: usize) -> c_int {
    enter("HostApi.copy_from_device", code, || {
        check_range("dev_ptr", dev_ptr.is_null(), size)?;
        check_range("host_ptr", host_ptr.is_null(), size)?;
        // SAFETY: not null, not larger than an object can be, and the caller's own during the call.
        let to = unsafe { std::slice::from_raw_parts_mut(host_ptr.cast::<u8>(), size) };
        host_api::copy_from_device(to, device_address(dev_ptr))?;
        Ok(0)
    })
}

unsafe extern "C" fn setup_static_arena(gm_heap: usize, gm_sm: usize, runtime_arena: usize) -> c_int {
    enter("HostApi.setup_static_arena", code, || {
        host_api::setup_static_arena(ArenaSizes { gm_heap, gm_sm, runtime_arena })?;
        Ok(0)
    })
}

unsafe extern "C" fn acquire_pooled_gm_heap() -> *mut c_void {
    enter(
        "HostApi.acquire_pooled_gm_heap",
        |_| std::ptr::null_mut(),
        || Ok(pooled(host_api::acquire_pooled_gm_heap()?)),
    )
}

unsafe extern "C" fn acquire_pooled_gm_sm() -> *mut c_void {
    enter(
        "HostApi.acquire_pooled_gm_sm",
        |_| std::ptr::null_mut(),
        || Ok(pooled(host_api::acquire_pooled_gm_sm()?)),
    )
}

unsafe extern "C" fn acquire_pooled_runtime_arena() -> *mut c_void {
    enter(
        "HostApi.acquire_pooled_runtime_arena",
        |_| std::ptr::null_mut(),
        || Ok(pooled(host_api::acquire_pooled_runtime_arena()?)),
    )
}

unsafe extern "C" fn upload_chip_callable_buffer(callable: *const c_void) -> u64 {
    enter(
        "HostApi.upload_chip_callable_buffer",
        |_| 0,
        || {
            // SAFETY: the caller's image is not written to during the call.
            let callable = unsafe { read_callable(callable) }?;
            Ok(host_api::upload_chip_callable_buffer(&callable)?.map_or(0, DevPtr::addr))
        },
    )
}

/// A region that is not there is null.
fn pooled(region: Option<DevPtr>) -> *mut c_void {
    region.map_or(std::ptr::null_mut(), address)
}
