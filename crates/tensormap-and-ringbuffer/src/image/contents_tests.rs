//! What the host writes, and what a device program makes of dirty memory.

use bytemuck::Pod;
use device_runner::{Arch, Topology};

use super::arena::ChipNumbers;
use super::contents::MemoryMap;
use super::shared_memory::{SharedMemoryHeader, TaskSlotState};
use super::structs::{ReadyQueueSlot, RuntimeBack, RuntimeFront, SharedMemoryHandle, TensorMapEntry};
use crate::gm::{Gm, OwnMemory};
use crate::rings::RingConfig;

const CHIPS: [&dyn Arch; 2] = [&arch_a2a3::CHIP, &arch_a5::CHIP];
const CONFIG: RingConfig = RingConfig { window: 8, heap: 4096, dep_pool: 12 };
/// Addresses that nothing is read from.
const HEAP: u64 = 0x4000_0000;
const SM: u64 = 0x5000_0000;
const ARENA: u64 = 0x6000_0000;

fn map(chip: &dyn Arch, sm: u64, arena: u64) -> MemoryMap {
    MemoryMap { heap: HEAP, sm, arena, ..MemoryMap::new(ChipNumbers::of(chip), CONFIG) }
}

fn at<T: Pod>(bytes: &[u8], offset: u64) -> T {
    let start = usize::try_from(offset).unwrap();
    bytemuck::pod_read_unaligned(&bytes[start..start + size_of::<T>()])
}

/// That the state of orchestrator and scheduler is the initial one, and wired to these places.
fn assert_wired(map: &MemoryMap, front: &RuntimeFront) {
    let (orch, sched) = (&front.orchestrator, &front.scheduler);
    let (o, s) = (&map.layout.orch, &map.layout.sched);
    let within = |offset: u64| map.arena + offset;
    assert_eq!((orch.sm_header, sched.sm_header), (map.sm, map.sm));
    assert_eq!((orch.gm_heap_base, orch.gm_heap_size), (HEAP, 4 * 4096));
    for ring in 0..4 {
        let header = map.sm + 192 * ring as u64;
        let allocator = &orch.rings[ring].task_allocator;
        assert_eq!(allocator.descriptors, map.sm + map.shared.rings[ring].descriptors);
        assert_eq!((allocator.window_size, allocator.window_mask), (8, 7));
        assert_eq!((allocator.current_index_ptr, allocator.last_alive_ptr), (header, header + 64));
        assert_eq!((allocator.heap_base, allocator.heap_size), (HEAP + 4096 * ring as u64, 4096));
        assert_eq!((allocator.local_task_id, allocator.heap_top, allocator.heap_tail), (0, 0, 0));
        assert_eq!(allocator.error_code_ptr, map.sm + 800);
        let state = &sched.ring_sched_states[ring];
        assert_eq!((state.ring, state.last_task_alive, state.advance_lock), (header, 0, 0));
        let pools = [
            (orch.rings[ring].fanin_pool, within(o.off_fanin_pool[ring])),
            (state.dep_pool, within(s.off_dep_pool_entries[ring])),
        ];
        for (pool, base) in pools {
            assert_eq!((pool.base, pool.capacity, pool.top, pool.tail, pool.high_water), (base, 12, 1, 1, 0));
        }
    }
    let tensors = &orch.tensor_map;
    assert_eq!((tensors.buckets, tensors.num_buckets), (within(o.tensor_map.off_buckets), 4096));
    assert_eq!((tensors.entry_pool, tensors.pool_size), (within(o.tensor_map.off_entry_pool), 65536));
    assert_eq!((tensors.next_entry_idx, tensors.free_num, tensors.task_window_sizes), (0, 0, [8; 4]));
    assert_eq!(tensors.task_entry_heads, o.tensor_map.off_task_entry_heads.map(within));
    assert_eq!((orch.scope_tasks, orch.scope_tasks_capacity), (within(o.off_scope_tasks), 65536));
    assert_eq!((orch.scope_begins, orch.scope_stack_capacity), (within(o.off_scope_begins), 64));
    assert_eq!((orch.scope_stack_top, orch.manual_begin_depth, orch.fatal), (-1, 64, 0));
    assert_eq!(orch.scheduler, within(map.layout.off_runtime) + 832);
    let queues =
        [sched.ready_queues[0], sched.ready_queues[1], sched.ready_queues[2], sched.dummy_ready_queue];
    let slots = [
        s.off_ready_queue_slots[0],
        s.off_ready_queue_slots[1],
        s.off_ready_queue_slots[2],
        s.off_dummy_ready_queue_slots,
    ];
    for (queue, slots) in queues.iter().zip(slots) {
        assert_eq!((queue.slots, queue.capacity, queue.mask), (within(slots), 65536, 65535));
        assert_eq!((queue.enqueue_pos, queue.dequeue_pos), (0, 0));
    }
    let wiring = &sched.wiring.queue;
    assert_eq!(
        (wiring.buffer, wiring.mask, wiring.head, wiring.tail),
        (within(s.off_wiring_spsc_buffer), 1023, 0, 0)
    );
    assert_eq!((sched.wiring.batch_count, sched.wiring.orch_needs_drain), (0, 0));
}

