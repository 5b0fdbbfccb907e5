//! What real runs record, read back and held against the rules that records keep.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "a panic is the report of a test")]

mod trb_program;

use std::fs;
use std::path::Path;

use chip_worker::{
    ArgDirection, Args, CallConfig, CallableHandle, CallableSource, ChipWorker, CoreType, DataType, DevPtr,
    Graph, GraphBuilder, GraphError, GraphStopped, MixedKernels, NativeGraph, NativeKernel,
    NativeOrchestration, Platform, RingOptions, RuntimeKind, ScopeMode, TaskSpec, TensorInfo,
    TensorKernel as _, TrbErrorCode, WorkerError,
};
use run_records::Run;
use run_records::deps::{ArgKind, Overlap, Reason, Scope, tensor_id};
use run_records::dump::{DumpedTensor, Role, Stage};
use run_records::scope::Border;
use run_records::swimlane::{OrchestratorWork, SchedulerWork};
use run_report::{Facts, check, untold};

const SIMULATED: [Platform; 2] = [Platform::A2a3Sim, Platform::A5Sim];

/// Everything on, into `folder`.
fn all(folder: &Path) -> CallConfig {
    let mut config = CallConfig { block_dim: 3, ..CallConfig::default() };
    config.set_l2_swimlane(4).unwrap();
    config.set_dump_tensor(true).set_pmu(2).set_dep_gen(true).set_scope_stats(true);
    config.set_output_prefix(&folder.to_string_lossy()).unwrap();
    config
}

fn worker(platform: Platform, runtime: RuntimeKind) -> ChipWorker {
    ChipWorker::builder().platform(platform).runtime(runtime).build().unwrap()
}

/// What a run has left, which has to keep all rules.
fn read(folder: &Path) -> Run {
    let run = Run::read(folder).unwrap();
    let findings = check(&run, &Facts::of(folder, &run));
    assert!(findings.is_empty(), "{findings:#?}");
    assert_eq!(untold(&run), 0);
    run
}

fn values(run: &Run, folder: &Path, tensor: &DumpedTensor) -> Vec<i64> {
    let bytes = run.dump.as_ref().unwrap().bytes_of(folder, tensor).unwrap();
    bytes.as_chunks::<8>().0.iter().map(|word| i64::from_le_bytes(*word)).collect()
}

/// Kernel 0 adds its scalar to int64 elements: out = in + scalar. Kernel 1 does nothing, to any number of tensors.
fn register<F>(worker: &ChipWorker, build: F) -> CallableHandle
where
    F: Fn(&mut Graph<'_, '_>) -> Result<(), GraphStopped> + Send + Sync + 'static,
{
    let add = NativeKernel::new("add", |kernel| {
        let values: Vec<i64> = kernel.elements(0)?;
        let sums: Vec<i64> = values.iter().map(|value| value + kernel.args()[2].cast_signed()).collect();
        kernel.set_elements(1, &sums)
    });
    let noop = NativeKernel::new("noop", |_| Ok(()));
    let kernels = vec![(0, add.into()), (1, noop.into())];
    let source = CallableSource::new(NativeOrchestration::new(build).into(), kernels);
    worker.register_source(&source.signature(0, &[ArgDirection::In, ArgDirection::Out])).unwrap()
}

/// a = in + 1; in a scope of its own b = a + 10, out = b + 100; then two blocks of a cluster that do nothing.
fn three_sums(graph: &mut Graph<'_, '_>) -> Result<(), GraphStopped> {
    let (input, output) = (graph.tensor(0)?, graph.tensor(1)?);
    let a = graph.submit(TaskSpec::aiv(0).input(&input).output(&[2], DataType::Int64)?.scalar(1))?.outputs[0];
    graph.scope(ScopeMode::Auto, |graph| {
        let task = TaskSpec::aiv(0).input(&a).output(&[2], DataType::Int64)?.scalar(10);
        let b = graph.submit(task)?.outputs[0];
        graph.submit(TaskSpec::aiv(0).input(&b).output_existing(&output).scalar(100)).map(drop)
    })?;
    let cluster = MixedKernels { aic_kernel_id: 1, aiv0_kernel_id: 1, aiv1_kernel_id: 1 };
    graph.submit(TaskSpec::mix(cluster).blocks(2)).map(drop)
}

