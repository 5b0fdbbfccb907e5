//! State of orchestrator and scheduler inside the runtime arena (`spec/device-abi.md`, section 4.4 and appendix A).
//!
//! Pointers are device addresses.

use bytemuck::{Pod, Zeroable};
use task_interface::assert_layout;
use task_interface::trb::MAX_RING_DEPTH;

use super::arena::RuntimeArenaLayout;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct SharedMemoryHandle {
    pub(crate) sm_base: u64,
    pub(crate) sm_size: u64,
    pub(crate) header: u64,
    pub(crate) is_owner: u8,
    pub(crate) pad0: [u8; 7],
}

assert_layout!(SharedMemoryHandle, size 32, align 8, { sm_base @ 0, sm_size @ 8, header @ 16, is_owner @ 24 });

/// Slots and output memory of one ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct TaskAllocator {
    pub(crate) descriptors: u64,
    pub(crate) window_size: i32,
    pub(crate) window_mask: i32,
    pub(crate) current_index_ptr: u64,
    pub(crate) last_alive_ptr: u64,
    pub(crate) heap_base: u64,
    pub(crate) heap_size: u64,
    pub(crate) local_task_id: i32,
    pub(crate) pad0: u32,
    pub(crate) heap_top: u64,
    pub(crate) heap_tail: u64,
    pub(crate) last_alive_seen: i32,
    pub(crate) pad1: u32,
    pub(crate) error_code_ptr: u64,
}

assert_layout!(TaskAllocator, size 88, align 8, {
    descriptors @ 0, window_size @ 8, window_mask @ 12, current_index_ptr @ 16, last_alive_ptr @ 24,
    heap_base @ 32, heap_size @ 40, local_task_id @ 48, heap_top @ 56, heap_tail @ 64, last_alive_seen @ 72,
    error_code_ptr @ 80,
});

/// A ring of entries with linear positions: the producers of tasks that have many (`PTO2FaninPool`), or the lists of
/// tasks that wait (`PTO2DepListPool`). The two differ in the meaning of `reclaimed` only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct EntryPool {
    pub(crate) base: u64,
    pub(crate) capacity: i32,
    pub(crate) top: i32,
    pub(crate) tail: i32,
    pub(crate) high_water: i32,
    /// Up to where entries were reclaimed.
    pub(crate) reclaimed: i32,
    pub(crate) pad0: u32,
    pub(crate) error_code_ptr: u64,
}

assert_layout!(EntryPool, size 40, align 8, {
    base @ 0, capacity @ 8, top @ 12, tail @ 16, high_water @ 20, reclaimed @ 24, error_code_ptr @ 32,
});

#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct DepListEntry {
    pub(crate) slot_state: u64,
    pub(crate) next: u64,
}

assert_layout!(DepListEntry, size 16, align 8, { slot_state @ 0, next @ 8 });

#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct RingSet {
    pub(crate) task_allocator: TaskAllocator,
    pub(crate) fanin_pool: EntryPool,
}

assert_layout!(RingSet, size 128, align 8, { task_allocator @ 0, fanin_pool @ 88 });

#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C, align(64))]
pub(crate) struct TensorMapEntry {
    pub(crate) buffer_addr: u64,
    pub(crate) next_in_bucket: u64,
    pub(crate) producer_task_id: u64,
    pub(crate) start_offset: u64,
    pub(crate) version: i32,
    pub(crate) ndims: u32,
    pub(crate) dtype: u8,
    pub(crate) manual_dep: u8,
    pub(crate) is_contiguous: u8,
    pub(crate) padding1: u8,
    pub(crate) shapes: [u32; 5],
    pub(crate) prev_in_bucket: u64,
    pub(crate) next_in_task: u64,
    pub(crate) prev_in_task: u64,
    /// -1 while the entry is in no bucket.
    pub(crate) bucket_index: i32,
    pub(crate) padding2: u32,
    pub(crate) extent_elem_cache: u64,
    pub(crate) strides: [u32; 5],
    pub(crate) padding3: [u8; 4],
}

