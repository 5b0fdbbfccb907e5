//! What runs record: when it is written, and what happens to it on every other way out.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is the report of a test")]

mod common;

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use common::{Bench, add, args, is_injected, native_callable, quiet_injected_panics};
use device_runner::testing::Fault;
use device_runner::{CallableId, DeviceError, RunOutcome, RunnerError, VariantError};
use run_records::{Micros, RecordsError, Run};
use task_interface::{CallConfig, CallConfigError};

const SWITCHES: [fn(&mut CallConfig); 5] = [
    |config| config.enable_l2_swimlane = 4,
    |config| config.enable_dump_tensor = 1,
    |config| config.enable_pmu = 2,
    |config| config.enable_dep_gen = 1,
    |config| config.enable_scope_stats = 1,
];

/// Everything on, into `folder`.
fn all(folder: &Path) -> CallConfig {
    let mut config = CallConfig::default();
    SWITCHES.iter().for_each(|switch| switch(&mut config));
    config.set_output_prefix(&folder.to_string_lossy()).unwrap();
    config
}

/// A bench with a callable that adds 1 and 10.
fn eleven() -> (Bench, CallableId) {
    let bench = Bench::new();
    let id = bench.register(&native_callable(vec![add(1), add(10)]));
    (bench, id)
}

fn run(bench: &Bench, id: CallableId, config: &CallConfig) -> Result<RunOutcome, RunnerError> {
    bench.runner.run(id, &args(&[1, 2, 3]), config)
}

/// All files of a folder and those below it, hidden ones too.
fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path.strip_prefix(folder).unwrap().to_string_lossy().into_owned());
            }
        }
    }
    found.sort();
    found
}

const FILES: [&str; 7] = [
    "deps.json",
    "l2_perf_records.json",
    "pmu.csv",
    "run.json",
    "scope_stats/scope_stats.jsonl",
    "tensor_dump/tensor_dump.bin",
    "tensor_dump/tensor_dump.json",
];

#[test]
fn a_run_writes_what_is_asked_for_and_so_does_the_next() {
    let (bench, id) = eleven();
    let scratch = tempfile::tempdir().unwrap();
    let idle = bench.runner.report();
    for round in 0..3 {
        let folder = scratch.path().join(format!("round/{round}"));
        let outcome = run(&bench, id, &all(&folder)).unwrap();
        assert_eq!(bench.probe.output(), [12, 13, 14]);
        assert_eq!(files(&folder), FILES);
        // Two runs of kernels, two samples, a tensor and a graph of one task.
        assert_eq!((outcome.recorded.records, outcome.recorded.lost), (6, 0));
        let stages = outcome.stages;
        let sum = stages.prepare + stages.launch + stages.wait + stages.copy_back + stages.export;
        assert!(sum <= outcome.host_wall && !stages.export.is_zero(), "{outcome:?}");
        let written = Run::read(&folder).unwrap();
        let summary = written.summary.unwrap();
        let nanos = |time: Duration| Micros::from_nanos(i64::try_from(time.as_nanos()).unwrap());
        let (told, of_prepare) = (summary.host_stages, nanos(stages.prepare));
        assert_eq!((told.prepare, told.wait), (of_prepare, nanos(stages.wait)));
        assert!(told.export > Micros::default() && told.export <= nanos(stages.export), "{told:?}");
        assert_eq!((summary.lost_records, summary.tasks_without_kernel), (0, None));
        let swimlane = written.swimlane.unwrap();
        assert_eq!((swimlane.level, swimlane.tasks.len()), (4, 2));
        assert_eq!(swimlane.tasks[0].fanout.as_deref(), Some(&[][..]));
        assert_eq!(written.pmu.unwrap().counters, ["busy"]);
        let dump = written.dump.unwrap();
        let bytes = dump.bytes_of(&folder, &dump.tensors[0]).unwrap();
        assert_eq!(bytemuck::pod_collect_to_vec::<u8, u64>(&bytes), [12, 13, 14]);
        assert_eq!(bench.runner.report(), idle, "a run leaves nothing");
    }
    bench.close();
}

#[test]
fn what_is_off_writes_nothing_and_needs_no_place() {
    let (bench, id) = eleven();
    let scratch = tempfile::tempdir().unwrap();
    let mut config = CallConfig::default();
    assert_eq!(run(&bench, id, &config).unwrap().recorded.records, 0);
    config.set_output_prefix(&scratch.path().join("not made").to_string_lossy()).unwrap();
    run(&bench, id, &config).unwrap();
    assert!(!scratch.path().join("not made").exists());
    for (switch, expected) in SWITCHES.into_iter().zip([1..2, 5..7, 2..3, 0..1, 4..5]) {
        let mut config = CallConfig::default();
        switch(&mut config);
        let error = run(&bench, id, &config).unwrap_err();
        assert!(matches!(error, RunnerError::Config(CallConfigError::MissingOutputPrefix)), "{error}");
        let folder = tempfile::tempdir().unwrap();
        config.set_output_prefix(&folder.path().to_string_lossy()).unwrap();
        run(&bench, id, &config).unwrap();
        let (own, others): (Vec<_>, Vec<_>) =
            files(folder.path()).into_iter().partition(|file| file == "run.json");
        assert_eq!(others, FILES[expected]);
        assert_eq!(own.len(), 1, "what the host did is told with any of them");
    }
    bench.close();
}

