//! libascendcl.so, or libacl_rt.so.

use std::ffi::{c_char, c_void};
use std::sync::Arc;
use std::time::Duration;

use super::{behind, numbered, owner, owner_of_stream, put};
use crate::border::exported;
use crate::codes;
use crate::context;
use crate::copy;
use crate::device::Device;
use crate::process::process;

exported! {
    /// Initialises ACL; once more is counted, and said.
    Acl fn aclInit(config: *const c_char) -> i32, on context::nearest() => {
        let before = acl_scope().life(|life| {
            life.acl_inits += 1;
            life.acl_inits - 1
        });
        if before == 0 { Ok(()) } else { Err(codes::ACL_REPEAT_INITIALIZE) }
    }

    /// Gives one initialisation back.
    Acl fn aclFinalize() -> i32, on context::nearest() => {
        acl_scope().life(|life| {
            life.acl_inits = life.acl_inits.checked_sub(1).ok_or(codes::ACL_REPEAT_FINALIZE)?;
            Ok(())
        })
    }

    /// Attaches the calling thread, as `rtSetDevice`.
    Acl fn aclrtSetDevice(device: i32) -> i32, on numbered(device) => super::set_device(device)

    /// Gives one attachment back, as `rtDeviceReset`.
    Acl fn aclrtResetDevice(device: i32) -> i32, on numbered(device) => super::reset_device(device, false)

    /// Ends everything on the device, whoever else uses it.
    Acl fn aclrtResetDeviceForce(device: i32) -> i32, on numbered(device) => super::reset_device(device, true)

    /// The device that the calling thread is attached to.
    Acl fn aclrtGetDevice(device: *mut i32) -> i32, on context::nearest() => {
        let (current, _) = context::current()?;
        // SAFETY: the pointer is the caller's.
        unsafe { put(device, current.id) }
    }

    /// Allocates device memory, rounded to 32 bytes and 32 more.
    Acl fn aclrtMalloc(address: *mut *mut c_void, size: usize, policy: u32) -> i32, on context::nearest() => {
        let size = size as u64;
        let rounded = size.checked_next_multiple_of(32).and_then(|size| size.checked_add(32));
        // SAFETY: the pointer is the caller's.
        unsafe { super::allocate(address, size, rounded, codes::ACL_INVALID_PARAM) }
    }

    /// Frees device memory, from any thread.
    Acl fn aclrtFree(address: *mut c_void) -> i32,
        on owner(address) => super::release(&owner(address), address)

    /// Copies now, without waiting for any stream.
    Acl fn aclrtMemcpy(to: *mut c_void, room: usize, from: *const c_void, count: usize, kind: u32) -> i32,
        on context::nearest() => {
        // SAFETY: the host side is the caller's.
        unsafe { copy::copy(to, room as u64, from, count as u64, kind) }
    }

    /// Fills device memory.
    Acl fn aclrtMemset(address: *mut c_void, room: usize, value: i32, count: usize) -> i32,
        on context::nearest() => copy::set(address, room as u64, value, count as u64)

    /// Creates a stream.
    Acl fn aclrtCreateStream(stream: *mut *mut c_void) -> i32, on context::nearest() => {
        // SAFETY: the pointer is the caller's.
        unsafe { super::create_stream(stream) }
    }

    /// Waits for the stream's tasks and destroys it.
    Acl fn aclrtDestroyStream(stream: *mut c_void) -> i32,
        on owner_of_stream(stream) => super::destroy_stream(stream)

    /// Waits for the stream's tasks, without limit.
    Acl fn aclrtSynchronizeStream(stream: *mut c_void) -> i32,
        on owner_of_stream(stream) => synchronize(stream, -1)

    /// Waits for the stream's tasks, for so many milliseconds.
    Acl fn aclrtSynchronizeStreamWithTimeout(stream: *mut c_void, milliseconds: i32) -> i32,
        on owner_of_stream(stream) => synchronize(stream, milliseconds)

    /// Sets how long a task on AICores may take.
    Acl fn aclrtSetOpExecuteTimeOutV2(microseconds: u64, actual: *mut u64) -> i32, on context::nearest() => {
        let (device, _) = context::current()?;
        let set = microseconds.max(1).checked_next_multiple_of(TIMEOUT_STEP_US).ok_or(codes::PARAM_INVALID)?;
        // SAFETY: the pointer is the caller's.
        unsafe { put(actual, set) }?;
        device.set_op_timeout(set);
        Ok(())
    }

    /// How many cores a launch on the stream may use.
    Acl fn aclrtGetStreamResLimit(stream: *mut c_void, kind: u32, value: *mut u32) -> i32,
        on owner_of_stream(stream) => {
        context::current()?;
        let stream = behind(&process().streams, "stream", stream, codes::STREAM_CONTEXT)?;
        let cores = stream.device().cores.count();
        let limit = match kind {
            hal_sys::sys::ACL_RT_DEV_RES_CUBE_CORE => cores,
            hal_sys::sys::ACL_RT_DEV_RES_VECTOR_CORE => 2 * cores,
            _ => return Err(codes::PARAM_INVALID),
        };
        // SAFETY: the pointer is the caller's.
        unsafe { put(value, limit) }
    }
}

/// Who counts initialisations: the process, but a test that has leased a device counts for itself.
fn acl_scope() -> Arc<Device> {
    let nearest = context::nearest();
    if nearest.leased { nearest } else { Arc::clone(&process().nobody) }
}

/// Timeouts are set in steps of this many microseconds, upwards.
const TIMEOUT_STEP_US: u64 = 1000;

fn synchronize(raw: *mut c_void, milliseconds: i32) -> Result<(), i32> {
    context::current()?;
    let stream = behind(&process().streams, "stream", raw, codes::STREAM_CONTEXT)?;
    let limit = match milliseconds {
        -1 => None,
        limit => Some(u64::try_from(limit).ok().filter(|limit| *limit > 0).ok_or(codes::PARAM_INVALID)?),
    };
    context::switch(stream.device(), stream.context());
    stream.synchronize(limit.map(|limit| stream.device().scaled(Duration::from_millis(limit))))
}
