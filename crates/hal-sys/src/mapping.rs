use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::error::HalError;
use crate::hal::Hal;

/// Memory of a device as this process sees it. The device writes there at any time, so it is never referred to, only
/// loaded from and stored to, a word at a time.
///
/// It is there until [`Hal::host_unregister`], before which its memory may not be freed, nor the device given back, and
/// after which this may not be used any more.
#[derive(Debug)]
pub struct HostMapping {
    /// Where it is in this process.
    host: usize,
    bytes: usize,
}

impl HostMapping {
    fn place<T>(&self, offset: usize) -> Option<*mut T> {
        let end = offset.checked_add(size_of::<T>())?;
        let address = self.host.checked_add(offset)?;
        let is_inside = end <= self.bytes && address.is_multiple_of(align_of::<T>());
        is_inside.then(|| std::ptr::with_exposed_provenance_mut(address))
    }

    /// The word at an offset; `None` for one that is not inside, or not aligned. What the device wrote before it is
    /// visible afterwards.
    #[must_use]
    pub fn load_u32(&self, offset: usize) -> Option<u32> {
        // SAFETY: inside the mapping, which the driver keeps until it is unmapped, and aligned.
        Some(unsafe { AtomicU32::from_ptr(self.place(offset)?) }.load(Ordering::Acquire))
    }

    /// Likewise, of 64 bits.
    #[must_use]
    pub fn load_u64(&self, offset: usize) -> Option<u64> {
        // SAFETY: as above.
        Some(unsafe { AtomicU64::from_ptr(self.place(offset)?) }.load(Ordering::Acquire))
    }

    /// Writes a word; `None` for one that is not inside, or not aligned. Whoever sees it sees what was written before.
    #[must_use = "nothing is written outside"]
    pub fn store_u32(&self, offset: usize, value: u32) -> Option<()> {
        // SAFETY: as above.
        unsafe { AtomicU32::from_ptr(self.place(offset)?) }.store(value, Ordering::Release);
        Some(())
    }

    /// Likewise, of 64 bits.
    #[must_use = "nothing is written outside"]
    pub fn store_u64(&self, offset: usize, value: u64) -> Option<()> {
        // SAFETY: as above.
        unsafe { AtomicU64::from_ptr(self.place(offset)?) }.store(value, Ordering::Release);
        Some(())
    }
}

impl Hal {
    /// Maps memory of a device, as [`host_register`](Self::host_register) does. *Attached*.
    ///
    /// # Errors
    /// As [`host_register`](Self::host_register).
    pub fn map_to_host(&self, address: u64, bytes: usize, device: u32) -> Result<HostMapping, HalError> {
        let host = self.host_register(address, bytes as u64, device)?;
        match usize::try_from(host) {
            Ok(host) => Ok(HostMapping { host, bytes }),
            Err(_) => Err(HalError::Empty { call: "halHostRegister" }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_aligned_words_inside_are_there() {
        let mut memory = [1u64, 2, 3];
        let mapping = HostMapping { host: memory.as_mut_ptr().expose_provenance(), bytes: 20 };
        assert_eq!((mapping.load_u64(8), mapping.load_u32(16)), (Some(2), Some(3)));
        assert_eq!((mapping.load_u64(16), mapping.load_u32(20), mapping.load_u32(2)), (None, None, None));
        assert_eq!((mapping.load_u64(usize::MAX), mapping.load_u64(4)), (None, None));
        assert_eq!((mapping.store_u32(4, 9), mapping.store_u64(8, 7)), (Some(()), Some(())));
        assert_eq!((mapping.store_u32(18, 9), mapping.store_u64(16, 7)), (None, None));
        assert_eq!((mapping.load_u64(0), mapping.load_u64(8)), (Some(1 | 9 << 32), Some(7)));
    }
}
