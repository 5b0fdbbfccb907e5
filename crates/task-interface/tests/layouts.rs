//! Compares every wire structure, enum and constant of this crate with the measured `spec/public-layouts.json`, for
//! both chips.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is the report of a test")]

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;
use task_interface::{
    ArgDirection, CallConfig, ChipCallableHeader, ChipStorageTaskArgs, ContinuousTensor, CoreCallableHeader,
    CoreType, DataType, HostApi, OrchestrationRuntime, OrchestrationRuntimeOps, PtoRunTiming, TaskArgsView,
    TensorAllocationInfo, TensorArgType, TensorInfo,
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

fn spec() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../spec/public-layouts.json");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap()
}

fn number(value: &Value, key: &str) -> usize {
    let number = value[key].as_u64().unwrap_or_else(|| panic!("no number {key} in {value}"));
    usize::try_from(number).unwrap()
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
    // C++ private members end in an underscore, the Rust fields do not.
    let fields: BTreeMap<&str, (usize, usize)> = entry["fields"]
        .as_array()
        .expect("fields is a list")
        .iter()
        .map(|field| {
            let name = field["name"].as_str().expect("field has a name").trim_end_matches('_');
            (name, (number(field, "offset"), number(field, "size")))
        })
        .collect();
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
        for layout in layouts() {
            let entry = &spec[arch][layout.name];
            assert!(entry.is_object(), "{arch} has no structure {}", layout.name);
            let differences = differences(&layout, entry);
            assert!(differences.is_empty(), "{arch}: {differences:#?}");
        }
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
    ($($ty:ident $(counted by $count:literal)?),+ $(,)?) => {
        $({
            let values: Vec<_> = $ty::ALL.iter().map(|value| (value.name(), i64::from(value.raw()))).collect();
            let count_name: Option<&str> = None $(.or(Some($count)))?;
            check_enum(stringify!($ty), size_of::<$ty>(), &values, count_name);
        })+
    };
}

#[test]
fn enums_match_the_spec() {
    check_enums!(DataType counted by "DATA_TYPE_NUM", ArgDirection, TensorArgType, CoreType);
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
