//! The files as the contract shows them, and what readers say of files that are not so.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is the report of a test")]

use std::fs;
use std::path::Path;

use run_records::deps::{Arg, ArgKind, ArgTensor, Edge, Overlap, Reason, Scope, Task, TensorVersion, View};
use run_records::dump::{DumpedTensor, Role, Stage};
use run_records::pmu::PmuRow;
use run_records::scope::{Border, Header, Record};
use run_records::summary::HostStages;
use run_records::swimlane::{OrchestratorPhase, OrchestratorWork, SchedulerPhase, SchedulerWork, TaskRecord};
use run_records::{
    Deps, Dump, Micros, Pmu, Run, ScopeStats, Summary, Swimlane, deps, dump, pmu, scope, summary, swimlane,
};
use task_interface::{CoreType, DataType};

fn us(nanos: i64) -> Micros {
    Micros::from_nanos(nanos)
}

fn swimlane() -> Swimlane {
    let task = TaskRecord {
        dispatch: us(11_900),
        finish: us(15_480),
        fanout: Some(vec![4_294_967_300]),
        fanout_count: Some(1),
        ..TaskRecord::new(4_294_967_299, 2, (5, CoreType::Aiv), us(12_340), us(15_100))
    };
    let scheduled = |phase, pop: Option<u32>| SchedulerPhase {
        start: us(1_000),
        end: us(1_200),
        phase,
        loop_iter: 3,
        tasks_processed: 2,
        pop_hit: pop,
        pop_miss: pop,
    };
    let submit = OrchestratorPhase {
        phase: OrchestratorWork::OrchSubmit,
        start: us(500),
        end: us(800),
        submit_idx: 0,
        task_id: 4_294_967_299,
    };
    Swimlane {
        level: 4,
        tasks: vec![task, TaskRecord::new(u64::MAX, 0, (0, CoreType::Aic), us(0), us(1))],
        scheduler: Some(vec![
            vec![scheduled(SchedulerWork::Complete, None), scheduled(SchedulerWork::Dispatch, Some(1))],
            vec![],
        ]),
        orchestrator: Some(vec![vec![], vec![submit]]),
        core_to_thread: Some(vec![0, 1, -1]),
    }
}

const SWIMLANE: &str = r#"{
  "l2_perf_level": 4,
  "tasks": [
    {"task_id": 4294967299, "func_id": 2, "core_id": 5, "core_type": "aiv", "ring_id": 1, "start_time_us": 12.340, "end_time_us": 15.100, "duration_us": 2.760, "dispatch_time_us": 11.900, "finish_time_us": 15.480, "fanout": [4294967300], "fanout_count": 1},
    {"task_id": 18446744073709551615, "func_id": 0, "core_id": 0, "core_type": "aic", "ring_id": 4294967295, "start_time_us": 0.000, "end_time_us": 0.001, "duration_us": 0.001, "dispatch_time_us": 0.000, "finish_time_us": 0.000}
  ],
  "aicpu_scheduler_phases": [
    [
      {"start_time_us": 1.000, "end_time_us": 1.200, "phase": "complete", "loop_iter": 3, "tasks_processed": 2},
      {"start_time_us": 1.000, "end_time_us": 1.200, "phase": "dispatch", "loop_iter": 3, "tasks_processed": 2, "pop_hit": 1, "pop_miss": 1}
    ],
    []
  ],
  "aicpu_orchestrator_phases": [
    [],
    [
      {"phase": "orch_submit", "start_time_us": 0.500, "end_time_us": 0.800, "submit_idx": 0, "task_id": 4294967299}
    ]
  ],
  "core_to_thread": [0, 1, -1]
}
"#;

fn deps() -> Deps {
    let view = || View { shape: vec![16, 16], start_offset: 0, strides: vec![16, 1] };
    let tensor = || ArgTensor { tensor_id: 123, dtype: DataType::Float32.into(), view: view() };
    let edge = |reason, succ, arg| Edge { pred: 1, succ, arg, reason };
    Deps {
        tasks: vec![Task {
            task_id: 4_294_967_299,
            scope: Scope::Auto,
            args: vec![
                Arg { idx: 0, kind: ArgKind::Input, tensor: Some(tensor()) },
                Arg { idx: 1, kind: ArgKind::Output, tensor: None },
            ],
        }],
        tensors: vec![TensorVersion {
            tensor_id: 123,
            buffer_addr: 4096,
            version: 0,
            dtype: DataType::Float32.into(),
            buffer_numel: u64::MAX,
        }],
        edges: vec![
            edge(Reason::Explicit, 2, -1),
            edge(Reason::Creator { consumer: tensor() }, 2, 0),
            edge(Reason::Tensormap { overlap: Overlap::Covered, consumer: tensor(), producer: view() }, 3, 0),
        ],
    }
}

