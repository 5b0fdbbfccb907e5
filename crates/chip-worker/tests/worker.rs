//! Workers that run compiled callables: results, errors, and what is left behind.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "a panic is the report of a test")]

mod common;

use std::time::Duration;

use chip_worker::{
    Args, CallConfig, CallableSource, ChipWorker, CoreType, DataType, DeviceError, GraphError, NativeGraph,
    NativeKernel, OrchestrationSource, Platform, RunnerError, VariantError, WorkerError,
};
use common::{ADD_GRAPH, ADD_KERNEL, add_callable, callable, config, kernel, worker};

/// The variant's error behind a worker's.
fn graph_error(error: &WorkerError) -> &GraphError {
    let WorkerError::Runner(RunnerError::Variant(VariantError::Graph(source))) = error else {
        panic!("not a graph error: {error}")
    };
    source.downcast_ref().unwrap()
}

fn run_graph(graph: &str) -> Result<(), WorkerError> {
    let worker = worker(Platform::A2a3Sim);
    let handle = worker.register(&callable(graph, &[(0, kernel(CoreType::Aiv, ADD_KERNEL))]))?;
    let result = worker.run(&handle, &Args::new(), &CallConfig::default());
    drop(handle);
    let report = worker.report();
    assert_eq!((report.allocations, report.runs, report.callables), (0, 0, 0), "{report}");
    assert!(worker.close()?.is_zero());
    result.map(drop)
}

#[test]
fn both_chips_with_every_block_dim_and_thread_count() {
    let callable = add_callable();
    for (platform, dims, threads) in [(Platform::A2a3Sim, 24i32, 4), (Platform::A5Sim, 36, 7)] {
        let worker = worker(platform);
        let handle = worker.register(&callable).unwrap();
        let input: Vec<i64> = (0..100).collect();
        let run = |config: &CallConfig| {
            let mut output = vec![0i64; 100];
            let args = Args::new().input(&input, &[100]).unwrap().output(&mut output, &[100]).unwrap();
            let outcome = worker.run(&handle, &args.scalar(5).unwrap(), config)?;
            assert!(output.iter().zip(&input).all(|(out, value)| *out == value + 5));
            assert!(outcome.host_wall >= Duration::ZERO && outcome.tasks == 1);
            Ok::<_, WorkerError>(outcome.block_dim)
        };
        assert_eq!(run(&config(0, 3)).unwrap(), dims.unsigned_abs());
        for block_dim in 1..=dims {
            assert_eq!(run(&config(block_dim, 1)).unwrap(), block_dim.unsigned_abs());
        }
        for thread_num in 1..=threads {
            run(&config(1, thread_num)).unwrap();
        }
        let refused = |config: &CallConfig| run(config).unwrap_err().to_string();
        assert!(refused(&config(dims + 1, 3)).contains(&format!("1 to {dims}")));
        assert!(refused(&config(-1, 3)).contains("block_dim"));
        for bad in [0, threads + 1] {
            assert!(refused(&config(1, bad)).contains(&format!("1 to {threads}")));
        }
        assert!(refused(&config(1, -2)).contains("aicpu_thread_num"));
        drop(handle);
        assert!(worker.close().unwrap().is_zero());
    }
}

#[test]
fn a_failed_run_copies_nothing_back() {
    let worker = worker(Platform::A5Sim);
    let graph = ADD_GRAPH.replace("return 0;", "add_task(rt, slots, 4, 1, CoreType::AIV); return 0;");
    let kernels = [
        (0, kernel(CoreType::Aiv, ADD_KERNEL)),
        (1, kernel(CoreType::Aiv, "throw std::runtime_error(\"broken kernel\");")),
    ];
    let handle = worker.register(&callable(&graph, &kernels)).unwrap();
    let (input, mut output) = ([1i64, 2], [7i64, 7]);
    let args = Args::new().input(&input, &[2]).unwrap().output(&mut output, &[2]).unwrap();
    let error = worker.run(&handle, &args.scalar(1).unwrap(), &config(1, 1)).unwrap_err();
    assert!(matches!(&error, WorkerError::Runner(RunnerError::Device(DeviceError::KernelFailed { .. }))));
    assert!(error.to_string().contains("task 1 failed: kernel func 1"), "{error}");
    assert!(error.to_string().contains("broken kernel"), "{error}");
    assert_eq!(output, [7, 7]);
    assert_eq!(worker.report().runs, 0);
}