fn run(worker: &ChipWorker, handle: &CallableHandle, config: &CallConfig) -> Result<[i64; 2], WorkerError> {
    let mut output = [0; 2];
    let args = Args::new().input(&[5i64, 6], &[2]).unwrap().output(&mut output, &[2]).unwrap();
    let outcome = worker.run(handle, &args, config);
    drop(args);
    outcome.map(|outcome| {
        assert_eq!(outcome.recorded.lost, 0);
        output
    })
}

#[test]
fn rings_record_all_that_there_is_and_so_do_the_runs_behind() {
    for platform in SIMULATED {
        let worker = worker(platform, RuntimeKind::TensormapAndRingbuffer);
        let handle = register(&worker, three_sums);
        for round in 0..3 {
            let scratch = tempfile::tempdir().unwrap();
            let folder = scratch.path().join(format!("{round}"));
            assert_eq!(run(&worker, &handle, &all(&folder)).unwrap(), [116, 117]);
            let records = read(&folder);
            check_swimlane(&records, platform);
            check_scopes(&records);
            check_dump(&records, &folder);
            let stages = records.summary.as_ref().unwrap().host_stages;
            assert!(stages.named().iter().all(|(name, length)| length.nanos() > 0 || *name == "launch"));
            let pmu = records.pmu.as_ref().unwrap();
            assert_eq!(pmu.rows.len(), 9);
            assert_eq!(pmu.counters.len(), if platform == Platform::A5Sim { 9 } else { 8 });
            assert!(pmu.rows.iter().all(|row| row.event_type == 2 && row.values.iter().all(|&v| v == 0)));
            match platform {
                Platform::A5Sim => assert_eq!(records.deps, None, "the chip has none"),
                _ => check_deps(&records),
            }
        }
        drop(handle);
        assert!(worker.close().unwrap().is_zero());
    }
}

/// Task ids: ring in the upper half.
const INNER: u64 = 1 << 32;

fn check_swimlane(records: &Run, platform: Platform) {
    let swimlane = records.swimlane.as_ref().unwrap();
    let ids: Vec<u64> = swimlane.tasks.iter().map(|task| task.task_id).collect();
    assert_eq!(ids, [0, 1, 1, 1, 1, 1, 1, INNER, INNER + 1]);
    assert!(swimlane.tasks.iter().all(|task| task.finish >= task.end && task.dispatch <= task.start));
    // Three threads: two schedule the clusters in turn, the third builds the graph.
    assert_eq!(swimlane.core_to_thread.as_deref(), Some(&[0, 1, 0, 0, 0, 1, 1, 0, 0][..]));
    let lanes = swimlane.scheduler.as_ref().unwrap();
    assert_eq!(lanes.len(), if platform == Platform::A5Sim { 7 } else { 4 });
    for work in [SchedulerWork::Dispatch, SchedulerWork::Complete] {
        let phases = lanes.iter().flatten().filter(|phase| phase.phase == work);
        assert_eq!(phases.map(|phase| phase.tasks_processed).sum::<u64>(), 9);
    }
    for lane in lanes {
        assert!(lane.windows(2).all(|pair| pair[0].end <= pair[1].start), "passes do not overlap");
        assert!(lane.iter().all(|phase| phase.start < phase.end && phase.loop_iter > 0));
    }
    let submits = &swimlane.orchestrator.as_ref().unwrap()[2];
    let works: Vec<OrchestratorWork> = match platform {
        Platform::A5Sim => vec![
            OrchestratorWork::OrchAlloc,
            OrchestratorWork::OrchLookup,
            OrchestratorWork::OrchFanin,
            OrchestratorWork::OrchInsert,
            OrchestratorWork::OrchFinalize,
        ],
        _ => vec![OrchestratorWork::OrchSubmit],
    };
    assert_eq!(submits.len(), 4 * works.len());
    for (index, submit) in submits.chunks(works.len()).enumerate() {
        assert!(submit.iter().map(|phase| phase.phase).eq(works.iter().copied()));
        let same = |phase: &run_records::swimlane::OrchestratorPhase| {
            (phase.submit_idx, phase.task_id) == (submit[0].submit_idx, submit[0].task_id)
        };
        assert!(submit.iter().all(same));
        assert_eq!(
            (submit[0].submit_idx as usize, submit[0].task_id),
            (index, [0, INNER, INNER + 1, 1][index])
        );
    }
    let has_fanout = swimlane.tasks.iter().all(|task| task.fanout.is_some());
    assert_eq!(has_fanout, platform == Platform::A5Sim);
}

