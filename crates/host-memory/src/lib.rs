//! Host memory that clients and orchestrations name by raw address.
//!
//! **Owns:** the one place where such an address becomes a slice of bytes, for the length of a copy.
//!
//! **Must not know:** what the bytes mean, or which variant copies them.

use device_runner::{DevPtr, DeviceError, Memory};

/// A range of the client's host memory.
///
/// Whoever makes one vouches that the range stays valid until the run has ended and that nobody else uses
/// it meanwhile; that is the contract of task arguments and of recorded tensor pairs.
#[derive(Clone, Copy, Debug)]
pub struct HostRange {
    address: usize,
    bytes: usize,
}

impl HostRange {
    /// The range of `bytes` bytes at `address`.
    ///
    /// # Safety
    /// See the type.
    #[must_use]
    pub unsafe fn new(address: usize, bytes: usize) -> Self {
        Self { address, bytes }
    }

    /// A range given by a task argument; `None` for bytes at the null address.
    #[must_use]
    pub fn of_argument(address: u64, bytes: u64) -> Option<Self> {
        let (address, bytes) = (usize::try_from(address).ok()?, usize::try_from(bytes).ok()?);
        if address == 0 && bytes > 0 {
            return None;
        }
        // SAFETY: the client that passed the arguments vouches for the memory they name.
        Some(unsafe { Self::new(address, bytes) })
    }

    /// Its size.
    #[must_use]
    pub fn bytes(self) -> usize {
        self.bytes
    }

    /// Its first address, and the one behind its last.
    #[must_use]
    pub fn addresses(self) -> (u64, u64) {
        let start = self.address as u64;
        (start, start.saturating_add(self.bytes as u64))
    }

    /// Whether its address is null.
    #[must_use]
    pub fn is_null(self) -> bool {
        self.address == 0
    }

    /// Copies it to the device.
    ///
    /// # Errors
    /// The device's.
    pub fn copy_to(self, memory: &Memory, to: DevPtr) -> Result<(), DeviceError> {
        if self.bytes == 0 {
            return Ok(());
        }
        // SAFETY: the range is valid for reads by the contract of the type, and not null.
        let bytes = unsafe {
            std::slice::from_raw_parts(std::ptr::with_exposed_provenance::<u8>(self.address), self.bytes)
        };
        memory.copy_to_device(to, bytes)
    }

    /// Copies device memory into it.
    ///
    /// # Errors
    /// The device's.
    pub fn copy_from(self, memory: &Memory, from: DevPtr) -> Result<(), DeviceError> {
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