const DEPS: &str = concat!(
    r#"{"tasks":[{"task_id":"4294967299","scope":"auto","args":[{"idx":0,"type":"INPUT","tensor_id":"123","#,
    r#""dtype":"FLOAT32","shape":[16,16],"start_offset":"0","strides":[16,1]},{"idx":1,"type":"OUTPUT"}]}],"#,
    r#""tensors":[{"tensor_id":"123","buffer_addr":"4096","version":0,"dtype":"FLOAT32","#,
    r#""buffer_numel":"18446744073709551615"}],"#,
    r#""edges":[{"pred":"1","succ":"2","arg":-1,"source":"explicit"},"#,
    r#"{"pred":"1","succ":"2","arg":0,"source":"creator","tensor_id":"123","consumer_dtype":"FLOAT32","#,
    r#""consumer_shape":[16,16],"consumer_start_offset":"0","consumer_strides":[16,1]},"#,
    r#"{"pred":"1","succ":"3","arg":0,"source":"tensormap","overlap":"covered","tensor_id":"123","#,
    r#""consumer_dtype":"FLOAT32","consumer_shape":[16,16],"consumer_start_offset":"0","#,
    r#""consumer_strides":[16,1],"producer_shape":[16,16],"producer_start_offset":"0","#,
    r#""producer_strides":[16,1]}]}"#
);

fn scope_stats() -> ScopeStats {
    ScopeStats {
        header: Header {
            version: scope::VERSION,
            fatal: false,
            dropped: 0,
            total: 1,
            task_window_max: [16384; 4],
            heap_max: [268_435_456; 4],
            tensormap_max: 65536,
        },
        records: vec![Record {
            site: "orch.cpp:41".to_owned(),
            phase: Border::Begin,
            depth: 1,
            ring: 1,
            task_window_start: 0,
            task_window_end: 7,
            heap_start: 0,
            heap_end: 1024,
            tensormap: 3,
        }],
    }
}

const SCOPE_STATS: &str = concat!(
    r#"{"version": 4, "fatal": false, "dropped": 0, "total": 1, "task_window_max": [16384, 16384, 16384, 16384], "#,
    r#""heap_max": [268435456, 268435456, 268435456, 268435456], "tensormap_max": 65536}"#,
    "\n",
    r#"{"site": "orch.cpp:41", "phase": "begin", "depth": 1, "ring": 1, "task_window_start": 0, "#,
    r#""task_window_end": 7, "heap_start": 0, "heap_end": 1024, "tensormap": 3}"#,
    "\n"
);

fn pmu() -> Pmu {
    Pmu {
        counters: vec!["vec_busy_cycles".to_owned(), "icache_miss".to_owned()],
        rows: vec![PmuRow {
            thread_id: 0,
            core_id: 5,
            task_id: 4_294_967_299,
            func_id: 2,
            core_type: CoreType::Aiv,
            total_cycles: 18321,
            values: vec![10, 0],
            event_type: 2,
        }],
    }
}

const PMU: &str =
    "thread_id,core_id,task_id,func_id,core_type,pmu_total_cycles,vec_busy_cycles,icache_miss,event_type
0,5,0x0000000100000003,2,1,18321,10,0,2
";

fn dump() -> Dump {
    let tensor = |stage, arg_index| DumpedTensor {
        task_id: 4_294_967_299,
        subtask_id: 1,
        func_id: 2,
        role: Role::Inout,
        stage,
        arg_index,
        dtype: DataType::Float32.into(),
        is_contiguous: true,
        shape: vec![1, 2],
        strides: vec![2, 1],
        start_offset: 0,
        numel: 2,
        bin_offset: 4,
        bin_size: 8,
        truncated: false,
        overwritten: false,
    };
    Dump::new(vec![tensor(Stage::AfterCompletion, 0), tensor(Stage::BeforeDispatch, 1)], 3)
}

