//! Compares every structure and region with the measured `spec/device-layouts.json`, for both chips.

use std::collections::BTreeMap;
use std::mem::offset_of;

use device_runner::Arch;
use proptest::prelude::*;
use serde_json::Value;

use super::arena::{
    ChipNumbers, MAILBOX_BYTES, OrchestratorLayout, RuntimeArenaLayout, SchedulerLayout, TensorMapLayout,
};
use super::contents::MemoryMap;
use super::runtime::{RuntimeTail, runtime_bytes, tail_offset};
use super::shared_memory::{
    RingFlowControl, RingHeader, SharedMemoryHeader, SharedMemoryLayout, TaskDescriptor, TaskPayload,
    TaskSlotState,
};
use super::structs::{
    DepListEntry, EntryPool, OrchestratorState, ReadyQueue, ReadyQueueSlot, RingSchedState, RingSet,
    RuntimeBack, RuntimeFront, SchedulerFront, SharedMemoryHandle, SpscQueue, TaskAllocator, TensorMapEntry,
    TensorMapState, WiringState,
};
use crate::rings::RingConfig;

const CHIPS: [&dyn Arch; 2] = [&arch_a2a3::CHIP, &arch_a5::CHIP];

/// Offset and size of each field.
type Fields = BTreeMap<&'static str, (usize, usize)>;

/// The size of what `_field` leads to; it is never called.
fn size_behind<T, F>(_field: fn(&T) -> &F) -> usize {
    size_of::<F>()
}

macro_rules! fields {
    ($type:ty, from $base:expr, { $($field:ident $(as $name:literal)?),+ $(,)? }) => {
        Fields::from([$((
            [stringify!($field), $($name)?].into_iter().next_back().unwrap_or_default(),
            ($base + offset_of!($type, $field), size_behind(|value: &$type| &value.$field)),
        )),+])
    };
    ($type:ident { $($field:tt)+ }) => {
        (size_of::<$type>(), align_of::<$type>(), fields!($type, from 0, { $($field)+ }))
    };
}

fn spec() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../spec/device-layouts.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn number(value: &Value) -> usize {
    usize::try_from(value.as_u64().unwrap_or_else(|| panic!("{value} is no number"))).unwrap()
}

/// The names of C++ members carry underscores that those of Rust do not.
fn spec_fields(structure: &Value) -> BTreeMap<&str, (usize, usize)> {
    let field = |field: &'_ Value| (number(&field["offset"]), number(&field["size"]));
    let fields = structure["fields"].as_array().unwrap().iter();
    fields.map(|entry| (entry["name"].as_str().unwrap().trim_matches('_'), field(entry))).collect()
}

fn assert_fields(arch: &str, name: &str, fields: &Fields) {
    let spec = &spec()[arch]["trb"][name];
    assert_eq!(*fields, spec_fields(spec), "{arch} {name}");
}

fn assert_size(arch: &str, name: &str, size: usize, align: usize) {
    let spec = &spec()[arch]["trb"][name];
    assert_eq!((size, align), (number(&spec["size"]), number(&spec["align"])), "{arch} {name}");
}

