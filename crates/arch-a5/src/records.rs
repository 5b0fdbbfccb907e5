//! What device programs of this chip record, where it differs from the other chip (`spec/device-abi.md`, section 6).
//! What both have in common is in [`task_interface::records`].

use std::mem::{offset_of, size_of};

use bytemuck::{Pod, Zeroable};
use task_interface::records::{
    self as records, Buffer, BufferState, CoreTimesMemory, FreeQueue, KIND_PHASES, KIND_TASKS, PhaseRecord,
    PmuMemory, PmuRecordHead, RecordMemory, SubmitMemory, SwimlaneMemory, TaskRecordHead,
};
use task_interface::{assert_layout, unit_layout};

/// AICPU threads.
const THREADS: usize = 7;
/// Cores.
const CORES: usize = 108;

/// Start of the swimlane's memory.
pub type SwimlaneHeader = records::SwimlaneHeader<THREADS, 976>;
/// Start of the memory of the tensor dump.
pub type DumpHeader = records::DumpHeader<THREADS, 112>;
/// Start of the memory of hardware counters.
pub type PmuHeader = records::PmuHeader<THREADS, 432>;
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

const PHASES: usize = 500_000;

/// When a task ran. 1088 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C, align(64))]
#[allow(clippy::exhaustive_structs, reason = "a wire format")]
pub struct TaskRecord {
    /// Until the AICPU has completed it, the task is what the core knew it by.
    pub head: TaskRecordHead,
    /// Tasks that wait for it.
    pub fanout: [u64; 128],
    /// How many of them.
    pub fanout_count: i32,
    /// Padding.
    pub tail: u32,
}

assert_layout!(TaskRecord, size 1088, align 64, { head @ 0, fanout @ 56, fanout_count @ 1080, tail @ 1084 });

/// Through which a core tells when its kernels ran: the last bit of what it knows a task by says which record. 2176
/// bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C, align(64))]
#[allow(clippy::exhaustive_structs, reason = "a wire format")]
pub struct CoreTimesRing {
    /// In turn.
    pub dual_issue_slots: [TaskRecord; 2],
}

assert_layout!(CoreTimesRing, size 2176, align 64, { dual_issue_slots @ 0 });

const CORE_TIMES: CoreTimesMemory = CoreTimesMemory::Ring {
    bytes: size_of::<CoreTimesRing>(),
    address: offset_of!(BufferState, aicore_ring_ptr),
};

/// State of a core's records of counters. 192 bytes.
pub type PmuState = BufferState;

/// What was counted while a task ran. 64 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C, align(64))]
#[allow(clippy::exhaustive_structs, reason = "a wire format")]
pub struct PmuRecord {
    /// The task, and cycles.
    pub head: PmuRecordHead,
    /// By hardware counter.
    pub pmu_counters: [u32; 10],
}

assert_layout!(PmuRecord, size 64, align 64, { head @ 0, pmu_counters @ 24 });

/// Through which a core tells its counters, likewise. 128 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C, align(64))]
#[allow(clippy::exhaustive_structs, reason = "a wire format")]
pub struct PmuRing {
    /// In turn.
    pub dual_issue_slots: [PmuRecord; 2],
}

assert_layout!(PmuRing, size 128, align 64, { dual_issue_slots @ 0 });

const PMU_RING: Option<(usize, usize)> = Some((size_of::<PmuRing>(), offset_of!(PmuState, aicore_ring_ptr)));
const PMU_MISMATCHED: Option<usize> = Some(offset_of!(PmuState, mismatch_record_count));

const SUBMITS: Option<SubmitMemory> = None;

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
        counters: 10,
        ring: PMU_RING,
    },
    scopes: ScopeHeader::MEMORY,
    submits: SUBMITS,
};
