//! Compares every wire structure, enum and constant of this crate with the measured `spec/public-layouts.json`, for
//! both chips.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is the report of a test")]

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;
use task_interface::trb::{
    self, ActiveMask, Arg, AsyncCtx, AsyncEngine, CompletionToken, CompletionType, DeferredCompletionEntry,
    DeferredCompletionSlab, DispatchPayload, GlobalContext, LaunchSpec, LocalContext, MixedKernels,
    OrchestrationConfig, OverlapStatus, ResourceShape, RuntimeHeader, RuntimeOps, ScopeMode, SdmaEventRecord,
    SubtaskSlot, TaskOutputTensors, TaskToken, Tensor, TensorCreateInfo, TensorRef, TrbErrorCode,
};
use task_interface::{
    ArgDirection, CallConfig, ChipCallableHeader, ChipStorageTaskArgs, CommContext, ContinuousTensor,
    CoreCallableHeader, CoreType, DataType, HostApi, OrchestrationRuntime, OrchestrationRuntimeOps,
    PtoRunTiming, TaskArgsView, TensorAllocationInfo, TensorArgType, TensorInfo,
};

const ARCHS: [&str; 2] = ["a2a3", "a5"];

/// A structure as Rust lays it out: size, alignment, and offset and size of each field.
struct Layout {
    name: &'static str,
    size: usize,
    align: usize,
    fields: BTreeMap<&'static str, (usize, usize)>,
}

/// Size of the field that `_read` returns. Never called with a value; the closure only carries the type.
fn returned_size<T, F>(_read: fn(T) -> F) -> usize {
    size_of::<F>()
}

macro_rules! layouts {
    ($($name:literal => $ty:ident { $($field:ident),+ $(,)? })+) => {
        vec![$(Layout {
            name: $name,
            size: size_of::<$ty>(),
            align: align_of::<$ty>(),
            fields: [$((
                stringify!($field),
                (std::mem::offset_of!($ty, $field), returned_size(|value: $ty| value.$field)),
            ),)+].into(),
        },)+]
    };
}

#[rustfmt::skip]
fn layouts() -> Vec<Layout> {
    layouts! {
        "CallConfig" => CallConfig { block_dim, aicpu_thread_num, enable_l2_swimlane, enable_dump_tensor, enable_pmu, enable_dep_gen, enable_scope_stats, output_prefix }
        "ChipCallable" => ChipCallableHeader { signature, sig_count, binary_size, func_name, func_name_len, child_func_ids, child_offsets, child_count, config_name, config_name_len, storage }
        "ChipStorageTaskArgs" => ChipStorageTaskArgs { tensors, scalars, tensor_count, scalar_count }
        "CommContext" => CommContext { work_space, work_space_size, rank_id, rank_num, win_size, windows_in, windows_out }
        "ContinuousTensor" => ContinuousTensor { data, shapes, ndims, dtype, child_memory }
        "CoreCallable" => CoreCallableHeader { signature, sig_count, binary_size, resolved_addr, storage }
        "HostApi" => HostApi { device_malloc, device_free, copy_to_device, copy_from_device, setup_static_arena, acquire_pooled_gm_heap, acquire_pooled_gm_sm, acquire_pooled_runtime_arena, upload_chip_callable_buffer }
        "OrchestrationRuntime" => OrchestrationRuntime { ops }
        "OrchestrationRuntimeOps" => OrchestrationRuntimeOps { add_task, set_tensor_info_to_task, add_successor, record_tensor_pair, get_task_count, print_runtime, device_malloc, device_free, copy_to_device }
        "PtoRunTiming" => PtoRunTiming { host_wall_ns, device_wall_ns }
        "TaskArgsView" => TaskArgsView { tensor_count, scalar_count, tensors, scalars }
        "TensorAllocationInfo" => TensorAllocationInfo { base_addr, size_bytes }
        "TensorInfo" => TensorInfo { dtype, ndims, reserved, shapes, raw_shapes, offsets }
    }
}

