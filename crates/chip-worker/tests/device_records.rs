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

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use backend::Backend;
use chip_worker::{
    ArgDirection, Args, CallConfig, CallableHandle, ChipCallable, ChipWorker, CoreCallable, CoreType,
    Platform, RingOptions, RuntimeKind,
};
use common::with_signature;
use programs::Call;
use run_records::deps::{Reason, Scope};
use run_records::dump::{Role, Stage};
use run_records::scope::Border;
use run_records::swimlane::{OrchestratorWork, SchedulerPhase, SchedulerWork};
use run_records::{Run, dump};
use run_report::{Facts, check};

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

/// Kernels that read tensor 0 and write tensor 1: out = in + scalar.
fn add(body: &str) -> CoreCallable {
    let signature = [ArgDirection::In, ArgDirection::Out, ArgDirection::Scalar];
    with_signature(&common::kernel(CoreType::Aiv, body), &signature)
}

const HBG_ADD: &str = r"
    auto *in = reinterpret_cast<int64_t *>(args[0]);
    auto *out = reinterpret_cast<int64_t *>(args[1]);
    for (int64_t i = 0; i < 2; ++i) out[i] = in[i] + args[2];";

/// Two tasks. The first one's output is told to be elements 1 and 3 of what begins there, the second one's whole.
const HBG_GRAPH: &str = r"
    void *in = device_malloc(rt, 32), *between = device_malloc(rt, 64), *out = device_malloc(rt, 16);
    int64_t zeros[8] = {};
    copy_to_device(rt, in, args.tensor(0).data_as<void>(), 16);
    copy_to_device(rt, between, zeros, 64);
    const uint32_t two[1] = {2}, part[2] = {2, 1}, around[2] = {2, 2}, at[2] = {0, 1};
    const uint64_t window = reinterpret_cast<uint64_t>(between) + 16;
    uint64_t first[3] = {reinterpret_cast<uint64_t>(in), window, 1};
    TensorInfo infos[2] = {make_tensor_info(DataType::INT64, 1, two),
                           make_tensor_info(DataType::INT64, 2, part, around, at)};
    const int a = add_task_with_tensor_info(rt, first, 3, 0, CoreType::AIV, infos, 2);
    uint64_t second[3] = {window, reinterpret_cast<uint64_t>(out), 10};
    infos[1] = infos[0];
    const int b = add_task_with_tensor_info(rt, second, 3, 0, CoreType::AIV, infos, 2);
    add_successor(rt, a, b);
    record_tensor_pair(rt, args.tensor(1).data_as<void>(), out, 16);
    return a < 0 || b < 0;";

const TRB_ADD: &str = r"
    auto elements = [](int64_t arg) {
        auto *words = reinterpret_cast<int64_t *>(arg);
        return reinterpret_cast<int64_t *>(words[0]) + words[3];
    };
    for (int64_t i = 0; i < 2; ++i) elements(args[1])[i] = elements(args[0])[i] + args[2];";

/// a = in + 1; in a scope of its own b = a + 10, out = b + 100; two blocks of a cluster that do nothing; and a task
/// that depends on 70 others by hand. Between them one that only allocates, and one without a kernel. Scalar 0: 1 chooses
/// only the result of the last sum, 2 fails in a scope of its own.
const TRB_GRAPH: &str = r#"
extern "C" void build(const ChipStorageTaskArgs &args) {
    if (args.scalar(0) == 2) {
        rt_submit_aiv_task(1, Arg());
        PTO2_SCOPE() { rt_report_fatal(PTO2_ERROR_INVALID_ARGS, "on purpose"); }
        return;
    }
    const Tensor in = from_tensor_arg(args.tensor(0)), out = from_tensor_arg(args.tensor(1));
    const uint32_t shape[1] = {2};
    const TensorCreateInfo info(shape, 1, DataType::INT64);
    set_tensor_dump_selective_requested(args.scalar(0) != 0);
    Arg first;
    first.add_input(in); first.add_output(info); first.add_scalar(uint64_t{1});
    const TaskOutputTensors a = rt_submit_aiv_task(0, first);
    PTO2_SCOPE() {
        Arg second;
        second.add_input(a.get_ref(0)); second.add_output(info); second.add_scalar(uint64_t{10});
        const TaskOutputTensors b = rt_submit_aiv_task(0, second);
        Arg third;
        third.add_input(b.get_ref(0)); third.add_output(out); third.add_scalar(uint64_t{100});
        if (args.scalar(0) != 0) third.dump(out);
        rt_submit_aiv_task(0, third);
        alloc_tensors(info);
    }
    rt_submit_dummy_task(Arg());
    Arg cluster;
    cluster.launch_spec.set_block_num(2);
    MixedKernels kernels;
    kernels.aic_kernel_id = kernels.aiv0_kernel_id = kernels.aiv1_kernel_id = 1;
    rt_submit_task(kernels, cluster);
    PTO2TaskId before[70];
    for (int i = 0; i < 70; ++i) before[i] = rt_submit_aiv_task(1, Arg()).task_id();
    Arg last;
    last.set_dependencies(before, 70);
    rt_submit_aiv_task(1, last);
}"#;

