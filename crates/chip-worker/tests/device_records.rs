//! What device programs record with everything on, held against the rules that records keep and against what the
//! engine of this process records of the same run.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "a panic is the report of a test")]

#[path = "conformance/backend.rs"]
#[allow(dead_code, reason = "what this needs of the suite")]
mod backend;
mod common;
#[path = "conformance/programs.rs"]
#[allow(dead_code, reason = "likewise")]
mod programs;
#[path = "conformance/random.rs"]
#[allow(dead_code, reason = "likewise")]
mod random;
#[path = "device_records/sums.rs"]
mod sums;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use backend::{Backend, Place};
use chip_worker::{
    Args, CallConfig, CallableHandle, ChipWorker, DataType, Platform, RingOptions, RuntimeKind,
};
use programs::{Call, steps};
use run_records::deps::{Reason, Scope};
use run_records::dump::{Role, Stage};
use run_records::scope::Border;
use run_records::swimlane::{OrchestratorWork, SchedulerPhase, SchedulerWork};
use run_records::{Run, Swimlane, dump};
use run_report::{Facts, check};
use sums::{scopes, sums, sums_of_client};

fn backends() -> impl Iterator<Item = Backend> {
    Backend::all().into_iter().filter(|backend| backend.has_programs)
}

/// The same chip and runtime, driven by the engine of this process.
fn engine(backend: &Backend) -> Backend {
    let is_same = |platform: &Platform| platform.folders().0 == backend.platform.folders().0;
    let platform = Platform::SIMULATED.into_iter().find(is_same).unwrap();
    Backend { platform, has_programs: false, ..*backend }
}

fn is_a5(backend: &Backend) -> bool {
    backend.platform.folders().0 == "a5"
}

/// Everything on, into `folder`.
fn all(folder: &Path) -> CallConfig {
    let mut config = CallConfig { block_dim: 3, aicpu_thread_num: 3, ..CallConfig::default() };
    config.set_l2_swimlane(4).unwrap();
    config.set_dump_tensor(true).set_pmu(2).set_dep_gen(true).set_scope_stats(true);
    config.set_output_prefix(&folder.to_string_lossy()).unwrap();
    config
}

/// Runs [`sums`] and [reads](read) what it has left.
fn run(worker: &ChipWorker, handle: &CallableHandle, config: &CallConfig, choice: u64) -> Run {
    let expected = if worker.runtime() == RuntimeKind::HostBuildGraph { [16, 17] } else { [116, 117] };
    let mut output = [0i64; 2];
    let args = Args::new().input(&[5i64, 6], &[2]).unwrap().output(&mut output, &[2]).unwrap();
    let args = args.scalar(choice).unwrap();
    let outcome = worker.run(handle, &args, config).unwrap();
    drop(args);
    assert_eq!((output, outcome.recorded.lost), (expected, 0));
    read(Path::new(&config.output_prefix().unwrap()))
}

/// What a run has left, which has to keep all rules.
fn read(folder: &Path) -> Run {
    let run = Run::read(folder).unwrap();
    let dump_bytes = fs::metadata(folder.join(dump::FOLDER).join(dump::BYTES)).ok().map(|file| file.len());
    let findings = check(&run, &Facts { dump_bytes, ..Facts::default() });
    assert!(findings.is_empty(), "{findings:#?}");
    run
}

/// What is told of tensors, by task, argument and stage.
fn tensors(run: &Run, folder: &Path) -> Vec<String> {
    let Some(dump) = &run.dump else { return Vec::new() };
    let tensors = dump.tensors.iter().map(|tensor| {
        let mut tensor = tensor.clone();
        let bytes = dump.bytes_of(folder, &tensor).unwrap();
        tensor.bin_offset = 0;
        format!("{tensor:?} {bytes:?}")
    });
    let mut tensors: Vec<String> = tensors.collect();
    tensors.sort();
    tensors
}