#[rustfmt::skip]
fn trb_layouts() -> Vec<Layout> {
    layouts! {
        "ActiveMask" => ActiveMask { raw }
        "Arg" => Arg { tags, tensors, scalars, tensor_count, scalar_count, has_error, error_msg, launch_spec, tensor_dump_arg_mask, tensor_dump_selective_requested, explicit_deps, explicit_dep_count }
        "AsyncCtx" => AsyncCtx { completion_count, completion_error_code, completion_entries, completion_capacity, task_token }
        "CompletionToken" => CompletionToken { addr, expected_value, engine, completion_type, backend_cookie }
        "DeferredCompletionEntry" => DeferredCompletionEntry { addr, expected_value, engine, completion_type, pad }
        "DeferredCompletionSlab" => DeferredCompletionSlab { count, error_code, entries }
        "GlobalContext" => GlobalContext { sub_block_id }
        "LocalContext" => LocalContext { block_idx, block_num, async_ctx }
        "MixedKernels" => MixedKernels { aic_kernel_id, aiv0_kernel_id, aiv1_kernel_id }
        "PTO2DispatchPayload" => DispatchPayload { function_bin_addr, args, local_context, global_context, reserved_payload_abi_pad }
        "PTO2LaunchSpec" => LaunchSpec { block_num, require_sync_start }
        "PTO2OrchestrationConfig" => OrchestrationConfig { expected_arg_count }
        "PTO2RuntimeOps" => RuntimeOps { submit_task, scope_begin, scope_end, orchestration_done, is_fatal, report_fatal, log_error, log_warn, log_debug, log_info_v, get_tensor_data, set_tensor_data, alloc_tensors, submit_dummy_task, scope_set_site }
        "PTO2TaskId" => TaskToken { raw }
        "TaskOutputTensors" => TaskOutputTensors { task_id, output_count, tensors }
        "Tensor" => Tensor { buffer_addr, buffer_size, owner_task_id, start_offset, version, ndims, dtype, manual_dep, is_contiguous, pad_cl1, shapes, extent_elem_cache, strides, pad_cl2 }
        "TensorCreateInfo" => TensorCreateInfo { initial_value, has_initial_value, pad1, pad2, start_offset, version, ndims, dtype, manual_dep, is_contiguous, pad_flags, shapes }
        "TensorRef" => TensorRef { ptr }
        "trb::PTO2Runtime" => RuntimeHeader { ops, pending_scope_mode }
    }
}

/// Structures that one chip does not have.
fn layouts_of_one_arch(arch: &str) -> Vec<Layout> {
    match arch {
        "a2a3" => layouts! { "SdmaEventRecord" => SdmaEventRecord { flag, sq_tail, channel_info } },
        _ => Vec::new(),
    }
}

fn spec() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../spec/public-layouts.json");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap()
}

fn number(value: &Value, key: &str) -> usize {
    let number = value[key].as_u64().unwrap_or_else(|| panic!("no number {key} in {value}"));
    usize::try_from(number).unwrap()
}

/// Names that the spec gives to a field on one chip only, to the same field twice, or in another style.
const FIELD_ALIASES: [(&str, &str); 11] = [
    ("workSpace", "work_space"),
    ("workSpaceSize", "work_space_size"),
    ("rankId", "rank_id"),
    ("rankNum", "rank_num"),
    ("winSize", "win_size"),
    ("windowsIn", "windows_in"),
    ("windowsOut", "windows_out"),
    ("s_block_idx", "block_idx"),
    ("s_block_num", "block_num"),
    ("core_num", "block_num"),
    ("create_info", "ptr"),
];

/// The name a field has in Rust. C++ private members and padding carry underscores, the Rust fields do not.
fn rust_name(name: &str) -> &str {
    let name = name.trim_matches('_');
    FIELD_ALIASES.iter().find(|(alias, _)| *alias == name).map_or(name, |(_, rust)| rust)
}

/// Offset and size of each field of a JSON entry. The address and size of a tensor's buffer are a structure of their
/// own in C++ and two fields in Rust.
fn spec_fields(entry: &Value) -> BTreeMap<&str, (usize, usize)> {
    let mut fields = BTreeMap::new();
    for field in entry["fields"].as_array().expect("fields is a list") {
        let name = field["name"].as_str().expect("field has a name");
        let (offset, size) = (number(field, "offset"), number(field, "size"));
        if field["type"] == "PTOBufferHandle" {
            fields.extend([("buffer_addr", (offset, 8)), ("buffer_size", (offset + 8, 8))]);
            assert_eq!(size, 16);
        } else {
            let twice = fields.insert(rust_name(name), (offset, size));
            assert!(twice.is_none_or(|place| place == (offset, size)), "{name} has two places");
        }
    }
    fields
}