#[test]
fn orchestration_errors_are_typed_and_leave_nothing() {
    assert!(matches!(
        run_graph("return 17;"),
        Err(WorkerError::Runner(RunnerError::Variant(VariantError::Returned { code: 17 })))
    ));
    let thrown =
        run_graph("device_malloc(rt, 64); throw std::runtime_error(\"no graph today\");").unwrap_err();
    assert!(thrown.to_string().contains("no graph today"), "{thrown}");
    run_graph("return 0;").unwrap();

    let task = "uint64_t s[1] = {0}; int t = add_task(rt, s, 1, 0, CoreType::AIV); ";
    let failing = |rest: &str| run_graph(&format!("{task} {rest} return 0;")).unwrap_err();

    let error = failing("add_successor(rt, t, 5);");
    assert!(matches!(graph_error(&error), GraphError::NoSuchTask { task: 5, count: 1, .. }), "{error}");
    let error = failing("add_successor(rt, -1, t);");
    assert!(matches!(graph_error(&error), GraphError::NoSuchTask { task: -1, .. }), "{error}");
    let error = failing("add_successor(rt, t, t);");
    assert!(error.to_string().contains("task 0 -> task 0"), "{error}");
    let error = failing(
        "int u = add_task(rt, s, 1, 0, CoreType::AIV), v = add_task(rt, s, 1, 0, CoreType::AIV);\
         add_successor(rt, t, u); add_successor(rt, u, v); add_successor(rt, v, t);",
    );
    assert!(error.to_string().contains("task 0 -> task 1 -> task 2 -> task 0"), "{error}");
    let error = failing("add_task(rt, s, 1, 9, CoreType::AIV);");
    assert!(matches!(graph_error(&error), GraphError::UnknownKernel { func_id: 9, .. }), "{error}");
    let error = failing("add_task(rt, s, 1, -1, CoreType::AIV);");
    assert!(matches!(graph_error(&error), GraphError::UnknownKernel { func_id: -1, .. }), "{error}");
    let error = failing("if (add_task(rt, s, 17, 0, CoreType::AIV) != -1) return 1;");
    assert!(matches!(graph_error(&error), GraphError::TooManyArgs { count: 17, .. }), "{error}");
    let error = failing("add_task(rt, s, 1, 0, (CoreType)2);");
    assert!(matches!(graph_error(&error), GraphError::CoreType { value: 2, .. }), "{error}");
    let error = failing("for (int i = 0; i < 131072; ++i) add_task(rt, nullptr, 0, 0, CoreType::AIC);");
    assert!(matches!(graph_error(&error), GraphError::TooManyTasks { .. }), "{error}");
    let error = failing("device_free(rt, (void *)64);");
    assert!(matches!(graph_error(&error), GraphError::NotAllocatedHere { .. }), "{error}");
    let error = failing("record_tensor_pair(rt, nullptr, s, 8);");
    assert!(matches!(graph_error(&error), GraphError::NullPointer { what: "host", .. }), "{error}");
    let error = failing("if (copy_to_device(rt, nullptr, s, 8) != -1) return 1;");
    assert!(matches!(graph_error(&error), GraphError::NullPointer { what: "device", .. }), "{error}");
    let error = failing("void *p = device_malloc(rt, 8); if (copy_to_device(rt, p, s, 9) != -1) return 1;");
    assert!(error.to_string().contains("has 8 bytes"), "{error}");
    let error = failing("if (device_malloc(rt, (size_t)1 << 50)) return 1;");
    assert!(error.to_string().contains("cannot be allocated"), "{error}");
    let error = failing("if (set_tensor_info_to_task(rt, t, nullptr, 1) != -1) return 1;");
    assert!(matches!(graph_error(&error), GraphError::NullPointer { .. }), "{error}");
    let error = failing("TensorInfo i[17] = {}; if (set_tensor_info_to_task(rt, t, i, 17) != -1) return 1;");
    assert!(matches!(graph_error(&error), GraphError::TensorInfo { .. }), "{error}");
    // What an orchestration notices and answers with a code of its own is told by its cause.
    let error = failing("if (add_task(rt, s, 1, 4, CoreType::AIV) < 0) return 3;");
    assert!(matches!(graph_error(&error), GraphError::UnknownKernel { func_id: 4, .. }), "{error}");
    // A device address outside of any allocation shows when the result is copied back.
    let error = failing("static long host; record_tensor_pair(rt, &host, (void *)4096, 8);");
    assert!(error.to_string().contains("not an address of this device"), "{error}");
}