assert_layout!(TensorMapEntry, size 128, align 64, {
    buffer_addr @ 0, next_in_bucket @ 8, producer_task_id @ 16, start_offset @ 24, version @ 32, ndims @ 36,
    dtype @ 40, manual_dep @ 41, is_contiguous @ 42, shapes @ 44, prev_in_bucket @ 64, next_in_task @ 72,
    prev_in_task @ 80, bucket_index @ 88, extent_elem_cache @ 96, strides @ 104,
});

#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct TensorMapState {
    pub(crate) buckets: u64,
    pub(crate) num_buckets: i32,
    pub(crate) pad0: u32,
    pub(crate) entry_pool: u64,
    pub(crate) free_entry_list: u64,
    pub(crate) pool_size: i32,
    pub(crate) next_entry_idx: i32,
    pub(crate) free_num: i32,
    pub(crate) pad1: u32,
    pub(crate) task_entry_heads: [u64; MAX_RING_DEPTH],
    pub(crate) task_window_sizes: [i32; MAX_RING_DEPTH],
    pub(crate) last_task_alives: [i32; MAX_RING_DEPTH],
    pub(crate) last_cleanup: [i32; MAX_RING_DEPTH],
}

assert_layout!(TensorMapState, size 128, align 8, {
    buckets @ 0, num_buckets @ 8, entry_pool @ 16, free_entry_list @ 24, pool_size @ 32, next_entry_idx @ 36,
    free_num @ 40, task_entry_heads @ 48, task_window_sizes @ 80, last_task_alives @ 96, last_cleanup @ 112,
});

#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct OrchestratorState {
    pub(crate) sm_header: u64,
    pub(crate) rings: [RingSet; MAX_RING_DEPTH],
    pub(crate) tensor_map: TensorMapState,
    pub(crate) scope_tasks: u64,
    pub(crate) scope_tasks_size: i32,
    pub(crate) scope_tasks_capacity: i32,
    pub(crate) scope_begins: u64,
    pub(crate) scope_stack_top: i32,
    pub(crate) pad0: u32,
    pub(crate) scope_stack_capacity: u64,
    pub(crate) manual_begin_depth: i32,
    pub(crate) pad1: u32,
    pub(crate) scheduler: u64,
    pub(crate) total_cluster_count: i32,
    pub(crate) total_aiv_count: i32,
    pub(crate) l2_perf_level: i32,
    pub(crate) pad2: u32,
    pub(crate) gm_heap_base: u64,
    pub(crate) gm_heap_size: u64,
    pub(crate) fatal: u8,
    pub(crate) pad3: [u8; 7],
    pub(crate) inline_completed_tasks: i64,
    pub(crate) tasks_submitted: i64,
    pub(crate) buffers_allocated: i64,
    pub(crate) bytes_allocated: i64,
}

assert_layout!(OrchestratorState, size 776, align 8, {
    sm_header @ 0, rings @ 8, tensor_map @ 520, scope_tasks @ 648, scope_tasks_size @ 656,
    scope_tasks_capacity @ 660, scope_begins @ 664, scope_stack_top @ 672, scope_stack_capacity @ 680,
    manual_begin_depth @ 688, scheduler @ 696, total_cluster_count @ 704, total_aiv_count @ 708,
    l2_perf_level @ 712, gm_heap_base @ 720, gm_heap_size @ 728, fatal @ 736, inline_completed_tasks @ 744,
    tasks_submitted @ 752, buffers_allocated @ 760, bytes_allocated @ 768,
});

#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C, align(64))]
pub(crate) struct RingSchedState {
    pub(crate) ring: u64,
    pub(crate) last_task_alive: i32,
    pub(crate) advance_lock: i32,
    pub(crate) pad0: [u8; 48],
    pub(crate) dep_pool: EntryPool,
    pub(crate) pad1: [u8; 24],
}

assert_layout!(RingSchedState, size 128, align 64, {
    ring @ 0, last_task_alive @ 8, advance_lock @ 12, dep_pool @ 64,
});

#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct ReadyQueueSlot {
    pub(crate) sequence: i64,
    pub(crate) slot_state: u64,
}

assert_layout!(ReadyQueueSlot, size 16, align 8, { sequence @ 0, slot_state @ 8 });