fn check_scopes(records: &Run) {
    let stats = records.scope_stats.as_ref().unwrap();
    assert!(!stats.header.fatal && stats.header.dropped == 0 && stats.header.total == 4);
    assert_eq!((stats.header.task_window_max, stats.header.tensormap_max), ([16384; 4], 65536));
    assert_eq!(stats.header.heap_max, [256 << 20; 4]);
    let borders: Vec<_> =
        stats.records.iter().map(|record| (record.depth, record.ring, record.phase)).collect();
    assert_eq!(
        borders,
        [(0, 0, Border::Begin), (1, 1, Border::Begin), (1, 1, Border::End), (0, 0, Border::End)]
    );
    assert_eq!(stats.records[0].site, "(unknown):0");
    assert!(stats.records[1].site.starts_with("diagnostics.rs:"), "{}", stats.records[1].site);
    assert_eq!(stats.records[1].site, stats.records[2].site);
    assert_eq!((stats.records[2].tasks_alive(), stats.records[2].tensormap), (2, 1));
    assert_eq!(stats.records[2].heap_end, 1024);
}

fn check_dump(records: &Run, folder: &Path) {
    let tensors = &records.dump.as_ref().unwrap().tensors;
    let told: Vec<_> = tensors
        .iter()
        .map(|tensor| (tensor.task_id, tensor.role, tensor.stage, values(records, folder, tensor)))
        .collect();
    let before = |task, values: [i64; 2]| (task, Role::Input, Stage::BeforeDispatch, values.to_vec());
    let after = |task, values: [i64; 2]| (task, Role::Output, Stage::AfterCompletion, values.to_vec());
    let expected = [
        before(0, [5, 6]),
        after(0, [6, 7]),
        before(INNER, [6, 7]),
        after(INNER, [16, 17]),
        before(INNER + 1, [16, 17]),
        after(INNER + 1, [116, 117]),
    ];
    assert_eq!(told, expected);
    assert!(
        tensors.iter().all(|tensor| tensor.subtask_id == 1 && tensor.func_id == 0 && tensor.is_contiguous)
    );
}

fn check_deps(records: &Run) {
    let deps = records.deps.as_ref().unwrap();
    let ids: Vec<u64> = deps.tasks.iter().map(|task| task.task_id).collect();
    assert_eq!(ids, [0, INNER, INNER + 1, 1]);
    assert!(deps.tasks.iter().all(|task| task.scope == Scope::Auto));
    let kinds: Vec<ArgKind> = deps.tasks[0].args.iter().map(|arg| arg.kind).collect();
    assert_eq!(kinds, [ArgKind::Input, ArgKind::Output]);
    assert_eq!(deps.tasks[0].args[1].tensor, None);
    let edges: Vec<_> = deps.edges.iter().map(|edge| (edge.pred, edge.succ, edge.arg)).collect();
    assert_eq!(edges, [(0, INNER, 0), (INNER, INNER + 1, 0)]);
    assert!(deps.edges.iter().all(|edge| matches!(edge.reason, Reason::Creator { .. })));
    // The arguments of the run, and the two tensors made on the way.
    assert_eq!(deps.tensors.len(), 4);
    for tensor in &deps.tensors {
        assert_eq!(tensor.tensor_id, tensor_id(tensor.buffer_addr, tensor.version));
    }
}

#[test]
fn levels_of_the_swimlane_add_to_each_other() {
    for (platform, runtime) in
        SIMULATED.iter().flat_map(|platform| RuntimeKind::ALL.map(|runtime| (*platform, runtime)))
    {
        let is_rings = runtime == RuntimeKind::TensormapAndRingbuffer;
        let worker = worker(platform, runtime);
        let handle = if is_rings { register(&worker, three_sums) } else { register_graph(&worker) };
        for level in 1..=4 {
            let folder = tempfile::tempdir().unwrap();
            let mut config = CallConfig::default();
            config.set_l2_swimlane(level).unwrap();
            config.set_output_prefix(&folder.path().to_string_lossy()).unwrap();
            run(&worker, &handle, &config).unwrap();
            let swimlane = read(folder.path()).swimlane.unwrap();
            assert_eq!(swimlane.level, level.unsigned_abs());
            let has_times = swimlane.tasks.iter().any(|task| task.finish.nanos() > 0);
            assert_eq!(has_times, level >= 2);
            assert_eq!(swimlane.tasks[0].fanout.is_some(), level >= 2 && platform == Platform::A5Sim);
            assert_eq!(swimlane.scheduler.is_some(), level >= 3);
            assert_eq!(swimlane.core_to_thread.is_some(), level >= 3 && is_rings);
            let phases = swimlane.scheduler.iter().flatten().flatten().count();
            assert_eq!(phases > 0, level >= 3 && is_rings);
            assert_eq!(swimlane.orchestrator.is_some(), level == 4 && is_rings);
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "and run.json");
        }
    }
}

