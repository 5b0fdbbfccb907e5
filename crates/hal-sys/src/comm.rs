//! Communicators of HCCL. All of it needs [`Group::Hccl`](crate::Group::Hccl).

use std::ffi::{c_char, c_void};
use std::fmt;
use std::ptr::{self, NonNull};

use crate::error::HalError;
use crate::hal::{Hal, function, hccl, made};
use crate::stream::Stream;
use crate::sys;

/// What all ranks of a communicator must know to meet. It goes to the others by whatever way there is.
#[derive(Clone)]
pub struct RootInfo {
    info: Box<sys::HcclRootInfo>,
}

/// Bytes of a [`RootInfo`].
const ROOT_INFO_BYTES: usize = sys::HCCL_ROOT_INFO_BYTES as usize;

impl RootInfo {
    /// One that has come from the root rank.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; ROOT_INFO_BYTES]) -> Self {
        let mut info = Box::<sys::HcclRootInfo>::default();
        for (to, &from) in info.internal.iter_mut().zip(bytes) {
            *to = c_char::from_ne_bytes([from]);
        }
        Self { info }
    }

    /// All of its bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.info.internal.iter().flat_map(|&byte| byte.to_ne_bytes()).collect()
    }
}

impl fmt::Debug for RootInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RootInfo").finish_non_exhaustive()
    }
}

/// A communicator. It ends with [`Hal::hccl_destroy`]; dropped, it lives until the process ends.
#[derive(Debug)]
#[must_use = "a communicator lives until it is destroyed"]
pub struct Communicator {
    handle: NonNull<c_void>,
}

// SAFETY: the handle is a name; the library guards what it stands for, and takes it from any attached thread.
unsafe impl Send for Communicator {}
// SAFETY: as above.
unsafe impl Sync for Communicator {}

impl Hal {
    /// Makes what the ranks need to meet: called by the root rank. *Attached*.
    ///
    /// # Errors
    /// A code of HCCL.
    pub fn hccl_root_info(&self) -> Result<RootInfo, HalError> {
        let get = function!(self, HcclGetRootInfo)?;
        let mut info = Box::<sys::HcclRootInfo>::default();
        // SAFETY: the structure lives during the call.
        hccl("HcclGetRootInfo", unsafe { get(&raw mut *info) })?;
        Ok(RootInfo { info })
    }

    /// Joins a communicator, and waits until all ranks have. *Attached*; on return the thread may be attached
    /// to another context: set the device again.
    ///
    /// # Errors
    /// A code of HCCL: 9 when the others do not come.
    pub fn hccl_init(&self, ranks: u32, info: &RootInfo, rank: u32) -> Result<Communicator, HalError> {
        let init = function!(self, HcclCommInitRootInfo)?;
        let mut handle = ptr::null_mut();
        // SAFETY: the structure and the handle live during the call.
        hccl("HcclCommInitRootInfo", unsafe { init(ranks, &raw const *info.info, rank, &raw mut handle) })?;
        made("HcclCommInitRootInfo", handle).map(|handle| Communicator { handle })
    }

    /// Puts a barrier on a stream: what follows there waits until all ranks have come so far. *Attached*; on
    /// return the thread may be attached to another context.
    ///
    /// # Errors
    /// A code of HCCL. A rank that does not come shows when the stream is synchronised.
    pub fn hccl_barrier(&self, communicator: &Communicator, stream: &Stream) -> Result<(), HalError> {
        let barrier = function!(self, HcclBarrier)?;
        // SAFETY: both handles were made and not destroyed.
        hccl("HcclBarrier", unsafe { barrier(communicator.handle.as_ptr(), stream.raw()) })
    }

    /// Ends a communicator. Nothing of it may be on a stream any more.
    ///
    /// # Errors
    /// A code of HCCL. The handle is gone in any case.
    #[allow(clippy::needless_pass_by_value, reason = "the handle must not be used afterwards")]
    pub fn hccl_destroy(&self, communicator: Communicator) -> Result<(), HalError> {
        let destroy = function!(self, HcclCommDestroy)?;
        // SAFETY: the handle is one that was made and not destroyed: it is not `Clone`, and taken by value.
        hccl("HcclCommDestroy", unsafe { destroy(communicator.handle.as_ptr()) })
    }
}
