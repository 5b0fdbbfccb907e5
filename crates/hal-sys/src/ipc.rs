//! Sharing device memory with other processes and other chips. All of it needs
//! [`Group::Ipc`](crate::Group::Ipc).

use std::ffi::c_char;
use std::ptr;

use crate::error::HalError;
use crate::hal::{Hal, acl, device_pointer, function, host_size, made_address};
use crate::sys;

/// Bytes of a key, with its final zero.
const KEY_BYTES: usize = sys::ACL_IPC_KEY_LENGTH as usize;

/// The name that memory is exported under. It goes to the other process by whatever way there is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct IpcKey {
    /// The last one is zero.
    bytes: [u8; KEY_BYTES],
}

impl IpcKey {
    /// A key that has come from another process; its last byte is taken as zero.
    #[must_use]
    pub fn from_bytes(mut bytes: [u8; KEY_BYTES]) -> Self {
        bytes[KEY_BYTES - 1] = 0;
        Self { bytes }
    }

    /// All of its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; KEY_BYTES] {
        &self.bytes
    }

    fn as_ptr(&self) -> *const c_char {
        self.bytes.as_ptr().cast()
    }
}

impl Hal {
    /// Exports device memory of this process. *Attached*.
    ///
    /// # Errors
    /// 107000: the range is not on the device; 107002: the thread is not attached.
    pub fn ipc_export(&self, address: u64, bytes: u64) -> Result<IpcKey, HalError> {
        const CALL: &str = "aclrtIpcMemGetExportKey";
        let export = function!(self, aclrtIpcMemGetExportKey)?;
        let address = device_pointer(CALL, address)?;
        let bytes = host_size(CALL, bytes)?;
        let mut key = [0_u8; KEY_BYTES];
        // SAFETY: the buffer has as many bytes as is said and lives during the call; the driver checks the
        // address.
        acl(CALL, unsafe { export(address, bytes, key.as_mut_ptr().cast(), key.len(), 0) })?;
        Ok(IpcKey::from_bytes(key))
    }

    /// Says which processes may import what was exported.
    ///
    /// # Errors
    /// 107000: there is no such export.
    pub fn ipc_allow(&self, key: &IpcKey, pids: &[i32]) -> Result<(), HalError> {
        let allow = function!(self, aclrtIpcMemSetImportPid)?;
        // The call wants a pointer it may write through.
        let mut pids = pids.to_vec();
        // SAFETY: key and numbers live during the call, and there are as many of them as is said.
        acl("aclrtIpcMemSetImportPid", unsafe { allow(key.as_ptr(), pids.as_mut_ptr(), pids.len()) })
    }

    /// Makes memory of another process reachable and returns its address on the device of this one.
    /// *Attached*.
    ///
    /// # Errors
    /// 107000: there is no such export; 107002: the thread is not attached; 207006: this process is not on
    /// its list.
    pub fn ipc_import(&self, key: &IpcKey) -> Result<u64, HalError> {
        let import = function!(self, aclrtIpcMemImportByKey)?;
        let mut address = ptr::null_mut();
        // SAFETY: key and address live during the call.
        acl("aclrtIpcMemImportByKey", unsafe { import(&raw mut address, key.as_ptr(), 0) })?;
        made_address("aclrtIpcMemImportByKey", address)
    }

    /// Ends an export, or an import, of this process.
    ///
    /// # Errors
    /// 107000: there is none of this key.
    pub fn ipc_close(&self, key: &IpcKey) -> Result<(), HalError> {
        let close = function!(self, aclrtIpcMemClose)?;
        // SAFETY: the key lives during the call.
        acl("aclrtIpcMemClose", unsafe { close(key.as_ptr()) })
    }

    /// Lets the device that the thread is *attached* to reach memory of another one. It takes effect when
    /// both sides have done so: see [`peer_access`](Self::peer_access).
    ///
    /// # Errors
    /// 107000: that is the device itself; 107001: there is no such device.
    pub fn enable_peer_access(&self, peer: i32) -> Result<(), HalError> {
        let enable = function!(self, aclrtDeviceEnablePeerAccess)?;
        // SAFETY: the call takes numbers.
        acl("aclrtDeviceEnablePeerAccess", unsafe { enable(peer, 0) })
    }

    /// Whether a device can reach memory of another one by now.
    ///
    /// # Errors
    /// 107001: there is no such device.
    pub fn peer_access(&self, device: i32, peer: i32) -> Result<bool, HalError> {
        let status = function!(self, aclrtDevicePeerAccessStatus)?;
        let mut enabled = 0;
        // SAFETY: `enabled` lives during the call.
        acl("aclrtDevicePeerAccessStatus", unsafe { status(device, peer, &raw mut enabled) })?;
        Ok(enabled == sys::ACL_PEER_ACCESS_ENABLED.cast_signed())
    }
}