/// out = in + 1 + 10 over memory in between, whose tensor is a window of a larger one.
fn two_sums(graph: &mut GraphBuilder<'_>) -> Result<(), GraphError> {
    let (input, output) = (graph.stage_in(0)?, graph.stage_out(1)?);
    let between = graph.device_malloc(64)?;
    let window = DevPtr::new(between.addr() + 16);
    let first = graph.add_task(&[input.addr(), window.addr(), 1], 0, CoreType::Aiv)?;
    let second = graph.add_task(&[window.addr(), output.addr(), 10], 0, CoreType::Aiv)?;
    graph.add_successor(first, second)?;
    let whole = TensorInfo::whole(DataType::Int64, &[2]).unwrap();
    // Elements 1 and 3 of the two rows of what begins at the window's address.
    let part = TensorInfo::window(DataType::Int64, &[2, 1], &[2, 2], &[0, 1]).unwrap();
    graph.set_tensor_info(first, &[whole, part])?;
    graph.set_tensor_info(second, &[whole, whole])
}

fn register_graph(worker: &ChipWorker) -> CallableHandle {
    let add = NativeKernel::new("add", |kernel| {
        let values: Vec<i64> = kernel.read(kernel.ptr(0), 2)?;
        let sums: Vec<i64> = values.iter().map(|value| value + kernel.args()[2].cast_signed()).collect();
        kernel.write(kernel.ptr(1), &sums)
    });
    let source = CallableSource::new(NativeGraph::new(two_sums).into(), vec![(0, add.into())]);
    let signature = [ArgDirection::In, ArgDirection::Out, ArgDirection::Scalar];
    worker.register_source(&source.signature(0, &signature)).unwrap()
}

#[test]
fn graphs_of_the_host_record_what_their_contract_has() {
    for platform in SIMULATED {
        let worker = worker(platform, RuntimeKind::HostBuildGraph);
        let handle = register_graph(&worker);
        for _ in 0..2 {
            let scratch = tempfile::tempdir().unwrap();
            let folder = scratch.path();
            assert_eq!(run(&worker, &handle, &all(folder)).unwrap(), [16, 17]);
            let records = read(folder);
            let swimlane = records.swimlane.as_ref().unwrap();
            assert_eq!(swimlane.tasks.len(), 2);
            let fanout = (platform == Platform::A5Sim).then(|| vec![1]);
            assert_eq!(swimlane.tasks[0].fanout, fanout);
            assert!(swimlane.scheduler.as_ref().unwrap().iter().all(Vec::is_empty));
            assert_eq!((&swimlane.orchestrator, &swimlane.core_to_thread), (&None, &None));
            assert_eq!(records.deps, None);
            let stats = records.scope_stats.as_ref().unwrap();
            assert_eq!((stats.header.total, stats.header.heap_max), (0, [0; 4]));
            assert_eq!(records.pmu.as_ref().unwrap().rows.len(), 2);
            let dump = records.dump.as_ref().unwrap();
            let told: Vec<_> = dump.tensors.iter().map(|tensor| values(&records, folder, tensor)).collect();
            assert_eq!(
                (told.len(), &told[0], &told[2], &told[3]),
                (4, &vec![5, 6], &vec![6, 7], &vec![16, 17])
            );
            let part = &dump.tensors[1];
            assert_eq!(
                (&part.shape[..], &part.strides[..], part.start_offset),
                (&[2, 1][..], &[2, 1][..], 1)
            );
            assert_eq!((told[1][0], part.is_contiguous, part.subtask_id), (7, false, 0));
        }
        drop(handle);
        assert!(worker.close().unwrap().is_zero());
    }
}