fn sums(runtime: RuntimeKind) -> ChipCallable {
    if runtime == RuntimeKind::HostBuildGraph {
        return common::callable(HBG_GRAPH, &[(0, add(HBG_ADD))]);
    }
    let library = common::trb_library(TRB_GRAPH);
    let nothing = with_signature(&common::kernel(CoreType::Aiv, "(void)args;"), &[]);
    let builder = ChipCallable::builder("build").binary(&library);
    builder.child(0, &add(TRB_ADD)).child(1, &nothing).build().unwrap()
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
fn run(worker: &ChipWorker, handle: &CallableHandle, config: &CallConfig, selective: bool) -> Run {
    let expected = if worker.runtime() == RuntimeKind::HostBuildGraph { [16, 17] } else { [116, 117] };
    let mut output = [0i64; 2];
    let args = Args::new().input(&[5i64, 6], &[2]).unwrap().output(&mut output, &[2]).unwrap();
    let args = args.scalar(u64::from(selective)).unwrap();
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
            let told = run(&worker, &handle, &all(folders[0].path()), false);
            let expected = run(&reference, &known, &all(folders[1].path()), false);
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
        run(&worker, &handle, &off(folder.path()), false);
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

/// As many scopes as scalar 0 says, with a task and one that has no kernel.
const TRB_SCOPES: &str = r#"
extern "C" void build(const ChipStorageTaskArgs &args) {
    for (uint64_t i = 0; i < args.scalar(0); ++i) {
        PTO2_SCOPE() {
            rt_submit_aiv_task(0, Arg());
            rt_submit_dummy_task(Arg());
        }
    }
}"#;

/// What stood in a slot before another task came tells nothing any more.
#[test]
fn tasks_whose_slots_were_taken_over_leave_untold_which_have_a_kernel() {
    let library = common::trb_library(TRB_SCOPES);
    let nothing = common::kernel(CoreType::Aiv, "(void)args;");
    let scopes = ChipCallable::builder("build").binary(&library).child(0, &nothing).build().unwrap();
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
        for selective in [true, false, true] {
            let scratch = tempfile::tempdir().unwrap();
            let folder = scratch.path();
            let mut config = off(folder);
            config.set_dump_tensor(true);
            let told = run(&worker, &handle, &config, selective).dump.unwrap().tensors;
            assert_eq!(told.len(), if selective { 1 } else { 6 }, "{}", backend.name());
            let last = told.last().unwrap();
            assert_eq!((last.arg_index, last.role, last.stage), (1, Role::Output, Stage::AfterCompletion));
        }
        drop(handle);
        place.close(worker);
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
            run(&worker, &handle, &all(folder.path()), false);
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
        let handle = worker.register(&programs::steps(backend.runtime)).unwrap();
        let collectors: [fn(&mut CallConfig); 4] = [
            |config| _ = config.set_pmu(2),
            |config| _ = config.set_dump_tensor(true),
            |config| _ = config.set_scope_stats(true).set_dep_gen(true),
            |config| _ = config.set_l2_swimlane(4).unwrap(),
        ];
        for (index, collector) in collectors.into_iter().enumerate() {
            let folder = tempfile::tempdir().unwrap();
            let mut call = Call { tasks: 1_500, config: off(folder.path()), ..Call::default() };
            call.config.block_dim = 1;
            collector(&mut call.config);
            let outcome = call.run(&worker, &handle).unwrap();
            assert_eq!(outcome.recorded.lost, 0, "{} {index}", backend.name());
            let told = Run::read(folder.path()).unwrap();
            let expected = if index == 0 || index == 3 { 1_500 } else { 0 };
            let tasks = told.pmu.as_ref().map(|pmu| pmu.rows.len());
            let tasks = tasks.or(told.swimlane.as_ref().map(|swimlane| swimlane.tasks.len()));
            assert_eq!(tasks.unwrap_or(0), expected, "{} {index}", backend.name());
            let is_rings = backend.runtime == RuntimeKind::TensormapAndRingbuffer;
            let tensors = told.dump.map(|dump| dump.tensors.len());
            assert_eq!(tensors, (index == 1 && is_rings).then_some(3_000), "{}", backend.name());
            let submits = told.deps.map(|deps| deps.tasks.len());
            assert_eq!(
                submits,
                (index == 2 && is_rings && !is_a5(&backend)).then_some(1_500),
                "{}",
                backend.name()
            );
        }
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
