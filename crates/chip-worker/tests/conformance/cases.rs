//! The cases. Each takes a place of its own and must leave nothing there.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use chip_worker::{
    Args, CallConfig, ChipCallable, ChipWorker, Communicator, CoreCallable, DataType, DevPtr, DeviceError,
    Platform, RunnerError, RuntimeKind, VariantError, WorkerError,
};
use device_runner::ArenaSizes;

use crate::backend::Backend;
use crate::common::config;
use crate::programs::{Ask, Call, meeting, other_steps, steps};
use crate::random;

/// A name and what it does.
type Case = (&'static str, fn(&Backend));

pub(crate) const ALL: &[Case] = &[
    ("life_cycle", life_cycle),
    ("arenas", arenas),
    ("registration", registration),
    ("all_callable_ids", all_callable_ids),
    ("runs_of_all_sizes", runs_of_all_sizes),
    ("refused_configurations", refused_configurations),
    ("errors_of_orchestrations", errors_of_orchestrations),
    ("errors_of_kernels", errors_of_kernels),
    ("corrupt_callables", corrupt_callables),
    ("device_memory", device_memory),
    ("phases", phases),
    ("dropped_phases", dropped_phases),
    ("threads_share_a_worker", threads_share_a_worker),
    ("workers_side_by_side", workers_side_by_side),
    ("ranks_of_a_job", ranks_of_a_job),
    ("random_graphs", random_graphs),
];

fn life_cycle(backend: &Backend) {
    let place = backend.place();
    for _ in 0..3 {
        place.close(place.worker());
    }
    let worker = place.worker();
    assert_eq!((worker.platform(), worker.runtime()), (backend.platform, backend.runtime));
    let handle = worker.register(&steps(backend.runtime)).unwrap();
    Call::default().run(&worker, &handle).unwrap();
    // A handle may outlive what it belongs to.
    drop(worker);
    drop(handle);
    place.close(place.worker());
}

fn arenas(backend: &Backend) {
    let place = backend.place();
    let runner = place.builder().build_runner().unwrap();
    let arenas = runner.arenas();
    let small = ArenaSizes { gm_heap: 4096, gm_sm: 100, runtime_arena: 1 };
    arenas.setup(small).unwrap();
    let bases = [arenas.gm_heap(), arenas.gm_sm(), arenas.runtime_arena()];
    assert!(bases.iter().all(|base| base.unwrap().addr() % 1024 == 0));
    let smaller = ArenaSizes { gm_heap: 1024, gm_sm: 100, runtime_arena: 1 };
    arenas.setup(smaller).unwrap();
    assert_eq!(arenas.committed(), small, "equal or smaller sizes keep what is there");
    assert_eq!([arenas.gm_heap(), arenas.gm_sm(), arenas.runtime_arena()], bases);
    // More than any device has: wherever it fails, nothing stays.
    for sizes in [
        ArenaSizes { gm_heap: usize::MAX / 4, ..small },
        ArenaSizes { gm_sm: usize::MAX / 4, ..small },
        ArenaSizes { runtime_arena: usize::MAX / 4, ..small },
        ArenaSizes { runtime_arena: usize::MAX, ..small },
    ] {
        arenas.setup(small).unwrap();
        let error = arenas.setup(sizes).unwrap_err();
        assert!(matches!(error, DeviceError::OutOfMemory { .. }), "{error}");
        assert_eq!(arenas.committed(), ArenaSizes::default());
        assert_eq!((arenas.gm_heap(), runner.report().allocations), (None, 0));
    }
    arenas.setup(small).unwrap();
    runner.finalize().unwrap();
    assert!(runner.report().is_zero(), "{}", runner.report());
}

fn registration(backend: &Backend) {
    let place = backend.place();
    let worker = place.worker();
    let idle = worker.report();
    let first = worker.register(&steps(backend.runtime)).unwrap();
    let one = worker.report();
    let second = worker.register(&steps(backend.runtime)).unwrap();
    let shared = worker.report();
    assert_eq!((shared.kernels, shared.images), (one.kernels, one.images), "equal contents are kept once");
    assert_eq!((one.callables, shared.callables), (1, 2));
    let other = worker.register(&other_steps(backend.runtime)).unwrap();
    assert!(worker.report().kernels > shared.kernels);
    for handle in [&first, &second, &other] {
        Call::default().run(&worker, handle).unwrap();
    }
    let loads = worker.dlopen_counts();
    let expected = if backend.runtime == RuntimeKind::HostBuildGraph { (3, 0) } else { (0, 3) };
    assert_eq!((loads.host, loads.aicpu), expected);
    drop((first, other));
    assert_eq!(worker.report().kernels, one.kernels);
    Call::default().run(&worker, &second).unwrap();
    drop(second);
    let left = worker.report();
    assert_eq!((left.callables, left.kernels, left.images), (idle.callables, idle.kernels, idle.images));
    // A handle of another worker is no handle here.
    let foreign = place.worker();
    let handle = foreign.register(&steps(backend.runtime)).unwrap();
    assert!(Call::default().run(&worker, &handle).is_err());
    drop(handle);
    place.close(foreign);
    place.close(worker);
}

fn all_callable_ids(backend: &Backend) {
    let place = backend.place();
    let worker = place.worker();
    let image = steps(backend.runtime);
    let mut handles: Vec<_> = (0..64).map(|_| worker.register(&image).unwrap()).collect();
    let full = worker.register(&image).unwrap_err();
    assert!(matches!(full, WorkerError::Runner(RunnerError::RegistryFull { capacity: 64 })), "{full}");
    Call::default().run(&worker, &handles[63]).unwrap();
    handles.swap_remove(17);
    let again = worker.register(&image).unwrap();
    assert_eq!(again.id(), 17);
    Call::default().run(&worker, &again).unwrap();
    drop((handles, again));
    place.close(worker);
}

fn runs_of_all_sizes(backend: &Backend) {
    let place = backend.place();
    let worker = place.worker();
    let handle = worker.register(&steps(backend.runtime)).unwrap();
    for (elements, tasks, block_dim, threads) in
        [(1, 1, 1, 2), (1000, 2, 1, 3), (7, 40, 2, 2), (300, 9, 3, 4), (5, 3, 0, 3), (1 << 18, 2, 2, 2)]
    {
        let call = Call { elements, tasks, config: config(block_dim, threads), ..Call::default() };
        let outcome = call.run(&worker, &handle).unwrap();
        assert_eq!(outcome.tasks, tasks);
        let dims = if block_dim == 0 { backend.max_block_dim() } else { block_dim };
        assert_eq!(i64::from(outcome.block_dim), i64::from(dims));
        assert!(outcome.device_wall <= outcome.host_wall && !outcome.device_wall.is_zero());
    }
    let held = worker.report();
    for addend in 0..20 {
        Call { addend, ..Call::default() }.run(&worker, &handle).unwrap();
        assert_eq!(worker.report().allocations, held.allocations, "a run keeps nothing");
    }
    drop(handle);
    place.close(worker);
}

fn refused_configurations(backend: &Backend) {
    let place = backend.place();
    let worker = place.worker();
    let handle = worker.register(&steps(backend.runtime)).unwrap();
    let refused = |config: CallConfig| {
        let error = Call { config, ..Call::default() }.run(&worker, &handle).unwrap_err();
        assert_eq!(worker.report().runs, 0);
        error.to_string()
    };
    let dims = backend.max_block_dim();
    for block_dim in [-1, dims + 1, i32::MAX, i32::MIN] {
        let text = refused(config(block_dim, 2));
        assert!(text.contains("block_dim") && text.contains(&block_dim.to_string()), "{text}");
    }
    for threads in [0, -3, backend.max_threads() + 1] {
        let text = refused(config(1, threads));
        assert!(text.contains("aicpu_thread_num") && text.contains(&threads.to_string()), "{text}");
    }
    Call::default().run(&worker, &handle).unwrap();
    drop(handle);
    place.close(worker);
}

fn errors_of_orchestrations(backend: &Backend) {
    let place = backend.place();
    let worker = place.worker();
    let handle = worker.register(&steps(backend.runtime)).unwrap();
    let run = |ask, code| Call { ask, code, ..Call::default() }.run(&worker, &handle);
    for round in 0..2 {
        for code in [1, 9, 200] {
            let error = run(Ask::Fail, code).unwrap_err();
            let WorkerError::Runner(RunnerError::Variant(variant)) = &error else { panic!("{error}") };
            match variant {
                VariantError::Returned { code: returned } => assert_eq!(*returned, i32::from(code)),
                VariantError::Status { code: status, .. } => assert_eq!(*status, -i32::from(code)),
                other => panic!("{other}"),
            }
        }
        for ask in [Ask::Throw, Ask::UnknownKernel] {
            let text = run(ask, 0).unwrap_err().to_string();
            assert!(text.len() > 30, "round {round}: an error that says something: {text}");
        }
        run(Ask::Steps, 0).unwrap();
        assert_eq!(worker.report().runs, 0);
    }
    drop(handle);
    place.close(worker);
}

fn errors_of_kernels(backend: &Backend) {
    let place = backend.place();
    for _ in 0..2 {
        let worker = place.worker();
        let handle = worker.register(&steps(backend.runtime)).unwrap();
        let run = |ask| Call::asking(ask).run(&worker, &handle);
        run(Ask::Steps).unwrap();
        let error = run(Ask::BadKernel).unwrap_err().to_string();
        // A core with a program says nothing. A device whose program has ended by itself and says why goes on, and in
        // simulation any whose threads have come back.
        let (says, goes_on) = match (backend.has_programs, backend.runtime) {
            (false, _) => ("thrown by a kernel", true),
            (true, RuntimeKind::TensormapAndRingbuffer) => ("SCHEDULER_TIMEOUT", true),
            (true, _) if backend.platform.is_simulated() => ("ended with code -1", true),
            (true, _) => ("507018", false),
        };
        assert!(error.contains(says), "{error}");
        match run(Ask::Steps) {
            Ok(_) => assert!(goes_on),
            Err(error) => {
                assert!(
                    !goes_on && error.to_string().contains("close this worker and open another"),
                    "{error}"
                );
            }
        }
        drop(handle);
        place.close(worker);
    }
}

/// Wherever it is noticed, a callable that cannot be run is an error, and the worker goes on.
fn corrupt_callables(backend: &Backend) {
    let place = backend.place();
    let worker = place.worker();
    let good = steps(backend.runtime);
    let idle = worker.report();
    let decode = |image: &[u8]| CoreCallable::decode(image).unwrap();
    let kernels: Vec<_> =
        good.children().map(|child| (child.func_id, decode(child.callable.as_bytes()))).collect();
    let rebuilt = |entry: &str, library: &[u8]| {
        let builder = ChipCallable::builder(entry).binary(library);
        kernels.iter().fold(builder, |builder, (id, kernel)| builder.child(*id, kernel)).build().unwrap()
    };
    let library = good.binary();
    for image in
        [rebuilt("no_such_entry", library), rebuilt("build", &library[..512]), rebuilt("build", b"x")]
    {
        let error = match worker.register(&image) {
            Err(error) => error,
            Ok(handle) => Call::default().run(&worker, &handle).unwrap_err(),
        };
        assert!(error.to_string().len() > 30, "an error that says something: {error}");
        let left = worker.report();
        assert_eq!((left.callables, left.kernels, left.runs), (idle.callables, idle.kernels, 0));
    }
    let handle = worker.register(&good).unwrap();
    Call::default().run(&worker, &handle).unwrap();
    drop(handle);
    place.close(worker);
}

fn device_memory(backend: &Backend) {
    let place = backend.place();
    let worker = place.worker();
    let idle = worker.report().allocations;
    let handle = worker.register(&steps(backend.runtime)).unwrap();
    let memory = worker.malloc(80).unwrap();
    let words: Vec<i64> = (0..10).collect();
    worker.copy_to(memory, bytemuck::cast_slice(&words)).unwrap();
    let mut back = [0u8; 80];
    worker.copy_from(&mut back, memory).unwrap();
    assert_eq!(bytemuck::cast_slice::<u8, i64>(&back), words);
    assert!(worker.copy_from(&mut [0; 81], memory).is_err(), "it ends before that");
    assert!(worker.free(DevPtr::new(memory.addr() + 8)).is_err(), "not an allocation");

    // A tensor of that memory is used in place; one that is not wholly in it is refused.
    if backend.runtime == RuntimeKind::TensormapAndRingbuffer {
        let run = |elements: u32| {
            let mut output = vec![0i64; elements as usize];
            let shape = [elements];
            let args = Args::new()
                .device(memory, &shape, DataType::Int64)
                .unwrap()
                .output(&mut output, &shape)
                .unwrap();
            let args = args.scalar(5).unwrap().scalar(1).unwrap().scalar(0).unwrap();
            worker.run(&handle, &args, &config(1, 2)).map(|_| output)
        };
        assert_eq!(run(10).unwrap(), words.iter().map(|word| word + 5).collect::<Vec<_>>());
        let error = run(11).unwrap_err();
        assert!(matches!(error, WorkerError::Runner(RunnerError::DeviceTensor { index: 0, .. })), "{error}");
    }
    worker.free(memory).unwrap();
    assert!(worker.free(memory).is_err(), "freed before");
    assert!(worker.malloc(usize::MAX / 4).is_err());
    drop(handle);
    // What is not freed goes with the worker.
    worker.malloc(5).unwrap();
    assert!(worker.report().allocations > idle);
    place.close(worker);
}

fn phases(backend: &Backend) {
    let place = backend.place();
    let worker = place.worker();
    let handle = worker.register(&steps(backend.runtime)).unwrap();
    let (input, mut first, mut second) = ([1i64, 2, 3], [0i64; 3], [0i64; 3]);
    let call = Call { elements: 3, addend: 1, tasks: 2, ..Call::default() };
    {
        let args = call.args(&input, &mut first);
        let mut active = worker.prepare(&handle, &args, &call.config).unwrap().launch().unwrap();
        let other_args = call.args(&input, &mut second);
        let other = worker.prepare(&handle, &other_args, &call.config).unwrap();
        let busy = other.launch().unwrap_err();
        assert!(matches!(busy, RunnerError::Device(DeviceError::Busy)), "{busy}");
        let limit = Instant::now() + Duration::from_secs(30);
        while !active.poll() {
            assert!(Instant::now() < limit, "the run does not end");
            std::thread::sleep(Duration::from_millis(1));
        }
        active.wait();
        assert_eq!(active.finish().unwrap().tasks, 2);
    }
    assert_eq!((first, second), ([3, 4, 5], [0; 3]));
    call.run(&worker, &handle).unwrap();
    drop(handle);
    place.close(worker);
}

fn dropped_phases(backend: &Backend) {
    let place = backend.place();
    let worker = place.worker();
    let handle = worker.register(&steps(backend.runtime)).unwrap();
    let (input, mut output) = ([1i64; 50], [0i64; 50]);
    let call = Call { elements: 50, tasks: 30, ..Call::default() };
    call.run(&worker, &handle).unwrap();
    let held = worker.report();
    {
        let args = call.args(&input, &mut output);
        drop(worker.prepare(&handle, &args, &call.config).unwrap());
        let report = worker.report();
        assert_eq!((report.runs, report.allocations), (0, held.allocations));
        drop(worker.prepare(&handle, &args, &call.config).unwrap().launch().unwrap());
    }
    assert_eq!(output, [0; 50], "nothing is copied back");
    let report = worker.report();
    assert_eq!((report.runs, report.allocations), (0, held.allocations));
    call.run(&worker, &handle).unwrap();
    drop(handle);
    place.close(worker);
}

fn threads_share_a_worker(backend: &Backend) {
    let place = backend.place();
    let worker = place.worker();
    let handle = worker.register(&steps(backend.runtime)).unwrap();
    std::thread::scope(|scope| {
        for addend in 0..4 {
            let (worker, handle) = (&worker, &handle);
            scope.spawn(move || {
                for tasks in 1..6 {
                    Call { addend, tasks, ..Call::default() }.run(worker, handle).unwrap();
                }
            });
        }
    });
    drop(handle);
    place.close(worker);
}

fn workers_side_by_side(backend: &Backend) {
    std::thread::scope(|scope| {
        for addend in 0..3 {
            scope.spawn(move || {
                let place = backend.place();
                let worker: ChipWorker = place.worker();
                let handle = worker.register(&steps(backend.runtime)).unwrap();
                for tasks in 1..5 {
                    Call { addend, tasks, ..Call::default() }.run(&worker, &handle).unwrap();
                }
                let failed = Call::asking(Ask::Throw).run(&worker, &handle);
                assert!(failed.is_err());
                Call { addend, ..Call::default() }.run(&worker, &handle).unwrap();
                drop(handle);
                place.close(worker);
            });
        }
    });
}

fn ranks_of_a_job(backend: &Backend) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rootinfo");
    // There are only so many devices: ranks that wait for each other must not wait for one as well.
    static TAKING: Mutex<()> = Mutex::new(());
    let taking = TAKING.lock().unwrap_or_else(PoisonError::into_inner);
    let places = [(); 3].map(|()| backend.place());
    drop(taking);
    std::thread::scope(|scope| {
        for (rank, place) in (0..).zip(places) {
            let path = &path;
            scope.spawn(move || {
                let worker = place.builder().comm_limit(Duration::from_secs(60)).build().unwrap();
                match worker.join(rank, 3, path) {
                    Ok(comm) => live_as_rank(backend, &worker, &comm),
                    Err(error) => {
                        // Of all chips and devices, this one cannot.
                        assert_eq!(backend.platform.name(), "a5");
                        assert!(error.to_string().contains("not supported on a5"), "{error}");
                    }
                }
                place.close(worker);
            });
        }
    });
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    assert_eq!(rendezvous::names(&path).unwrap(), Vec::<String>::new());
}

