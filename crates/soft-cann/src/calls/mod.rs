//! The functions of CANN, one file per library. They check what needs no state and hand on the rest.

pub(crate) mod acl;
pub(crate) mod dlog;
pub(crate) mod hal;
pub(crate) mod hccl;
pub(crate) mod ipc;
pub(crate) mod rt;

use std::ffi::{CStr, c_char, c_void};
use std::sync::Arc;

use crate::codes;
use crate::context;
use crate::device::Device;
use crate::handle;
use crate::process::process;
use crate::report::ViolationKind;
use crate::stream::Stream;

/// The device with a number, to put a call down to it; an unknown one is nobody's.
fn numbered(id: i32) -> Arc<Device> {
    process().device(id).unwrap_or_else(|| Arc::clone(&process().nobody))
}

/// The device whose memory an address is in; a call with a wild address is put down to the thread's.
fn owner(address: *mut c_void) -> Arc<Device> {
    process().owner_of(address.expose_provenance() as u64).unwrap_or_else(context::nearest)
}

/// The device of a stream; a call with a stale stream is put down to the thread's.
fn owner_of_stream(stream: *mut c_void) -> Arc<Device> {
    let stream = process().streams.get(number(stream));
    stream.map_or_else(context::nearest, |stream| Arc::clone(stream.device()))
}

/// A handle that C holds.
fn number(handle: *mut c_void) -> u64 {
    handle.addr() as u64
}

/// The thing behind a handle; a stale one is a violation and fails with `code`.
fn behind<T>(table: &handle::Table<T>, what: &str, raw: *mut c_void, code: i32) -> Result<Arc<T>, i32> {
    table.get(number(raw)).ok_or_else(|| {
        let text = format!("{what}: {}", handle::describe(number(raw)));
        context::nearest().report(ViolationKind::StaleHandle, text);
        code
    })
}

/// A stream of the calling thread's context.
fn own_stream(raw: *mut c_void) -> Result<(Arc<Stream>, Arc<Device>, u64), i32> {
    let (device, context) = context::current()?;
    let stream = behind(&process().streams, "stream", raw, codes::STREAM_CONTEXT)?;
    if stream.context() == context { Ok((stream, device, context)) } else { Err(codes::STREAM_CONTEXT) }
}

/// A copy of a string of C; `None` for a null pointer and for what is not UTF-8.
///
/// # Safety
///
/// The pointer is null or points to a zero-terminated string.
unsafe fn text(from: *const c_char) -> Option<String> {
    if from.is_null() {
        return None;
    }
    // SAFETY: not null, hence a string by this function's contract.
    unsafe { CStr::from_ptr(from) }.to_str().ok().map(str::to_owned)
}

/// Writes a result of a call.
///
/// # Safety
///
/// The pointer is null or valid for a write.
unsafe fn put<T>(to: *mut T, value: T) -> Result<(), i32> {
    if to.is_null() {
        return Err(codes::PARAM_INVALID);
    }
    // SAFETY: not null, hence valid by this function's contract.
    unsafe { to.write(value) };
    Ok(())
}

/// Allocates on the thread's device.
///
/// # Safety
///
/// `to` is null or valid for a write.
unsafe fn allocate(to: *mut *mut c_void, size: u64, rounded: Option<u64>, empty: i32) -> Result<(), i32> {
    let (device, _) = context::current()?;
    if to.is_null() {
        return Err(codes::PARAM_INVALID);
    }
    if size == 0 {
        return Err(empty);
    }
    if device.life(|life| life.cascading) {
        return Err(codes::DRV_INTERNAL_ERROR);
    }
    let address = device.memory.allocate(size, rounded.ok_or(codes::MEMORY_ALLOCATION)?)?;
    // SAFETY: not null, hence valid by this function's contract.
    unsafe { put(to, crate::region::pointer(address).cast()) }
}

/// Frees on the device that the address belongs to.
fn release(device: &Arc<Device>, address: *mut c_void) -> Result<(), i32> {
    if address.is_null() {
        return Err(codes::PARAM_INVALID);
    }
    let address = address.expose_provenance() as u64;
    if device.may_be_used(address) {
        let text = format!("{address:#x} is freed while a task that has not ended may use it");
        device.report(ViolationKind::UseAfterFree, text);
    }
    let damage = device.memory.free(address).map_err(|refusal| device.refuse(refusal))?;
    if let Some(damage) = damage {
        device.report(damage.kind, damage.text);
    }
    Ok(())
}

/// Creates a stream in the thread's context.
///
/// # Safety
///
/// `to` is null or valid for a write.
unsafe fn create_stream(to: *mut *mut c_void) -> Result<(), i32> {
    let (device, context) = context::current()?;
    if to.is_null() {
        return Err(codes::PARAM_INVALID);
    }
    if device.life(|life| life.cascading) {
        return Err(codes::DRV_INTERNAL_ERROR);
    }
    let handle = process().streams.insert(Stream::create(&device, context)?);
    // SAFETY: not null, hence valid by this function's contract.
    unsafe { put(to, handle::to_pointer(handle)) }
}

fn destroy_stream(raw: *mut c_void) -> Result<(), i32> {
    if raw.is_null() {
        return Err(codes::PARAM_INVALID);
    }
    let (stream, ..) = own_stream(raw)?;
    if process().streams.remove(number(raw)).is_none() {
        return Err(codes::STREAM_CONTEXT);
    }
    stream.close();
    Ok(())
}

/// Takes a reference to the device with a number.
fn set_device(id: i32) -> Result<(), i32> {
    let device = process().device(id).ok_or(codes::INVALID_DEVICE)?;
    context::set(&device);
    Ok(())
}

/// Gives one back, or all.
fn reset_device(id: i32, by_force: bool) -> Result<(), i32> {
    context::reset(&process().device(id).ok_or(codes::INVALID_DEVICE)?, by_force)
}