/// Dependencies without what depends on addresses.
fn edges(run: &Run) -> Option<Vec<(u64, u64, i32, u8)>> {
    let deps = run.deps.as_ref()?;
    assert!(deps.tasks.iter().all(|task| task.scope == Scope::Auto));
    let edges = deps.edges.iter().map(|edge| {
        let reason = match edge.reason {
            Reason::Explicit => 0,
            Reason::Creator { .. } => 1,
            Reason::Tensormap { .. } => 2,
        };
        (edge.pred, edge.succ, edge.arg, reason)
    });
    let mut edges: Vec<_> = edges.collect();
    edges.sort_unstable();
    Some(edges)
}

/// Which parts of tasks ran on which kind of core.
fn parts(run: &Run) -> BTreeMap<(u64, u32, String), usize> {
    let mut parts = BTreeMap::new();
    for task in &run.swimlane.as_ref().unwrap().tasks {
        *parts.entry((task.task_id, task.func_id, format!("{:?}", task.core_type))).or_default() += 1;
    }
    parts
}

#[test]
fn records_of_device_programs_are_those_of_the_engine() {
    for backend in backends() {
        let place = backend.place();
        let native = engine(&backend).place();
        let [worker, reference] = [&place, &native].map(|place| place.worker());
        let [handle, known] =
            [&worker, &reference].map(|worker| worker.register(&sums(backend.runtime)).unwrap());
        for round in 0..2 {
            let what = format!("{} {round}", backend.name());
            let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
            let told = run(&worker, &handle, &all(folders[0].path()), 0);
            let expected = run(&reference, &known, &all(folders[1].path()), 0);
            assert_eq!(parts(&told), parts(&expected), "{what}");
            assert_eq!(tensors(&told, folders[0].path()), tensors(&expected, folders[1].path()), "{what}");
            assert_eq!(edges(&told), edges(&expected), "{what}");
            check_pmu(&told, &expected, &what);
            check_scopes(&told, &expected, &what);
            check_phases(&backend, &told, &what);
            let without = without_kernel(&told).unwrap();
            assert_eq!(Some(&without), without_kernel(&expected).as_ref(), "{what}");
            let is_rings = backend.runtime == RuntimeKind::TensormapAndRingbuffer;
            assert_eq!(without, if is_rings { vec![1, (1 << 32) + 2] } else { Vec::new() }, "{what}");
        }
        let folder = tempfile::tempdir().unwrap();
        run(&worker, &handle, &off(folder.path()), 0);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "it is off again");
        drop((handle, known));
        place.close(worker);
        native.close(reference);
    }
}

fn off(folder: &Path) -> CallConfig {
    let mut config = CallConfig { block_dim: 3, aicpu_thread_num: 3, ..CallConfig::default() };
    config.set_output_prefix(&folder.to_string_lossy()).unwrap();
    config
}

fn without_kernel(run: &Run) -> Option<Vec<u64>> {
    let mut tasks = run.summary.as_ref().unwrap().tasks_without_kernel.clone()?;
    tasks.sort_unstable();
    Some(tasks)
}

/// What stood in a slot before another task came tells nothing any more.
#[test]
fn tasks_whose_slots_were_taken_over_leave_untold_which_have_a_kernel() {
    let scopes = scopes();
    for backend in backends().filter(|backend| backend.runtime == RuntimeKind::TensormapAndRingbuffer) {
        let place = backend.place();
        let worker = place.builder().rings(RingOptions::default().task_window(16)).build().unwrap();
        let handle = worker.register(&scopes).unwrap();
        for count in [8, 9, 7] {
            let folder = tempfile::tempdir().unwrap();
            let args = Args::new().scalar(count).unwrap();
            worker.run(&handle, &args, &all(folder.path())).unwrap();
            let expected = (0..count).map(|scope| (1 << 32) + 2 * scope + 1).collect();
            let told = without_kernel(&read(folder.path()));
            assert_eq!(told, (count < 9).then_some(expected), "{} {count}", backend.name());
        }
        drop(handle);
        place.close(worker);
    }
}

fn check_pmu(told: &Run, expected: &Run, what: &str) {
    let [told, expected] = [told, expected].map(|run| run.pmu.as_ref().unwrap());
    assert_eq!(told.counters, expected.counters, "{what}");
    let rows = |pmu: &run_records::Pmu| {
        let rows = pmu.rows.iter().map(|row| (row.task_id, row.func_id, format!("{:?}", row.core_type)));
        let mut rows: Vec<_> = rows.collect();
        rows.sort();
        rows
    };
    assert_eq!(rows(told), rows(expected), "{what}");
    for row in &told.rows {
        assert!(row.event_type == 2 && row.values.iter().all(|&value| value == 0), "{what}: {row:?}");
    }
    assert!(told.rows.iter().any(|row| row.total_cycles > 0), "{what}");
}

