//! The part of libascendcl.so that shares memory between processes and devices.

use std::ffi::{c_char, c_void};

use hal_sys::sys;

use super::{numbered, put, text};
use crate::border::exported;
use crate::codes;
use crate::context;
use crate::process::process;
use crate::region::pointer;

const KEY_BYTES: usize = sys::ACL_IPC_KEY_LENGTH as usize;

exported! {
    /// Shares a buffer.
    Acl fn aclrtIpcMemGetExportKey(address: *mut c_void, size: usize, key: *mut c_char, length: usize,
        flags: u64) -> i32, on context::nearest() => {
        let (device, _) = context::current()?;
        let open = flags == u64::from(sys::ACL_IPC_EXPORT_DISABLE_PID_VALIDATION);
        if address.is_null() || size == 0 || key.is_null() || length != KEY_BYTES || (flags != 0 && !open) {
            return Err(codes::PARAM_INVALID);
        }
        let name = device.peers.export(&device, address.expose_provenance() as u64, size as u64, open)?;
        let mut bytes = [0_u8; KEY_BYTES];
        let (text, _) = bytes.split_at_mut_checked(name.len()).ok_or(codes::INTERNAL_ERROR)?;
        text.copy_from_slice(name.as_bytes());
        // SAFETY: not null, hence as large as the caller says, which is the size of a key.
        unsafe { put(key.cast(), bytes) }
    }

    /// Lets processes import it.
    Acl fn aclrtIpcMemSetImportPid(key: *const c_char, pids: *mut i32, count: usize) -> i32,
        on context::nearest() => {
        if pids.is_null() || count == 0 {
            return Err(codes::PARAM_INVALID);
        }
        // SAFETY: the string is null or the caller's.
        let key = unsafe { text(key) }.ok_or(codes::PARAM_INVALID)?;
        // SAFETY: the caller says that there are so many.
        let pids = unsafe { std::slice::from_raw_parts(pids, count) };
        context::nearest().peers.allow(&key, pids)
    }

    /// Maps what another process shares.
    Acl fn aclrtIpcMemImportByKey(address: *mut *mut c_void, key: *const c_char, flags: u64) -> i32,
        on context::nearest() => {
        let (device, _) = context::current()?;
        if address.is_null() || flags > u64::from(sys::ACL_IPC_IMPORT_ENABLE_PEER_ACCESS) {
            return Err(codes::PARAM_INVALID);
        }
        // SAFETY: the string is null or the caller's.
        let key = unsafe { text(key) }.ok_or(codes::PARAM_INVALID)?;
        let mapped = device.peers.import(&key)?;
        // SAFETY: not null, hence the caller's.
        unsafe { put(address, pointer(mapped).cast()) }
    }

    /// Ends an import or an export.
    Acl fn aclrtIpcMemClose(key: *const c_char) -> i32, on context::nearest() => {
        // SAFETY: the string is null or the caller's.
        let key = unsafe { text(key) }.ok_or(codes::PARAM_INVALID)?;
        context::nearest().peers.close(&key)
    }

    /// Lets the thread's device access the memory of another one.
    Acl fn aclrtDeviceEnablePeerAccess(peer: i32, flags: u32) -> i32, on context::nearest() => {
        let (device, _) = context::current()?;
        if peer == device.id || flags != 0 {
            return Err(codes::PARAM_INVALID);
        }
        process().device(peer).ok_or(codes::INVALID_DEVICE)?;
        device.peers.enable(peer);
        Ok(())
    }

    /// Whether a device can access the memory of another one by now.
    Acl fn aclrtDevicePeerAccessStatus(device: i32, peer: i32, status: *mut i32) -> i32,
        on numbered(device) => {
        let device = process().device(device).ok_or(codes::INVALID_DEVICE)?;
        process().device(peer).ok_or(codes::INVALID_DEVICE)?;
        // SAFETY: the pointer is the caller's.
        unsafe { put(status, device.peers.status(&device, peer)) }
    }
}
