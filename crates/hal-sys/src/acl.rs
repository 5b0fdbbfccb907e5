//! AscendCL: its life, and its own ways to devices, memory and streams, which communication wants.

use std::ptr;

use crate::error::HalError;
use crate::hal::{Hal, acl, device_pointer, function, host_size, made, made_address};
use crate::stream::Stream;
use crate::sys;

impl Hal {
    /// Starts AscendCL with its defaults. Needs [`Group::AclComm`](crate::Group::AclComm).
    ///
    /// # Errors
    /// 100002: it runs already in this process. That counts as a start, and wants an
    /// [`acl_finalize`](Self::acl_finalize) as well.
    pub fn acl_init(&self) -> Result<(), HalError> {
        let init = function!(self, aclInit)?;
        // SAFETY: null stands for the defaults.
        acl("aclInit", unsafe { init(ptr::null()) })
    }

    /// Takes one [`acl_init`](Self::acl_init) back. Needs [`Group::AclComm`](crate::Group::AclComm).
    ///
    /// # Errors
    /// 100037: there is nothing to take back.
    pub fn acl_finalize(&self) -> Result<(), HalError> {
        let finalize = function!(self, aclFinalize)?;
        // SAFETY: the call takes nothing.
        acl("aclFinalize", unsafe { finalize() })
    }

    /// As [`set_device`](Self::set_device), counted together with it.
    /// Needs [`Group::AclComm`](crate::Group::AclComm).
    ///
    /// # Errors
    /// As [`set_device`](Self::set_device).
    pub fn acl_set_device(&self, device: i32) -> Result<(), HalError> {
        let set = function!(self, aclrtSetDevice)?;
        // SAFETY: the call takes a number.
        acl("aclrtSetDevice", unsafe { set(device) })
    }

    /// As [`reset_device`](Self::reset_device), counted together with it.
    /// Needs [`Group::AclComm`](crate::Group::AclComm).
    ///
    /// # Errors
    /// As [`reset_device`](Self::reset_device).
    pub fn acl_reset_device(&self, device: i32) -> Result<(), HalError> {
        let reset = function!(self, aclrtResetDevice)?;
        // SAFETY: the call takes a number.
        acl("aclrtResetDevice", unsafe { reset(device) })
    }

    /// The device that the thread is *attached* to. Needs [`Group::AclComm`](crate::Group::AclComm).
    ///
    /// # Errors
    /// 107002: to none.
    pub fn acl_get_device(&self) -> Result<i32, HalError> {
        let get = function!(self, aclrtGetDevice)?;
        let mut device = 0;
        // SAFETY: `device` lives during the call.
        acl("aclrtGetDevice", unsafe { get(&raw mut device) })?;
        Ok(device)
    }

    /// Allocates device memory, in huge pages where there are any, 64-aligned and uninitialised. *Attached*.
    ///
    /// # Errors
    /// 100000: no bytes are asked for; 107002: the thread is not attached; 207001: the device has no memory
    /// left.
    pub fn acl_malloc(&self, bytes: u64) -> Result<u64, HalError> {
        let malloc = function!(self, aclrtMalloc)?;
        let bytes = host_size("aclrtMalloc", bytes)?;
        let mut address = ptr::null_mut();
        // SAFETY: `address` lives during the call.
        acl("aclrtMalloc", unsafe { malloc(&raw mut address, bytes, sys::ACL_MEM_MALLOC_HUGE_FIRST) })?;
        made_address("aclrtMalloc", address)
    }

    /// Gives memory of [`acl_malloc`](Self::acl_malloc) back. Works from any thread.
    ///
    /// # Errors
    /// 107000: there is no such allocation.
    pub fn acl_free(&self, address: u64) -> Result<(), HalError> {
        let free = function!(self, aclrtFree)?;
        let address = device_pointer("aclrtFree", address)?;
        // SAFETY: the driver checks the address; nothing of the host lies there.
        acl("aclrtFree", unsafe { free(address) })
    }

    /// As [`copy_to_device`](Self::copy_to_device). *Attached*.
    ///
    /// # Errors
    /// As [`copy_to_device`](Self::copy_to_device).
    pub fn acl_copy_to_device(&self, address: u64, bytes: &[u8]) -> Result<(), HalError> {
        let copy = function!(self, aclrtMemcpy)?;
        let (to, from) = (device_pointer("aclrtMemcpy", address)?, bytes.as_ptr().cast());
        let kind = sys::ACL_MEMCPY_HOST_TO_DEVICE;
        // SAFETY: the slice lives during the call, which is synchronous; the driver checks the device side.
        acl("aclrtMemcpy", unsafe { copy(to, bytes.len(), from, bytes.len(), kind) })
    }

    /// Sets each byte of a range of device memory. *Attached*. Needs
    /// [`Group::AclComm`](crate::Group::AclComm).
    ///
    /// # Errors
    /// As [`copy_to_device`](Self::copy_to_device).
    pub fn acl_memset(&self, address: u64, value: u8, bytes: u64) -> Result<(), HalError> {
        let set = function!(self, aclrtMemset)?;
        let (to, bytes) = (device_pointer("aclrtMemset", address)?, host_size("aclrtMemset", bytes)?);
        // SAFETY: the driver checks the range; nothing of the host lies there.
        acl("aclrtMemset", unsafe { set(to, bytes, i32::from(value), bytes) })
    }

    /// As [`stream_create`](Self::stream_create). *Attached*. Needs
    /// [`Group::AclComm`](crate::Group::AclComm).
    ///
    /// # Errors
    /// As [`stream_create`](Self::stream_create).
    pub fn acl_stream_create(&self) -> Result<Stream, HalError> {
        let create = function!(self, aclrtCreateStream)?;
        let mut stream = ptr::null_mut();
        // SAFETY: `stream` lives during the call.
        acl("aclrtCreateStream", unsafe { create(&raw mut stream) })?;
        made("aclrtCreateStream", stream).map(Stream::new)
    }

    /// As [`stream_destroy`](Self::stream_destroy). *Attached*. Needs
    /// [`Group::AclComm`](crate::Group::AclComm).
    ///
    /// # Errors
    /// As [`stream_destroy`](Self::stream_destroy).
    #[allow(clippy::needless_pass_by_value, reason = "the handle must not be used afterwards")]
    pub fn acl_stream_destroy(&self, stream: Stream) -> Result<(), HalError> {
        let destroy = function!(self, aclrtDestroyStream)?;
        // SAFETY: the handle is one that was made and not destroyed: it is not `Clone`, and taken by value.
        acl("aclrtDestroyStream", unsafe { destroy(stream.raw()) })
    }
}
