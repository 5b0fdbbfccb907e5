//! The Rust API over the libraries that clients load: beside each other, and beside a worker that is linked in.
#![allow(missing_docs, reason = "tests")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is the report of a test")]

mod common;

use std::thread;

use chip_worker::{
    Args, CallConfig, CallableSource, ChipCallable, ChipWorker, CoreCallable, Platform, RuntimeKind,
    WorkerError,
};
use common::{graphs, library, tree};

const COUNT: usize = 64;

fn each() -> impl Iterator<Item = (Platform, RuntimeKind)> {
    Platform::SIMULATED.into_iter().flat_map(|platform| RuntimeKind::ALL.map(|runtime| (platform, runtime)))
}

fn load(platform: Platform, runtime: RuntimeKind) -> ChipWorker {
    ChipWorker::load_from_tree(tree(), platform, runtime, 0).unwrap()
}

fn callable(runtime: RuntimeKind) -> ChipCallable {
    let short = if runtime == RuntimeKind::HostBuildGraph { "hbg" } else { "trb" };
    let read = |name: &str| std::fs::read(graphs().join(format!("{name}.so"))).unwrap();
    let double = CoreCallable::encode(&[], &read(&format!("{short}_double"))).unwrap();
    ChipCallable::builder("build").binary(&read(short)).child(0, &double).build().unwrap()
}

/// Runs the callable once; what it is to do besides doubling is said by `what` and `argument`.
fn run(worker: &ChipWorker, what: u64, argument: u64) -> Result<(), WorkerError> {
    let handle = worker.register(&callable(worker.runtime())).unwrap();
    let input: Vec<f32> = (0..COUNT).map(|number| number as f32).collect();
    let mut output = vec![-1.0f32; COUNT];
    let shape = [u32::try_from(COUNT).unwrap()];
    let args = Args::new().input(&input, &shape)?.output(&mut output, &shape)?;
    let args = args.scalar(what)?.scalar(argument)?.scalar(0)?.scalar(0)?;
    let outcome = worker.run(&handle, &args, &CallConfig::default());
    drop(args);
    match outcome {
        Ok(outcome) => {
            assert!(output.iter().zip(&input).all(|(&out, &input)| out == 2.0 * input));
            assert_eq!((outcome.tasks, outcome.block_dim), (1, worker.platform().max_block_dim().unwrap()));
            assert!(outcome.device_ticks > 0 || outcome.device_wall.as_nanos() < 20);
            Ok(())
        }
        Err(error) => {
            assert!(output.iter().all(|&value| value == -1.0), "a failed run changes nothing");
            Err(error)
        }
    }
}

#[test]
fn every_library_runs_and_gives_everything_back() {
    for (platform, runtime) in each() {
        let worker = load(platform, runtime);
        assert_eq!((worker.platform(), worker.runtime(), worker.is_loaded()), (platform, runtime, true));
        for _ in 0..3 {
            run(&worker, 0, 0).unwrap();
        }
        let memory = worker.malloc(16).unwrap();
        worker.copy_to(memory, &[7; 16]).unwrap();
        let mut back = [0; 16];
        worker.copy_from(&mut back, memory).unwrap();
        assert_eq!(back, [7; 16]);
        assert!(!worker.report().is_zero());
        let left = worker.close().unwrap();
        assert!(left.is_zero(), "{left}");
    }
}

/// An immutable static is in memory that cannot be written to.
static IN_READ_ONLY_MEMORY: [f32; 2] = [1.0, 2.0];

/// The graphs of these tests copy inputs back as well.
#[test]
fn inputs_are_not_written_to() {
    for (platform, runtime) in each() {
        let linked = ChipWorker::builder().platform(platform).runtime(runtime).build().unwrap();
        for worker in [linked, load(platform, runtime)] {
            let handle = worker.register(&callable(runtime)).unwrap();
            let mut output = [0.0f32; 2];
            let args = Args::new().input(&IN_READ_ONLY_MEMORY, &[2]).unwrap();
            let args = args.output(&mut output, &[2]).unwrap();
            let args = (0..4).fold(args, |args, _| args.scalar(0).unwrap());
            worker.run(&handle, &args, &CallConfig::default()).unwrap();
            drop(args);
            assert_eq!(output, [2.0, 4.0]);
        }
    }
}

#[test]
fn a_library_tells_what_it_is_for() {
    for (platform, runtime) in each() {
        let arch = platform.name().trim_end_matches("sim");
        let path = library(arch, runtime.name());
        let worker = ChipWorker::load(path, &chip_worker::Companions::none(), 3).unwrap();
        assert_eq!((worker.platform(), worker.runtime()), (platform, runtime));
        run(&worker, 0, 0).unwrap();
    }
}