fn check_scopes(told: &Run, expected: &Run, what: &str) {
    let [told, expected] = [told, expected].map(|run| run.scope_stats.as_ref().unwrap());
    assert_eq!(told.header, expected.header, "{what}");
    assert_eq!(told.records.len(), expected.records.len(), "{what}");
    for (told, expected) in told.records.iter().zip(&expected.records) {
        let place = (&told.site, told.phase, told.depth, told.ring, told.task_window_end);
        let same = (&expected.site, expected.phase, expected.depth, expected.ring, expected.task_window_end);
        assert_eq!(place, same, "{what}");
        // How much has been given back already is a matter of time.
        assert_eq!(told.heap_end, expected.heap_end, "{what}");
        assert!(told.task_window_start <= told.task_window_end, "{what}");
        assert!(told.phase == Border::Begin || told.phase == Border::End);
    }
}

fn check_phases(backend: &Backend, told: &Run, what: &str) {
    let swimlane = told.swimlane.as_ref().unwrap();
    assert_eq!(swimlane.level, 4);
    let lanes = swimlane.scheduler.as_ref().unwrap();
    assert_eq!(lanes.len(), if is_a5(backend) { 7 } else { 4 }, "{what}");
    if backend.runtime == RuntimeKind::HostBuildGraph {
        assert!(lanes.iter().all(Vec::is_empty) && swimlane.orchestrator.is_none(), "{what}");
        return assert_eq!(swimlane.core_to_thread, None, "{what}");
    }
    assert_eq!(swimlane.core_to_thread.as_deref(), Some(&[0, 1, 0, 0, 0, 1, 1, 0, 0][..]), "{what}");
    for work in [SchedulerWork::Dispatch, SchedulerWork::Complete] {
        let phases = lanes.iter().flatten().filter(|phase| phase.phase == work);
        assert_eq!(phases.map(|phase| phase.tasks_processed).sum::<u64>(), 80, "{what}");
    }
    // Whoever waits for cores has nothing to do meanwhile.
    let idle = |phase: &SchedulerPhase| (phase.phase, phase.tasks_processed) == (SchedulerWork::Idle, 0);
    assert_eq!(lanes.iter().flatten().any(idle), is_a5(backend), "{what}");
    for lane in lanes {
        assert!(lane.windows(2).all(|pair| pair[0].start <= pair[1].start), "{what}");
        assert!(lane.iter().all(|phase| phase.start <= phase.end && phase.loop_iter > 0), "{what}");
    }
    let steps = &swimlane.orchestrator.as_ref().unwrap()[2];
    let submits = 76;
    let works: &[OrchestratorWork] = if is_a5(backend) {
        &[
            OrchestratorWork::OrchAlloc,
            OrchestratorWork::OrchLookup,
            OrchestratorWork::OrchFanin,
            OrchestratorWork::OrchInsert,
            OrchestratorWork::OrchFinalize,
        ]
    } else {
        &[OrchestratorWork::OrchSubmit]
    };
    assert_eq!(steps.len(), submits * works.len(), "{what}");
    for (index, step) in steps.iter().enumerate() {
        assert_eq!(step.phase, works[index % works.len()], "{what}");
        assert_eq!(step.submit_idx as usize, index / works.len(), "{what}");
    }
}

#[test]
fn chosen_tensors_are_the_only_ones() {
    for backend in backends().filter(|backend| backend.runtime == RuntimeKind::TensormapAndRingbuffer) {
        let place = backend.place();
        let worker = place.worker();
        let handle = worker.register(&sums(backend.runtime)).unwrap();
        // Also where tensors were dumped before that.
        for choice in [1, 0, 3, 0, 1] {
            let scratch = tempfile::tempdir().unwrap();
            let folder = scratch.path();
            let mut config = off(folder);
            config.set_dump_tensor(true);
            let told = run(&worker, &handle, &config, choice).dump.unwrap().tensors;
            assert_eq!(told.len(), if choice == 0 { 6 } else { 1 }, "{} {choice}", backend.name());
            let last = told.last().unwrap();
            assert_eq!((last.arg_index, last.role, last.stage), (1, Role::Output, Stage::AfterCompletion));
        }
        drop(handle);
        place.close(worker);
    }
}

