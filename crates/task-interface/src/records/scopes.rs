use core::mem::offset_of;

use bytemuck::{Pod, Zeroable};

use super::layout::{ScopeMemory, UnitLayout, ready_queues, unit_layout};
use super::queue::{HeadedBuffer, ReadyEntry, ScopeFreeQueue};
use crate::wire::assert_layout;

/// Start of the memory of scope statistics. Capacities are written by the device.
#[derive(Debug)]
#[repr(C, align(64))]
#[allow(clippy::exhaustive_structs, reason = "a wire format")]
pub struct ScopeHeader<const THREADS: usize, const ENTRIES: usize> {
    /// Full buffers, by AICPU thread.
    pub queues: [[ReadyEntry; ENTRIES]; THREADS],
    /// Written by the host.
    pub queue_heads: [u32; THREADS],
    /// Written by the device.
    pub queue_tails: [u32; THREADS],
    /// 1.
    pub num_instances: u32,
    /// Tasks that each ring has room for.
    pub task_window_cap: [i32; 4],
    /// Bytes of each ring's heap.
    pub heap_cap: [u64; 4],
    /// Entries of the tensor map.
    pub tensormap_cap: i32,
    /// 1 once an error has ended the recording.
    pub fatal_latched: u32,
    /// 0.
    pub pad: [u32; 2],
}
ready_queues!(ScopeHeader);

impl<const THREADS: usize, const ENTRIES: usize> ScopeHeader<THREADS, ENTRIES> {
    /// The memory that begins with it.
    pub const MEMORY: ScopeMemory = ScopeMemory {
        queues: Self::QUEUES,
        borders: ScopeState::LAYOUT,
        num_instances: offset_of!(Self, num_instances),
        task_windows: offset_of!(Self, task_window_cap),
        heaps: offset_of!(Self, heap_cap),
        tensormap: offset_of!(Self, tensormap_cap),
        fatal: offset_of!(Self, fatal_latched),
    };
}

/// State of scope statistics. 192 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C, align(64))]
#[allow(clippy::exhaustive_structs, reason = "a wire format")]
pub struct ScopeState {
    /// Free buffers.
    pub free_queue: ScopeFreeQueue,
    /// Device address of the buffer that is being filled.
    pub current_buf_ptr: u64,
    /// Its number.
    pub current_buf_seq: u32,
    /// Records that were lost.
    pub dropped_record_count: u32,
    /// Records that were tried.
    pub total_record_count: u32,
    /// Padding.
    pub pad: [u32; 11],
}

assert_layout!(ScopeState, size 192, align 64, {
    free_queue @ 0, current_buf_ptr @ 128, current_buf_seq @ 136, dropped_record_count @ 140, total_record_count @ 144,
    pad @ 148,
});

/// A border of a scope. 72 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
#[allow(clippy::exhaustive_structs, reason = "a wire format")]
pub struct ScopeRecord {
    /// Name of the file that opens it, without folders, ending with a NUL.
    pub site_file_basename: [u8; 32],
    /// Tail of the ring's heap in bytes.
    pub heap_start: u64,
    /// Its top.
    pub heap_end: u64,
    /// Line in the file.
    pub site_line: i32,
    /// The ring's oldest task that is alive.
    pub task_start: i32,
    /// Its next one.
    pub task_end: i32,
    /// Entries of the tensor map in use.
    pub tensormap_used: i32,
    /// How many scopes are open.
    pub depth: i16,
    /// The ring.
    pub ring_id: i16,
    /// 0 at the begin, 1 at the end.
    pub phase: i16,
    /// 0.
    pub pad: i16,
}

assert_layout!(ScopeRecord, size 72, align 8, {
    site_file_basename @ 0, heap_start @ 32, heap_end @ 40, site_line @ 48, task_start @ 52, task_end @ 56,
    tensormap_used @ 60, depth @ 64, ring_id @ 66, phase @ 68, pad @ 70,
});

/// A buffer of them.
pub type ScopeBuffer = HeadedBuffer<ScopeRecord, 512>;

impl ScopeState {
    /// Of the one state that there is, on both chips.
    pub const LAYOUT: UnitLayout = unit_layout!(Self, ScopeFreeQueue, kind 0,
        total Some(offset_of!(Self, total_record_count)), mismatched None,
        buffer ScopeBuffer, buffers 8, primed 8);
}