#[test]
fn errors_come_with_their_code_and_text() {
    for (platform, runtime) in each() {
        let worker = load(platform, runtime);
        let error = run(&worker, 1, 9).unwrap_err();
        let expected = if runtime == RuntimeKind::HostBuildGraph { 9 } else { -9 };
        assert_eq!(error.code(), Some(expected), "{error}");
        let text = error.to_string();
        assert!(text.contains("returned 9") || text.contains("ended on purpose"), "{text}");
        let error = run(&worker, 2, 0).unwrap_err();
        assert!(error.to_string().contains("thrown on purpose"), "{error}");
        run(&worker, 0, 0).unwrap();
    }
}

#[test]
fn loaded_and_linked_workers_run_at_the_same_time() {
    thread::scope(|scope| {
        for (platform, runtime) in each() {
            scope.spawn(move || {
                let worker = load(platform, runtime);
                (0..50).for_each(|_| run(&worker, 0, 0).unwrap());
                assert!(worker.close().unwrap().is_zero());
            });
            scope.spawn(move || {
                let worker = ChipWorker::builder().platform(platform).runtime(runtime).build().unwrap();
                (0..50).for_each(|_| run(&worker, 0, 0).unwrap());
                assert!(worker.close().unwrap().is_zero());
            });
        }
    });
}

#[test]
fn a_callable_can_be_replaced() {
    let worker = load(Platform::A2a3Sim, RuntimeKind::HostBuildGraph);
    let good = CallableSource::from_image(&callable(RuntimeKind::HostBuildGraph)).unwrap();
    let bad = ChipCallable::builder("build").binary(b"no library").build().unwrap();
    let bad = CallableSource::from_image(&bad).unwrap();
    let mut handle = worker.register_source(&good).unwrap();
    worker.replace(&mut handle, &good).unwrap();
    assert!(worker.replace(&mut handle, &bad).is_err());
    // The old one is still there.
    let mut values = [1.0f32; 2];
    let mut doubled = [0.0f32; 2];
    let args = Args::new().output(&mut values, &[2]).unwrap().output(&mut doubled, &[2]).unwrap();
    let args = (0..4).fold(args, |args, _| args.scalar(0).unwrap());
    worker.run(&handle, &args, &CallConfig::default()).unwrap();
    drop(args);
    assert_eq!(doubled, [2.0; 2]);
}

/// Ranks do not care what is behind the others.
#[test]
fn loaded_and_linked_workers_are_ranks_of_one_job() {
    for (platform, runtime) in each() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rootinfo");
        thread::scope(|scope| {
            for rank in 0..3u8 {
                let path = &path;
                scope.spawn(move || {
                    let linked = rank == 0;
                    let worker = match linked {
                        true => ChipWorker::builder().platform(platform).runtime(runtime).build().unwrap(),
                        false => load(platform, runtime),
                    };
                    let comm = worker.join(u32::from(rank), 3, path).unwrap();
                    assert!(comm.barrier().is_err() && comm.window(0).is_err());
                    comm.alloc_windows(64).unwrap();
                    worker.copy_to(comm.local_window().unwrap(), &[10 + rank]).unwrap();
                    comm.barrier().unwrap();
                    for peer in 0..3u8 {
                        let mut byte = [0];
                        worker.copy_from(&mut byte, comm.window(u32::from(peer)).unwrap()).unwrap();
                        assert_eq!(byte, [10 + peer]);
                    }
                    let domain = comm.alloc_domain(5, &[2, 1, 0], 2 - u32::from(rank), 32).unwrap();
                    worker.copy_to(domain.window, &[1; 32]).unwrap();
                    assert!(worker.copy_to(domain.window, &[1; 33]).is_err());
                    comm.derive_context(&[0], 0, 32, 32).unwrap();
                    assert!(comm.derive_context(&[0], 0, 32, 33).is_err());
                    let report = worker.report();
                    assert_eq!((report.communicators, report.windows), (1, 2));
                    comm.release_domain(5, 3, 2 - u32::from(rank)).unwrap();
                    comm.barrier().unwrap();
                    comm.close().unwrap();
                    assert!(worker.close().unwrap().is_zero());
                });
            }
        });
    }
}

#[test]
fn a_loaded_worker_names_the_ranks_that_are_missing() {
    let folder = tempfile::tempdir().unwrap();
    let files = chip_worker::LibraryFiles::in_tree(tree(), "a5", "sim", "host_build_graph").unwrap();
    let companions = files.companions.option("comm_limit_ms", "50");
    let worker = ChipWorker::load(&files.library, &companions, 0).unwrap();
    let comm = worker.join(1, 3, folder.path().join("rootinfo")).unwrap();
    let error = comm.alloc_windows(8).unwrap_err().to_string();
    assert!(error.contains("ranks 0, 2 did not come within 50"), "{error}");
    drop(comm);
    assert!(worker.close().unwrap().is_zero());
}
