//! What stands in the memory of a run: as the host prepares it, and as device programs boot it.

use std::collections::TryReserveError;

use bytemuck::{Pod, Zeroable as _};
use device_runner::Topology;
use task_interface::CoreType;
use task_interface::trb::{
    MAX_RING_DEPTH, MAX_SCOPE_DEPTH, READY_QUEUE_SIZE, SCOPE_TASKS_CAP, TENSORMAP_POOL_SIZE,
};

use super::arena::{ChipNumbers, MAILBOX_BYTES, RuntimeArenaLayout, int};
use super::shared_memory::{
    RingFlowControl, RingHeader, SharedMemoryHeader, SharedMemoryLayout, TaskDescriptor, TaskPayload,
    TaskSlotState,
};
use super::structs::{
    EntryPool, OrchestratorState, ReadyQueue, ReadyQueueSlot, RingSchedState, RingSet, RuntimeBack,
    RuntimeFront, SchedulerFront, SharedMemoryHandle, TaskAllocator, TensorMapEntry, TensorMapState,
};
use crate::gm::Gm;
use crate::rings::RingConfig;
use crate::state::RINGS;

const _: () = assert!(RINGS == MAX_RING_DEPTH);

/// The three regions of a run: where they are, and where what lies in them. Addresses are those of the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MemoryMap {
    pub(crate) chip: ChipNumbers,
    pub(crate) config: RingConfig,
    pub(crate) shared: SharedMemoryLayout,
    pub(crate) layout: RuntimeArenaLayout,
    /// First bytes of the output heap, the shared memory and the runtime arena.
    pub(crate) heap: u64,
    pub(crate) sm: u64,
    pub(crate) arena: u64,
}

impl MemoryMap {
    /// A map without addresses yet.
    pub(crate) fn new(chip: ChipNumbers, config: RingConfig) -> Self {
        Self {
            chip,
            config,
            shared: SharedMemoryLayout::new(u64::from(config.window)),
            layout: RuntimeArenaLayout::new(chip, &config),
            heap: 0,
            sm: 0,
            arena: 0,
        }
    }

    /// Address of `PTO2Runtime`.
    fn runtime(&self) -> u64 {
        self.arena + self.layout.off_runtime
    }

    fn mask(&self) -> i32 {
        int(u64::from(self.config.window) - 1)
    }

    fn ring_header(&self, ring: usize) -> u64 {
        self.sm + (ring * size_of::<RingHeader>()) as u64
    }

    fn orch_error(&self) -> u64 {
        self.sm + SharedMemoryHeader::ORCH_ERROR_OFFSET
    }

    /// Addresses of the payload, the descriptor and the state of one task slot.
    fn slot(&self, ring: usize, index: u32) -> [u64; 3] {
        let arrays = &self.shared.rings[ring];
        [
            (arrays.payloads, size_of::<TaskPayload>()),
            (arrays.descriptors, size_of::<TaskDescriptor>()),
            (arrays.slot_states, size_of::<TaskSlotState>()),
        ]
        .map(|(start, bytes)| self.sm + start + u64::from(index) * bytes as u64)
    }

    fn entry_pool(&self, offset: u64) -> EntryPool {
        EntryPool {
            base: self.arena + offset,
            capacity: int(u64::from(self.config.dep_pool)),
            // Positions are counted from 1 on.
            top: 1,
            tail: 1,
            // An allocator that finds no room latches its error where the host looks for the orchestrator's.
            error_code_ptr: self.orch_error(),
            ..EntryPool::zeroed()
        }
    }

    fn task_allocator(&self, ring: usize) -> TaskAllocator {
        let header = self.ring_header(ring);
        TaskAllocator {
            descriptors: self.sm + self.shared.rings[ring].descriptors,
            window_size: int(u64::from(self.config.window)),
            window_mask: self.mask(),
            current_index_ptr: header + std::mem::offset_of!(RingFlowControl, current_task_index) as u64,
            last_alive_ptr: header + std::mem::offset_of!(RingFlowControl, last_task_alive) as u64,
            heap_base: self.heap + ring as u64 * self.config.heap,
            heap_size: self.config.heap,
            error_code_ptr: self.orch_error(),
            ..TaskAllocator::zeroed()
        }
    }

