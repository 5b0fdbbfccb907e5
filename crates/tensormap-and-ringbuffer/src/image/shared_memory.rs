//! The shared memory ("SM") of orchestrator and scheduler (`spec/device-abi.md`, section 4.3).

use std::ops::Range;

use bytemuck::{Pod, Zeroable};
use task_interface::assert_layout;
use task_interface::trb::{
    FANIN_INLINE_CAP, MAX_RING_DEPTH, MAX_SCALAR_ARGS, MAX_TENSOR_ARGS, TaskToken, Tensor,
};

/// How far a ring has come; two numbers of different writers on lines of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C, align(64))]
pub(crate) struct RingFlowControl {
    /// Tasks submitted.
    pub(crate) current_task_index: i32,
    pub(crate) pad0: [u8; 60],
    /// The oldest task alive.
    pub(crate) last_task_alive: i32,
    pub(crate) pad1: [u8; 60],
}

assert_layout!(RingFlowControl, size 128, align 64, { current_task_index @ 0, last_task_alive @ 64 });

#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C, align(64))]
pub(crate) struct RingHeader {
    pub(crate) fc: RingFlowControl,
    pub(crate) task_window_size: u64,
    pub(crate) task_window_mask: i32,
    pub(crate) pad0: u32,
    pub(crate) heap_size: u64,
    pub(crate) task_descriptors_offset: u64,
    pub(crate) task_descriptors: u64,
    pub(crate) task_payloads: u64,
    pub(crate) slot_states: u64,
    pub(crate) pad1: u64,
}

assert_layout!(RingHeader, size 192, align 64, {
    fc @ 0, task_window_size @ 128, task_window_mask @ 136, heap_size @ 144, task_descriptors_offset @ 152,
    task_descriptors @ 160, task_payloads @ 168, slot_states @ 176,
});

#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C, align(64))]
pub(crate) struct SharedMemoryHeader {
    pub(crate) rings: [RingHeader; MAX_RING_DEPTH],
    pub(crate) orchestrator_done: i32,
    pub(crate) pad0: u32,
    pub(crate) total_size: u64,
    /// Device programs of this contract never set the two.
    pub(crate) graph_output_ptr: u64,
    pub(crate) graph_output_size: u64,
    pub(crate) orch_error_code: i32,
    /// A bit for each AICPU thread that met an error.
    pub(crate) sched_error_bitmap: u32,
    pub(crate) sched_error_code: i32,
    /// The thread that met the first; -1 for none.
    pub(crate) sched_error_thread: i32,
    pub(crate) pad1: [u8; 16],
}

assert_layout!(SharedMemoryHeader, size 832, align 64, {
    rings @ 0, orchestrator_done @ 768, total_size @ 776, graph_output_ptr @ 784, graph_output_size @ 792,
    orch_error_code @ 800, sched_error_bitmap @ 804, sched_error_code @ 808, sched_error_thread @ 812,
});

impl SharedMemoryHeader {
    /// Where what is said about the run as a whole starts: behind the rings.
    pub(crate) const OUTCOME_OFFSET: usize = std::mem::offset_of!(Self, orchestrator_done);
    /// Where orchestrators and allocators put their first error.
    pub(crate) const ORCH_ERROR_OFFSET: u64 = std::mem::offset_of!(Self, orch_error_code) as u64;

    /// The status that the header stands for, as clients get it: 0, or the negative code of the first error.
    pub(crate) fn status(&self) -> i32 {
        let code = if self.orch_error_code == 0 { self.sched_error_code } else { self.orch_error_code };
        code.wrapping_abs().wrapping_neg()
    }

