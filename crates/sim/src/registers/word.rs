use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

macro_rules! word {
    ($(#[$doc:meta])* $name:ident, $value:ty, $atomic:ty, bytes $bytes:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub(super) struct $name(*mut $value);

        impl $name {
            /// # Safety
            #[doc = concat!("`place` must be of ", $bytes, " aligned bytes that stay accessible for as long as the value is used.")]
            pub(super) unsafe fn at(place: *mut u8) -> Self {
                Self(place.cast())
            }

            pub(super) fn load(self) -> $value {
                // SAFETY: whoever made this promised that the place is accessible; programs use it as one word only.
                unsafe { <$atomic>::from_ptr(self.0) }.load(Ordering::Acquire)
            }

            pub(super) fn store(self, value: $value) {
                // SAFETY: as above.
                unsafe { <$atomic>::from_ptr(self.0) }.store(value, Ordering::Release);
            }
        }
    };
}

word! {
    /// A 32-bit word that device programs share with this side. No reference into that memory outlives an access.
    Word, u32, AtomicU32, bytes "four"
}
word! {
    /// Likewise, of 64 bits.
    LongWord, u64, AtomicU64, bytes "eight"
}
