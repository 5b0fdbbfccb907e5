use core::mem::offset_of;

use bytemuck::{Pod, Zeroable};

use super::layout::{DumpMemory, UnitLayout, ready_queues, unit_layout};
use super::queue::{Buffer, FreeQueue, ReadyEntry};
use crate::wire::assert_layout;

/// In the header.
pub const DUMP_MAGIC: u32 = 0x4455_4D50;

/// In the header, after it was 0: of all records, also of those from before, only those count that say that they were
/// [chosen](DumpRecord::chosen). No other programs write there.
pub const SELECTIVE: u32 = 0x5345_4C31;

/// Start of the memory of the tensor dump.
#[derive(Debug)]
#[repr(C, align(64))]
#[allow(clippy::exhaustive_structs, reason = "a wire format")]
pub struct DumpHeader<const THREADS: usize, const ENTRIES: usize> {
    /// Full buffers, by AICPU thread.
    pub queues: [[ReadyEntry; ENTRIES]; THREADS],
    /// Written by the host.
    pub queue_heads: [u32; THREADS],
    /// Written by the device.
    pub queue_tails: [u32; THREADS],
    /// Threads that have a state.
    pub num_dump_threads: u32,
    /// Records that a buffer has room for.
    pub records_per_buffer: u32,
    /// Bytes of each thread's arena.
    pub arena_size_per_thread: u64,
    /// [`DUMP_MAGIC`].
    pub magic: u32,
    /// Padding of the contract. The device programs of this project put [`SELECTIVE`] there once an orchestration has
    /// chosen tensors.
    pub selective: u32,
}
ready_queues!(DumpHeader);

impl<const THREADS: usize, const ENTRIES: usize> DumpHeader<THREADS, ENTRIES> {
    /// The memory that begins with it, with an arena of so many bytes for each thread.
    #[must_use]
    pub const fn memory(arena_bytes: u64) -> DumpMemory {
        DumpMemory {
            queues: Self::QUEUES,
            tensors: DumpState::LAYOUT,
            arena_bytes,
            num_threads: offset_of!(Self, num_dump_threads),
            records_per_buffer: offset_of!(Self, records_per_buffer),
            arena_size: offset_of!(Self, arena_size_per_thread),
            magic: offset_of!(Self, magic),
            selective: offset_of!(Self, selective),
        }
    }
}

/// State of an AICPU thread's dump. 256 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C, align(64))]
#[allow(clippy::exhaustive_structs, reason = "a wire format")]
pub struct DumpState {
    /// Free buffers.
    pub free_queue: FreeQueue,
    /// Device address of the buffer that is being filled.
    pub current_buf_ptr: u64,
    /// Its number.
    pub current_buf_seq: u32,
    /// 0.
    pub pad0: u32,
    /// Device address of the thread's arena.
    pub arena_base: u64,
    /// Its size in bytes.
    pub arena_size: u64,
    /// Bytes that were ever put there; the arena is used again from its start.
    pub arena_write_offset: u64,
    /// Records that were lost.
    pub dropped_record_count: u32,
    /// Padding.
    pub pad1: [u32; 21],
}

assert_layout!(DumpState, size 256, align 64, {
    free_queue @ 0, current_buf_ptr @ 128, current_buf_seq @ 136, pad0 @ 140, arena_base @ 144, arena_size @ 152,
    arena_write_offset @ 160, dropped_record_count @ 168, pad1 @ 172,
});

/// One tensor of a task. 128 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C, align(64))]
#[allow(clippy::exhaustive_structs, reason = "a wire format")]
pub struct DumpRecord {
    /// The task.
    pub task_id: u64,
    /// Its part: AIC, AIV 0, AIV 1.
    pub subtask_id: u8,
    /// 0 input, 1 output, 2 both.
    pub role: u8,
    /// 0 before the task, 1 after it.
    pub stage: u8,
    /// Dimensions.
    pub ndims: u8,
    /// The kernel.
    pub func_id: u32,
    /// Which argument.
    pub arg_index: u32,
    /// A raw [`DataType`](crate::DataType).
    pub dtype: u8,
    /// 1 if not everything is there.
    pub truncated: u8,
    /// 1 if its elements lie side by side.
    pub is_contiguous: u8,
    /// 0.
    pub pad0_align: u8,
    /// Where its elements are: bytes that were ever put into the arena before them.
    pub payload_offset: u64,
    /// Their bytes.
    pub payload_size: u64,
    /// Padding.
    pub pad0: [u64; 3],
    /// In elements.
    pub start_offset: u64,
    /// In elements.
    pub strides: [u32; 5],
    /// In elements.
    pub shapes: [u32; 5],
    /// Padding of the contract. 1 from device programs of this project if the orchestration has chosen the tensor; it
    /// means something only where the header is [`SELECTIVE`].
    pub chosen: u32,
    /// Padding.
    pub pad1: [u32; 3],
}

assert_layout!(DumpRecord, size 128, align 64, {
    task_id @ 0, subtask_id @ 8, role @ 9, stage @ 10, ndims @ 11, func_id @ 12, arg_index @ 16, dtype @ 20,
    truncated @ 21, is_contiguous @ 22, pad0_align @ 23, payload_offset @ 24, payload_size @ 32, pad0 @ 40,
    start_offset @ 64, strides @ 72, shapes @ 92, chosen @ 112, pad1 @ 116,
});

/// A buffer of them.
pub type DumpBuffer = Buffer<DumpRecord, 256>;

impl DumpState {
    /// Of a thread's dump, on both chips.
    pub const LAYOUT: UnitLayout = unit_layout!(Self, FreeQueue, kind 0, total None, mismatched None,
        buffer DumpBuffer, buffers 8, primed 4);
}