#[test]
fn a_place_that_cannot_be_written_to_is_told_and_the_results_are_kept() {
    let (bench, id) = eleven();
    let idle = bench.runner.report();
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("file");
    std::fs::write(&file, "in the way").unwrap();
    for (switch, lost) in SWITCHES.into_iter().zip([0, 1, 0, 0, 0]) {
        let mut config = CallConfig::default();
        switch(&mut config);
        config.set_output_prefix(&file.join("below").to_string_lossy()).unwrap();
        bench.probe.output.lock().unwrap().clear();
        let error = run(&bench, id, &config).unwrap_err();
        let RunnerError::Export { outcome, source: RecordsError::Unwritable { path, .. } } = &error else {
            panic!("{error}")
        };
        assert!(path.starts_with(file.join("below")), "{error}");
        assert!(error.to_string().contains("its results are in place, but cannot write"), "{error}");
        assert_eq!((outcome.tasks, outcome.recorded.lost), (2, lost));
        assert_eq!(bench.probe.output(), [12, 13, 14]);
        assert_eq!(bench.runner.report(), idle);
    }
    // Of several files those that can be written are.
    std::fs::create_dir_all(scratch.path().join("pmu.csv/inside")).unwrap();
    let error = run(&bench, id, &all(scratch.path())).unwrap_err();
    assert!(matches!(error, RunnerError::Export { .. }), "{error}");
    assert!(FILES.iter().all(|file| *file == "pmu.csv" || scratch.path().join(file).is_file()));
    bench.close();
}

#[test]
fn runs_that_do_not_end_well_write_nothing() {
    let (bench, id) = eleven();
    let scratch = tempfile::tempdir().unwrap();
    let config = all(scratch.path());
    let input = args(&[1, 2, 3]);
    drop(bench.runner.prepare(id, &input, &config).unwrap());
    drop(bench.runner.prepare(id, &input, &config).unwrap().launch().unwrap());
    let mut waited = bench.runner.prepare(id, &input, &config).unwrap().launch().unwrap();
    waited.wait();
    drop(waited);
    bench.probe.stuck.store(true, Ordering::SeqCst);
    let error = run(&bench, id, &config).unwrap_err();
    assert!(matches!(error, RunnerError::Device(DeviceError::Stalled(_))), "{error}");
    bench.probe.stuck.store(false, Ordering::SeqCst);
    bench.probe.on_finish.set(|| Err(VariantError::Status { code: -3, text: "it failed".to_owned() }));
    assert!(run(&bench, id, &config).is_err());
    bench.probe.on_finish.clear();
    assert_eq!(files(scratch.path()), [""; 0]);
    run(&bench, id, &config).unwrap();
    assert_eq!(files(scratch.path()), FILES);
    bench.close();
}

/// Once for each device call of a run, with that call failing, panicking, or never coming back.
#[test]
fn a_failure_of_any_call_leaves_whole_files_or_none() {
    quiet_injected_panics();
    let (bench, id) = eleven();
    let scratch = tempfile::tempdir().unwrap();
    let before = bench.device.journal().len();
    run(&bench, id, &all(scratch.path())).unwrap();
    let calls = bench.device.journal().split_off(before);
    assert_eq!(calls.iter().filter(|call| **call == "copy_from_device").count(), 2, "results, and the dump");
    bench.close();
    for at in 0..calls.len() {
        for fault in [Fault::Once, Fault::PanicOnce] {
            let (bench, id) = eleven();
            let folder = scratch.path().join(format!("{at}"));
            bench.device.set_fault(Some(fault(bench.device.journal().len() + at)));
            match run(&bench, id, &all(&folder)) {
                Err(error) => {
                    assert!(is_injected(&error), "call {at}: {error}");
                    assert_eq!(files(&folder), [""; 0], "call {at}");
                }
                Ok(outcome) => {
                    // Either the tensor was lost, or a clean-up failed and the next call tells.
                    let lost = outcome.recorded.lost > 0;
                    assert_eq!(lost, bench.runner.report().deferred_errors == 0, "call {at}");
                    let expected = if lost { &FILES[..5] } else { &FILES[..] };
                    assert_eq!(files(&folder), expected, "call {at}");
                }
            }
            bench.heal();
            // Tells what a clean-up met, if it met something.
            let _ = run(&bench, id, &all(&folder));
            run(&bench, id, &all(&folder)).unwrap();
            assert_eq!(files(&folder), FILES, "call {at}");
            let _ = bench.runner.finalize();
            bench.runner.finalize().unwrap();
            bench.assert_nothing_left();
            std::fs::remove_dir_all(&folder).unwrap();
        }
    }
}

#[test]
fn event_types_come_from_the_call_or_are_the_default() {
    let (bench, id) = eleven();
    for (event_type, rows) in [(2, 2), (77, 2), (-5, 0)] {
        let folder = tempfile::tempdir().unwrap();
        let mut config = CallConfig { enable_pmu: event_type, ..CallConfig::default() };
        config.set_output_prefix(&folder.path().to_string_lossy()).unwrap();
        run(&bench, id, &config).unwrap();
        let pmu = Run::read(folder.path()).unwrap().pmu.map_or_else(Vec::new, |pmu| pmu.rows);
        assert_eq!(pmu.len(), rows, "{event_type}");
        assert!(pmu.iter().all(|row| row.event_type == 2 && row.values == [1]));
    }
    bench.close();
}
