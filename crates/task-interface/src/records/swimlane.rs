use core::mem::offset_of;

use bytemuck::{Pod, Zeroable};

use super::layout::{UnitLayout, ready_queues, unit_layout};
use super::queue::{Buffer, FreeQueue, ReadyEntry};
use crate::wire::assert_layout;

/// Kind of buffers with records of tasks; units are cores.
pub const KIND_TASKS: u32 = 0;
/// Kind of buffers with records of phases; units are AICPU threads.
pub const KIND_PHASES: u32 = 1;
/// Kind of buffers that cores write themselves; units are cores.
pub const KIND_CORE_TIMES: u32 = 2;

/// Start of the swimlane's memory.
#[derive(Debug)]
#[repr(C, align(64))]
#[allow(clippy::exhaustive_structs, reason = "a wire format")]
pub struct SwimlaneHeader<const THREADS: usize, const ENTRIES: usize> {
    /// Full buffers, by AICPU thread.
    pub queues: [[ReadyEntry; ENTRIES]; THREADS],
    /// Written by the host.
    pub queue_heads: [u32; THREADS],
    /// Written by the device.
    pub queue_tails: [u32; THREADS],
    /// Cores of the run.
    pub num_cores: u32,
    /// 1 to 4.
    pub l2_perf_level: u32,
}
ready_queues!(SwimlaneHeader);

/// State of a core's records of tasks, or of a thread's records of phases. 192 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C, align(64))]
#[allow(clippy::exhaustive_structs, reason = "a wire format")]
pub struct BufferState {
    /// Free buffers.
    pub free_queue: FreeQueue,
    /// Device address of the buffer that is being filled.
    pub current_buf_ptr: u64,
    /// Device address of the core's ring, on the chip that has one.
    pub aicore_ring_ptr: u64,
    /// Number of the buffer that is being filled.
    pub current_buf_seq: u32,
    /// Records that were tried.
    pub total_record_count: u32,
    /// Records that were lost.
    pub dropped_record_count: u32,
    /// Records that were not made, as the core's did not belong to the task.
    pub mismatch_record_count: u32,
    /// Padding.
    pub pad: [u32; 8],
}

assert_layout!(BufferState, size 192, align 64, {
    free_queue @ 0, current_buf_ptr @ 128, aicore_ring_ptr @ 136, current_buf_seq @ 144, total_record_count @ 148,
    dropped_record_count @ 152, mismatch_record_count @ 156, pad @ 160,
});

impl BufferState {
    /// Of a kind of units with this state and such buffers.
    #[must_use]
    pub const fn layout<R, const CAPACITY: usize>(kind: u32, buffers: u32, primed: u32) -> UnitLayout {
        unit_layout!(Self, FreeQueue, kind kind,
            total Some(offset_of!(Self, total_record_count)),
            mismatched Some(offset_of!(Self, mismatch_record_count)),
            buffer Buffer<R, CAPACITY>, buffers buffers, primed primed)
    }
}

/// What the records of a task begin with on both chips. Times in ticks of the chip's counter. 56 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
#[allow(clippy::exhaustive_structs, reason = "a wire format")]
pub struct TaskRecordHead {
    /// When its kernel began; 0 where cores tell it in buffers of their own.
    pub start_time: u64,
    /// When its kernel returned; likewise.
    pub end_time: u64,
    /// Not used.
    pub duration: u64,
    /// When the AICPU gave it to the core; 0 below level 2.
    pub dispatch_time: u64,
    /// When the AICPU saw it done; 0 below level 2.
    pub finish_time: u64,
    /// The task.
    pub task_id: u64,
    /// Its kernel.
    pub func_id: u32,
    /// A raw [`CoreType`](crate::CoreType).
    pub core_type: i32,
}

assert_layout!(TaskRecordHead, size 56, align 8, {
    start_time @ 0, end_time @ 8, duration @ 16, dispatch_time @ 24, finish_time @ 32, task_id @ 40, func_id @ 48,
    core_type @ 52,
});

/// In a header of phases that the AICPU has filled.
pub const PHASE_MAGIC: u32 = 0x4143_5048;

/// What the AICPU says about its threads.
#[derive(Debug)]
#[repr(C, align(64))]
#[allow(clippy::exhaustive_structs, reason = "a wire format")]
pub struct PhaseHeader<const CORES: usize> {
    /// [`PHASE_MAGIC`] once the rest is valid.
    pub magic: u32,
    /// Threads that schedule.
    pub num_sched_threads: u32,
    /// Records that a buffer has room for.
    pub records_per_thread: u32,
    /// Cores in the map; 0 without one.
    pub num_cores: u32,
    /// The thread that schedules each core.
    pub core_to_thread: [i8; CORES],
}

/// Something an AICPU thread did. Times in ticks of the chip's counter. 40 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
#[allow(clippy::exhaustive_structs, reason = "a wire format")]
pub struct PhaseRecord {
    /// When it began.
    pub start_time: u64,
    /// When it ended.
    pub end_time: u64,
    /// The pass, or the submit.
    pub loop_iter: u32,
    /// Which phase; the numbers are the chip's.
    pub phase_id: u32,
    /// Tasks that a scheduler handled, or the task that the orchestrator did.
    pub task_id: u64,
    /// Of dispatches: tasks that were ready.
    pub extra1: u32,
    /// Of dispatches: times that none was.
    pub extra2: u32,
}

assert_layout!(PhaseRecord, size 40, align 8, {
    start_time @ 0, end_time @ 8, loop_iter @ 16, phase_id @ 20, task_id @ 24, extra1 @ 32, extra2 @ 36,
});