fn live_as_rank(backend: &Backend, worker: &ChipWorker, comm: &Communicator) {
    let context = comm.alloc_windows(4096).unwrap();
    let second = |rank| comm.window(rank).unwrap().checked_add(8).unwrap();
    worker.copy_to(second(comm.rank()), &[10 + u8::try_from(comm.rank()).unwrap()]).unwrap();
    comm.barrier().unwrap();
    for rank in 0..3u8 {
        let mut byte = [0];
        worker.copy_from(&mut byte, second(u32::from(rank))).unwrap();
        assert_eq!(byte, [10 + rank]);
    }
    assert!(worker.copy_to(comm.local_window().unwrap(), &[0; 4097]).is_err());

    let domain = comm.alloc_domain(1, &[2, 0, 1], [1, 2, 0][comm.rank() as usize], 64).unwrap();
    let derived = comm.derive_context(&[comm.rank()], 0, 4032, 64).unwrap();
    if backend.runtime == RuntimeKind::HostBuildGraph {
        let handle = worker.register(&meeting()).unwrap();
        for (context, ranks) in [(context, 3), (domain.context, 3), (derived, 1)] {
            let args = Args::new().scalar(context.addr()).unwrap().scalar(ranks).unwrap();
            worker.run(&handle, &args, &config(1, 3)).unwrap();
        }
    }
    comm.barrier().unwrap();
    comm.release_domain(1, 3, [1, 2, 0][comm.rank() as usize]).unwrap();
    assert!(worker.copy_to(domain.window, &[0]).is_err(), "the windows are gone");
    let report = worker.report();
    assert_eq!((report.communicators, report.windows), (1, 1));
}

/// The same bits as from the engine of this process.
fn random_graphs(backend: &Backend) {
    let Backend { platform, runtime, .. } = *backend;
    let simulated = Platform::SIMULATED.into_iter().find(|other| other.folders().0 == platform.folders().0);
    let engine = ChipWorker::builder().platform(simulated.unwrap()).runtime(runtime).build().unwrap();
    let place = backend.place();
    let worker = place.worker();
    for seed in 0..12 {
        let config = config(1 + i32::try_from(seed % 3).unwrap(), 2);
        let expected = random::run(&engine, runtime, seed, &config);
        assert_eq!(random::run(&worker, runtime, seed, &config), expected, "seed {seed}");
    }
    engine.close().unwrap();
    place.close(worker);
}