#[test]
fn the_table_of_functions_answers_as_the_contract_says() {
    run_graph(
        r"if (get_task_count(rt) != 0) return 1;
          uint64_t s[2] = {1, 2};
          int t = add_task(rt, nullptr, 5, 0, CoreType::AIV);
          int u = add_task(rt, s, -3, 0, CoreType::AIC);
          if (t != 0 || u != 1 || get_task_count(rt) != 2) return 2;
          if (set_tensor_info_to_task(rt, t, nullptr, 0) != 0) return 3;
          TensorInfo info = {};
          if (set_tensor_info_to_task(rt, t, &info, 1) != 0) return 4;
          add_successor(rt, t, u); add_successor(rt, t, u);
          print_runtime(rt);
          device_free(rt, nullptr);
          void *p = device_malloc(rt, 0);
          if (!p) return 5;
          device_free(rt, p);
          device_malloc(rt, 100);
          if (copy_to_device(rt, device_malloc(rt, 16), s, 16) != 0) return 6;
          return 0;",
    )
    .unwrap();
}

#[test]
fn corrupt_callables_are_refused_and_leave_nothing() {
    let worker = worker(Platform::A2a3Sim);
    let good = kernel(CoreType::Aiv, ADD_KERNEL);
    let load = |kernel: &[u8], graph: &[u8], entry: &str| {
        let kernel = chip_worker::CoreCallable::encode(&[], kernel).unwrap();
        let image =
            chip_worker::ChipCallable::builder(entry).binary(graph).child(0, &kernel).build().unwrap();
        let error = worker.register(&image).unwrap_err();
        assert_eq!(worker.report(), chip_worker::ResourceReport::default());
        error.to_string()
    };
    let graph = common::orchestration("return 0;");
    let binary = good.view().binary();
    assert!(load(b"not an object", &graph, "build").contains("func 0"));
    assert!(load(&binary[..binary.len() / 2], &graph, "build").contains("func 0"));
    assert!(load(&graph, &graph, "build").contains("kernel_entry"), "an orchestration is no kernel");
    assert!(load(binary, &graph, "nothing_of_that_name").contains("nothing_of_that_name"));
    assert!(load(binary, &graph[..graph.len() / 3], "build").contains("orchestration"));
    assert!(load(binary, b"", "build").contains("no orchestration"));
    assert!(worker.close().unwrap().is_zero());
}

#[test]
fn device_memory_of_the_client_and_tensors_in_it() {
    let worker = worker(Platform::A2a3Sim);
    let ptr = worker.malloc(32).unwrap();
    worker.copy_to(ptr, &[3; 32]).unwrap();
    let graph = NativeGraph::new(|graph| {
        let (device, host) = (graph.stage_in(0)?, graph.stage_out(1)?);
        graph.add_task(&[device.addr(), host.addr()], 4, CoreType::Aic)?;
        Ok(())
    });
    let swap = NativeKernel::new("swap", |kernel| {
        let bytes: Vec<u8> = kernel.read(kernel.ptr(0), 32)?;
        kernel.write(kernel.ptr(1), &bytes)?;
        kernel.write(kernel.ptr(0), &[9u8; 32])
    });
    let handle = worker.register_source(&CallableSource::new(graph.into(), vec![(4, swap.into())])).unwrap();
    let mut host = [0u8; 32];
    let args = Args::new().device(ptr, &[32], DataType::Uint8).unwrap().output(&mut host, &[32]).unwrap();
    worker.run(&handle, &args, &config(1, 1)).unwrap();
    drop(args);
    assert_eq!(host, [3; 32]);
    worker.copy_from(&mut host, ptr).unwrap();
    assert_eq!(host, [9; 32]);

    // Twice the size, past the end, and after the free: no kernel gets to see such an address.
    for (ptr, len) in [(ptr, 64), (ptr.checked_add(1).unwrap(), 32)] {
        let mut out = vec![0u8; 32];
        let args = Args::new().device(ptr, &[len], DataType::Uint8).unwrap().output(&mut out, &[32]).unwrap();
        let error = worker.run(&handle, &args, &config(1, 1)).unwrap_err();
        assert!(matches!(error, WorkerError::Runner(RunnerError::DeviceTensor { index: 0, .. })), "{error}");
    }
    worker.free(ptr).unwrap();
    assert!(worker.free(ptr).is_err() && worker.copy_to(ptr, &[1]).is_err());
    assert!(worker.copy_from(&mut [0; 1], ptr).is_err());
}