#[rustfmt::skip]
fn structures() -> Vec<(&'static str, (usize, usize, Fields))> {
    vec![
        ("PTO2RingFlowControl", fields!(RingFlowControl { current_task_index, last_task_alive })),
        ("PTO2SharedMemoryRingHeader", fields!(RingHeader { fc, task_window_size, task_window_mask, heap_size, task_descriptors_offset, task_descriptors, task_payloads, slot_states })),
        ("PTO2SharedMemoryHeader", fields!(SharedMemoryHeader { rings, orchestrator_done, total_size, graph_output_ptr, graph_output_size, orch_error_code, sched_error_bitmap, sched_error_code, sched_error_thread })),
        ("PTO2SharedMemoryHandle", fields!(SharedMemoryHandle { sm_base, sm_size, header, is_owner })),
        ("PTO2TaskDescriptor", fields!(TaskDescriptor { task_id, kernel_id, packed_buffer_base, packed_buffer_end })),
        ("PTO2TaskPayload", fields!(TaskPayload { tensor_count, scalar_count, fanin_actual_count, fanin_spill_start, fanin_spill_pool, fanin_inline_slot_states, tensors, scalars })),
        ("PTO2TaskSlotState", fields!(TaskSlotState { fanout_lock, fanout_count, fanout_head, task_state, fanin_refcount, fanin_count, fanout_refcount, payload, task, active_mask, ring_id, dep_pool_mark, completed_subtasks, total_required_subtasks, logical_block_num, next_block_idx })),
        ("PTO2TaskAllocator", fields!(TaskAllocator { descriptors, window_size, window_mask, current_index_ptr, last_alive_ptr, heap_base, heap_size, local_task_id, heap_top, heap_tail, last_alive_seen, error_code_ptr })),
        ("PTO2FaninPool", fields!(EntryPool { base, capacity, top, tail, high_water, reclaimed as "reclaim_task_cursor", error_code_ptr })),
        ("PTO2DepListPool", fields!(EntryPool { base, capacity, top, tail, high_water, reclaimed as "last_reclaimed", error_code_ptr })),
        ("PTO2DepListEntry", fields!(DepListEntry { slot_state, next })),
        ("PTO2RingSet", fields!(RingSet { task_allocator, fanin_pool })),
        ("PTO2TensorMapEntry", fields!(TensorMapEntry { buffer_addr, next_in_bucket, producer_task_id, start_offset, version, ndims, dtype, manual_dep, is_contiguous, padding1, shapes, prev_in_bucket, next_in_task, prev_in_task, bucket_index, padding2, extent_elem_cache, strides, padding3 })),
        ("PTO2TensorMap", fields!(TensorMapState { buckets, num_buckets, entry_pool, free_entry_list, pool_size, next_entry_idx, free_num, task_entry_heads, task_window_sizes, last_task_alives, last_cleanup })),
        ("PTO2OrchestratorState", fields!(OrchestratorState { sm_header, rings, tensor_map, scope_tasks, scope_tasks_size, scope_tasks_capacity, scope_begins, scope_stack_top, scope_stack_capacity, manual_begin_depth, scheduler, total_cluster_count, total_aiv_count, l2_perf_level, gm_heap_base, gm_heap_size, fatal, inline_completed_tasks, tasks_submitted, buffers_allocated, bytes_allocated })),
        ("PTO2SchedulerState::RingSchedState", fields!(RingSchedState { ring, last_task_alive, advance_lock, dep_pool })),
        ("PTO2ReadyQueueSlot", fields!(ReadyQueueSlot { sequence, slot_state })),
        ("PTO2ReadyQueue", fields!(ReadyQueue { slots, capacity, mask, pad0, enqueue_pos, pad1, dequeue_pos, pad2 })),
        ("PTO2SpscQueue", fields!(SpscQueue { head, tail_cached, tail, head_cached, buffer, mask })),
        ("PTO2SchedulerState::WiringState", fields!(WiringState { batch_count, batch_index, backoff_counter, batch, queue, orch_needs_drain })),
        ("PTO2TensorMapLayout", fields!(TensorMapLayout { off_buckets, off_entry_pool, off_free_entry_list, off_task_entry_heads, num_buckets, pool_size, task_window_sizes })),
        ("PTO2OrchestratorLayout", fields!(OrchestratorLayout { off_fanin_pool, off_scope_tasks, off_scope_begins, tensor_map, dep_pool_capacity, scope_tasks_cap, scope_stack_capacity })),
        ("PTO2SchedulerLayout", fields!(SchedulerLayout { off_ready_queue_slots, off_dummy_ready_queue_slots, off_dep_pool_entries, off_wiring_spsc_buffer, ready_queue_capacity, spsc_capacity, dep_pool_capacity })),
        ("PTO2RuntimeArenaLayout", fields!(RuntimeArenaLayout { off_sm_handle, orch, sched, off_runtime, off_mailbox, task_window_size, heap_size, dep_pool_capacity, arena_size })),
    ]
}

#[test]
fn structures_of_both_chips_are_the_contracts() {
    for (name, (size, align, fields)) in structures() {
        for chip in CHIPS {
            assert_size(chip.name(), name, size, align);
            assert_fields(chip.name(), name, &fields);
        }
    }
}

