//! Compares the memory of collectors with the measured `spec/device-layouts.json`, for both chips.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is the report of a test")]

use std::collections::BTreeMap;
use std::mem::offset_of;

use arch_a2a3::records as a2a3;
use arch_a5::records as a5;
use serde_json::Value;
use task_interface::records::{
    BufferState, CoreTimesMemory, DUMP_MAGIC, DumpBuffer, DumpRecord, DumpState, FreeQueue, PHASE_MAGIC,
    PhaseRecord, ReadyEntry, RecordMemory, ScopeBuffer, ScopeFreeQueue, ScopeRecord, ScopeState,
    SubmitOverflowRecord, SubmitRecord, UnitLayout, flags,
};

/// A structure: what the spec calls it, size, alignment, offset and size of each field.
type Structure = (&'static str, usize, usize, BTreeMap<&'static str, (usize, usize)>);

/// The size of what `_field` leads to; it is never called.
fn size_behind<T, F>(_field: fn(&T) -> &F) -> usize {
    size_of::<F>()
}

/// Fields have the names of the spec, unless another is given; padding is left out.
macro_rules! structures {
    ($($spec:literal => $type:ty { $($($field:ident).+ $(as $name:literal)?),+ $(,)? })+) => {
        vec![$(($spec, size_of::<$type>(), align_of::<$type>(), BTreeMap::from([$((
            [$(stringify!($field),)+ $($name)?].into_iter().next_back().unwrap(),
            (offset_of!($type, $($field).+), size_behind(|value: &$type| &value.$($field).+)),
        )),+]))),+]
    };
}

/// Those of one chip.
macro_rules! chip_structures {
    ($chip:ident) => {
        structures! {
            "L2PerfDataHeader" => $chip::SwimlaneHeader { queues, queue_heads, queue_tails, num_cores, l2_perf_level }
            "DumpDataHeader" => $chip::DumpHeader { queues, queue_heads, queue_tails, num_dump_threads, records_per_buffer, arena_size_per_thread, magic }
            "PmuDataHeader" => $chip::PmuHeader { queues, queue_heads, queue_tails, num_cores, event_type }
            "ScopeStatsDataHeader" => $chip::ScopeHeader { queues, queue_heads, queue_tails, num_instances, task_window_cap, heap_cap, tensormap_cap, fatal_latched }
            "AicpuPhaseHeader" => $chip::PhaseHeader { magic, num_sched_threads, records_per_thread, num_cores, core_to_thread }
            "L2PerfBuffer" => $chip::TaskBuffer { records, count }
            "PhaseBuffer" => $chip::PhaseBuffer { records, count }
            "PmuBuffer" => $chip::PmuBuffer { records, count }
            "PmuRecord" => $chip::PmuRecord { head.task_id, head.func_id, head.core_type, head.pmu_total_cycles, pmu_counters }
        }
    };
}

#[rustfmt::skip]
fn shared() -> Vec<Structure> {
    structures! {
        "ReadyQueueEntry" => ReadyEntry { unit as "core_index", kind as "is_phase", buffer_ptr, buffer_seq }
        "DumpReadyQueueEntry" => ReadyEntry { unit as "thread_index", buffer_ptr, buffer_seq }
        "PmuReadyQueueEntry" => ReadyEntry { unit as "core_index", buffer_ptr, buffer_seq }
        "ScopeStatsReadyQueueEntry" => ReadyEntry { unit as "instance_index", buffer_ptr, buffer_seq }
        "L2PerfFreeQueue" => FreeQueue { buffer_ptrs, head, tail }
        "DumpFreeQueue" => FreeQueue { buffer_ptrs, head, tail }
        "PmuFreeQueue" => FreeQueue { buffer_ptrs, head, tail }
        "ScopeStatsFreeQueue" => ScopeFreeQueue { buffer_ptrs, head, tail }
        "L2PerfBufferState" => BufferState { free_queue, current_buf_ptr, aicore_ring_ptr, current_buf_seq, total_record_count, dropped_record_count, mismatch_record_count }
        "PhaseBufferState" => BufferState { free_queue, current_buf_ptr, aicore_ring_ptr, current_buf_seq, total_record_count, dropped_record_count, mismatch_record_count }
        "DumpBufferState" => DumpState { free_queue, current_buf_ptr, current_buf_seq, arena_base, arena_size, arena_write_offset, dropped_record_count }
        "ScopeStatsBufferState" => ScopeState { free_queue, current_buf_ptr, current_buf_seq, dropped_record_count, total_record_count }
        "AicpuPhaseRecord" => PhaseRecord { start_time, end_time, loop_iter, phase_id, task_id as "task_id|tasks_processed (union)", extra1, extra2 }
        "TensorDumpRecord" => DumpRecord { task_id, subtask_id, role, stage, ndims, func_id, arg_index, dtype, truncated, is_contiguous, payload_offset, payload_size, start_offset, strides, shapes }
        "DumpMetaBuffer" => DumpBuffer { records, count }
        "ScopeStatsRecord" => ScopeRecord { site_file_basename, heap_start, heap_end, site_line, task_start, task_end, tensormap_used, depth, ring_id, phase }
        "ScopeStatsBuffer" => ScopeBuffer { count, records }
    }
}