#[test]
fn handles_belong_to_their_worker_and_unregister_with_their_end() {
    let (one, other) = (worker(Platform::A2a3Sim), worker(Platform::A5Sim));
    let callable = add_callable();
    let handle = one.register(&callable).unwrap();
    let error = other.run(&handle, &Args::new(), &CallConfig::default()).unwrap_err();
    assert!(matches!(error, WorkerError::ForeignHandle));
    assert_eq!((one.report().callables, one.report().kernels, one.report().images), (1, 1, 1));
    let second = one.register(&callable).unwrap();
    assert_eq!((handle.id(), second.id()), (0, 1));
    assert_eq!((one.report().callables, one.report().kernels, one.report().images), (2, 1, 1));
    drop(handle);
    assert_eq!(one.register(&callable).unwrap().id(), 0);
    assert_eq!(one.dlopen_counts().host, 3);
    // A handle may outlive its worker.
    assert!(one.close().unwrap().is_zero());
    drop(second);

    let all: Vec<_> = (0..64).map(|_| other.register(&callable).unwrap()).collect();
    let error = other.register(&callable).unwrap_err();
    assert!(matches!(error, WorkerError::Runner(RunnerError::RegistryFull { capacity: 64 })), "{error}");
    drop(all);
    assert!(other.close().unwrap().is_zero());
}

#[test]
fn one_orchestration_is_not_run_twice_at_a_time_and_its_statics_are_its_own() {
    // The counter goes wrong if two runs are inside at once, and is shared if copies are not distinct.
    let graph = r#"static long runs = 0; long before = runs;
                   for (int i = 0; i < 1000; ++i) { asm volatile("" ::: "memory"); }
                   runs = before + 1;
                   *args.tensor(0).data_as<int64_t>() = runs; return 0;"#;
    let worker = worker(Platform::A2a3Sim);
    let image = callable(graph, &[]);
    let handles = [worker.register(&image).unwrap(), worker.register(&image).unwrap()];
    let runs = |handle| {
        let mut seen = [0i64];
        let args = Args::new().output(&mut seen, &[1]).unwrap();
        worker.run(handle, &args, &config(1, 1)).unwrap();
        drop(args);
        seen[0]
    };
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..50).for_each(|_| assert!(runs(&handles[0]) > 0)));
        }
    });
    assert_eq!((runs(&handles[0]), runs(&handles[1])), (201, 1));
}

#[test]
fn kernels_know_their_core_and_share_memory_by_cluster() {
    // Each task writes which core it thinks it is; pipe memory counts the visitors of its cluster.
    let body = r"
        auto *out = reinterpret_cast<int64_t *>(args[0]);
        out[0] = simpler::subblock_id();
        auto *shared = static_cast<std::atomic<int64_t> *>(simpler::pipe_shared_state(42, 64));
        out[1] = shared ? shared->fetch_add(1) : -1;
        out[2] = simpler::pipe_shared_state(7, 0) == nullptr;";
    let graph = r"
        int64_t *dev = (int64_t *)device_malloc(rt, 6 * 24);
        record_tensor_pair(rt, args.tensor(0).data_as<void>(), dev, 6 * 24);
        for (int i = 0; i < 6; ++i) {
            uint64_t s[1] = {(uint64_t)(dev + 3 * i)};
            add_task(rt, s, 1, 0, i < 2 ? CoreType::AIC : CoreType::AIV);
        }
        return 0;";
    let worker = ChipWorker::builder().platform(Platform::A2a3Sim).permits(1).build().unwrap();
    let handle = worker.register(&callable(graph, &[(0, kernel(CoreType::Aiv, body))])).unwrap();
    for _ in 0..2 {
        let mut seen = [[-1i64; 3]; 6];
        let args = Args::new().output(seen.as_flattened_mut(), &[6, 3]).unwrap();
        // Six tasks, six cores: on the device clock each has a core of its own.
        worker.run(&handle, &args, &config(2, 1)).unwrap();
        drop(args);
        assert_eq!((seen[0][0], seen[1][0]), (0, 0), "AIC cores have lane 0");
        assert!(seen.iter().all(|task| (0..=1).contains(&task[0]) && task[2] == 1), "{seen:?}");
        // The memory of the last run is gone: counts start at 0 again.
        let mut counts: Vec<_> = seen.iter().map(|task| task[1]).collect();
        counts.sort_unstable();
        assert_eq!(counts[..2], [0, 0], "{seen:?}");
    }
}