    /// Tasks that were submitted to all rings.
    pub(crate) fn tasks(&self) -> u64 {
        self.rings.iter().map(|ring| u64::from(ring.fc.current_task_index.cast_unsigned())).sum()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct TaskDescriptor {
    pub(crate) task_id: u64,
    /// AIC, AIV0, AIV1; -1 where the task has no kernel.
    pub(crate) kernel_id: [i32; 3],
    pub(crate) pad0: u32,
    pub(crate) packed_buffer_base: u64,
    pub(crate) packed_buffer_end: u64,
}

assert_layout!(TaskDescriptor, size 40, align 8, {
    task_id @ 0, kernel_id @ 8, packed_buffer_base @ 24, packed_buffer_end @ 32,
});

impl TaskDescriptor {
    /// What there is to say of a task with these kernels and this memory for its outputs.
    pub(crate) fn new(task: TaskToken, kernel_id: [i32; 3], outputs: Range<u64>) -> Self {
        Self {
            task_id: task.raw,
            kernel_id,
            pad0: 0,
            packed_buffer_base: outputs.start,
            packed_buffer_end: outputs.end,
        }
    }

    pub(crate) fn has_kernel(&self) -> bool {
        self.kernel_id.iter().any(|&id| id >= 0)
    }
}

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C, align(64))]
pub(crate) struct TaskPayload {
    pub(crate) tensor_count: i32,
    pub(crate) scalar_count: i32,
    pub(crate) fanin_actual_count: i32,
    pub(crate) fanin_spill_start: i32,
    pub(crate) fanin_spill_pool: u64,
    pub(crate) fanin_inline_slot_states: [u64; FANIN_INLINE_CAP],
    pub(crate) pad0: [u8; 40],
    pub(crate) tensors: [Tensor; MAX_TENSOR_ARGS],
    pub(crate) scalars: [u64; MAX_SCALAR_ARGS],
}

assert_layout!(TaskPayload, size 2880, align 64, {
    tensor_count @ 0, scalar_count @ 4, fanin_actual_count @ 8, fanin_spill_start @ 12, fanin_spill_pool @ 16,
    fanin_inline_slot_states @ 24, tensors @ 576, scalars @ 2624,
});

impl TaskPayload {
    pub(crate) const TENSORS_OFFSET: u64 = std::mem::offset_of!(Self, tensors) as u64;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C, align(64))]
pub(crate) struct TaskSlotState {
    pub(crate) fanout_lock: i32,
    pub(crate) fanout_count: i32,
    pub(crate) fanout_head: u64,
    pub(crate) task_state: i32,
    pub(crate) fanin_refcount: i32,
    pub(crate) fanin_count: i32,
    pub(crate) fanout_refcount: i32,
    pub(crate) payload: u64,
    pub(crate) task: u64,
    pub(crate) active_mask: u8,
    pub(crate) ring_id: u8,
    pub(crate) pad0: u16,
    pub(crate) dep_pool_mark: i32,
    pub(crate) completed_subtasks: i16,
    pub(crate) total_required_subtasks: i16,
    pub(crate) logical_block_num: i16,
    pub(crate) next_block_idx: i16,
}

assert_layout!(TaskSlotState, size 64, align 64, {
    fanout_lock @ 0, fanout_count @ 4, fanout_head @ 8, task_state @ 16, fanin_refcount @ 20, fanin_count @ 24,
    fanout_refcount @ 28, payload @ 32, task @ 40, active_mask @ 48, ring_id @ 49, dep_pool_mark @ 52,
    completed_subtasks @ 56, total_required_subtasks @ 58, logical_block_num @ 60, next_block_idx @ 62,
});

/// Offsets of one ring's arrays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RingArrays {
    pub(crate) descriptors: u64,
    pub(crate) payloads: u64,
    pub(crate) slot_states: u64,
}

/// Where what lies in the shared memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SharedMemoryLayout {
    pub(crate) rings: [RingArrays; MAX_RING_DEPTH],
    pub(crate) size: u64,
}

impl SharedMemoryLayout {
    /// The layout for rings of `window` task slots: the header, then three arrays for each ring.
    pub(crate) fn new(window: u64) -> Self {
        let mut end = size_of::<SharedMemoryHeader>() as u64;
        let mut array = |element: usize| {
            let start = end;
            end += (window * element as u64).next_multiple_of(64);
            start
        };
        let rings = std::array::from_fn(|_| RingArrays {
            descriptors: array(size_of::<TaskDescriptor>()),
            payloads: array(size_of::<TaskPayload>()),
            slot_states: array(size_of::<TaskSlotState>()),
        });
        Self { rings, size: end }
    }
}