#[test]
fn the_runtime_object_is_the_contracts() {
    for chip in CHIPS {
        let cores = ChipNumbers::of(chip).cores;
        let tail = tail_offset(cores);
        #[rustfmt::skip]
        let mut ours = fields!(RuntimeTail, from tail, { worker_count, aicpu_thread_num, ready_queue_shards, task_window_size, heap_size, dep_pool_size, func_id_to_addr, orch_to_sched, registered_kernel_func_ids, registered_kernel_count, gm_sm_ptr, gm_heap_ptr, slot_states_ptr, orch_args_storage, prebuilt_arena_base, prebuilt_runtime_offset, dev_orch_so_addr, dev_orch_so_size, active_callable_id, register_new_callable_id, device_orch_func_name, device_orch_config_name, host_api, tensor_pairs });
        ours.insert("workers", (0, tail));
        assert_fields(chip.name(), "Runtime", &ours);
        assert_size(chip.name(), "Runtime", runtime_bytes(cores), align_of::<RuntimeTail>());
    }
}

/// `PTO2Runtime` and `PTO2SchedulerState` have a part between the two that Rust knows whose size depends on the chip.
#[test]
fn the_state_in_the_arena_is_the_contracts() {
    for chip in CHIPS {
        let (arch, numbers) = (chip.name(), ChipNumbers::of(chip));
        let size = |bytes: u64| usize::try_from(bytes).unwrap();
        let (waits, back) = (size(numbers.async_wait_list()), size(numbers.back_offset()));
        let scheduler = back - offset_of!(RuntimeFront, scheduler);

        let mut ours = fields!(SchedulerFront, from 0, { sm_header, ring_sched_states, ready_queues, dummy_ready_queue, wiring });
        ours.insert("async_wait_list", (size_of::<SchedulerFront>(), waits));
        assert_fields(arch, "PTO2SchedulerState", &ours);
        assert_size(arch, "PTO2SchedulerState", scheduler, align_of::<SchedulerFront>());

        let mut ours =
            fields!(RuntimeFront, from 0, { ops, pending_scope_mode, sm_handle, orchestrator, scheduler });
        ours.insert("scheduler", (offset_of!(RuntimeFront, scheduler), scheduler));
        #[rustfmt::skip]
        ours.extend(fields!(RuntimeBack, from back, { aicore_mailbox, gm_heap, gm_heap_size, gm_heap_owned, mode, total_cycles, prebuilt_layout }));
        assert_fields(arch, "PTO2Runtime", &ours);
        assert_size(arch, "PTO2Runtime", size(numbers.runtime_state()), align_of::<RuntimeFront>());

        assert_size(arch, "AsyncWaitList", waits, 8);
        assert_size(arch, "AsyncWaitEntry", size(numbers.async_wait_entry()), 8);
        assert_size(arch, "CompletionCondition", size(numbers.condition), 8);
        assert_size(arch, "AICoreCompletionMailbox", size(MAILBOX_BYTES), 64);
    }
}

#[test]
fn a_moved_or_missing_field_would_be_noticed() {
    let good = fields!(DepListEntry, from 0, { slot_state, next });
    let moved = fields!(DepListEntry, from 8, { slot_state, next });
    let missing = fields!(DepListEntry, from 0, { next });
    for wrong in [moved, missing] {
        assert_ne!(wrong, good);
        assert!(std::panic::catch_unwind(|| assert_fields("a5", "PTO2DepListEntry", &wrong)).is_err());
    }
}

/// Everything that the spec says about one arena, and that about the shared memory.
fn assert_regions(chip: &dyn Arch, spec: &Value) {
    let config = RingConfig {
        window: u32::try_from(number(&spec["task_window"])).unwrap(),
        dep_pool: u32::try_from(number(&spec["dep_pool"])).unwrap(),
        ..RingConfig::default()
    };
    let ours = RuntimeArenaLayout::new(ChipNumbers::of(chip), &config);
    let shared = SharedMemoryLayout::new(u64::from(config.window));
    let (orch, sched, map) = (&ours.orch, &ours.sched, &ours.orch.tensor_map);
    let json = serde_json::json!({
        "task_window": config.window,
        "dep_pool": config.dep_pool,
        "off_sm_handle": ours.off_sm_handle,
        "orch": {
            "off_fanin_pool": orch.off_fanin_pool,
            "off_scope_tasks": orch.off_scope_tasks,
            "off_scope_begins": orch.off_scope_begins,
            "tensor_map": {
                "off_buckets": map.off_buckets,
                "off_entry_pool": map.off_entry_pool,
                "off_free_entry_list": map.off_free_entry_list,
                "off_task_entry_heads": map.off_task_entry_heads,
            },
        },
        "sched": {
            "off_ready_queue_slots": sched.off_ready_queue_slots,
            "off_dummy_ready_queue_slots": sched.off_dummy_ready_queue_slots,
            "off_dep_pool_entries": sched.off_dep_pool_entries,
            "off_wiring_spsc_buffer": sched.off_wiring_spsc_buffer,
        },
        "off_runtime": ours.off_runtime,
        "off_mailbox": ours.off_mailbox,
        "arena_size": ours.arena_size,
        "sm_size": shared.size,
        "regions": regions(&ours, &config).len(),
        "sm_ring_descriptor_offsets": shared.rings.map(|ring| ring.descriptors),
    });
    assert_eq!(&json, spec, "{} {config:?}", chip.name());
}

