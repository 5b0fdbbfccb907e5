use std::fmt;

/// An address in device memory.
///
/// Never a host reference: bytes behind it are reached only by copies through a
/// [`Device`](crate::Device). Zero is the null address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(transparent)]
pub struct DevPtr(u64);

impl DevPtr {
    /// The null address; no allocation ever has it.
    pub const NULL: Self = Self(0);

    /// Wraps a raw device address.
    #[must_use]
    pub const fn new(address: u64) -> Self {
        Self(address)
    }

    /// The raw address, as kernels and wire structs carry it.
    #[must_use]
    pub const fn addr(self) -> u64 {
        self.0
    }

    /// Whether this is the null address.
    #[must_use]
    pub const fn is_null(self) -> bool {
        self.0 == 0
    }

    /// The address `bytes` further on; `None` when it would wrap around.
    #[must_use]
    pub const fn checked_add(self, bytes: u64) -> Option<Self> {
        match self.0.checked_add(bytes) {
            Some(address) => Some(Self(address)),
            None => None,
        }
    }
}

impl fmt::Debug for DevPtr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DevPtr({:#x})", self.0)
    }
}

impl fmt::Display for DevPtr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}
