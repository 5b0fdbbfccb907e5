//! What device programs of this chip record, where it differs from the other chip (`spec/device-abi.md`, section 6).
//! What both have in common is in [`task_interface::records`].

use std::mem::{offset_of, size_of};

use bytemuck::{Pod, Zeroable};
use task_interface::records::{
    self as records, Buffer, BufferState, CoreTimesMemory, FreeQueue, HeadedBuffer, KIND_CORE_TIMES,
    KIND_PHASES, KIND_TASKS, PhaseRecord, PmuMemory, PmuRecordHead, ReadyEntry, ReadyQueues, RecordMemory,
    SubmitMemory, SubmitRecord, SwimlaneMemory, TaskRecordHead, UnitLayout,
};
use task_interface::{assert_layout, unit_layout};

/// AICPU threads.
const THREADS: usize = 4;
/// Cores.
const CORES: usize = 72;

/// Start of the swimlane's memory.
pub type SwimlaneHeader = records::SwimlaneHeader<THREADS, 928>;
/// Start of the memory of the tensor dump.
pub type DumpHeader = records::DumpHeader<THREADS, 64>;
/// Start of the memory of hardware counters.
pub type PmuHeader = records::PmuHeader<THREADS, 288>;
/// Start of the memory of scope statistics.
pub type ScopeHeader = records::ScopeHeader<THREADS, 16>;
/// What the AICPU says about its threads.
pub type PhaseHeader = records::PhaseHeader<CORES>;

/// A buffer of records of tasks.
pub type TaskBuffer = Buffer<TaskRecord, 1000>;
/// A buffer of records of phases.
pub type PhaseBuffer = Buffer<PhaseRecord, PHASES>;
/// A buffer of records of counters.
pub type PmuBuffer = Buffer<PmuRecord, 512>;

const PHASES: usize = 16_384;

/// When a task ran. 64 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C, align(64))]
#[allow(clippy::exhaustive_structs, reason = "a wire format")]
pub struct TaskRecord {
    /// Times of the core are in buffers of the core's own.
    pub head: TaskRecordHead,
    /// What the core knew the task by.
    pub reg_task_id: u32,
    /// Padding.
    pub tail: u32,
}

assert_layout!(TaskRecord, size 64, align 64, { head @ 0, reg_task_id @ 56, tail @ 60 });

/// What a core looks at to find the buffer that it is to fill. 64 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C, align(64))]
#[allow(clippy::exhaustive_structs, reason = "a wire format")]
pub struct Rotation {
    /// Device address of the buffer.
    pub current_buf_ptr: u64,
    /// Counts the buffers.
    pub generation: u32,
    /// Padding.
    pub pad_a: u32,
    /// Padding.
    pub pad_b: [u32; 12],
}

assert_layout!(Rotation, size 64, align 64, { current_buf_ptr @ 0, generation @ 8, pad_a @ 12, pad_b @ 16 });

/// State of a core's times. 256 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C, align(64))]
#[allow(clippy::exhaustive_structs, reason = "a wire format")]
pub struct CoreTimesState {
    /// The buffer that the core fills.
    pub rotation: Rotation,
    /// Free buffers.
    pub free_queue: FreeQueue,
    /// Tasks that the core has run.
    pub total_record_count: u32,
    /// Of these, those whose times were lost.
    pub dropped_record_count: u32,
    /// Number of the buffer.
    pub current_buf_seq: u32,
    /// Padding.
    pub pad: [u32; 13],
}

assert_layout!(CoreTimesState, size 256, align 64, {
    rotation @ 0, free_queue @ 64, total_record_count @ 192, dropped_record_count @ 196, current_buf_seq @ 200,
    pad @ 204,
});

/// When a kernel ran, by its core. 32 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C, align(32))]
#[allow(clippy::exhaustive_structs, reason = "a wire format")]
pub struct CoreTimesRecord {
    /// When it began, in ticks; 0 for a record that is not there.
    pub start_time: u64,
    /// When it returned.
    pub end_time: u64,
    /// What the core knew the task by.
    pub task_id: u32,
    /// Padding.
    pub pad: u32,
    /// Padding.
    pub tail: u64,
}

assert_layout!(CoreTimesRecord, size 32, align 32, {
    start_time @ 0, end_time @ 8, task_id @ 16, pad @ 20, tail @ 24,
});

/// A buffer of them.
pub type CoreTimesBuffer = Buffer<CoreTimesRecord, 1024>;

const CORE_TIMES: CoreTimesMemory = CoreTimesMemory::Rotation(UnitLayout {
    kind: KIND_CORE_TIMES,
    bytes: size_of::<CoreTimesState>(),
    free_slots: offset_of!(CoreTimesState, free_queue.buffer_ptrs),
    slots: FreeQueue::SLOTS,
    free_head: offset_of!(CoreTimesState, free_queue.head),
    free_tail: offset_of!(CoreTimesState, free_queue.tail),
    current: offset_of!(CoreTimesState, rotation.current_buf_ptr),
    sequence: offset_of!(CoreTimesState, current_buf_seq),
    total: Some(offset_of!(CoreTimesState, total_record_count)),
    dropped: offset_of!(CoreTimesState, dropped_record_count),
    mismatched: None,
    buffer: CoreTimesBuffer::LAYOUT,
    buffers: 4,
    primed: 1,
});