const DUMP: &str = r#"{
  "run_dir": "tensor_dump",
  "bin_format": {"type": "logical_contiguous", "byte_order": "little_endian"},
  "total_tensors": 2,
  "before_dispatch": 1,
  "after_completion": 1,
  "input_tensors": 0,
  "output_tensors": 0,
  "inout_tensors": 2,
  "truncated_tensors": 0,
  "dropped_records": 3,
  "dropped_overwrite": 0,
  "bin_file": "tensor_dump.bin",
  "tensors": [
    {"task_id": "0x0000000100000003", "subtask_id": 1, "func_id": 2, "role": "inout", "stage": "before_dispatch", "arg_index": 1, "dtype": "FLOAT32", "is_contiguous": true, "shape": [1, 2], "strides": [2, 1], "start_offset": 0, "numel": 2, "bin_offset": 4, "bin_size": 8, "truncated": false, "overwritten": false},
    {"task_id": "0x0000000100000003", "subtask_id": 1, "func_id": 2, "role": "inout", "stage": "after_completion", "arg_index": 0, "dtype": "FLOAT32", "is_contiguous": true, "shape": [1, 2], "strides": [2, 1], "start_offset": 0, "numel": 2, "bin_offset": 4, "bin_size": 8, "truncated": false, "overwritten": false}
  ]
}
"#;

fn summary() -> Summary {
    Summary {
        host_stages: HostStages {
            prepare: us(812_500),
            launch: us(20_000),
            wait: us(4_021_000),
            copy_back: us(33_250),
            export: us(1_200_001),
        },
        lost_records: 3,
        tasks_without_kernel: Some(vec![7, 4_294_967_299]),
    }
}

const SUMMARY: &str = r#"{"host_stages_us": {"prepare": 812.500, "launch": 20.000, "wait": 4021.000, "copy_back": 33.250, "export": 1200.001}, "lost_records": 3, "tasks_without_kernel": ["7", "4294967299"]}
"#;

fn run() -> Run {
    Run {
        swimlane: Some(swimlane()),
        deps: Some(deps()),
        scope_stats: Some(scope_stats()),
        pmu: Some(pmu()),
        dump: Some(dump()),
        summary: Some(summary()),
    }
}

const DUMP_INDEX: &str = "tensor_dump/tensor_dump.json";

#[test]
fn files_are_those_of_the_contract_and_come_back() {
    let scratch = tempfile::tempdir().unwrap();
    let directory = scratch.path().join("new/folder");
    run().write(&directory).unwrap();
    for (file, text) in [
        (swimlane::FILE, SWIMLANE),
        (deps::FILE, DEPS),
        (scope::FILE, SCOPE_STATS),
        (pmu::FILE, PMU),
        (DUMP_INDEX, DUMP),
        (summary::FILE, SUMMARY),
    ] {
        assert_eq!(fs::read_to_string(directory.join(file)).unwrap(), text, "{file}");
    }
    assert_eq!(Run::read(&directory).unwrap(), run());
}

#[test]
fn other_layouts_of_the_same_json_are_read_too() {
    let scratch = tempfile::tempdir().unwrap();
    // Lines broken elsewhere, keys in another order, keys of other versions.
    let text = SWIMLANE
        .replace(", \"start_time_us\"", ",\n      \"start_time_us\"")
        .replace("\"l2_perf_level\": 4,", "\"l2_perf_level\": 4, \"version\": 2,")
        .replace("\"phase\": \"complete\"", "\"phase\": \"pondering\"");
    fs::write(scratch.path().join(swimlane::FILE), text).unwrap();
    let read = Swimlane::read(scratch.path()).unwrap().unwrap();
    assert_eq!(read.tasks, swimlane().tasks);
    assert_eq!(read.scheduler.unwrap()[0][0].phase, SchedulerWork::Unknown);
    // Level 1 has no phases.
    fs::write(scratch.path().join(swimlane::FILE), "{\"l2_perf_level\": 1, \"tasks\": []}").unwrap();
    let read = Swimlane::read(scratch.path()).unwrap().unwrap();
    assert_eq!(read, Swimlane { level: 1, ..Swimlane::default() });
}

