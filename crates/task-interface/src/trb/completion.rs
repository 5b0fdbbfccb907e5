//! Conditions that a kernel leaves behind and that its task waits for (`spec/public-abi.md`, section E.7;
//! `spec/device-abi.md`, section 4.14).
//!
//! Kernels and engines write these structures while the runtime runs. Read foreign memory into a copy first; the
//! methods work on copies.

use bytemuck::{Pod, Zeroable};

use super::enums::{AsyncEngine, CompletionType};
use super::error::CompletionError;
use super::limits::MAX_COMPLETIONS_PER_TASK;
use crate::wire::assert_layout;
use crate::wire_enum::EnumError;

/// One condition. 24 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct DeferredCompletionEntry {
    /// Address of the counter or event record.
    pub addr: u64,
    /// What a counter must reach.
    pub expected_value: u32,
    /// Raw [`AsyncEngine`].
    pub engine: u32,
    /// Raw [`CompletionType`].
    pub completion_type: i32,
    /// 0.
    pub pad: u32,
}

assert_layout!(DeferredCompletionEntry, size 24, align 8, {
    addr @ 0, expected_value @ 8, engine @ 12, completion_type @ 16, pad @ 20,
});

impl DeferredCompletionEntry {
    /// A condition on the 32-bit counter at `addr`.
    #[must_use]
    pub fn counter(addr: u64, expected_value: u32, engine: AsyncEngine) -> Self {
        let completion_type = CompletionType::Counter.raw();
        Self { addr, expected_value, engine: engine.raw(), completion_type, pad: 0 }
    }

    /// Who fulfils the condition.
    ///
    /// # Errors
    /// [`EnumError::AsyncEngine`].
    pub fn engine(&self) -> Result<AsyncEngine, EnumError> {
        AsyncEngine::try_from(self.engine)
    }

    /// How the condition is tested. On a5 every condition is a counter, whatever this says.
    ///
    /// # Errors
    /// [`EnumError::CompletionType`].
    pub fn completion_type(&self) -> Result<CompletionType, EnumError> {
        CompletionType::try_from(self.completion_type)
    }

    /// Whether a counter that stands at `value` fulfils the condition.
    #[must_use]
    pub const fn reached_by(&self, value: u32) -> bool {
        value >= self.expected_value
    }
}

/// What a kernel passes when it registers a condition. 32 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct CompletionToken {
    /// Address of the counter or event record.
    pub addr: u64,
    /// What a counter must reach.
    pub expected_value: u32,
    /// Raw [`AsyncEngine`].
    pub engine: u32,
    /// Raw [`CompletionType`].
    pub completion_type: i32,
    /// Undefined.
    pub pad: u32,
    /// Private to the engine; does not reach the runtime.
    pub backend_cookie: u64,
}

assert_layout!(CompletionToken, size 32, align 8, {
    addr @ 0, expected_value @ 8, engine @ 12, completion_type @ 16, pad @ 20, backend_cookie @ 24,
});

impl From<&CompletionToken> for DeferredCompletionEntry {
    fn from(token: &CompletionToken) -> Self {
        Self {
            addr: token.addr,
            expected_value: token.expected_value,
            engine: token.engine,
            completion_type: token.completion_type,
            pad: 0,
        }
    }
}

/// The conditions that one run of a kernel registered. 1600 bytes; each core has one per
/// [`DispatchPayload`](super::DispatchPayload).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C, align(64))]
pub struct DeferredCompletionSlab {
    /// Number of used entries, 0..=64.
    pub count: u32,
    /// A [`TrbErrorCode`](super::TrbErrorCode), or 0.
    pub error_code: i32,
    /// The conditions; only the first `count` count.
    pub entries: [DeferredCompletionEntry; MAX_COMPLETIONS_PER_TASK],
    /// Fills the last cache line.
    pub tail: [u8; 56],
}

assert_layout!(DeferredCompletionSlab, size 1600, align 64, {
    count @ 0, error_code @ 4, entries @ 8, tail @ 1544,
});

impl DeferredCompletionSlab {
    /// From the slab to its count, in bytes.
    pub const COUNT_OFFSET: u64 = 0;
    /// From the slab to its error code, in bytes.
    pub const ERROR_CODE_OFFSET: u64 = 4;
    /// From the slab to its entries, in bytes.
    pub const ENTRIES_OFFSET: u64 = 8;