#[test]
fn chosen_tensors_are_the_only_ones() {
    let worker = worker(Platform::A5Sim, RuntimeKind::TensormapAndRingbuffer);
    let handle = register(&worker, |graph| {
        let (input, output) = (graph.tensor(0)?, graph.tensor(1)?);
        // Dumped before anybody has chosen something, which does not count any more then.
        graph.submit(TaskSpec::aiv(0).input(&input).output_existing(&output).scalar(1))?;
        graph.read(&output, &[0])?;
        graph.submit(TaskSpec::aiv(0).input(&input).output_existing(&output).scalar(2).dump_tensors(0b10))?;
        // Who only writes does not wait for others who do.
        graph.read(&output, &[0])?;
        graph.submit(TaskSpec::aiv(0).input(&input).output_existing(&output).scalar(3))?;
        graph
            .submit(TaskSpec::aiv(0).input(&input).output_existing(&output).scalar(4).dump_tensors(0))
            .map(drop)
    });
    let scratch = tempfile::tempdir().unwrap();
    run(&worker, &handle, &all(scratch.path())).unwrap();
    let records = read(scratch.path());
    let tensors = &records.dump.as_ref().unwrap().tensors;
    assert_eq!(tensors.len(), 1);
    assert_eq!((tensors[0].task_id, tensors[0].arg_index, tensors[0].role), (1, 1, Role::Output));
    assert_eq!(values(&records, scratch.path(), &tensors[0]), [7, 8]);
}

#[test]
fn dependencies_tell_their_reasons() {
    let worker = worker(Platform::A2a3Sim, RuntimeKind::TensormapAndRingbuffer);
    let handle = register(&worker, |graph| {
        let output = graph.tensor(1)?;
        let first = graph.submit(TaskSpec::aiv(1).inout(&output))?.id;
        graph.submit(TaskSpec::aiv(1).inout(&output.part(&[1], &[1])?))?;
        graph.submit(TaskSpec::aiv(1).input(&output).after(first).after(first))?;
        graph.scope(ScopeMode::Manual, |graph| {
            graph.submit(TaskSpec::aiv(1).inout(&output).after(first)).map(drop)
        })?;
        graph.submit(TaskSpec::aiv(1).no_dep(&output)).map(drop)
    });
    let scratch = tempfile::tempdir().unwrap();
    run(&worker, &handle, &all(scratch.path())).unwrap();
    let deps = read(scratch.path()).deps.unwrap();
    let told: Vec<_> = deps
        .edges
        .iter()
        .map(|edge| {
            let overlap = match &edge.reason {
                Reason::Explicit => None,
                Reason::Creator { .. } => panic!("nothing was made here"),
                Reason::Tensormap { overlap, .. } => Some(*overlap),
            };
            (edge.pred, edge.succ, edge.arg, overlap)
        })
        .collect();
    let expected = [
        (0, 1, 0, Some(Overlap::Other)),
        (0, 2, -1, None),
        (0, 2, 0, Some(Overlap::Covered)),
        (1, 2, 0, Some(Overlap::Covered)),
        (0, INNER, -1, None),
    ];
    assert_eq!(told, expected);
    let Reason::Tensormap { consumer, producer, .. } = &deps.edges[3].reason else { panic!() };
    assert_eq!((&consumer.view.shape, consumer.view.start_offset), (&vec![2], 0));
    assert_eq!((&producer.shape, producer.start_offset, &producer.strides), (&vec![1], 1, &vec![1]));
    let scopes: Vec<Scope> = deps.tasks.iter().map(|task| task.scope).collect();
    assert_eq!(scopes, [Scope::Auto, Scope::Auto, Scope::Auto, Scope::Manual, Scope::Auto]);
    assert_eq!(deps.tasks[4].args[0].kind, ArgKind::Unknown);
}

#[test]
fn a_fatal_error_leaves_the_state_of_scopes_and_nothing_else() {
    let worker = worker(Platform::A2a3Sim, RuntimeKind::TensormapAndRingbuffer);
    let handle = register(&worker, |graph| {
        graph.submit(TaskSpec::aiv(1))?;
        graph.scope(ScopeMode::Auto, |graph| Err(graph.fail(TrbErrorCode::InvalidArgs.code(), "on purpose")))
    });
    for _ in 0..2 {
        let folder = tempfile::tempdir().unwrap();
        run(&worker, &handle, &all(folder.path())).unwrap_err();
        let records = read(folder.path());
        let stats = records.scope_stats.as_ref().unwrap();
        assert!(stats.header.fatal);
        assert_eq!(stats.records.len(), 2, "what ends because of the error tells nothing");
        assert_eq!(records, Run { scope_stats: records.scope_stats.clone(), ..Run::default() });
    }
}