#[test]
fn whoever_does_not_know_which_tasks_have_no_kernel_does_not_say() {
    let unsaid = Summary { tasks_without_kernel: None, ..summary() };
    let text = String::from_utf8(unsaid.to_json()).unwrap();
    assert!(!text.contains("tasks_without_kernel"), "{text}");
    let scratch = tempfile::tempdir().unwrap();
    unsaid.write(scratch.path()).unwrap();
    assert_eq!(Summary::read(scratch.path()).unwrap(), Some(unsaid));
}

#[test]
fn what_is_not_there_is_none_but_a_folder_has_to_be() {
    let scratch = tempfile::tempdir().unwrap();
    assert!(Run::read(scratch.path()).unwrap().is_empty());
    let missing = scratch.path().join("missing");
    let error = Run::read(&missing).unwrap_err().to_string();
    assert!(error.starts_with(&format!("cannot read {}: ", missing.display())), "{error}");
}

#[test]
fn a_folder_that_cannot_be_made_fails_with_its_name() {
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("file");
    fs::write(&file, "").unwrap();
    let error = run().write(&file).unwrap_err().to_string();
    assert!(error.contains("file/l2_perf_records.json") && error.contains("output folder"), "{error}");
}

/// Changes one place of a file and returns what reading says, without the path and the advice.
fn said(file: &str, text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "{file} has no {from}");
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join(file);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, text.replacen(from, to, 1)).unwrap();
    let error = Run::read(scratch.path()).expect_err(to).to_string();
    let said = error.strip_prefix(&path.display().to_string()).expect(&error).to_owned();
    let (said, advice) = said.split_once("; the file is damaged").expect(&said);
    assert!(advice.contains("run again"));
    said.strip_prefix(", ").unwrap().to_owned()
}