/// Adds to what a client has on the device, where its last tensor is told to have so many elements; what is told of all
/// tensors, and how many were lost.
fn run_client(place: &Place, elements: u64) -> (Vec<String>, u64) {
    let worker = place.worker();
    let handle = worker.register(&sums_of_client()).unwrap();
    let memory = worker.malloc(48).unwrap();
    worker.copy_to(memory, bytemuck::bytes_of(&[5i64, 6, 0, 0, 0, 0])).unwrap();
    let args = Args::new().device(memory, &[6], DataType::Int64).unwrap();
    let args = args.device(memory.checked_add(16).unwrap(), &[2], DataType::Int64).unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let mut config = off(scratch.path());
    config.set_dump_tensor(true);
    let outcome = worker.run(&handle, &args.scalar(elements).unwrap(), &config).unwrap();
    let mut values = [0i64; 6];
    worker.copy_from(bytemuck::bytes_of_mut(&mut values), memory).unwrap();
    assert_eq!(values, [5, 6, 6, 7, 16, 17]);
    let told = tensors(&Run::read(scratch.path()).unwrap(), scratch.path());
    worker.free(memory).unwrap();
    drop(handle);
    place.close(worker);
    (told, outcome.recorded.lost)
}

#[test]
fn memory_of_the_client_is_dumped_as_far_as_it_goes() {
    for backend in backends().filter(|backend| backend.runtime == RuntimeKind::HostBuildGraph) {
        let places = [backend.place(), engine(&backend).place()];
        // The last ones go beyond the memory, or beyond every memory, and are lost.
        for (elements, dumped) in [(2, 4), (1, 4), (3, 3), (1 << 21, 3), (u64::from(u32::MAX), 3)] {
            let [told, expected] = places.each_ref().map(|place| run_client(place, elements));
            let what = format!("{} {elements}", backend.name());
            assert_eq!((told.0.len(), told.1), (dumped, 4 - dumped as u64), "{what}");
            // They are at other addresses, of which nothing is told.
            assert_eq!(told, expected, "{what}");
        }
    }
}

#[test]
fn a_fatal_error_leaves_the_state_of_scopes_and_nothing_else() {
    for backend in backends().filter(|backend| backend.runtime == RuntimeKind::TensormapAndRingbuffer) {
        let place = backend.place();
        let worker = place.worker();
        let handle = worker.register(&sums(backend.runtime)).unwrap();
        for _ in 0..2 {
            let folder = tempfile::tempdir().unwrap();
            let mut output = [0i64; 2];
            let args = Args::new().input(&[5i64, 6], &[2]).unwrap().output(&mut output, &[2]).unwrap();
            let args = args.scalar(2).unwrap();
            worker.run(&handle, &args, &all(folder.path())).unwrap_err();
            let records = Run::read(folder.path()).unwrap();
            let stats = records.scope_stats.as_ref().unwrap();
            assert!(stats.header.fatal, "{}", backend.name());
            assert_eq!(stats.records.len(), 2, "what ends because of the error tells nothing");
            assert_eq!(records, Run { scope_stats: records.scope_stats.clone(), ..Run::default() });
            let folder = tempfile::tempdir().unwrap();
            run(&worker, &handle, &all(folder.path()), 0);
        }
        drop(handle);
        place.close(worker);
    }
}

/// A run of so many tasks in a chain.
fn chain(tasks: u64, folder: &Path, collectors: impl FnOnce(&mut CallConfig)) -> Call {
    let mut call = Call { tasks, ..Call::default() };
    collectors(&mut call.config);
    call.config.set_output_prefix(&folder.to_string_lossy()).unwrap();
    call
}