/// All differences between a Rust structure and its JSON entry.
fn differences(layout: &Layout, entry: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let mut compare = |what: String, rust: Option<(usize, usize)>, spec: Option<(usize, usize)>| {
        if rust != spec {
            found.push(format!("{}: {what} is {rust:?}, the spec says {spec:?}", layout.name));
        }
    };
    let spec_size = (number(entry, "size"), number(entry, "align"));
    compare("(size, align)".into(), Some((layout.size, layout.align)), Some(spec_size));
    let fields = spec_fields(entry);
    for name in fields.keys().chain(layout.fields.keys()) {
        let place = format!("(offset, size) of {name}");
        compare(place, layout.fields.get(name).copied(), fields.get(name).copied());
    }
    found
}

#[test]
fn structures_match_the_spec() {
    let spec = spec();
    for arch in ARCHS {
        for layout in layouts().into_iter().chain(trb_layouts()).chain(layouts_of_one_arch(arch)) {
            let entry = &spec[arch][layout.name];
            assert!(entry.is_object(), "{arch} has no structure {}", layout.name);
            let differences = differences(&layout, entry);
            assert!(differences.is_empty(), "{arch}: {differences:#?}");
        }
    }
}

#[test]
fn buffers_have_the_measured_parts() {
    let spec = spec();
    for arch in ARCHS {
        let fields = spec_fields(&spec[arch]["PTOBufferHandle"]);
        assert_eq!(fields, BTreeMap::from([("addr", (0, 8)), ("size", (8, 8))]));
        assert_eq!(spec[arch]["SdmaEventRecord"].is_object(), !layouts_of_one_arch(arch).is_empty());
    }
}

#[test]
fn a_missing_added_or_moved_field_is_reported() {
    let spec = spec();
    let entry = &spec["a5"]["TensorAllocationInfo"];
    let layout = |fields: &[(&'static str, (usize, usize))]| Layout {
        name: "TensorAllocationInfo",
        size: 16,
        align: 8,
        fields: fields.iter().copied().collect(),
    };
    let good = [("base_addr", (0, 8)), ("size_bytes", (8, 8))];
    assert!(differences(&layout(&good), entry).is_empty());
    assert!(!differences(&layout(&good[..1]), entry).is_empty());
    assert!(!differences(&layout(&[good[0], ("size_bytes", (4, 8))]), entry).is_empty());
    assert!(!differences(&layout(&[good[0], good[1], ("extra", (16, 8))]), entry).is_empty());
    assert!(!differences(&Layout { align: 4, ..layout(&good) }, entry).is_empty());
}

/// Compares an enum with its JSON entry. `count_name` is the name of the entry that only counts the values.
fn check_enum(name: &str, size: usize, values: &[(&str, i64)], count_name: Option<&str>) {
    let spec = spec();
    for arch in ARCHS {
        let entry = &spec["enums"][arch][name];
        assert_eq!(number(entry, "size"), size, "{arch} {name}");
        let expected: BTreeMap<&str, i64> = entry["values"]
            .as_object()
            .expect("values is an object")
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_i64().expect("value is a number")))
            .collect();
        let mut actual: BTreeMap<&str, i64> = values.iter().copied().collect();
        actual.extend(count_name.map(|count_name| (count_name, i64::try_from(values.len()).unwrap())));
        assert_eq!(actual, expected, "{arch} {name}");
    }
}

macro_rules! check_enums {
    ($($ty:ident $(named $name:literal)? $(counted by $count:literal)?),+ $(,)?) => {
        $({
            let values: Vec<_> = $ty::ALL.iter().map(|value| (value.name(), i64::from(value.raw()))).collect();
            let name = [stringify!($ty), $($name)?];
            let count_name: Option<&str> = None $(.or(Some($count)))?;
            check_enum(name[name.len() - 1], size_of::<$ty>(), &values, count_name);
        })+
    };
}

#[test]
fn enums_match_the_spec() {
    check_enums!(DataType counted by "DATA_TYPE_NUM", ArgDirection, TensorArgType, CoreType);
    check_enums!(
        OverlapStatus,
        ScopeMode named "PTO2ScopeMode",
        SubtaskSlot named "PTO2SubtaskSlot",
        ResourceShape named "PTO2ResourceShape",
    );
    // Its names carry a prefix in C++.
    let engines: Vec<(String, i64)> = AsyncEngine::ALL
        .iter()
        .map(|engine| (format!("ASYNC_ENGINE_{engine}"), i64::from(engine.raw())))
        .collect();
    let engines: Vec<(&str, i64)> = engines.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    check_enum("AsyncEngine", size_of::<AsyncEngine>(), &engines, Some("NUM_ASYNC_ENGINES"));
    // The enum of C++ ends with the counters; the other type is a plain constant, and exists on a2a3 only.
    let counter = [("COUNTER", i64::from(CompletionType::Counter.raw()))];
    check_enum("CompletionType", size_of::<CompletionType>(), &counter, None);
}