#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C, align(64))]
pub(crate) struct ReadyQueue {
    pub(crate) slots: u64,
    pub(crate) capacity: u64,
    pub(crate) mask: u64,
    pub(crate) pad0: [u8; 40],
    pub(crate) enqueue_pos: u64,
    pub(crate) pad1: [u8; 56],
    pub(crate) dequeue_pos: u64,
    pub(crate) pad2: [u8; 56],
}

assert_layout!(ReadyQueue, size 192, align 64, {
    slots @ 0, capacity @ 8, mask @ 16, enqueue_pos @ 64, dequeue_pos @ 128,
});

#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C, align(64))]
pub(crate) struct SpscQueue {
    pub(crate) head: u64,
    pub(crate) pad0: [u8; 56],
    pub(crate) tail_cached: u64,
    pub(crate) pad1: [u8; 56],
    pub(crate) tail: u64,
    pub(crate) pad2: [u8; 56],
    pub(crate) head_cached: u64,
    pub(crate) buffer: u64,
    pub(crate) mask: u64,
    pub(crate) pad3: [u8; 40],
}

assert_layout!(SpscQueue, size 256, align 64, {
    head @ 0, tail_cached @ 64, tail @ 128, head_cached @ 192, buffer @ 200, mask @ 208,
});

/// Tasks on their way from the orchestrator to the thread that wires them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C, align(64))]
pub(crate) struct WiringState {
    pub(crate) batch_count: i32,
    pub(crate) batch_index: i32,
    pub(crate) backoff_counter: i32,
    pub(crate) pad0: u32,
    pub(crate) batch: [u64; 30],
    pub(crate) queue: SpscQueue,
    pub(crate) orch_needs_drain: u8,
    pub(crate) pad1: [u8; 63],
}

assert_layout!(WiringState, size 576, align 64, {
    batch_count @ 0, batch_index @ 4, backoff_counter @ 8, batch @ 16, queue @ 256, orch_needs_drain @ 512,
});

/// The scheduler state without the list of waiting tasks at its end, whose size depends on the chip.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C, align(64))]
pub(crate) struct SchedulerFront {
    pub(crate) sm_header: u64,
    pub(crate) pad0: [u8; 56],
    pub(crate) ring_sched_states: [RingSchedState; MAX_RING_DEPTH],
    /// AIC, AIV, MIX.
    pub(crate) ready_queues: [ReadyQueue; 3],
    pub(crate) dummy_ready_queue: ReadyQueue,
    pub(crate) wiring: WiringState,
}

assert_layout!(SchedulerFront, size 1920, align 64, {
    sm_header @ 0, ring_sched_states @ 64, ready_queues @ 576, dummy_ready_queue @ 1152, wiring @ 1344,
});

/// `PTO2Runtime` up to the list of tasks that wait for conditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C, align(64))]
pub(crate) struct RuntimeFront {
    pub(crate) ops: u64,
    pub(crate) pending_scope_mode: u8,
    pub(crate) pad0: [u8; 7],
    pub(crate) sm_handle: u64,
    pub(crate) orchestrator: OrchestratorState,
    pub(crate) pad1: [u8; 32],
    pub(crate) scheduler: SchedulerFront,
}

assert_layout!(RuntimeFront, size 2752, align 64, {
    ops @ 0, pending_scope_mode @ 8, sm_handle @ 16, orchestrator @ 24, scheduler @ 832,
});

/// `PTO2Runtime` behind that list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct RuntimeBack {
    pub(crate) aicore_mailbox: u64,
    pub(crate) gm_heap: u64,
    pub(crate) gm_heap_size: u64,
    pub(crate) gm_heap_owned: u8,
    pub(crate) pad0: [u8; 3],
    pub(crate) mode: i32,
    pub(crate) total_cycles: i64,
    pub(crate) prebuilt_layout: RuntimeArenaLayout,
}

assert_layout!(RuntimeBack, size 336, align 8, {
    aicore_mailbox @ 0, gm_heap @ 8, gm_heap_size @ 16, gm_heap_owned @ 24, mode @ 28, total_cycles @ 32,
    prebuilt_layout @ 40,
});