    fn tensor_map(&self) -> TensorMapState {
        let layout = &self.layout.orch.tensor_map;
        TensorMapState {
            buckets: self.arena + layout.off_buckets,
            num_buckets: layout.num_buckets,
            entry_pool: self.arena + layout.off_entry_pool,
            free_entry_list: self.arena + layout.off_free_entry_list,
            pool_size: layout.pool_size,
            task_entry_heads: layout.off_task_entry_heads.map(|offset| self.arena + offset),
            task_window_sizes: layout.task_window_sizes,
            ..TensorMapState::zeroed()
        }
    }

    fn orchestrator(&self) -> OrchestratorState {
        let layout = &self.layout.orch;
        OrchestratorState {
            sm_header: self.sm,
            rings: std::array::from_fn(|ring| RingSet {
                task_allocator: self.task_allocator(ring),
                fanin_pool: self.entry_pool(layout.off_fanin_pool[ring]),
            }),
            tensor_map: self.tensor_map(),
            scope_tasks: self.arena + layout.off_scope_tasks,
            scope_tasks_capacity: int(SCOPE_TASKS_CAP as u64),
            scope_begins: self.arena + layout.off_scope_begins,
            scope_stack_top: -1,
            scope_stack_capacity: MAX_SCOPE_DEPTH as u64,
            // No scope is a manual one.
            manual_begin_depth: int(MAX_SCOPE_DEPTH as u64),
            scheduler: self.runtime() + std::mem::offset_of!(RuntimeFront, scheduler) as u64,
            gm_heap_base: self.heap,
            gm_heap_size: self.config.heap_of_all_rings(),
            ..OrchestratorState::zeroed()
        }
    }

    fn ready_queue(&self, offset: u64) -> ReadyQueue {
        let capacity = self.layout.sched.ready_queue_capacity;
        ReadyQueue { slots: self.arena + offset, capacity, mask: capacity - 1, ..ReadyQueue::zeroed() }
    }

    fn scheduler(&self) -> SchedulerFront {
        let layout = &self.layout.sched;
        let mut scheduler = SchedulerFront {
            sm_header: self.sm,
            ring_sched_states: std::array::from_fn(|ring| RingSchedState {
                ring: self.ring_header(ring),
                dep_pool: self.entry_pool(layout.off_dep_pool_entries[ring]),
                ..RingSchedState::zeroed()
            }),
            ready_queues: layout.off_ready_queue_slots.map(|offset| self.ready_queue(offset)),
            dummy_ready_queue: self.ready_queue(layout.off_dummy_ready_queue_slots),
            ..SchedulerFront::zeroed()
        };
        scheduler.wiring.queue.buffer = self.arena + layout.off_wiring_spsc_buffer;
        scheduler.wiring.queue.mask = layout.spsc_capacity - 1;
        scheduler
    }

    /// The first part of `PTO2Runtime`. Device programs set the function table and the numbers of cores.
    ///
    /// Pointers into the arena are device addresses, so the image is what it looks like. Device programs do not count
    /// on that, as other hosts leave addresses of their own there: they wire everything by the layout.
    fn front(&self) -> RuntimeFront {
        RuntimeFront {
            sm_handle: self.arena + self.layout.off_sm_handle,
            orchestrator: self.orchestrator(),
            scheduler: self.scheduler(),
            ..RuntimeFront::zeroed()
        }
    }

    /// The last part of `PTO2Runtime`.
    fn back(&self) -> RuntimeBack {
        RuntimeBack {
            aicore_mailbox: self.arena + self.layout.off_mailbox,
            gm_heap: self.heap,
            gm_heap_size: self.config.heap_of_all_rings(),
            prebuilt_layout: self.layout,
            ..RuntimeBack::zeroed()
        }
    }

    /// Offset of [`RuntimeBack`] in the arena.
    pub(crate) fn back_offset(&self) -> u64 {
        self.layout.off_runtime + self.chip.back_offset()
    }

