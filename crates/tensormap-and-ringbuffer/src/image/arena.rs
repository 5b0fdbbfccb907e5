//! Where what lies in the runtime arena (`spec/device-abi.md`, section 4.4).

use bytemuck::{Pod, Zeroable};
use device_runner::Arch;
use task_interface::assert_layout;
use task_interface::trb::{
    MAX_ASYNC_WAITS, MAX_COMPLETIONS_PER_TASK, MAX_PENDING_COMPLETIONS, MAX_RING_DEPTH, MAX_SCOPE_DEPTH,
    READY_QUEUE_SIZE, SCOPE_TASKS_CAP, TENSORMAP_NUM_BUCKETS, TENSORMAP_POOL_SIZE, WIRING_QUEUE_SIZE,
};

use super::structs::{
    DepListEntry, ReadyQueueSlot, RuntimeBack, RuntimeFront, SharedMemoryHandle, TensorMapEntry,
};
use crate::options::{OptionError, RingOptions};
use crate::rings::RingConfig;

/// What an image needs to know about a chip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChipNumbers {
    /// Cores that the chip has, so places for handshakes.
    pub(crate) cores: u32,
    /// AICPU threads at the most.
    pub(crate) max_threads: u32,
    /// Bytes of a completion condition: those of SDMA event records take more.
    pub(crate) condition: u64,
}

impl ChipNumbers {
    pub(crate) fn of(arch: &dyn Arch) -> Self {
        let limits = arch.limits();
        let condition = if arch.has_sdma_event_records() { 40 } else { 24 };
        Self {
            cores: device_runner::Topology::new(limits.max_block_dim).cores(),
            max_threads: limits.max_aicpu_threads,
            condition,
        }
    }

    /// Bytes of `AsyncWaitEntry`: task, conditions, two counts and a flag.
    pub(crate) const fn async_wait_entry(self) -> u64 {
        16 + MAX_COMPLETIONS_PER_TASK as u64 * self.condition + 16
    }

    /// Bytes of `AsyncWaitList`: lock, entries and their count, early completions and their count.
    pub(crate) const fn async_wait_list(self) -> u64 {
        let early = MAX_PENDING_COMPLETIONS as u64 * 24;
        8 + MAX_ASYNC_WAITS as u64 * self.async_wait_entry() + 8 + early + 8
    }

    /// Offset of [`RuntimeBack`] in `PTO2Runtime`: behind the front and the list of waiting tasks, which ends the
    /// 64-byte aligned scheduler state.
    pub(crate) const fn back_offset(self) -> u64 {
        (size_of::<RuntimeFront>() as u64 + self.async_wait_list()).next_multiple_of(64)
    }

    /// Bytes of `PTO2Runtime`.
    pub(crate) const fn runtime_state(self) -> u64 {
        (self.back_offset() + size_of::<RuntimeBack>() as u64).next_multiple_of(64)
    }
}

/// Bytes of the mailbox for completions that come from outside of the scheduler: head, tail, and 4096 messages.
pub(crate) const MAILBOX_BYTES: u64 = 2 * 64 + 4096 * 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct TensorMapLayout {
    pub(crate) off_buckets: u64,
    pub(crate) off_entry_pool: u64,
    pub(crate) off_free_entry_list: u64,
    pub(crate) off_task_entry_heads: [u64; MAX_RING_DEPTH],
    pub(crate) num_buckets: i32,
    pub(crate) pool_size: i32,
    pub(crate) task_window_sizes: [i32; MAX_RING_DEPTH],
}

assert_layout!(TensorMapLayout, size 80, align 8, {
    off_buckets @ 0, off_entry_pool @ 8, off_free_entry_list @ 16, off_task_entry_heads @ 24, num_buckets @ 56,
    pool_size @ 60, task_window_sizes @ 64,
});

#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct OrchestratorLayout {
    pub(crate) off_fanin_pool: [u64; MAX_RING_DEPTH],
    pub(crate) off_scope_tasks: u64,
    pub(crate) off_scope_begins: u64,
    pub(crate) tensor_map: TensorMapLayout,
    pub(crate) dep_pool_capacity: i32,
    pub(crate) scope_tasks_cap: i32,
    pub(crate) scope_stack_capacity: u64,
}

assert_layout!(OrchestratorLayout, size 144, align 8, {
    off_fanin_pool @ 0, off_scope_tasks @ 32, off_scope_begins @ 40, tensor_map @ 48, dep_pool_capacity @ 128,
    scope_tasks_cap @ 132, scope_stack_capacity @ 136,
});

#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct SchedulerLayout {
    /// AIC, AIV, MIX.
    pub(crate) off_ready_queue_slots: [u64; 3],
    pub(crate) off_dummy_ready_queue_slots: u64,
    pub(crate) off_dep_pool_entries: [u64; MAX_RING_DEPTH],
    pub(crate) off_wiring_spsc_buffer: u64,
    pub(crate) ready_queue_capacity: u64,
    pub(crate) spsc_capacity: u64,
    pub(crate) dep_pool_capacity: i32,
    pub(crate) pad0: u32,
}