/// That tasks ran behind each other, even ones on AIV cores and odd ones on AIC cores.
fn check_chain(swimlane: &Swimlane, tasks: usize, level: u32, backend: &Backend) {
    let what = backend.name();
    // Where the graph is built while it runs, the next task may come when this one has ended.
    let may_come_late = backend.runtime == RuntimeKind::TensormapAndRingbuffer;
    assert_eq!((swimlane.level, swimlane.tasks.len()), (level, tasks), "{what}");
    let mut records = swimlane.tasks.clone();
    records.sort_by_key(|record| record.task_id & 0xffff_ffff);
    for (index, record) in records.iter().enumerate() {
        assert_eq!(record.task_id & 0xffff_ffff, index as u64, "{what}");
        assert_eq!(record.func_id, u32::from(index % 2 == 1), "{what}");
        assert!(record.start <= record.end, "{what}: {record:?}");
        if level >= 2 {
            assert!(record.dispatch <= record.start && record.end <= record.finish, "{what}: {record:?}");
        }
        if let Some(fanout) = &record.fanout {
            let next = records.get(index + 1).map(|next| next.task_id);
            let is_late = may_come_late && fanout.is_empty();
            assert!(is_late || fanout.iter().copied().eq(next), "{what}: {record:?}");
        }
    }
    assert!(records.windows(2).all(|pair| pair[0].end <= pair[1].start), "{what}");
}

#[test]
fn swimlanes_come_from_the_device_and_go_with_the_run() {
    for backend in backends() {
        let place = backend.place();
        let worker = place.worker();
        let handle = worker.register(&steps(backend.runtime)).unwrap();
        for (round, level) in [2, 0, 1, 4].into_iter().enumerate() {
            let scratch = tempfile::tempdir().unwrap();
            let call = chain(7, scratch.path(), |config| config.set_l2_swimlane(level).map(drop).unwrap());
            let outcome = call.run(&worker, &handle).unwrap();
            let what = format!("{} {round}", backend.name());
            assert_eq!(outcome.recorded.lost, 0, "{what}");
            if level == 0 {
                assert_eq!(outcome.recorded.records, 0, "{what}");
                assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 0, "{what}");
                continue;
            }
            let swimlane = read(scratch.path()).swimlane.unwrap();
            check_chain(&swimlane, 7, u32::try_from(level).unwrap(), &backend);
            let has_fanout = is_a5(&backend) && level >= 2;
            assert!(swimlane.tasks.iter().all(|task| task.fanout.is_some() == has_fanout), "{what}");
        }
        drop(handle);
        place.close(worker);
    }
}

/// More than one buffer of each kind holds; and whoever only wants one collector gets one.
#[test]
fn many_buffers_of_each_collector_lose_nothing() {
    for backend in backends() {
        let place = backend.place();
        let worker = place.worker();
        let handle = worker.register(&steps(backend.runtime)).unwrap();
        let is_rings = backend.runtime == RuntimeKind::TensormapAndRingbuffer;
        let run = |tasks: u64, collectors: fn(&mut CallConfig)| {
            let folder = tempfile::tempdir().unwrap();
            let mut call = chain(tasks, folder.path(), collectors);
            call.config.block_dim = 1;
            let outcome = call.run(&worker, &handle).unwrap();
            assert_eq!(outcome.recorded.lost, 0, "{}", backend.name());
            let told = read(folder.path());
            let rows = told.pmu.as_ref().map(|pmu| pmu.rows.len());
            let tensors = told.dump.as_ref().map(|dump| dump.tensors.len());
            let submits = told.deps.as_ref().map(|deps| deps.tasks.len());
            (told.swimlane, [rows, tensors, submits])
        };
        let what = backend.name();
        assert_eq!(run(1_500, |config| _ = config.set_pmu(2)), (None, [Some(1_500), None, None]), "{what}");
        let tensors = is_rings.then_some(3_000);
        assert_eq!(
            run(1_500, |config| _ = config.set_dump_tensor(true)),
            (None, [None, tensors, None]),
            "{what}"
        );
        let submits = (is_rings && !is_a5(&backend)).then_some(1_500);
        let scopes = run(1_500, |config| _ = config.set_scope_stats(true).set_dep_gen(true));
        assert_eq!(scopes, (None, [None, None, submits]), "{what}");
        let (swimlane, others) = run(1_500, |config| _ = config.set_l2_swimlane(4).unwrap());
        check_chain(&swimlane.unwrap(), 1_500, 4, &backend);
        let (swimlane, more) = run(4_500, |config| _ = config.set_l2_swimlane(2).unwrap());
        check_chain(&swimlane.unwrap(), 4_500, 2, &backend);
        assert_eq!([others, more], [[None; 3]; 2], "{what}");
        drop(handle);
        place.close(worker);
    }
}