#[test]
fn errors_name_file_place_and_reason() {
    let cases = [
        (
            summary::FILE,
            SUMMARY,
            "\"7\"",
            "\"-7\"",
            r#"line 1, column 168: invalid value: string "-7", expected a 64-bit number in decimal"#,
        ),
        (
            swimlane::FILE,
            SWIMLANE,
            "\"aiv\"",
            "\"aix\"",
            r#"line 4, column 74: invalid value: string "aix", expected "aic" or "aiv""#,
        ),
        (
            swimlane::FILE,
            SWIMLANE,
            "12.340",
            "\"12\"",
            r#"line 4, column 111: invalid type: string "12", expected f64"#,
        ),
        (swimlane::FILE, SWIMLANE, "\"func_id\": 2, ", "", "line 4, column 242: missing field `func_id`"),
        (
            swimlane::FILE,
            SWIMLANE,
            "\"task_id\": 4294967299",
            "\"task_id\": -1",
            "line 4, column 18: invalid value: integer `-1`, expected u64",
        ),
        (swimlane::FILE, SWIMLANE, "]\n}\n", "]\n", "line 21, column 0: EOF while parsing an object"),
        (
            deps::FILE,
            DEPS,
            "\"task_id\":\"4294967299\"",
            "\"task_id\":\"+1\"",
            r#"line 1, column 25: invalid value: string "+1", expected a 64-bit number in decimal"#,
        ),
        (deps::FILE, DEPS, "\"tensor_id\":\"123\",", "", "line 1, column 152: missing field `tensor_id`"),
        (
            deps::FILE,
            DEPS,
            "FLOAT32",
            "FLOAT",
            r#"line 1, column 114: invalid value: string "FLOAT", expected the name of an element type"#,
        ),
        (deps::FILE, DEPS, "\"overlap\":\"covered\",", "", "line 1, column 813: missing field `overlap`"),
        (
            deps::FILE,
            DEPS,
            "\"buffer_numel\":\"18446744073709551615\"",
            "\"buffer_numel\":\"18446744073709551616\"",
            r#"line 1, column 318: invalid value: string "18446744073709551616", expected a 64-bit number in decimal"#,
        ),
        (
            scope::FILE,
            SCOPE_STATS,
            "\"version\": 4",
            "\"version\": 3",
            "line 1: version 3 is not known, only 4",
        ),
        (
            scope::FILE,
            SCOPE_STATS,
            "\"begin\"",
            "\"middle\"",
            "line 2, column 41: unknown variant `middle`, expected `begin` or `end`",
        ),
        (scope::FILE, SCOPE_STATS, SCOPE_STATS, "\n", "line 1: the header is missing"),
        (
            scope::FILE,
            SCOPE_STATS,
            "[16384, ",
            "[",
            "line 1, column 97: invalid length 3, expected an array of length 4",
        ),
        (pmu::FILE, PMU, "core_id,", "", "line 1: the header is"),
        (pmu::FILE, PMU, ",10,0,2", ",10,2", "line 2: 8 values, but the header has 9 columns"),
        (pmu::FILE, PMU, ",10,", ",x,", "line 2: vec_busy_cycles is \"x\", not a number that fits"),
        (
            pmu::FILE,
            PMU,
            "0x0000000100000003",
            "4294967299",
            "line 2: task_id is \"4294967299\", not a 64-bit number in hexadecimal",
        ),
        (pmu::FILE, PMU, ",2,1,", ",2,2,", "line 2: core_type is 2, not 0 (AIC) or 1 (AIV)"),
        (
            DUMP_INDEX,
            DUMP,
            "0x0000000100000003",
            "0x+1",
            r#"line 15, column 22: invalid value: string "0x+1", expected a 64-bit number in hexadecimal"#,
        ),
        (
            DUMP_INDEX,
            DUMP,
            "\"inout\"",
            "\"outin\"",
            "line 15, column 84: unknown variant `outin`, expected one of `input`, `output`, `inout`",
        ),
    ];
    let mut wrong = Vec::new();
    for (file, text, from, to, expected) in cases {
        let said = said(file, text, from, to);
        if !said.starts_with(expected) {
            wrong.push(format!("{file}, {to}:\n{said}\n{expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn tensors_are_read_from_the_dump() {
    let scratch = tempfile::tempdir().unwrap();
    let (folder, dump) = (scratch.path().join(dump::FOLDER), dump());
    fs::create_dir(&folder).unwrap();
    let missing = dump.bytes_of(scratch.path(), &dump.tensors[0]).unwrap_err();
    assert!(missing.to_string().contains("tensor_dump.bin"), "{missing}");
    fs::write(folder.join(dump::BYTES), (0..12).collect::<Vec<u8>>()).unwrap();
    assert_eq!(dump.bytes_of(scratch.path(), &dump.tensors[0]).unwrap(), (4..12).collect::<Vec<u8>>());
    fs::write(folder.join(dump::BYTES), [0; 10]).unwrap();
    let short = dump.bytes_of(scratch.path(), &dump.tensors[0]).unwrap_err().to_string();
    assert!(short.contains("byte 4: only 6 of 8 bytes"), "{short}");
}

#[test]
fn a_heap_is_used_in_a_circle() {
    let mut record = scope_stats().records.remove(0);
    assert_eq!((record.tasks_alive(), record.heap_used(4096)), (7, 1024));
    (record.heap_start, record.heap_end) = (3072, 512);
    assert_eq!(record.heap_used(4096), 1536);
    assert_eq!(record.heap_used(0), 0);
}

#[test]
fn tensor_ids_are_hashes_of_address_and_version() {
    // FNV-1a of no bytes is its basis; of twelve zero bytes the basis times the prime to the twelfth.
    let zeros = (0..12).fold(0xcbf2_9ce4_8422_2325_u64, |hash, _| hash.wrapping_mul(0x0100_0000_01b3));
    assert_eq!(deps::tensor_id(0, 0), zeros);
    assert_ne!(deps::tensor_id(1, 0), deps::tensor_id(0, 1));
}

/// Files of a run that was killed by something that does not replace them as a whole.
#[test]
fn files_cut_anywhere_are_refused_or_shorter() {
    let scratch = tempfile::tempdir().unwrap();
    for (file, text) in [
        (swimlane::FILE, SWIMLANE),
        (deps::FILE, DEPS),
        (scope::FILE, SCOPE_STATS),
        (pmu::FILE, PMU),
        (summary::FILE, SUMMARY),
    ] {
        let path = scratch.path().join(Path::new(file).file_name().unwrap());
        let path = if file == scope::FILE { scratch.path().join(file) } else { path };
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        for cut in (0..text.len()).step_by(5) {
            fs::write(&path, &text[..cut]).unwrap();
            if let Ok(read) = Run::read(scratch.path()) {
                assert_ne!(read, Run::default(), "{file} cut at {cut}");
            }
        }
        fs::remove_file(path).unwrap();
    }
}