assert_layout!(SchedulerLayout, size 96, align 8, {
    off_ready_queue_slots @ 0, off_dummy_ready_queue_slots @ 24, off_dep_pool_entries @ 32,
    off_wiring_spsc_buffer @ 64, ready_queue_capacity @ 72, spsc_capacity @ 80, dep_pool_capacity @ 88,
});

/// Offsets of all regions; the arena carries a copy, by which device programs find everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct RuntimeArenaLayout {
    pub(crate) off_sm_handle: u64,
    pub(crate) orch: OrchestratorLayout,
    pub(crate) sched: SchedulerLayout,
    pub(crate) off_runtime: u64,
    pub(crate) off_mailbox: u64,
    pub(crate) task_window_size: u64,
    pub(crate) heap_size: u64,
    pub(crate) dep_pool_capacity: i32,
    pub(crate) pad0: u32,
    pub(crate) arena_size: u64,
}

assert_layout!(RuntimeArenaLayout, size 296, align 8, {
    off_sm_handle @ 0, orch @ 8, sched @ 152, off_runtime @ 248, off_mailbox @ 256, task_window_size @ 264,
    heap_size @ 272, dep_pool_capacity @ 280, arena_size @ 288,
});

/// Hands out regions of an arena one after the other.
#[derive(Default)]
struct Cursor {
    end: u64,
    regions: u32,
}

impl Cursor {
    fn reserve(&mut self, bytes: u64, align: u64) -> u64 {
        let start = self.end.next_multiple_of(align);
        self.end = start + bytes;
        self.regions += 1;
        start
    }

    fn reserve_each<const N: usize>(&mut self, bytes: u64, align: u64) -> [u64; N] {
        std::array::from_fn(|_| self.reserve(bytes, align))
    }
}

const POINTER: u64 = 8;
const LINE: u64 = 64;

impl RuntimeArenaLayout {
    /// The layout for these rings: 25 regions in the order of the contract.
    pub(crate) fn new(chip: ChipNumbers, config: &RingConfig) -> Self {
        let (window, entries) = (u64::from(config.window), u64::from(config.dep_pool));
        let mut cursor = Cursor::default();
        let off_sm_handle = cursor.reserve(size_of::<SharedMemoryHandle>() as u64, POINTER);
        let spill = (entries * POINTER).next_multiple_of(LINE);
        let orch = OrchestratorLayout {
            off_fanin_pool: cursor.reserve_each(spill, LINE),
            off_scope_tasks: cursor.reserve(SCOPE_TASKS_CAP as u64 * POINTER, POINTER),
            off_scope_begins: cursor.reserve(MAX_SCOPE_DEPTH as u64 * 4, 4),
            tensor_map: TensorMapLayout {
                off_buckets: cursor.reserve(TENSORMAP_NUM_BUCKETS as u64 * POINTER, POINTER),
                off_entry_pool: cursor
                    .reserve((TENSORMAP_POOL_SIZE * size_of::<TensorMapEntry>()) as u64, LINE),
                off_free_entry_list: cursor.reserve(TENSORMAP_POOL_SIZE as u64 * POINTER, POINTER),
                off_task_entry_heads: cursor.reserve_each(window * POINTER, POINTER),
                num_buckets: int(TENSORMAP_NUM_BUCKETS as u64),
                pool_size: int(TENSORMAP_POOL_SIZE as u64),
                task_window_sizes: [int(window); MAX_RING_DEPTH],
            },
            dep_pool_capacity: int(entries),
            scope_tasks_cap: int(SCOPE_TASKS_CAP as u64),
            scope_stack_capacity: MAX_SCOPE_DEPTH as u64,
        };
        let queue = (READY_QUEUE_SIZE * size_of::<ReadyQueueSlot>()) as u64;
        let sched = SchedulerLayout {
            off_ready_queue_slots: cursor.reserve_each(queue, LINE),
            off_dummy_ready_queue_slots: cursor.reserve(queue, LINE),
            off_dep_pool_entries: cursor.reserve_each(entries * size_of::<DepListEntry>() as u64, LINE),
            off_wiring_spsc_buffer: cursor.reserve(WIRING_QUEUE_SIZE as u64 * POINTER, LINE),
            ready_queue_capacity: READY_QUEUE_SIZE as u64,
            spsc_capacity: WIRING_QUEUE_SIZE as u64,
            dep_pool_capacity: int(entries),
            pad0: 0,
        };
        Self {
            off_sm_handle,
            orch,
            sched,
            off_runtime: cursor.reserve(chip.runtime_state(), LINE),
            off_mailbox: cursor.reserve(MAILBOX_BYTES, LINE),
            task_window_size: window,
            heap_size: config.heap,
            dep_pool_capacity: int(entries),
            pad0: 0,
            arena_size: cursor.end,
        }
    }

    /// The rings that the layout was made for.
    ///
    /// # Errors
    /// When they are not possible.
    pub(crate) fn config(&self) -> Result<RingConfig, OptionError> {
        let narrow = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
        RingOptions::default()
            .task_window(narrow(self.task_window_size))
            .heap(self.heap_size)
            .dep_pool(u32::try_from(self.dep_pool_capacity).unwrap_or(0))
            .resolve()
    }
}

/// A capacity as the contract's structures hold it; ring options are checked to fit.
pub(crate) fn int(value: u64) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}
