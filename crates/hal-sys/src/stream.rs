//! Streams: what is launched on one runs in order, what is on two of them runs side by side.

use std::ffi::c_void;
use std::ptr::{self, NonNull};
use std::time::Duration;

use crate::error::HalError;
use crate::hal::{Hal, acl, function, made};
use crate::sys;

/// A stream of a device. It ends with [`Hal::stream_destroy`], or [`Hal::acl_stream_destroy`] if AscendCL
/// made it; dropping it leaves it to the reset of the device.
#[derive(Debug)]
#[must_use = "a stream lives until it is destroyed"]
pub struct Stream {
    handle: NonNull<c_void>,
}

// SAFETY: the handle is a name; the runtime guards what it stands for, and takes it from any attached thread.
unsafe impl Send for Stream {}
// SAFETY: as above.
unsafe impl Sync for Stream {}

impl Stream {
    pub(crate) fn new(handle: NonNull<c_void>) -> Self {
        Self { handle }
    }

    pub(crate) fn raw(&self) -> sys::rtStream_t {
        self.handle.as_ptr()
    }
}

/// The two kinds of compute cores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CoreKind {
    /// AIC.
    Cube,
    /// AIV.
    Vector,
}

impl Hal {
    /// Makes a stream of the default priority on the device that the thread is *attached* to.
    ///
    /// # Errors
    /// 107002: the thread is not attached; 207008: the device has no stream left; 507899: something failed on
    /// the device before.
    pub fn stream_create(&self) -> Result<Stream, HalError> {
        let create = function!(self, rtStreamCreate)?;
        let mut stream = ptr::null_mut();
        // SAFETY: `stream` lives during the call.
        acl("rtStreamCreate", unsafe { create(&raw mut stream, 0) })?;
        made("rtStreamCreate", stream).map(Stream::new)
    }

    /// Waits for what is left on a stream and ends it, also one with an error. *Attached*.
    ///
    /// # Errors
    /// 107003: it is a stream of another device. The handle is gone in any case; what it stood for then lives
    /// until the reset of the device.
    #[allow(clippy::needless_pass_by_value, reason = "the handle must not be used afterwards")]
    pub fn stream_destroy(&self, stream: Stream) -> Result<(), HalError> {
        let destroy = function!(self, rtStreamDestroy)?;
        // SAFETY: the handle is one that was made and not destroyed: it is not `Clone`, and taken by value.
        acl("rtStreamDestroy", unsafe { destroy(stream.raw()) })
    }

    /// Waits without end until a stream is idle, and returns the error of what ran on it. *Attached*.
    ///
    /// A stream with an error must not be synchronised a second time: on a chip that can hang the device.
    ///
    /// # Errors
    /// 5070xx: a task failed, 507018 when it was a program on the AICPU; 507901: the link to the device is
    /// lost.
    pub fn stream_synchronize(&self, stream: &Stream) -> Result<(), HalError> {
        let synchronize = function!(self, aclrtSynchronizeStream)?;
        // SAFETY: the handle is one that was made and not destroyed.
        acl("aclrtSynchronizeStream", unsafe { synchronize(stream.raw()) })
    }

    /// As [`stream_synchronize`](Self::stream_synchronize), for at least `limit`, in whole milliseconds of
    /// which there are 1 to 2^31 - 1.
    ///
    /// # Errors
    /// 507046: the time is over and the work goes on; else as
    /// [`stream_synchronize`](Self::stream_synchronize).
    pub fn stream_synchronize_within(&self, stream: &Stream, limit: Duration) -> Result<(), HalError> {
        let synchronize = function!(self, aclrtSynchronizeStreamWithTimeout)?;
        let milliseconds = i32::try_from(limit.as_micros().div_ceil(1000)).unwrap_or(i32::MAX).max(1);
        // SAFETY: the handle is one that was made and not destroyed.
        acl("aclrtSynchronizeStreamWithTimeout", unsafe { synchronize(stream.raw(), milliseconds) })
    }

    /// How many cores of a kind the launches on a stream may use at a time. *Attached*.
    ///
    /// # Errors
    /// 107002: the thread is not attached; 207000: the device does not tell.
    pub fn stream_core_limit(&self, stream: &Stream, kind: CoreKind) -> Result<u32, HalError> {
        let get = function!(self, aclrtGetStreamResLimit)?;
        let kind = match kind {
            CoreKind::Cube => sys::ACL_RT_DEV_RES_CUBE_CORE,
            CoreKind::Vector => sys::ACL_RT_DEV_RES_VECTOR_CORE,
        };
        let mut limit = 0;
        // SAFETY: the handle is one that was made and not destroyed; `limit` lives during the call.
        acl("aclrtGetStreamResLimit", unsafe { get(stream.raw(), kind, &raw mut limit) })?;
        Ok(limit)
    }
}