#[test]
fn regions_of_both_chips_are_the_contracts() {
    let spec = spec();
    for chip in CHIPS {
        let arenas = spec["runtime_arena"][chip.name()].as_array().unwrap();
        assert!(arenas.len() >= 3);
        arenas.iter().for_each(|arena| assert_regions(chip, arena));
    }
}

/// All regions in the order of the contract: offset, bytes and alignment.
fn regions(layout: &RuntimeArenaLayout, config: &RingConfig) -> Vec<(u64, u64, u64)> {
    let (window, pool) = (u64::from(config.window), u64::from(config.dep_pool));
    let (orch, sched, map) = (&layout.orch, &layout.sched, &layout.orch.tensor_map);
    let mut regions = vec![(layout.off_sm_handle, 32, 8)];
    regions.extend(orch.off_fanin_pool.map(|offset| (offset, (8 * pool).next_multiple_of(64), 64)));
    regions.extend([(orch.off_scope_tasks, 524_288, 8), (orch.off_scope_begins, 256, 4)]);
    regions.extend([(map.off_buckets, 32_768, 8), (map.off_entry_pool, 8_388_608, 64)]);
    regions.push((map.off_free_entry_list, 524_288, 8));
    regions.extend(map.off_task_entry_heads.map(|offset| (offset, 8 * window, 8)));
    regions.extend(sched.off_ready_queue_slots.map(|offset| (offset, 1_048_576, 64)));
    regions.push((sched.off_dummy_ready_queue_slots, 1_048_576, 64));
    regions.extend(sched.off_dep_pool_entries.map(|offset| (offset, 16 * pool, 64)));
    regions.push((sched.off_wiring_spsc_buffer, 8192, 64));
    regions.push((layout.off_runtime, layout.off_mailbox - layout.off_runtime, 64));
    regions.push((layout.off_mailbox, 262_272, 64));
    regions
}

fn configs() -> impl Strategy<Value = RingConfig> {
    (2u32..20, 10u32..34, 4u32..200_000).prop_map(|(window, heap, dep_pool)| RingConfig {
        window: 1 << window,
        heap: 1 << heap,
        dep_pool,
    })
}

proptest! {
    /// Regions follow each other as closely as their alignment allows, and fill the arena.
    #[test]
    fn regions_of_other_sizes_follow_each_other(config in configs()) {
        for chip in CHIPS {
            let layout = RuntimeArenaLayout::new(ChipNumbers::of(chip), &config);
            let mut end = 0u64;
            for (offset, bytes, align) in regions(&layout, &config) {
                prop_assert_eq!(offset, end.next_multiple_of(align));
                end = offset + bytes;
            }
            prop_assert_eq!(layout.arena_size, end);
            prop_assert_eq!(layout.config(), Ok(config));
            prop_assert_eq!((layout.task_window_size, layout.heap_size), (u64::from(config.window), config.heap));
        }
    }

    /// So do the arrays of the shared memory.
    #[test]
    fn arrays_of_other_windows_follow_each_other(config in configs()) {
        let map = MemoryMap::new(ChipNumbers::of(CHIPS[0]), config);
        let window = u64::from(config.window);
        let mut end = 832;
        for ring in map.shared.rings {
            prop_assert_eq!(ring.descriptors, end);
            prop_assert_eq!(ring.payloads, (ring.descriptors + 40 * window).next_multiple_of(64));
            prop_assert_eq!(ring.slot_states, ring.payloads + 2880 * window);
            end = ring.slot_states + 64 * window;
        }
        prop_assert_eq!(map.shared.size, end);
        prop_assert_eq!(map.config.heap_of_all_rings(), 4 * config.heap);
    }
}