#[rustfmt::skip]
fn of_a2a3() -> Vec<Structure> {
    let mut all = chip_structures!(a2a3);
    all.extend(structures! {
        "L2PerfRecord" => a2a3::TaskRecord { head.start_time, head.end_time, head.duration, head.dispatch_time, head.finish_time, head.task_id, head.func_id, head.core_type, reg_task_id }
        "AicoreRotation" => a2a3::Rotation { current_buf_ptr, generation }
        "L2PerfAicoreBufferState" => a2a3::CoreTimesState { rotation, free_queue, total_record_count, dropped_record_count, current_buf_seq }
        "L2PerfAicoreRecord" => a2a3::CoreTimesRecord { start_time, end_time, task_id }
        "L2PerfAicoreBuffer" => a2a3::CoreTimesBuffer { records, count }
        "PmuBufferState" => a2a3::PmuState { free_queue, current_buf_ptr, current_buf_seq, dropped_record_count, total_record_count }
        "DepGenDataHeader" => a2a3::SubmitHeader { queues, queue_heads, queue_tails, num_instances }
        "DepGenReadyQueueEntry" => ReadyEntry { unit as "instance_index", buffer_ptr, buffer_seq }
        "DepGenFreeQueue" => FreeQueue { buffer_ptrs, head, tail }
        "DepGenBufferState" => a2a3::SubmitState { free_queue, current_buf_ptr, current_buf_seq, dropped_record_count, total_record_count, total_overflow_record_count }
        "DepGenRecord" => SubmitRecord { task_id, flags, tensor_count, explicit_dep_count, explicit_deps, arg_types, tensors }
        "DepGenOverflowRecord" => SubmitOverflowRecord { task_id, flags, dep_count, deps }
        "DepGenBuffer" => a2a3::SubmitBuffer { count, records }
    });
    all
}

#[rustfmt::skip]
fn of_a5() -> Vec<Structure> {
    let mut all = chip_structures!(a5);
    all.extend(structures! {
        "L2PerfRecord" => a5::TaskRecord { head.start_time, head.end_time, head.duration, head.dispatch_time, head.finish_time, head.task_id, head.func_id, head.core_type, fanout, fanout_count }
        "L2PerfAicoreRing" => a5::CoreTimesRing { dual_issue_slots }
        "PmuBufferState" => a5::PmuState { free_queue, current_buf_ptr, aicore_ring_ptr, current_buf_seq, total_record_count, dropped_record_count, mismatch_record_count }
        "PmuAicoreRing" => a5::PmuRing { dual_issue_slots }
    });
    all
}

fn spec() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../spec/device-layouts.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn number(value: &Value) -> usize {
    usize::try_from(value.as_u64().unwrap_or_else(|| panic!("{value} is no number"))).unwrap()
}

/// Fields that carry something.
fn spec_fields(structure: &Value) -> BTreeMap<&str, (usize, usize)> {
    let fields = structure["fields"].as_array().unwrap().iter();
    let named = fields
        .map(|field| (field["name"].as_str().unwrap(), (number(&field["offset"]), number(&field["size"]))));
    let is_padding = |name: &str| name.trim_start_matches('_').starts_with("pad") || name == "_reserved";
    named.filter(|(name, _)| !is_padding(name)).collect()
}

#[test]
fn structures_are_those_of_the_spec() {
    let spec = spec();
    for (arch, own) in [("a2a3", of_a2a3()), ("a5", of_a5())] {
        for runtime in ["hbg", "trb"] {
            for (name, size, align, fields) in shared().iter().chain(&own) {
                let structure = &spec[arch][runtime][name];
                let place = format!("{arch} {runtime} {name}");
                assert!(structure.is_object(), "{place}");
                assert_eq!(
                    (*size, *align),
                    (number(&structure["size"]), number(&structure["align"])),
                    "{place}"
                );
                assert_eq!(*fields, spec_fields(structure), "{place}");
            }
        }
    }
    let only_there = |name: &str| spec["a2a3"]["trb"][name].is_object() && spec["a5"]["trb"][name].is_null();
    assert!(only_there("DepGenRecord") && only_there("AicoreRotation"));
}