#[cfg(feature = "onboard")]
#[test]
fn buffers_are_used_again_by_runs_that_record() {
    for backend in backends().filter(|backend| !backend.platform.is_simulated()) {
        let place = backend.place();
        let worker = place.worker();
        let handle = worker.register(&steps(backend.runtime)).unwrap();
        let bytes: Vec<u64> = (0..6)
            .map(|_| {
                let scratch = tempfile::tempdir().unwrap();
                let call = chain(7, scratch.path(), |config| config.set_l2_swimlane(2).map(drop).unwrap());
                let outcome = call.run(&worker, &handle).unwrap();
                assert_eq!(outcome.recorded.lost, 0, "{}", backend.name());
                check_chain(&read(scratch.path()).swimlane.unwrap(), 7, 2, &backend);
                worker.report().device.bytes
            })
            .collect();
        // Those of the last run, whose programs may hold on to them, and as many for the next one. How many a run needs
        // depends on who was quicker.
        assert!(bytes[5] < 3 * bytes[0], "{}: {bytes:?}", backend.name());
        // They are in nobody's way: of what has no room otherwise, one finds it in their place.
        place.lease().unwrap().inject(soft_cann::Rule::memory_limit(bytes[5] + (128 << 20)));
        let mut buffers = Vec::new();
        let mut before = bytes[5];
        loop {
            buffers.push(worker.malloc(1 << 20).unwrap());
            let now = worker.report().device.bytes;
            if now < before + (1 << 20) {
                break;
            }
            before = now;
        }
        buffers.into_iter().for_each(|buffer| worker.free(buffer).unwrap());
        drop(handle);
        place.close(worker);
    }
}

/// Programs of others may go on to write there in launches that do not record.
#[cfg(feature = "onboard")]
#[test]
fn what_a_swimlane_was_written_to_stays_until_the_next_one() {
    for backend in backends().filter(|backend| !backend.platform.is_simulated()) {
        let place = backend.place();
        let worker = place.worker();
        let handle = worker.register(&steps(backend.runtime)).unwrap();
        let [without, first, kept, second, last] = [0, 2, 0, 2, 0].map(|level| {
            let scratch = tempfile::tempdir().unwrap();
            let call = chain(7, scratch.path(), |config| config.set_l2_swimlane(level).map(drop).unwrap());
            call.run(&worker, &handle).unwrap();
            worker.report().device.bytes
        });
        let what = format!("{}: {without}, {first}, {kept}, {second}, {last}", backend.name());
        assert!(first > without && kept == first, "{what}");
        // Buffers of the one before are at hand for a third, until a run does not record.
        assert!(second > last, "{what}");
        // Not both; how many buffers there are depends on who was quicker.
        assert!(last > without && last - without < 2 * (first - without), "{what}");
        drop(handle);
        place.close(worker);
    }
}

/// The same edges as from the engine, whatever had been retired when the device submitted.
#[test]
fn random_graphs_keep_all_rules() {
    for backend in backends() {
        let place = backend.place();
        let native = engine(&backend).place();
        let [worker, reference] = [&place, &native].map(|place| place.worker());
        for seed in 0..6 {
            let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
            let [told, expected] =
                [(&worker, &folders[0]), (&reference, &folders[1])].map(|(worker, folder)| {
                    random::run(worker, backend.runtime, seed, &all(folder.path()));
                    read(folder.path())
                });
            let what = format!("{} {seed}", backend.name());
            assert_eq!(parts(&told), parts(&expected), "{what}");
            assert_eq!(edges(&told), edges(&expected), "{what}");
            check_pmu(&told, &expected, &what);
        }
        place.close(worker);
        native.close(reference);
    }
}
