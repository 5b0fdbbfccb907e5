use bytemuck::{Pod, Zeroable};

use super::layout::ready_queues;
use super::queue::ReadyEntry;
use crate::wire::assert_layout;

/// Start of the memory of hardware counters.
#[derive(Debug)]
#[repr(C, align(64))]
#[allow(clippy::exhaustive_structs, reason = "a wire format")]
pub struct PmuHeader<const THREADS: usize, const ENTRIES: usize> {
    /// Full buffers, by AICPU thread.
    pub queues: [[ReadyEntry; ENTRIES]; THREADS],
    /// Written by the host.
    pub queue_heads: [u32; THREADS],
    /// Written by the device.
    pub queue_tails: [u32; THREADS],
    /// Cores of the run.
    pub num_cores: u32,
    /// What is counted.
    pub event_type: u32,
    /// 0.
    pub pad: [u32; 2],
}
ready_queues!(PmuHeader);

/// What a record of counters begins with on both chips; 32-bit counters follow. 24 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
#[allow(clippy::exhaustive_structs, reason = "a wire format")]
pub struct PmuRecordHead {
    /// The task.
    pub task_id: u64,
    /// Its kernel.
    pub func_id: u32,
    /// A raw [`CoreType`](crate::CoreType).
    pub core_type: i32,
    /// Cycles while counters counted.
    pub pmu_total_cycles: u64,
}

assert_layout!(PmuRecordHead, size 24, align 8, {
    task_id @ 0, func_id @ 8, core_type @ 12, pmu_total_cycles @ 16,
});