/// The values of all trb constants of a chip whose names start with `prefix`, by the rest of their names.
fn trb_constants<'a>(spec: &'a Value, arch: &str, prefix: &str) -> BTreeMap<&'a str, i64> {
    let constants = spec["constants"][arch]["trb"].as_object().expect("constants are an object");
    let matching = constants.iter().filter_map(|(name, value)| Some((name.strip_prefix(prefix)?, value)));
    matching.map(|(name, value)| (name, value.as_i64().expect("constant is a number"))).collect()
}

#[test]
fn trb_codes_match_the_spec() {
    let spec = spec();
    for arch in ARCHS {
        let mut codes: BTreeMap<&str, i64> =
            TrbErrorCode::ALL.iter().map(|code| (code.name(), code.code().into())).collect();
        codes.insert("NONE", trb::ERROR_NONE.into());
        assert_eq!(trb_constants(&spec, arch, "PTO2_ERROR_"), codes);
        let engines: BTreeMap<&str, i64> =
            AsyncEngine::ALL.iter().map(|engine| (engine.name(), engine.raw().into())).collect();
        assert_eq!(trb_constants(&spec, arch, "COMPLETION_ENGINE_"), engines);
        let types =
            CompletionType::ALL.iter().filter(|kind| arch == "a2a3" || **kind == CompletionType::Counter);
        let types: BTreeMap<&str, i64> = types.map(|kind| (kind.name(), kind.raw().into())).collect();
        assert_eq!(trb_constants(&spec, arch, "COMPLETION_TYPE_"), types);
        let mask = BTreeMap::from([
            ("AIC", ActiveMask::AIC.into()),
            ("AIV0", ActiveMask::AIV0.into()),
            ("AIV1", ActiveMask::AIV1.into()),
        ]);
        assert_eq!(trb_constants(&spec, arch, "PTO2_SUBTASK_MASK_"), mask);
        let kernel = trb_constants(&spec, arch, "INVALID_KERNEL_ID");
        assert_eq!(kernel, BTreeMap::from([("", trb::INVALID_KERNEL_ID.into())]));
    }
    let invalid = format!("{:#x}", TaskToken::INVALID.raw);
    assert_eq!(spec["derived"]["PTO2_TASK_ID_INVALID"].as_str(), Some(invalid.as_str()));
}

macro_rules! constants {
    ($($name:ident),+ $(,)?) => { [$((stringify!($name), task_interface::$name)),+] };
}

fn check_constants(group: &Value, constants: &[(&str, usize)]) {
    for (name, value) in constants {
        assert_eq!(number(group, name), *value, "{name}");
    }
}

#[test]
fn constants_match_the_spec() {
    let spec = spec();
    for arch in ARCHS {
        check_constants(
            &spec["constants"][arch]["common"],
            &constants![
                CORE_MAX_TENSOR_ARGS,
                CORE_MAX_SCALAR_ARGS,
                CHIP_MAX_TENSOR_ARGS,
                CHIP_MAX_SCALAR_ARGS,
                CALLABLE_ALIGN,
                CALLABLE_FUNC_NAME_MAX,
                MAX_REGISTERED_CALLABLE_IDS,
                CONTINUOUS_TENSOR_MAX_DIMS,
                TASK_ARGS_BLOB_HEADER_SIZE,
                COMM_MAX_RANK_NUM,
                PLATFORM_CORES_PER_BLOCKDIM,
                PLATFORM_AIC_CORES_PER_BLOCKDIM,
                PLATFORM_AIV_CORES_PER_BLOCKDIM,
            ],
        );
        check_constants(
            &spec["constants"][arch]["hbg"],
            &constants![RUNTIME_MAX_TASKS, RUNTIME_MAX_ARGS, RUNTIME_MAX_FANOUT, RUNTIME_MAX_FUNC_ID],
        );
    }
    check_constants(
        &spec["derived"],
        &constants![CORE_CALLABLE_BINARY_OFFSET, CHIP_CALLABLE_HEADER_SIZE, CHIP_CALLABLE_MAX_CHILDREN],
    );
    assert_eq!(number(&spec["derived"], "CHILD_OFFSET_ALIGN_IN_STORAGE"), task_interface::CALLABLE_ALIGN);
    for (name, value) in [
        ("FNV1A64_OFFSET_BASIS", task_interface::FNV1A64_OFFSET_BASIS),
        ("FNV1A64_PRIME", task_interface::FNV1A64_PRIME),
    ] {
        assert_eq!(spec["derived"][name].as_str(), Some(format!("{value:#018x}").as_str()), "{name}");
    }
}

