//! Words that two programs share, by address. No reference into that memory outlives an access.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// A 32-bit register, or a word of a handshake.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Word {
    address: u64,
}

impl Word {
    /// # Safety
    /// `address` must be of four aligned bytes that stay accessible for as long as the value is used, and that others
    /// access as one word only.
    pub(crate) unsafe fn at(address: u64) -> Self {
        Self { address }
    }

    fn place(self) -> *mut u32 {
        std::ptr::with_exposed_provenance_mut(usize::try_from(self.address).unwrap_or(0))
    }

    /// Whatever the other side wrote before this value is visible afterwards.
    pub(crate) fn load(self) -> u32 {
        // SAFETY: whoever made this promised it.
        unsafe { AtomicU32::from_ptr(self.place()) }.load(Ordering::Acquire)
    }

    /// Whoever sees this value sees what was written before it.
    pub(crate) fn store(self, value: u32) {
        // SAFETY: whoever made this promised it.
        unsafe { AtomicU32::from_ptr(self.place()) }.store(value, Ordering::Release);
    }
}

/// # Safety
/// As [`Word::at`], for eight bytes.
pub(crate) unsafe fn load_u64(address: u64) -> u64 {
    let place = std::ptr::with_exposed_provenance_mut(usize::try_from(address).unwrap_or(0));
    // SAFETY: the caller promises it.
    unsafe { AtomicU64::from_ptr(place) }.load(Ordering::Acquire)
}

/// # Safety
/// As [`Word::at`], for eight bytes.
pub(crate) unsafe fn store_u64(address: u64, value: u64) {
    let place = std::ptr::with_exposed_provenance_mut(usize::try_from(address).unwrap_or(0));
    // SAFETY: the caller promises it.
    unsafe { AtomicU64::from_ptr(place) }.store(value, Ordering::Release);
}
