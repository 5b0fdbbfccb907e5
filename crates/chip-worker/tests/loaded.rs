//! Workers whose runtime is a loaded library: the same API, with a fake library behind it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is the report of a test")]

#[path = "../../host-library/tests/fake/mod.rs"]
mod fake;

use std::time::Duration;

use chip_worker::{
    Args, CallConfig, CallableHandle, CallableSource, ChipCallable, ChipWorker, Companions, CoreCallable,
    DataType, HostLibraryError, KernelSource, NativeGraph, NativeKernel, Platform, RunnerError, RuntimeKind,
    WorkerError,
};
use fake::Fake;

const IN_TREE: &str = "a5/sim/tensormap_and_ringbuffer/libhost_runtime.so";

fn load(fake: &Fake) -> ChipWorker {
    let runtime = RuntimeKind::HostBuildGraph;
    ChipWorker::load_as(&fake.library, &Companions::none(), Platform::A2a3Sim, runtime, 0).unwrap()
}

fn callable(entry: &str) -> ChipCallable {
    let kernel = CoreCallable::encode(&[], b"kernel").unwrap();
    ChipCallable::builder(entry).binary(b"orchestration").child(0, &kernel).build().unwrap()
}

fn source(entry: &str) -> CallableSource {
    CallableSource::from_image(&callable(entry)).unwrap()
}

fn run(worker: &ChipWorker, handle: &CallableHandle, scalars: &[u64]) -> Result<[i64; 2], WorkerError> {
    let (input, mut output) = ([1i64, 2], [0i64; 2]);
    let args = Args::new().input(&input, &[2])?.output(&mut output, &[2])?;
    let args = scalars.iter().try_fold(args, |args, &scalar| args.scalar(scalar))?;
    worker.run(handle, &args, &CallConfig::default())?;
    drop(args);
    Ok(output)
}

