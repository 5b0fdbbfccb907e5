use core::mem::offset_of;

use bytemuck::{Pod, Zeroable};

use super::layout::BufferLayout;
use crate::wire::assert_layout;

/// A full buffer, in the queue of the AICPU thread that has put it there. 32 bytes.
///
/// Indices into that queue are kept modulo its capacity: it is full when there is room for one entry only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C, align(32))]
#[allow(clippy::exhaustive_structs, reason = "a wire format")]
pub struct ReadyEntry {
    /// Index of the unit whose records are in it.
    pub unit: u32,
    /// Of the swimlane: which units it is an index of; 0 otherwise.
    pub kind: u32,
    /// Device address.
    pub buffer_ptr: u64,
    /// Counts the buffers of the unit.
    pub buffer_seq: u32,
    /// 0.
    pub pad: u32,
    /// Padding.
    pub tail: [u8; 8],
}

assert_layout!(ReadyEntry, size 32, align 32, { unit @ 0, kind @ 4, buffer_ptr @ 8, buffer_seq @ 16, pad @ 20 });

macro_rules! free_queue {
    ($(#[$doc:meta])* $name:ident, $slots:literal, pad $pad:literal) => {
        $(#[$doc])*
        ///
        /// Both indices only grow; slots are taken modulo their number.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
        #[repr(C, align(64))]
        #[allow(clippy::exhaustive_structs, reason = "a wire format")]
        pub struct $name {
            /// Device addresses of buffers.
            pub buffer_ptrs: [u64; $slots],
            /// Written by the device: buffers that it took.
            pub head: u32,
            /// Written by the host: buffers that it gave.
            pub tail: u32,
            /// Padding.
            pub pad: [u32; $pad],
        }

        impl $name {
            /// Number of slots.
            pub const SLOTS: u32 = $slots;
        }
    };
}

free_queue! {
    /// Free buffers of a unit. 128 bytes.
    FreeQueue, 4, pad 22
}
free_queue! {
    /// Free buffers for records of scopes. 128 bytes.
    ScopeFreeQueue, 8, pad 14
}

assert_layout!(FreeQueue, size 128, align 64, { buffer_ptrs @ 0, head @ 32, tail @ 36, pad @ 40 });
assert_layout!(ScopeFreeQueue, size 128, align 64, { buffer_ptrs @ 0, head @ 64, tail @ 68, pad @ 72 });

/// A buffer of records that are counted behind them.
#[derive(Debug)]
#[repr(C, align(64))]
#[allow(clippy::exhaustive_structs, reason = "a wire format")]
pub struct Buffer<R, const CAPACITY: usize> {
    /// The records.
    pub records: [R; CAPACITY],
    /// How many there are.
    pub count: u32,
}

impl<R, const CAPACITY: usize> Buffer<R, CAPACITY> {
    /// Where everything is.
    pub const LAYOUT: BufferLayout = BufferLayout {
        bytes: size_of::<Self>(),
        records: offset_of!(Self, records),
        record_bytes: size_of::<R>(),
        capacity: CAPACITY,
        count: offset_of!(Self, count),
    };
}

/// A buffer of records that are counted before them.
#[derive(Debug)]
#[repr(C, align(64))]
#[allow(clippy::exhaustive_structs, reason = "a wire format")]
pub struct HeadedBuffer<R, const CAPACITY: usize> {
    /// How many records there are.
    pub count: u32,
    /// Padding.
    pub pad0: [u32; 15],
    /// The records.
    pub records: [R; CAPACITY],
}

impl<R, const CAPACITY: usize> HeadedBuffer<R, CAPACITY> {
    /// Where everything is.
    pub const LAYOUT: BufferLayout = BufferLayout {
        bytes: size_of::<Self>(),
        records: offset_of!(Self, records),
        record_bytes: size_of::<R>(),
        capacity: CAPACITY,
        count: offset_of!(Self, count),
    };
}