#[test]
fn kernels_that_look_hooks_up_globally_find_them() {
    let body = r#"
        auto subblock = reinterpret_cast<uint32_t (*)()>(dlsym(RTLD_DEFAULT, "pto_sim_get_subblock_id"));
        auto pipe = reinterpret_cast<void *(*)(uint64_t, size_t)>(
            dlsym(RTLD_DEFAULT, "pto_sim_get_pipe_shared_state"));
        auto *out = reinterpret_cast<int64_t *>(args[0]);
        out[0] = subblock ? subblock() : -1;
        out[1] = pipe && pipe(1, 8) && pipe(1, 8) == pipe(1, 99) && pipe(1, 8) != pipe(2, 8);
        out[2] = dlsym(RTLD_DEFAULT, "pto_cpu_sim_get_execution_context") == nullptr;"#;
    let graph = r"
        int64_t *dev = (int64_t *)device_malloc(rt, 48);
        record_tensor_pair(rt, args.tensor(0).data_as<void>(), dev, 48);
        for (int i = 0; i < 2; ++i) {
            uint64_t s[1] = {(uint64_t)(dev + 3 * i)};
            add_task(rt, s, 1, 0, CoreType::AIV);
        }
        return 0;";
    let worker = worker(Platform::A5Sim);
    let handle = worker.register(&callable(graph, &[(0, kernel(CoreType::Aiv, body))])).unwrap();
    let mut seen = [[-1i64; 3]; 2];
    let args = Args::new().output(seen.as_flattened_mut(), &[2, 3]).unwrap();
    worker.run(&handle, &args, &config(1, 1)).unwrap();
    drop(args);
    assert!(seen.iter().all(|task| (0..=1).contains(&task[0]) && task[1..] == [1, 1]), "{seen:?}");
}

#[test]
fn a_kernel_that_never_returns_ends_in_an_error_and_the_process_goes_on() {
    let worker = ChipWorker::builder()
        .platform(Platform::A2a3Sim)
        .watchdog(Some(Duration::from_millis(300)))
        .build()
        .unwrap();
    let stuck = kernel(CoreType::Aiv, "volatile int64_t *go = (volatile int64_t *)args[0]; while (!*go) {}");
    let graph = "uint64_t s[1] = {args.scalar(0)}; add_task(rt, s, 1, 0, CoreType::AIV); return 0;";
    let handle = worker.register(&callable(graph, &[(0, stuck)])).unwrap();
    let flag = Box::leak(Box::new(0i64));
    let address = std::ptr::from_mut(flag).expose_provenance() as u64;
    let args = Args::new().scalar(address).unwrap();
    let error = worker.run(&handle, &args, &config(1, 1)).unwrap_err();
    assert!(
        matches!(error, WorkerError::Runner(RunnerError::Device(DeviceError::Watchdog { .. }))),
        "{error}"
    );
    let again = worker.run(&handle, &args, &config(1, 1)).unwrap_err();
    assert!(
        matches!(again, WorkerError::Runner(RunnerError::Device(DeviceError::Unusable { .. }))),
        "{again}"
    );
    assert_eq!(worker.report().device.abandoned_threads, 1);
    drop(handle);
    let left = worker.close().unwrap();
    assert_eq!((left.allocations, left.kernels, left.device.abandoned_threads), (0, 0, 1));
    // Another worker in the same process is not touched by it.
    let other = common::worker(Platform::A5Sim);
    let handle = other.register(&callable("return 0;", &[])).unwrap();
    other.run(&handle, &Args::new(), &CallConfig::default()).unwrap();
}

#[test]
fn limits_of_memory_and_wrong_orchestrations() {
    let small = ChipWorker::builder().memory_capacity(1000).build().unwrap();
    assert!(small.malloc(1001).unwrap_err().to_string().contains("0 of 1000 in use"));
    let error = small.register(&add_callable()).unwrap_err();
    assert!(error.to_string().contains("cannot be allocated"), "the image does not fit: {error}");
    assert_eq!(small.report(), chip_worker::ResourceReport::default());
    let foreign = OrchestrationSource::Native(std::sync::Arc::new(5u32));
    let error = small.register_source(&CallableSource::new(foreign, vec![])).unwrap_err();
    assert!(matches!(error, WorkerError::Runner(RunnerError::Variant(VariantError::WrongKind { .. }))));
    assert!(ChipWorker::builder().device(u32::MAX).build().is_err());
    assert!("a4sim".parse::<Platform>().unwrap_err().to_string().contains("a2a3sim, a5sim"));
}
