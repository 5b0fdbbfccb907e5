use std::sync::atomic::{AtomicU32, Ordering};

/// A 32-bit word that device programs share with this side. No reference into that memory outlives an access.
#[derive(Clone, Copy, Debug)]
pub(super) struct Word(*mut u32);

impl Word {
    /// # Safety
    /// `place` must be of four aligned bytes that stay accessible for as long as the value is used.
    pub(super) unsafe fn at(place: *mut u8) -> Self {
        Self(place.cast())
    }

    pub(super) fn load(self) -> u32 {
        // SAFETY: whoever made this promised that the place is accessible; programs use it as one word only.
        unsafe { AtomicU32::from_ptr(self.0) }.load(Ordering::Acquire)
    }

    pub(super) fn store(self, value: u32) {
        // SAFETY: as above.
        unsafe { AtomicU32::from_ptr(self.0) }.store(value, Ordering::Release);
    }
}