/// A fake library with all files around it.
fn tree(flags: &[&'static str]) -> Fake {
    let fake = Fake::at(IN_TREE, flags.iter().copied());
    fake.file(&IN_TREE.replace("libhost_runtime", "libaicpu_kernel"), "cpu program");
    fake.file(&IN_TREE.replace("libhost_runtime", "libaicore_kernel"), "core program");
    fake.with("log.c", "libsimpler_log.so", ["-DCODE=0", "-DFROM_LOG=from_the_log"]);
    fake.with("sim_context.c", "libcpu_sim_context.so", []);
    fake
}

#[test]
fn a_whole_life_from_a_tree() {
    let fake = tree(&[]);
    let runtime = RuntimeKind::TensormapAndRingbuffer;
    let worker = ChipWorker::load_from_tree(fake.folder(), Platform::A5Sim, runtime, 2).unwrap();
    assert_eq!((worker.platform(), worker.runtime(), worker.is_loaded()), (Platform::A5Sim, runtime, true));
    let start = [
        "simpler_log_init 4 0",
        "create_device_context",
        "simpler_init 2 [cpu program] [core program] [] null",
    ];
    assert_eq!(fake.calls(), start);

    let handles = [worker.register(&callable("a")).unwrap(), worker.register_source(&source("b")).unwrap()];
    assert_eq!(handles.each_ref().map(CallableHandle::id), [0, 1]);
    assert_eq!(run(&worker, &handles[1], &[10]).unwrap(), [11, 12]);
    let memory = worker.malloc(16).unwrap();
    worker.copy_to(memory, &[1; 16]).unwrap();
    let mut back = [0; 16];
    worker.copy_from(&mut back, memory).unwrap();
    assert_eq!(back, [1; 16]);
    let report = worker.report();
    assert_eq!((report.allocations, report.bytes, report.callables), (1, 16, 2));
    assert_eq!((worker.dlopen_counts().host, worker.dlopen_counts().aicpu), (2, 1));
    worker.free(memory).unwrap();
    let [first, second] = handles;
    drop(first);
    assert_eq!(worker.report().callables, 1);
    assert_eq!(worker.register(&callable("c")).unwrap().id(), 0, "the lowest free id");
    fake.calls();

    assert!(worker.close().unwrap().is_zero());
    let end = ["finalize_device", "destroy_device_context: 0 contexts, 0 allocations left", "unloaded"];
    assert_eq!(fake.calls(), end);
    drop(second);
    assert!(fake.calls().is_empty(), "a handle that is left over has nothing to do");
}

#[test]
fn figures_are_those_of_the_library_or_follow_from_the_chip() {
    let outcome = |flags: &[&'static str]| {
        let fake = Fake::new(flags.iter().copied());
        let worker = load(&fake);
        let handle = worker.register(&callable("build")).unwrap();
        let outcome = worker.run(&handle, &Args::new(), &CallConfig::default()).unwrap();
        let walls = (outcome.host_wall, outcome.device_wall);
        assert_eq!(walls, (Duration::from_nanos(5000), Duration::from_nanos(2000)));
        (outcome.device_ticks, outcome.tasks, outcome.block_dim)
    };
    assert_eq!(outcome(&[]), (100, 0, 24));
    assert_eq!(outcome(&["-DTELLS"]), (100, 17, 3));
}

#[test]
fn what_a_library_is_for_comes_from_itself_or_its_place_or_the_client() {
    let purpose = |fake: &Fake| {
        ChipWorker::load(&fake.library, &Companions::none(), 0)
            .map(|worker| (worker.platform(), worker.runtime()))
    };
    let by_place = Fake::at(IN_TREE, []);
    assert_eq!(purpose(&by_place).unwrap(), (Platform::A5Sim, RuntimeKind::TensormapAndRingbuffer));
    let by_itself = Fake::at(IN_TREE, ["-DTELLS", "-DPLATFORM=\"a2a3sim\""]);
    assert_eq!(purpose(&by_itself).unwrap(), (Platform::A2a3Sim, RuntimeKind::HostBuildGraph));

    let untold = purpose(&Fake::new([])).unwrap_err();
    assert!(matches!(&untold, WorkerError::UntoldPurpose { what: "platform", .. }), "{untold}");
    assert!(untold.to_string().contains("ChipWorker::load_as"), "{untold}");
    let untold = purpose(&Fake::new(["-DPLATFORM=\"a5sim\""])).unwrap_err();
    assert!(matches!(&untold, WorkerError::UntoldPurpose { what: "runtime", .. }), "{untold}");
    let unknown = purpose(&Fake::at(IN_TREE, ["-DPLATFORM=\"a6\""])).unwrap_err();
    assert!(matches!(&unknown, WorkerError::UnknownName { what: "platform", .. }), "{unknown}");

    let other = tree(&["-DPLATFORM=\"a2a3sim\""]);
    let runtime = RuntimeKind::TensormapAndRingbuffer;
    let error = ChipWorker::load_from_tree(other.folder(), Platform::A5Sim, runtime, 0).unwrap_err();
    assert!(error.to_string().contains("is for the platform a2a3sim, not a5sim"), "{error}");
    assert_eq!(other.calls()[1..], ["unloaded"], "no context was made");
}

#[test]
fn a_tree_that_is_not_complete_is_told_as_a_whole() {
    let fake = Fake::at(IN_TREE, []);
    let runtime = RuntimeKind::TensormapAndRingbuffer;
    let error = ChipWorker::load_from_tree(fake.folder(), Platform::A5Sim, runtime, 0).unwrap_err();
    let WorkerError::Library(HostLibraryError::MissingFiles { missing, .. }) = &error else {
        panic!("{error}")
    };
    assert_eq!(missing.len(), 4);
    let companions = Companions::programs("no/such/program", "no/such/program");
    let error = ChipWorker::load(&fake.library, &companions, 0).unwrap_err();
    assert!(matches!(error, WorkerError::Library(HostLibraryError::Unreadable { .. })), "{error}");
    assert_eq!(fake.calls(), ["unloaded"], "no context was made");
}

#[test]
fn a_device_that_cannot_be_had_leaves_nothing() {
    let fake = Fake::at(IN_TREE, ["-DFAIL_simpler_init", "-DTELLS"]);
    let error = ChipWorker::load_as(
        &fake.library,
        &Companions::none(),
        Platform::A5Sim,
        RuntimeKind::HostBuildGraph,
        0,
    )
    .unwrap_err();
    assert_eq!(error.to_string(), "simpler_init failed with code -7: no such device");
    let calls = fake.calls();
    assert_eq!(calls[2..], ["destroy_device_context: 0 contexts, 0 allocations left", "unloaded"]);
}

#[test]
fn a_failed_run_tells_code_and_text() {
    for (flags, text) in [(&["-DTELLS"][..], ": as you wish"), (&[], "; the library may have written")] {
        let fake = Fake::new(flags.iter().copied());
        let worker = load(&fake);
        let handle = worker.register(&callable("build")).unwrap();
        for code in [-101i64, 17] {
            let error = run(&worker, &handle, &[1, code.cast_unsigned()]).unwrap_err();
            assert!(matches!(&error, WorkerError::Library(_)), "{error}");
            assert_eq!(error.code(), Some(i32::try_from(code).unwrap()));
            assert!(error.to_string().contains(text), "{error}");
        }
        assert_eq!(run(&worker, &handle, &[1]).unwrap(), [2, 3], "the next run is fine");
    }
}

#[test]
fn a_callable_is_replaced_or_stays() {
    let fake = Fake::new([]);
    let worker = load(&fake);
    let mut handle = worker.register(&callable("old")).unwrap();
    worker.replace(&mut handle, &source("new")).unwrap();
    fake.calls();
    let refused = worker.replace(&mut handle, &source("refused")).unwrap_err();
    assert!(matches!(&refused, WorkerError::Library(HostLibraryError::Call { .. })), "{refused}");
    let calls =
        ["unregister_callable 0", "prepare_callable 0 refused", "prepare_callable 0 new"].map(str::to_owned);
    assert_eq!(fake.calls(), calls);
    assert_eq!(run(&worker, &handle, &[1]).unwrap(), [2, 3]);

    worker.replace(&mut handle, &source("once")).unwrap();
    let lost = worker.replace(&mut handle, &source("refused")).unwrap_err();
    assert!(matches!(&lost, WorkerError::NotPutBack { .. }), "{lost}");
    assert!(run(&worker, &handle, &[1]).is_err(), "nothing is registered");
    assert_eq!(worker.report().callables, 0);
    assert_eq!(worker.register(&callable("next")).unwrap().id(), 1, "the id is still the handle's");
    assert!(worker.replace(&mut handle, &source("refused")).is_err());
    worker.replace(&mut handle, &source("fresh")).unwrap();
    assert_eq!(run(&worker, &handle, &[1]).unwrap(), [2, 3]);
}

#[test]
fn all_ids_can_be_taken_and_no_more() {
    let fake = Fake::new([]);
    let worker = load(&fake);
    let handles: Vec<_> = (0..64).map(|_| worker.register(&callable("build")).unwrap()).collect();
    assert_eq!(handles[63].id(), 63);
    let full = worker.register(&callable("build")).unwrap_err();
    assert!(matches!(full, WorkerError::Runner(RunnerError::RegistryFull { capacity: 64 })), "{full}");
    drop(handles);
    assert_eq!(worker.register(&callable("build")).unwrap().id(), 0);
}

#[test]
fn an_id_that_cannot_be_given_back_is_not_used_again() {
    let fake = Fake::new(["-DFAIL_unregister_callable"]);
    let worker = load(&fake);
    let mut handle = worker.register(&callable("build")).unwrap();
    let stuck = worker.replace(&mut handle, &source("other")).unwrap_err();
    assert!(stuck.to_string().starts_with("unregister_callable failed with code -6"), "{stuck}");
    assert_eq!(run(&worker, &handle, &[1]).unwrap(), [2, 3], "the old one stayed");
    drop(handle);
    assert_eq!(worker.register(&callable("build")).unwrap().id(), 1);
    assert!(worker.close().unwrap().is_zero());
}

#[test]
fn what_the_c_api_cannot_do_is_refused() {
    let fake = Fake::new([]);
    let worker = load(&fake);
    let handle = worker.register(&callable("build")).unwrap();
    let phases = worker.prepare(&handle, &Args::new(), &CallConfig::default()).unwrap_err();
    assert!(matches!(&phases, WorkerError::LinkedOnly { .. }), "{phases}");
    assert!(phases.to_string().contains("use ChipWorker::run"), "{phases}");

    let native = CallableSource::new(NativeGraph::new(|_| Ok(())).into(), Vec::new());
    let mut rust_kernel = source("build");
    rust_kernel.kernels[0].1 = KernelSource::from(NativeKernel::new("rust", |_| Ok(())));
    let mut handle = handle;
    for refused in [native, rust_kernel] {
        let errors = [worker.register_source(&refused).err(), worker.replace(&mut handle, &refused).err()];
        for error in errors {
            let error = error.unwrap();
            assert!(matches!(&error, WorkerError::LinkedOnly { .. }), "{error}");
        }
    }
    assert_eq!(run(&worker, &handle, &[1]).unwrap(), [2, 3]);
}

#[test]
fn handles_of_other_workers_are_refused() {
    let fake = Fake::new([]);
    let (worker, other) = (load(&fake), load(&fake));
    let linked = ChipWorker::builder().build().unwrap();
    assert!(!linked.is_loaded());
    let mut handle = worker.register(&callable("build")).unwrap();
    for foreign in [&other, &linked] {
        assert!(matches!(run(foreign, &handle, &[1]), Err(WorkerError::ForeignHandle)));
        let replaced = foreign.replace(&mut handle, &source("build"));
        assert!(matches!(replaced, Err(WorkerError::ForeignHandle)));
    }
    let args = Args::new();
    let prepared = linked.prepare(&handle, &args, &CallConfig::default());
    assert!(matches!(prepared, Err(WorkerError::ForeignHandle)));
}

#[test]
fn device_tensors_have_to_be_those_of_the_worker() {
    let fake = Fake::new([]);
    let (worker, other) = (load(&fake), load(&fake));
    let handle = worker.register(&callable("build")).unwrap();
    let values = [5i64, 6];
    let device = worker.malloc(16).unwrap();
    let run = |ptr| {
        let args = Args::new().input(&values, &[2])?.device(ptr, &[2], DataType::Int64)?.scalar(1)?;
        worker.run(&handle, &args, &CallConfig::default())
    };
    run(device).unwrap();
    let mut results = [0; 16];
    worker.copy_from(&mut results, device).unwrap();
    assert_eq!(results[..], [6i64, 7].map(i64::to_ne_bytes).concat());
    let error = run(other.malloc(16).unwrap()).unwrap_err();
    assert!(matches!(&error, WorkerError::Library(HostLibraryError::Address { .. })), "{error}");
}