    /// Whether the kernel left anything behind. Otherwise its end is the end of its work.
    #[must_use]
    pub const fn is_untouched(&self) -> bool {
        self.count == 0 && self.error_code == 0
    }

    /// The registered conditions.
    ///
    /// # Errors
    /// [`CompletionError::Count`] when the count is larger than 64.
    pub fn used_entries(&self) -> Result<&[DeferredCompletionEntry], CompletionError> {
        self.entries.get(..self.count as usize).ok_or(CompletionError::Count { count: self.count })
    }
}

const _: () = {
    use core::mem::offset_of;
    assert!(offset_of!(DeferredCompletionSlab, count) as u64 == DeferredCompletionSlab::COUNT_OFFSET);
    assert!(
        offset_of!(DeferredCompletionSlab, error_code) as u64 == DeferredCompletionSlab::ERROR_CODE_OFFSET
    );
    assert!(offset_of!(DeferredCompletionSlab, entries) as u64 == DeferredCompletionSlab::ENTRIES_OFFSET);
};

/// A transfer's own report that it is done; a2a3 only. 16 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct SdmaEventRecord {
    /// Not 0: done.
    pub flag: u32,
    /// Where the submission queue of the channel ends.
    pub sq_tail: u32,
    /// Address of the 64-bit word that wants to know, or 0.
    pub channel_info: u64,
}

assert_layout!(SdmaEventRecord, size 16, align 8, { flag @ 0, sq_tail @ 4, channel_info @ 8 });

impl SdmaEventRecord {
    /// Whether the transfer is done.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        self.flag != 0
    }

    /// The record once its condition was used up: `flag` and `sq_tail` are zero.
    #[must_use]
    pub const fn retired(self) -> Self {
        Self { flag: 0, sq_tail: 0, channel_info: self.channel_info }
    }

    /// Address and value of the word to store when a done record is retired, if its channel wants one.
    #[must_use]
    pub const fn channel_update(&self) -> Option<(u64, u64)> {
        let tail = self.sq_tail as u64;
        if self.channel_info == 0 { None } else { Some((self.channel_info, (tail << 32) | tail)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_keep_what_the_token_says() {
        let token = CompletionToken {
            addr: 8,
            expected_value: 3,
            engine: 2,
            backend_cookie: 5,
            ..Default::default()
        };
        let entry = DeferredCompletionEntry::from(&token);
        assert_eq!(entry, DeferredCompletionEntry::counter(8, 3, AsyncEngine::Urma));
        assert_eq!(
            (entry.engine(), entry.completion_type()),
            (Ok(AsyncEngine::Urma), Ok(CompletionType::Counter))
        );
        assert!(!entry.reached_by(2) && entry.reached_by(3) && entry.reached_by(u32::MAX));
    }

    #[test]
    fn foreign_numbers_are_checked() {
        let garbage: DeferredCompletionEntry = bytemuck::cast([0xff_u8; 24]);
        assert_eq!(garbage.engine(), Err(EnumError::AsyncEngine(u32::MAX)));
        assert_eq!(garbage.completion_type(), Err(EnumError::CompletionType(-1)));
        let mut slab = DeferredCompletionSlab::zeroed();
        assert!(slab.is_untouched() && slab.used_entries().unwrap().is_empty());
        slab.count = 64;
        assert_eq!(slab.used_entries().unwrap().len(), 64);
        slab.count = 65;
        assert_eq!(slab.used_entries(), Err(CompletionError::Count { count: 65 }));
        let failed = DeferredCompletionSlab { error_code: 101, ..DeferredCompletionSlab::zeroed() };
        assert!(!failed.is_untouched());
    }

    #[test]
    fn event_records_report_to_their_channel() {
        let record = SdmaEventRecord { flag: 1, sq_tail: 7, channel_info: 0x500 };
        assert!(record.is_done() && !record.retired().is_done());
        assert_eq!(record.channel_update(), Some((0x500, 0x7_0000_0007)));
        assert_eq!(record.retired(), SdmaEventRecord { channel_info: 0x500, ..Default::default() });
        assert_eq!(SdmaEventRecord { channel_info: 0, ..record }.channel_update(), None);
    }
}