    /// All bytes of the runtime arena, as the host writes them.
    ///
    /// # Errors
    /// When the host has no memory for as many.
    pub(crate) fn prebuilt_arena(&self) -> Result<Vec<u8>, TryReserveError> {
        let size = usize::try_from(self.layout.arena_size).unwrap_or(usize::MAX);
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(size)?;
        bytes.resize(size, 0);
        put(&mut bytes, self.layout.off_runtime, &self.front());
        put(&mut bytes, self.back_offset(), &self.back());
        let entry = TensorMapEntry { bucket_index: -1, ..TensorMapEntry::zeroed() };
        for index in 0..TENSORMAP_POOL_SIZE {
            let place = self.layout.orch.tensor_map.off_entry_pool + (index * size_of_val(&entry)) as u64;
            put(&mut bytes, place, &entry);
        }
        let scheduler = &self.layout.sched;
        let queues =
            scheduler.off_ready_queue_slots.into_iter().chain([scheduler.off_dummy_ready_queue_slots]);
        for start in queues {
            for index in 0..READY_QUEUE_SIZE as u64 {
                let slot = ReadyQueueSlot { sequence: index.cast_signed(), slot_state: 0 };
                put(&mut bytes, start + index * size_of_val(&slot) as u64, &slot);
            }
        }
        Ok(bytes)
    }

    /// The header of the shared memory when a run starts.
    pub(crate) fn header(&self) -> SharedMemoryHeader {
        SharedMemoryHeader {
            rings: std::array::from_fn(|ring| RingHeader {
                task_window_size: u64::from(self.config.window),
                task_window_mask: self.mask(),
                heap_size: self.config.heap,
                task_descriptors_offset: self.shared.rings[ring].descriptors,
                task_descriptors: self.sm + self.shared.rings[ring].descriptors,
                task_payloads: self.sm + self.shared.rings[ring].payloads,
                slot_states: self.sm + self.shared.rings[ring].slot_states,
                ..RingHeader::zeroed()
            }),
            total_size: self.shared.size,
            sched_error_thread: -1,
            ..SharedMemoryHeader::zeroed()
        }
    }

    /// Makes dirty memory that of a new run, as the orchestrating thread of a device program does: shared memory and
    /// its handle, `PTO2Runtime` wired by the layout, an empty mailbox.
    pub(crate) fn boot(&self, shared: Gm, arena: Gm, ops: u64, topology: Topology) {
        shared.write(self.sm, &self.header());
        for ring in 0..RINGS {
            (0..self.config.window).for_each(|index| self.boot_slot(shared, ring, index));
        }
        let handle = SharedMemoryHandle {
            sm_base: self.sm,
            sm_size: self.shared.size,
            header: self.sm,
            ..SharedMemoryHandle::zeroed()
        };
        arena.write(self.arena + self.layout.off_sm_handle, &handle);
        let mut front = self.front();
        front.ops = ops;
        front.orchestrator.total_cluster_count = int(u64::from(topology.block_dim()));
        front.orchestrator.total_aiv_count = int(u64::from(topology.cores_of(CoreType::Aiv)));
        arena.write(self.runtime(), &front);
        arena.write(self.arena + self.back_offset(), &self.back());
        arena.fill(self.arena + self.layout.off_mailbox, MAILBOX_BYTES, [0; 8]);
    }

    /// The state of a task slot; what its last task came to stays, as the contract has it.
    fn boot_slot(&self, shared: Gm, ring: usize, index: u32) {
        let [payload, task, place] = self.slot(ring, index);
        let task_state = place + std::mem::offset_of!(TaskSlotState, task_state) as u64;
        let state = TaskSlotState {
            fanout_count: 1,
            task_state: shared.read(task_state),
            payload,
            task,
            ring_id: u8::try_from(ring).unwrap_or(0),
            ..TaskSlotState::zeroed()
        };
        shared.write(place, &state);
    }
}

fn put<T: Pod>(bytes: &mut [u8], offset: u64, value: &T) {
    let start = usize::try_from(offset).unwrap_or(usize::MAX);
    if let Some(place) = bytes.get_mut(start..start.saturating_add(size_of::<T>())) {
        place.copy_from_slice(bytemuck::bytes_of(value));
    }
}