#[test]
fn workers_write_beside_each_other() {
    let scratch = tempfile::tempdir().unwrap();
    std::thread::scope(|threads| {
        for index in 0..6 {
            let folder = scratch.path().join(format!("{index}"));
            let (platform, same) = (SIMULATED[index % 2], scratch.path().join("same"));
            threads.spawn(move || {
                let worker = worker(platform, RuntimeKind::TensormapAndRingbuffer);
                let handle = register(&worker, three_sums);
                for _ in 0..5 {
                    assert_eq!(run(&worker, &handle, &all(&folder)).unwrap(), [116, 117]);
                    check_dump(&read(&folder), &folder);
                    // Whoever ends last counts, and each file is whole.
                    run(&worker, &handle, &all(&same)).unwrap();
                }
            });
        }
    });
    assert_eq!(Run::read(&scratch.path().join("same")).unwrap().swimlane.unwrap().tasks.len(), 9);
    assert_eq!(fs::read_dir(scratch.path().join("same")).unwrap().count(), 6, "nothing is left half made");
}

/// How many tasks without kernels a program has.
fn without_kernel(ops: &[trb_program::program::Op]) -> usize {
    use trb_program::program::{Cores, Op};
    ops.iter()
        .map(|op| match op {
            Op::Scope { ops, .. } => without_kernel(ops),
            Op::Task(task) => usize::from(task.cores == Cores::Dummy),
            Op::Alloc(_) => 1,
            Op::Read { .. } | Op::Write { .. } => 0,
        })
        .sum()
}

#[test]
fn random_programs_keep_all_rules() {
    let mut chips = [0; 2];
    let seeds = if cfg!(debug_assertions) { 60 } else { 300 };
    for seed in 0..seeds {
        let plan = trb_program::plan::plan(&trb_program::generate::program(seed));
        let scratch = tempfile::tempdir().unwrap();
        trb_program::execute::execute_with(&plan, &all(scratch.path())).unwrap();
        let run = read(scratch.path());
        let is_a2a3 = plan.program.setup.platform == Platform::A2a3Sim;
        chips[usize::from(is_a2a3)] += 1;
        assert_eq!(run.deps.is_some(), is_a2a3, "seed {seed}");
        let told = run.summary.unwrap().tasks_without_kernel.unwrap();
        assert_eq!(told.len(), without_kernel(&plan.program.ops), "seed {seed}");
    }
    assert!(chips.iter().all(|&programs| programs > 10), "{chips:?}");
}

#[test]
fn long_streams_in_small_rings_lose_nothing() {
    let rings = RingOptions::default().task_window(16);
    let worker = ChipWorker::builder()
        .platform(Platform::A2a3Sim)
        .runtime(RuntimeKind::TensormapAndRingbuffer)
        .rings(rings)
        .build()
        .unwrap();
    let handle = register(&worker, |graph| {
        let output = graph.tensor(1)?;
        for _ in 0..2_000 {
            graph.scope(ScopeMode::Auto, |graph| {
                let made = graph.submit(TaskSpec::aiv(1).output(&[4], DataType::Int64)?)?.outputs[0];
                graph.submit(TaskSpec::aiv(1).input(&made).inout(&output)).map(drop)
            })?;
        }
        Ok(())
    });
    let folder = tempfile::tempdir().unwrap();
    let mut config = all(folder.path());
    config.set_dump_tensor(false);
    run(&worker, &handle, &config).unwrap();
    let records = read(folder.path());
    assert_eq!(records.swimlane.as_ref().unwrap().tasks.len(), 4_000);
    assert_eq!(records.scope_stats.as_ref().unwrap().records.len(), 4_002);
    assert_eq!(records.deps.as_ref().unwrap().tasks.len(), 4_000);
    // Each second task but the first waits for the one before, and for the task that made its input.
    assert_eq!(records.deps.as_ref().unwrap().edges.len(), 2_000 + 1_999);
}