/// State of a core's records of counters. 192 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C, align(64))]
#[allow(clippy::exhaustive_structs, reason = "a wire format")]
pub struct PmuState {
    /// Free buffers.
    pub free_queue: FreeQueue,
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

assert_layout!(PmuState, size 192, align 64, {
    free_queue @ 0, current_buf_ptr @ 128, current_buf_seq @ 136, dropped_record_count @ 140, total_record_count @ 144,
    pad @ 148,
});

/// What was counted while a task ran. 64 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C, align(64))]
#[allow(clippy::exhaustive_structs, reason = "a wire format")]
pub struct PmuRecord {
    /// The task, and cycles.
    pub head: PmuRecordHead,
    /// By hardware counter.
    pub pmu_counters: [u32; 8],
    /// Padding.
    pub tail: u64,
}

assert_layout!(PmuRecord, size 64, align 64, { head @ 0, pmu_counters @ 24, tail @ 56 });

const PMU_RING: Option<(usize, usize)> = None;
const PMU_MISMATCHED: Option<usize> = None;

/// Start of the memory of submits.
#[derive(Debug)]
#[repr(C, align(64))]
#[allow(clippy::exhaustive_structs, reason = "a wire format")]
pub struct SubmitHeader {
    /// Full buffers, by AICPU thread.
    pub queues: [[ReadyEntry; SUBMIT_ENTRIES]; THREADS],
    /// Written by the host.
    pub queue_heads: [u32; THREADS],
    /// Written by the device.
    pub queue_tails: [u32; THREADS],
    /// 1.
    pub num_instances: u32,
    /// Padding.
    pub pad: [u32; 3],
}

const SUBMIT_ENTRIES: usize = 8;

/// State of the records of submits. 192 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C, align(64))]
#[allow(clippy::exhaustive_structs, reason = "a wire format")]
pub struct SubmitState {
    /// Free buffers.
    pub free_queue: FreeQueue,
    /// Device address of the buffer that is being filled.
    pub current_buf_ptr: u64,
    /// Its number.
    pub current_buf_seq: u32,
    /// Records that were lost.
    pub dropped_record_count: u32,
    /// Records that were tried.
    pub total_record_count: u32,
    /// Records that continue another; those are not among the ones above.
    pub total_overflow_record_count: u32,
    /// Padding.
    pub pad: [u32; 10],
}

assert_layout!(SubmitState, size 192, align 64, {
    free_queue @ 0, current_buf_ptr @ 128, current_buf_seq @ 136, dropped_record_count @ 140, total_record_count @ 144,
    total_overflow_record_count @ 148, pad @ 152,
});

/// A buffer of submits.
pub type SubmitBuffer = HeadedBuffer<SubmitRecord, 32>;

#[allow(clippy::cast_possible_truncation, reason = "small constants")]
const SUBMITS: Option<SubmitMemory> = Some(SubmitMemory {
    queues: ReadyQueues {
        threads: THREADS as u32,
        capacity: SUBMIT_ENTRIES as u32,
        heads: offset_of!(SubmitHeader, queue_heads),
        tails: offset_of!(SubmitHeader, queue_tails),
        header_bytes: size_of::<SubmitHeader>(),
    },
    submits: unit_layout!(SubmitState, FreeQueue, kind 0,
        total Some(offset_of!(SubmitState, total_record_count)), mismatched None,
        buffer SubmitBuffer, buffers 4, primed 4),
    num_instances: offset_of!(SubmitHeader, num_instances),
    overflows: offset_of!(SubmitState, total_overflow_record_count),
});

/// Where everything is.
pub static RECORDS: RecordMemory = RecordMemory {
    swimlane: SwimlaneMemory {
        queues: SwimlaneHeader::QUEUES,
        num_cores: offset_of!(SwimlaneHeader, num_cores),
        level: offset_of!(SwimlaneHeader, l2_perf_level),
        tasks: BufferState::layout::<TaskRecord, 1000>(KIND_TASKS, 8, 1),
        core_times: CORE_TIMES,
        phase_header_bytes: size_of::<PhaseHeader>(),
        phases: BufferState::layout::<PhaseRecord, PHASES>(KIND_PHASES, 16, 1),
    },
    dump: DumpHeader::memory(8 * 256 * 65_536),
    pmu: PmuMemory {
        queues: PmuHeader::QUEUES,
        num_cores: offset_of!(PmuHeader, num_cores),
        event_type: offset_of!(PmuHeader, event_type),
        rows: unit_layout!(PmuState, FreeQueue, kind 0,
            total Some(offset_of!(PmuState, total_record_count)), mismatched PMU_MISMATCHED,
            buffer PmuBuffer, buffers 4, primed 4),
        counters: 8,
        ring: PMU_RING,
    },
    scopes: ScopeHeader::MEMORY,
    submits: SUBMITS,
};