#[test]
fn trb_limits_match_the_spec() {
    let spec = spec();
    let public = [
        ("MAX_TENSOR_ARGS", trb::MAX_TENSOR_ARGS as u64),
        ("MAX_SCALAR_ARGS", trb::MAX_SCALAR_ARGS as u64),
        ("PTO2_DISPATCH_MAX_ARGS", trb::DISPATCH_MAX_ARGS as u64),
        ("SPMD_LOCAL_CONTEXT_INDEX", trb::SLOT_LOCAL_CONTEXT as u64),
        ("SPMD_GLOBAL_CONTEXT_INDEX", trb::SLOT_GLOBAL_CONTEXT as u64),
        ("PAYLOAD_LOCAL_CONTEXT_INDEX", trb::SLOT_LOCAL_CONTEXT as u64),
        ("PAYLOAD_GLOBAL_CONTEXT_INDEX", trb::SLOT_GLOBAL_CONTEXT as u64),
        ("PTO2_MAX_RING_DEPTH", trb::MAX_RING_DEPTH as u64),
        ("PTO2_TASK_WINDOW_SIZE", trb::TASK_WINDOW_SIZE as u64),
        ("PTO2_HEAP_SIZE", trb::HEAP_SIZE),
        ("PTO2_DEP_LIST_POOL_SIZE", trb::DEP_POOL_SIZE as u64),
        ("PTO2_FANIN_INLINE_CAP", trb::FANIN_INLINE_CAP as u64),
        ("PTO2_TENSORMAP_POOL_SIZE", trb::TENSORMAP_POOL_SIZE as u64),
        ("PTO2_TENSORMAP_NUM_BUCKETS", trb::TENSORMAP_NUM_BUCKETS as u64),
        ("PTO2_TENSORMAP_CLEANUP_INTERVAL", trb::TENSORMAP_CLEANUP_INTERVAL as u64),
        ("PTO2_DEP_POOL_CLEANUP_INTERVAL", trb::DEP_POOL_CLEANUP_INTERVAL as u64),
        ("PTO2_MAX_SCOPE_DEPTH", trb::MAX_SCOPE_DEPTH as u64),
        ("PTO2_SCOPE_TASKS_CAP", trb::SCOPE_TASKS_CAP as u64),
        ("PTO2_READY_QUEUE_SIZE", trb::READY_QUEUE_SIZE as u64),
        ("PTO2_WRIRING_QUEUE_SIZE", trb::WIRING_QUEUE_SIZE as u64),
        ("PTO2_ALIGN_SIZE", trb::HEAP_ALIGN),
        ("PTO2_PACKED_OUTPUT_ALIGN", trb::PACKED_OUTPUT_ALIGN),
        ("MAX_COMPLETIONS_PER_TASK", trb::MAX_COMPLETIONS_PER_TASK as u64),
        ("PTO2_TENSOR_DATA_TIMEOUT_CYCLES", trb::TENSOR_DATA_TIMEOUT_TICKS),
        ("PTO2_SUBTASK_FLAG_SYNC_START", ActiveMask::SYNC_START as u64),
    ];
    let internal = [
        ("MAX_ASYNC_WAITS", trb::MAX_ASYNC_WAITS as u64),
        ("MAX_PENDING_COMPLETIONS", trb::MAX_PENDING_COMPLETIONS as u64),
        ("PTO2_ALLOC_SPIN_LIMIT", trb::ALLOC_SPIN_LIMIT as u64),
        ("MAX_IDLE_ITERATIONS", trb::MAX_IDLE_POLLS_SIM as u64),
    ];
    for arch in ARCHS {
        for (group, limits) in [("trb", &public[..]), ("trb_internal", &internal[..])] {
            for (name, limit) in limits {
                assert_eq!(spec["constants"][arch][group][name].as_u64(), Some(*limit), "{arch} {name}");
            }
        }
        assert_eq!(
            number(&spec["constants"][arch]["trb"], "RUNTIME_MAX_TENSOR_DIMS"),
            task_interface::CONTINUOUS_TENSOR_MAX_DIMS
        );
        assert_eq!(
            number(&spec["constants"][arch]["trb"], "PTO2_SUBTASK_SLOT_COUNT"),
            SubtaskSlot::ALL.len()
        );
    }
}