#[test]
fn the_prebuilt_arena_is_ready_to_be_booted() {
    for chip in CHIPS {
        let map = map(chip, SM, ARENA);
        let bytes = map.prebuilt_arena().unwrap();
        assert_eq!(bytes.len() as u64, map.layout.arena_size);
        let front: RuntimeFront = at(&bytes, map.layout.off_runtime);
        assert_wired(&map, &front);
        assert_eq!((front.ops, front.pending_scope_mode), (0, 0));
        assert_eq!(front.sm_handle, ARENA + map.layout.off_sm_handle);
        assert_eq!((front.orchestrator.total_cluster_count, front.orchestrator.total_aiv_count), (0, 0));
        let back: RuntimeBack = at(&bytes, map.back_offset());
        assert_eq!((back.gm_heap, back.gm_heap_size, back.gm_heap_owned, back.mode), (HEAP, 4 * 4096, 0, 0));
        assert_eq!(back.aicore_mailbox, ARENA + map.layout.off_mailbox);
        assert_eq!(back.prebuilt_layout, map.layout);
        let queues = map.layout.sched.off_ready_queue_slots;
        for queue in queues.into_iter().chain([map.layout.sched.off_dummy_ready_queue_slots]) {
            for index in [0, 1, 40_000, 65_535] {
                let slot: ReadyQueueSlot = at(&bytes, queue + 16 * index);
                assert_eq!((slot.sequence.cast_unsigned(), slot.slot_state), (index, 0));
            }
        }
        for index in [0, 1, 65_535] {
            let entry: TensorMapEntry = at(&bytes, map.layout.orch.tensor_map.off_entry_pool + 128 * index);
            assert_eq!(entry, TensorMapEntry { bucket_index: -1, ..bytemuck::Zeroable::zeroed() });
        }
        let mailbox = usize::try_from(map.layout.off_mailbox).unwrap();
        assert!(bytes[mailbox..].iter().all(|&byte| byte == 0));
    }
}

fn dirty(bytes: u64) -> (OwnMemory, Gm) {
    let memory = OwnMemory::new(bytes);
    let gm = memory.gm();
    gm.fill(gm.address(0), bytes, [0x77; 8]);
    (memory, gm)
}

#[test]
fn booting_makes_dirty_memory_that_of_a_new_run() {
    for chip in CHIPS {
        let sizes = map(chip, 0, 0);
        let (_sm, sm) = dirty(sizes.shared.size);
        let (_arena, arena) = dirty(sizes.layout.arena_size);
        let map = map(chip, sm.address(0), arena.address(0));
        map.boot(sm, arena, 0x1234, Topology::new(5));
        let header: SharedMemoryHeader = sm.read(map.sm);
        assert_eq!(header, map.header());
        assert_eq!((header.status(), header.tasks(), header.orchestrator_done), (0, 0, 0));
        assert_eq!((header.total_size, header.sched_error_thread), (map.shared.size, -1));
        for (ring, arrays) in map.shared.rings.iter().enumerate() {
            let words = &header.rings[ring];
            assert_eq!((words.task_window_size, words.task_window_mask, words.heap_size), (8, 7, 4096));
            assert_eq!(words.task_descriptors, map.sm + words.task_descriptors_offset);
            assert_eq!(
                (words.task_payloads, words.slot_states),
                (map.sm + arrays.payloads, map.sm + arrays.slot_states)
            );
            for slot in 0..8 {
                let state: TaskSlotState = sm.read(words.slot_states + 64 * slot);
                // What its last task came to stays.
                assert_eq!(state.task_state, 0x7777_7777);
                assert_eq!(
                    (u64::from(state.ring_id), state.fanout_count, state.fanin_count),
                    (ring as u64, 1, 0)
                );
                assert_eq!(
                    (state.payload, state.task),
                    (words.task_payloads + 2880 * slot, words.task_descriptors + 40 * slot)
                );
                assert_eq!((state.active_mask, state.completed_subtasks, state.fanout_head), (0, 0, 0));
            }
        }
        let handle: SharedMemoryHandle = arena.read(map.arena + map.layout.off_sm_handle);
        assert_eq!(
            (handle.sm_base, handle.header, handle.sm_size, handle.is_owner),
            (map.sm, map.sm, map.shared.size, 0)
        );
        let front: RuntimeFront = arena.read(map.arena + map.layout.off_runtime);
        assert_wired(&map, &front);
        assert_eq!(
            (front.ops, front.orchestrator.total_cluster_count, front.orchestrator.total_aiv_count),
            (0x1234, 5, 10)
        );
        for word in [0, 64, 128, 262_264] {
            assert_eq!(arena.read::<u64>(map.arena + map.layout.off_mailbox + word), 0);
        }
    }
}

#[test]
fn the_first_error_of_the_orchestrator_counts() {
    let status = |orch, sched| {
        let zero: SharedMemoryHeader = bytemuck::Zeroable::zeroed();
        SharedMemoryHeader { orch_error_code: orch, sched_error_code: sched, ..zero }.status()
    };
    assert_eq!([status(0, 0), status(2, 100), status(0, 101), status(-7, 0)], [0, -2, -101, -7]);
}