/// Capacities of a kind of units: records per buffer, slots, buffers per unit.
fn capacities(unit: &UnitLayout) -> [usize; 3] {
    [unit.buffer.capacity, unit.slots as usize, unit.buffers as usize]
}

#[test]
fn constants_are_those_of_the_spec() {
    let spec = spec();
    for (arch, records) in [("a2a3", &a2a3::RECORDS), ("a5", &a5::RECORDS)] {
        for runtime in ["hbg", "trb"] {
            check_constants(&|name| number(&spec["constants"][arch][runtime][name]), arch, records);
        }
    }
}

fn check_constants(constant: &dyn Fn(&str) -> usize, arch: &str, records: &RecordMemory) {
    let threads = constant("PLATFORM_MAX_AICPU_THREADS");
    let three = |names: [&str; 3]| names.map(|name| constant(&format!("PLATFORM_{name}")));
    let RecordMemory { swimlane, dump, pmu, scopes, submits } = records;
    let queues = [
        (&swimlane.queues, "PROF"),
        (&dump.queues, "DUMP"),
        (&pmu.queues, "PMU"),
        (&scopes.queues, "SCOPE_STATS"),
    ];
    let dep_gen = submits.as_ref().map(|submits| (&submits.queues, "DEP_GEN"));
    for (queues, name) in queues.into_iter().chain(dep_gen) {
        let capacity = constant(&format!("PLATFORM_{name}_READYQUEUE_SIZE"));
        assert_eq!((queues.threads as usize, queues.capacity as usize), (threads, capacity), "{arch} {name}");
    }
    let slots = "PROF_SLOT_COUNT";
    assert_eq!(capacities(&swimlane.tasks), three(["PROF_BUFFER_SIZE", slots, "PROF_BUFFERS_PER_CORE"]));
    assert_eq!(
        capacities(&swimlane.phases),
        three(["PHASE_RECORDS_PER_THREAD", slots, "PROF_BUFFERS_PER_THREAD"])
    );
    match &swimlane.core_times {
        CoreTimesMemory::Rotation(unit) => {
            assert_eq!(capacities(unit), three(["AICORE_BUFFER_SIZE", slots, "AICORE_BUFFERS_PER_CORE"]));
        }
        CoreTimesMemory::Ring { bytes, .. } => {
            assert_eq!(*bytes, constant("PLATFORM_L2_AICORE_RING_SIZE") * swimlane.tasks.buffer.record_bytes);
        }
    }
    assert_eq!(
        capacities(&dump.tensors),
        three(["DUMP_RECORDS_PER_BUFFER", "DUMP_SLOT_COUNT", "DUMP_BUFFERS_PER_THREAD"])
    );
    let arena = capacities(&dump.tensors)[0] * capacities(&dump.tensors)[2];
    assert_eq!(dump.arena_bytes, (arena * constant("PLATFORM_DUMP_AVG_TENSOR_BYTES")) as u64);
    assert_eq!(
        capacities(&pmu.rows),
        three(["PMU_RECORDS_PER_BUFFER", "PMU_SLOT_COUNT", "PMU_BUFFERS_PER_CORE"])
    );
    assert_eq!(pmu.counters, constant(&format!("PMU_COUNTER_COUNT_{}", arch.to_uppercase())));
    if let Some((bytes, _)) = pmu.ring {
        assert_eq!(bytes, constant("PLATFORM_PMU_AICORE_RING_SIZE") * pmu.rows.buffer.record_bytes);
    }
    assert_eq!(
        capacities(&scopes.borders),
        three([
            "SCOPE_STATS_RECORDS_PER_BUFFER",
            "SCOPE_STATS_SLOT_COUNT",
            "SCOPE_STATS_BUFFERS_PER_INSTANCE"
        ])
    );
    if let Some(submits) = submits {
        assert_eq!(
            capacities(&submits.submits),
            three(["DEP_GEN_RECORDS_PER_BUFFER", "DEP_GEN_SLOT_COUNT", "DEP_GEN_BUFFERS_PER_INSTANCE"])
        );
        assert_eq!(flags::DEP_GEN as usize, constant("PROFILING_FLAG_DEP_GEN"));
    }
    assert_eq!(DUMP_MAGIC as usize, constant("TENSOR_DUMP_MAGIC"));
    assert_eq!(PHASE_MAGIC as usize, constant("AICPU_PHASE_MAGIC"));
    assert_eq!(flags::DUMP as usize, constant("PROFILING_FLAG_DUMP_TENSOR"));
    assert_eq!(flags::SWIMLANE as usize, constant("PROFILING_FLAG_L2_SWIMLANE"));
    assert_eq!(flags::PMU as usize, constant("PROFILING_FLAG_PMU"));
    assert_eq!(flags::SCOPE_STATS as usize, constant("PROFILING_FLAG_SCOPE_STATS"));
}
