//! Device memory, through the runtime.

use std::ffi::c_void;
use std::ptr;

use crate::error::HalError;
use crate::hal::{Hal, acl, device_pointer, driver, function, made_address};
use crate::sys;

impl Hal {
    /// Allocates device memory of the high-bandwidth kind, 64-aligned and uninitialised. *Attached*.
    ///
    /// # Errors
    /// 107000: no bytes are asked for; 107002: the thread is not attached; 207001: the device has no memory
    /// left; 507899: something failed on the device before.
    pub fn malloc(&self, bytes: u64) -> Result<u64, HalError> {
        let malloc = function!(self, rtMalloc)?;
        let mut address = ptr::null_mut();
        // SAFETY: `address` lives during the call.
        acl("rtMalloc", unsafe { malloc(&raw mut address, bytes, sys::RT_MEMORY_HBM, 0) })?;
        made_address("rtMalloc", address)
    }

    /// Gives memory of [`malloc`](Self::malloc) back. Works from any thread.
    ///
    /// # Errors
    /// 107000: there is no such allocation.
    pub fn free(&self, address: u64) -> Result<(), HalError> {
        let free = function!(self, rtFree)?;
        let address = device_pointer("rtFree", address)?;
        // SAFETY: the driver checks the address; nothing of the host lies there.
        acl("rtFree", unsafe { free(address) })
    }

    /// Copies to the device, and returns when the bytes are there. It waits for no stream. *Attached*.
    ///
    /// # Errors
    /// 107000: no bytes, or the range is not on the device; 107002: the thread is not attached.
    pub fn copy_to_device(&self, address: u64, bytes: &[u8]) -> Result<(), HalError> {
        let to = device_pointer("rtMemcpy", address)?;
        self.copy(to, bytes.as_ptr().cast(), bytes.len(), sys::RT_MEMCPY_HOST_TO_DEVICE)
    }

    /// Copies from the device. It waits for no stream: what is still being written is torn. *Attached*.
    ///
    /// # Errors
    /// 107000: no bytes, or the range is not on the device; 107002: the thread is not attached.
    pub fn copy_from_device(&self, bytes: &mut [u8], address: u64) -> Result<(), HalError> {
        let from = device_pointer("rtMemcpy", address)?;
        self.copy(bytes.as_mut_ptr().cast(), from, bytes.len(), sys::RT_MEMCPY_DEVICE_TO_HOST)
    }

    /// One of the two pointers is to a slice of so many bytes, as the kind says; the other is the driver's to
    /// check.
    fn copy(
        &self,
        to: *mut c_void,
        from: *const c_void,
        bytes: usize,
        kind: sys::rtMemcpyKind_t,
    ) -> Result<(), HalError> {
        let copy = function!(self, rtMemcpy)?;
        let bytes = bytes as u64;
        // SAFETY: the host side is a slice of the caller that lives during the call, which is synchronous;
        // the driver checks the device side.
        acl("rtMemcpy", unsafe { copy(to, bytes, from, bytes, kind) })
    }

    /// Maps memory of a device into this process, so that the host sees what programs write there, and
    /// returns the address on the host. It may be followed with raw pointers only, as the device writes
    /// at any time. Needs [`Group::HostRegistration`](crate::Group::HostRegistration).
    ///
    /// # Errors
    /// A code of the driver: 2 for a device, 3 for a range that does not exist.
    pub fn host_register(&self, address: u64, bytes: u64, device: u32) -> Result<u64, HalError> {
        let register = function!(self, halHostRegister)?;
        let source = device_pointer("halHostRegister", address)?;
        let mut mapped = ptr::null_mut();
        let flag = sys::DEV_SVM_MAP_HOST;
        // SAFETY: `mapped` lives during the call; the driver checks the address.
        driver("halHostRegister", unsafe { register(source, bytes, flag, device, &raw mut mapped) })?;
        made_address("halHostRegister", mapped)
    }

    /// Takes a mapping back, by the address that the memory has on the *device*. Nobody may use the host's
    /// address any more. Needs [`Group::HostRegistration`](crate::Group::HostRegistration).
    ///
    /// # Errors
    /// A code of the driver, when there is no such mapping.
    pub fn host_unregister(&self, address: u64, device: u32) -> Result<(), HalError> {
        let unregister = function!(self, halHostUnregister)?;
        let source = device_pointer("halHostUnregister", address)?;
        // SAFETY: the driver checks the address; no reference of Rust is into the mapping.
        driver("halHostUnregister", unsafe { unregister(source, device) })
    }
}
