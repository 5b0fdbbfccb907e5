//! The name of a submitted task.

use core::fmt;

use bytemuck::{Pod, Zeroable};

use crate::wire::assert_layout;

/// Names a submitted task: its ring, and its number within the ring (`PTO2TaskId` in `spec/public-abi.md`, section
/// D.3). 8 bytes.
///
/// The very first task has the raw value 0, so 0 is valid; all bits set ([`INVALID`](Self::INVALID)) means "no task".
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Pod, Zeroable)]
#[repr(transparent)]
pub struct TaskToken {
    /// Number within the ring in bits 0..32, ring in bits 32..40.
    pub raw: u64,
}

/// The contract's name of [`TaskToken`].
pub type Pto2TaskId = TaskToken;

assert_layout!(TaskToken, size 8, align 8, { raw @ 0 });

impl Default for TaskToken {
    /// No task.
    fn default() -> Self {
        Self::INVALID
    }
}

impl TaskToken {
    /// No task.
    pub const INVALID: Self = Self { raw: u64::MAX };

    /// The task with number `local` of ring `ring`.
    #[must_use]
    pub const fn new(ring: u8, local: u32) -> Self {
        Self { raw: ((ring as u64) << 32) | local as u64 }
    }

    /// The ring. Meaningless for [`INVALID`](Self::INVALID).
    #[must_use]
    pub const fn ring(self) -> u8 {
        let [_, _, _, _, ring, ..] = self.raw.to_le_bytes();
        ring
    }

    /// The number within the ring. Meaningless for [`INVALID`](Self::INVALID).
    #[must_use]
    pub const fn local(self) -> u32 {
        let [a, b, c, d, ..] = self.raw.to_le_bytes();
        u32::from_le_bytes([a, b, c, d])
    }

    /// Whether this names a task at all. Whether the task exists is known to the runtime only.
    #[must_use]
    pub const fn is_valid(self) -> bool {
        self.raw != Self::INVALID.raw
    }
}

impl fmt::Display for TaskToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_valid() {
            write!(f, "task {} of ring {}", self.local(), self.ring())
        } else {
            f.write_str("no task")
        }
    }
}

impl fmt::Debug for TaskToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TaskToken({self})")
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    #[test]
    fn parts_come_back() {
        assert_eq!(TaskToken::new(0, 0).raw, 0);
        let token = TaskToken::new(3, 0x8000_0001);
        assert_eq!(token.raw, 0x3_8000_0001);
        assert_eq!((token.ring(), token.local()), (3, 0x8000_0001));
        assert_eq!(TaskToken::new(255, u32::MAX).raw, 0xff_ffff_ffff);
        assert!(TaskToken::new(255, u32::MAX).is_valid() && TaskToken::new(0, 0).is_valid());
        assert!(!TaskToken::INVALID.is_valid());
    }

    #[test]
    fn text_names_ring_and_number() {
        assert_eq!(format!("{:?}", TaskToken::new(1, 7)), "TaskToken(task 7 of ring 1)");
        assert_eq!(format!("{}", TaskToken::INVALID), "no task");
    }
}
