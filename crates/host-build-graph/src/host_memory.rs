//! Host memory that clients and orchestrations name by raw address.

use device_runner::{DevPtr, DeviceError, Memory};

/// A range of the client's host memory.
///
/// Whoever makes one vouches that the range stays valid until the run has ended and that nobody else uses
/// it meanwhile; that is the contract of task arguments and of recorded tensor pairs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HostRange {
    address: usize,
    bytes: usize,
}

impl HostRange {
    /// # Safety
    /// See the type.
    pub(crate) unsafe fn new(address: usize, bytes: usize) -> Self {
        Self { address, bytes }
    }

    /// A range given by a task argument.
    pub(crate) fn of_argument(address: u64, bytes: u64) -> Option<Self> {
        let (address, bytes) = (usize::try_from(address).ok()?, usize::try_from(bytes).ok()?);
        if address == 0 && bytes > 0 {
            return None;
        }
        // SAFETY: the client that passed the arguments vouches for the memory they name.
        Some(unsafe { Self::new(address, bytes) })
    }

    pub(crate) fn bytes(self) -> usize {
        self.bytes
    }

    pub(crate) fn is_null(self) -> bool {
        self.address == 0
    }

    pub(crate) fn copy_to(self, memory: &Memory, to: DevPtr) -> Result<(), DeviceError> {
        if self.bytes == 0 {
            return Ok(());
        }
        // SAFETY: the range is valid for reads by the contract of the type, and not null.
        let bytes = unsafe {
            std::slice::from_raw_parts(std::ptr::with_exposed_provenance::<u8>(self.address), self.bytes)
        };
        memory.copy_to_device(to, bytes)
    }

    pub(crate) fn copy_from(self, memory: &Memory, from: DevPtr) -> Result<(), DeviceError> {
        if self.bytes == 0 {
            return Ok(());
        }
        // SAFETY: the range is valid for writes by the contract of the type, nobody else uses it, and it is
        // not null.
        let bytes = unsafe {
            std::slice::from_raw_parts_mut(
                std::ptr::with_exposed_provenance_mut::<u8>(self.address),
                self.bytes,
            )
        };
        memory.copy_from_device(bytes, from)
    }
}
