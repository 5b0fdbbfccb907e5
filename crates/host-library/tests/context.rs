//! Contexts of host libraries: every call, every failure of a call, and what is left behind.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is the report of a test")]

mod fake;

use std::path::Path;

use fake::Fake;
use host_library::{Companions, ErrorKind, HostContext, HostLibrary, HostLibraryError, LoadCounts, Programs};
use task_interface::{
    CallConfig, ChipCallable, ChipStorageTaskArgs, CommContext, ContinuousTensor, DataType,
};

fn open(fake: &Fake, device: u32) -> Result<HostContext, HostLibraryError> {
    let library = HostLibrary::open(&fake.library, &Companions::none())?;
    HostContext::open(library, device, &Programs::default(), &[])
}

fn callable(entry: &str) -> ChipCallable {
    ChipCallable::builder(entry).binary(b"orchestration").build().unwrap()
}

/// Two tensors of host memory.
fn host_args(input: &[i64], output: &mut [i64], scalars: &[u64]) -> Box<ChipStorageTaskArgs> {
    let mut args = ChipStorageTaskArgs::new();
    let addresses = [input.as_ptr().expose_provenance(), output.as_mut_ptr().expose_provenance()]
        .map(|address| address as u64);
    for (address, len) in addresses.into_iter().zip([input.len(), output.len()]) {
        let shape = [u32::try_from(len).unwrap()];
        args.add_tensor(ContinuousTensor::new(address, &shape, DataType::Int64).unwrap()).unwrap();
    }
    scalars.iter().for_each(|&scalar| args.add_scalar(scalar).unwrap());
    args
}

#[test]
fn a_library_without_options_takes_none() {
    let fake = Fake::new([]);
    let library = HostLibrary::open(&fake.library, &Companions::none()).unwrap();
    let options = Companions::none().option("watchdog_ms", "5").options;
    let error = HostContext::open(library, 0, &Programs::default(), &options).unwrap_err();
    assert!(matches!(&error, HostLibraryError::Option { name, .. } if name == "watchdog_ms"), "{error}");
    let destroyed = "destroy_device_context: 0 contexts, 0 allocations left";
    assert_eq!(fake.calls(), ["create_device_context", destroyed, "unloaded"]);
}

#[test]
fn a_life_in_the_order_of_the_contract() {
    let fake = Fake::new([]);
    let (aicpu, aicore) = (fake.file("aicpu", "cpu program"), fake.file("aicore", "core program"));
    let companions = Companions::programs(aicpu, aicore).dispatcher(fake.file("dispatcher", "go"));
    let library = HostLibrary::open(&fake.library, &companions).unwrap();
    let context = HostContext::open(library, 3, &companions.read_programs().unwrap(), &[]).unwrap();
    assert_eq!(fake.calls(), ["create_device_context", "simpler_init 3 [cpu program] [core program] [go]"]);

    context.prepare_callable(5, &callable("build")).unwrap();
    let (input, mut output) = ([1, 2, 3], [0; 3]);
    let args = host_args(&input, &mut output, &[40]);
    let mut config = CallConfig { block_dim: 2, enable_pmu: 4, ..CallConfig::default() };
    config.set_output_prefix("out/run").unwrap();
    for _ in 0..2 {
        let figures = context.run(5, &args, &config).unwrap();
        assert_eq!((figures.timing.host_wall_ns, figures.timing.device_wall_ns), (5000, 2000));
        assert_eq!(figures.info, None);
    }
    assert_eq!(output, [41, 42, 43]);
    let counts = context.load_counts();
    assert_eq!((counts.host, counts.aicpu), (1, 2));
    context.unregister_callable(5).unwrap();
    let run = "run_prepared 5, 2 blocks, 3 threads, 00400 [out/run]";
    let expected = ["prepare_callable 5 build", "get_runtime_size", run, run, "unregister_callable 5"];
    assert_eq!(fake.calls(), expected, "the buffer is made once");

    assert_eq!(context.resource_report(), None);
    assert_eq!(context.close().unwrap(), None);
    let end = ["finalize_device", "destroy_device_context: 0 contexts, 0 allocations left", "unloaded"];
    assert_eq!(fake.calls(), end);
    assert_eq!(context.close().unwrap(), None, "once is enough");
    assert!(matches!(context.malloc(8), Err(HostLibraryError::Closed)));
    assert_eq!(context.load_counts(), LoadCounts::default());
    drop(context);
    assert!(fake.calls().is_empty());
}

#[test]
fn a_drop_closes_too() {
    let fake = Fake::new([]);
    let library = HostLibrary::open(&fake.library, &Companions::none()).unwrap();
    let contexts =
        [0, 1].map(|device| HostContext::open(library.clone(), device, &Programs::default(), &[]).unwrap());
    drop(library);
    drop(contexts);
    let calls = fake.calls();
    assert_eq!(calls[1], "simpler_init 0 [] [] [] null");
    let end = [
        "finalize_device",
        "destroy_device_context: 1 contexts, 0 allocations left",
        "finalize_device",
        "destroy_device_context: 0 contexts, 0 allocations left",
        "unloaded",
    ];
    assert_eq!(calls[4..], end);
}

#[test]
fn device_memory_is_checked_before_it_is_touched() {
    let fake = Fake::new([]);
    let context = open(&fake, 0).unwrap();
    let (memory, other) = (context.malloc(16).unwrap(), context.malloc(0).unwrap());
    assert_eq!((context.memory_in_use().allocations, context.memory_in_use().bytes), (2, 16));
    context.copy_to(memory + 8, &[7; 8]).unwrap();
    let mut back = [0; 4];
    context.copy_from(&mut back, memory + 12).unwrap();
    assert_eq!(back, [7; 4]);
    context.copy_to(memory + 16, &[]).unwrap();
    context.copy_to(other, &[]).unwrap();
    let before = fake.calls();
    assert_eq!(before[2..5], ["device_malloc_ctx 16", "device_malloc_ctx 0", "copy_to_device_ctx 8"]);

    for (address, bytes) in [(memory + 8, 9), (memory - 1, 1), (memory + 17, 0), (0, 0), (u64::MAX, 2)] {
        let host = &mut vec![0; bytes];
        let errors = [context.copy_to(address, host), context.copy_from(host, address)];
        for error in errors {
            let error = error.unwrap_err();
            assert!(matches!(error, HostLibraryError::Address { .. }), "{error}");
        }
    }
    let on_device = |address: u64, elements: u32| {
        let mut args = ChipStorageTaskArgs::new();
        let tensor = ContinuousTensor::new(address, &[elements], DataType::Int64).unwrap();
        args.add_tensor(tensor.in_child_memory()).unwrap();
        context.run(0, &args, &CallConfig::default())
    };
    let error = on_device(memory, 3).unwrap_err();
    assert!(error.to_string().starts_with("a tensor argument at 0x"), "{error}");
    assert!(matches!(context.free(memory + 1), Err(HostLibraryError::Address { .. })));
    assert!(fake.calls().is_empty(), "none of that reached the library");

    assert_eq!(on_device(memory, 2).unwrap_err().code(), Some(-1), "nothing is registered");
    context.free(memory).unwrap();
    assert!(matches!(context.free(memory), Err(HostLibraryError::Address { .. })));
    context.close().unwrap();
    assert_eq!(fake.calls()[2..4], ["device_free_ctx", "finalize_device"]);
}

#[test]
fn arguments_are_checked_before_the_library_sees_them() {
    let fake = Fake::new([]);
    let context = open(&fake, 0).unwrap();
    let mut args = ChipStorageTaskArgs::new();
    let diagnostics = CallConfig { enable_pmu: 2, ..CallConfig::default() };
    assert!(matches!(context.run(0, &args, &diagnostics), Err(HostLibraryError::Config(_))));
    args.tensor_count = 129;
    assert!(matches!(context.run(0, &args, &CallConfig::default()), Err(HostLibraryError::Args(_))));
    args.tensor_count = 0;
    args.scalar_count = -1;
    assert!(matches!(context.run(0, &args, &CallConfig::default()), Err(HostLibraryError::Args(_))));
    args.scalar_count = 0;
    args.tensor_count = 1;
    args.tensors[0].ndims = 6;
    assert!(matches!(
        context.run(0, &args, &CallConfig::default()),
        Err(HostLibraryError::Tensor { index: 0, .. })
    ));
    assert_eq!(fake.calls().len(), 2, "none of that reached the library");
    assert!(matches!(open(&fake, u32::MAX), Err(HostLibraryError::DeviceId { id: u32::MAX })));
}

/// Makes one function fail, does everything, and returns the error; nothing is left behind in any case.
fn fails_at(function: &str, tells: bool) -> (HostLibraryError, Vec<String>) {
    let flag = format!("-DFAIL_{function}");
    let fake = Fake::new([flag.as_str()].into_iter().chain(tells.then_some("-DTELLS")));
    let life = || -> Result<(), HostLibraryError> {
        let context = open(&fake, 0)?;
        let memory = context.malloc(8)?;
        context.copy_to(memory, &[1; 8])?;
        context.copy_from(&mut [0; 8], memory)?;
        context.prepare_callable(0, &callable("build"))?;
        context.run(0, &ChipStorageTaskArgs::new(), &CallConfig::default())?;
        context.unregister_callable(0)?;
        context.close().map(drop)
    };
    let error = life().unwrap_err();
    let calls = fake.calls();
    let left = calls.iter().filter(|call| call.starts_with("destroy_device_context"));
    assert!(left.clone().all(|call| call.contains(": 0 contexts,")), "{calls:?}");
    let made = calls.iter().filter(|call| *call == "create_device_context").count();
    assert_eq!(left.count(), made - usize::from(function == "create_device_context"), "{calls:?}");
    (error, calls)
}

#[test]
fn every_failure_tells_its_code_and_gives_everything_back() {
    let expected = [
        ("create_device_context", None, "create_device_context returned null"),
        ("simpler_init", Some(-7), "simpler_init failed with code -7"),
        ("device_malloc_ctx", None, "device_malloc_ctx returned null for 8 bytes"),
        ("copy_to_device_ctx", Some(-3), "copy_to_device_ctx failed with code -3"),
        ("copy_from_device_ctx", Some(-4), "copy_from_device_ctx failed with code -4"),
        ("prepare_callable", Some(-5), "prepare_callable failed with code -5"),
        ("get_runtime_size", None, "the 18446744073709551615 bytes that the library wants"),
        ("run_prepared", Some(-42), "run_prepared failed with code -42"),
        ("unregister_callable", Some(-6), "unregister_callable failed with code -6"),
        ("finalize_device", Some(-9), "finalize_device failed with code -9"),
    ];
    for (function, code, text) in expected {
        let (error, calls) = fails_at(function, false);
        assert_eq!((error.code(), error.explanation()), (code, None), "{error}");
        assert!(error.to_string().starts_with(text), "{error}");
        let finalized = calls.iter().any(|call| call == "finalize_device");
        assert_eq!(finalized, !matches!(function, "create_device_context" | "simpler_init"), "{calls:?}");
        let unloaded = calls.last().unwrap() == "unloaded";
        assert_eq!(
            unloaded,
            function != "finalize_device",
            "what runs on may still need the code: {calls:?}"
        );
    }
}

#[test]
fn a_library_that_tells_is_quoted() {
    let expected = [
        ("create_device_context", ": no context today"),
        ("simpler_init", " code -7: no such device"),
        ("device_malloc_ctx", " for 8 bytes: all used up"),
        ("prepare_callable", " code -5: nothing is good enough"),
        ("finalize_device", " code -9: the device does not let go"),
    ];
    for (function, end) in expected {
        let (error, _) = fails_at(function, true);
        assert!(error.to_string().ends_with(end), "{error}");
        assert_eq!(error.explanation().unwrap().kind, Some(ErrorKind::Device));
    }
    let (error, _) = fails_at("run_prepared", true);
    assert_eq!(error.explanation().unwrap().text, "x".repeat(2000));
}

#[test]
fn figures_of_libraries_that_tell() {
    let fake = Fake::new(["-DTELLS"]);
    let context = open(&fake, 0).unwrap();
    context.prepare_callable(63, &callable("build")).unwrap();
    let figures = context.run(63, &ChipStorageTaskArgs::new(), &CallConfig::default()).unwrap();
    let info = figures.info.unwrap();
    assert_eq!((info.device_ticks, info.tasks, info.block_dim), (100, 17, 3));
    context.malloc(1).unwrap();
    let report = context.resource_report().unwrap();
    assert_eq!((report.contexts, report.allocations, report.callables), (1, 1, 1));
    let error = context.prepare_callable(63, &callable("build")).unwrap_err();
    assert!(error.to_string().ends_with("code -1: that id cannot be had"), "{error}");
    assert_eq!(context.close().unwrap().unwrap().allocations, 0);
}

#[test]
fn calls_from_many_threads_take_turns() {
    let fake = Fake::new([]);
    let context = open(&fake, 0).unwrap();
    context.prepare_callable(0, &callable("build")).unwrap();
    std::thread::scope(|scope| {
        for offset in 0..8 {
            let context = &context;
            scope.spawn(move || {
                let (input, mut output) = ([1, 2], [0; 2]);
                let args = host_args(&input, &mut output, &[offset]);
                for _ in 0..50 {
                    context.run(0, &args, &CallConfig::default()).unwrap();
                }
                drop(args);
                assert_eq!(output.map(|value| value - i64::try_from(offset).unwrap()), input);
            });
        }
    });
    assert_eq!(context.load_counts().aicpu, 400);
}

/// Libraries of the simulator release what belongs to the device of the thread that finalizes.
#[test]
fn whatever_thread_calls_is_bound_to_the_device() {
    let fake = Fake::new(["-DBOUND"]);
    let sim_context = fake.with("sim_context.c", "libcpu_sim_context.so", []);
    let companions = Companions::none().sim_context(sim_context);
    let library = HostLibrary::open(&fake.library, &companions).unwrap();
    let contexts =
        [4, 6].map(|id| HostContext::open(library.clone(), id, &Programs::default(), &[]).unwrap());
    fake.calls();
    std::thread::scope(|scope| {
        scope.spawn(|| contexts.iter().for_each(|context| context.unregister_callable(0).unwrap()));
    });
    contexts.iter().for_each(|context| assert_eq!(context.close().unwrap(), None));
    let expected = [
        "unregister_callable 0 (bound to 4)",
        "unregister_callable 0 (bound to 6)",
        "finalize_device (bound to 4)",
        "destroy_device_context: 1 contexts, 0 allocations left (bound to -1)",
        "finalize_device (bound to 6)",
        "destroy_device_context: 0 contexts, 0 allocations left (bound to -1)",
    ];
    assert_eq!(fake.calls(), expected);
}

#[test]
fn ranks_go_through_the_library_and_their_windows_are_memory() {
    let fake = Fake::new([]);
    let context = open(&fake, 3).unwrap();
    fake.calls();
    let comm = context.comm_init(1, 2, Path::new("/meet")).unwrap();
    let joined = ["ensure_acl_ready_ctx 3", "create_comm_stream_ctx", "comm_init 1 of 2 at /meet"];
    assert_eq!(fake.calls(), joined);
    assert_eq!(context.comm_window_bytes(comm).unwrap(), 0);
    assert!(matches!(context.comm_window(comm, 0), Err(HostLibraryError::NoWindow { rank: 0 })));
    let address = context.comm_alloc_windows(comm, 100).unwrap();
    assert_eq!(context.comm_window_bytes(comm).unwrap(), 100);
    let own = context.comm_local_window(comm).unwrap();
    assert_eq!(context.comm_window(comm, 1).unwrap(), own);
    assert!(context.comm_window(comm, 2).is_err());

    // All of them, and nothing beyond, also for tensors.
    context.copy_to(own + 90, &[7; 10]).unwrap();
    assert!(context.copy_to(own + 90, &[7; 11]).is_err());
    context.copy_from(&mut [0; size_of::<CommContext>()], address).unwrap();
    let mut args = ChipStorageTaskArgs::new();
    args.add_tensor(ContinuousTensor::new(own, &[12], DataType::Int64).unwrap().in_child_memory()).unwrap();
    context.prepare_callable(0, &callable("build")).unwrap();
    context.run(0, &args, &CallConfig::default()).unwrap();

    let derived = context.comm_derive_context(comm, &[1, 0], 0, 8, 16).unwrap();
    context.copy_from(&mut [0; 8], derived).unwrap();
    let domain = context.comm_alloc_domain(comm, 9, &[1], 0, 64).unwrap();
    context.copy_to(domain.window, &[1; 64]).unwrap();
    let held = context.memory_in_use();
    assert_eq!((held.allocations, held.communicators, held.windows), (0, 1, 2));
    context.comm_release_domain(comm, 9, 1, 0).unwrap();
    assert!(context.copy_to(domain.window, &[1]).is_err());
    fake.calls();
    context.comm_barrier(comm).unwrap();
    context.comm_destroy(comm).unwrap();
    assert_eq!(fake.calls(), ["comm_barrier", "comm_destroy", "destroy_comm_stream_ctx"]);
    assert!(matches!(context.comm_barrier(comm), Err(HostLibraryError::CommDestroyed)));
    assert!(matches!(context.comm_destroy(comm), Err(HostLibraryError::CommDestroyed)));
    assert!(context.copy_to(own, &[1]).is_err());

    // What is left goes with the context, the youngest first.
    context.comm_init(0, 1, Path::new("/a")).unwrap();
    context.comm_init(0, 1, Path::new("/b")).unwrap();
    fake.calls();
    context.close().unwrap();
    let destroyed = ["comm_destroy", "destroy_comm_stream_ctx", "comm_destroy", "destroy_comm_stream_ctx"];
    assert_eq!(fake.calls()[..5], [&destroyed[..], &["finalize_device"]].concat());
    assert!(matches!(context.comm_init(0, 1, Path::new("/c")), Err(HostLibraryError::Closed)));
}

#[test]
fn what_a_library_says_about_ranks_is_passed_on() {
    let fake = Fake::new(["-DFAIL_comm_init", "-DTELLS"]);
    let context = open(&fake, 0).unwrap();
    fake.calls();
    let error = context.comm_init(0, 2, Path::new("/meet")).unwrap_err();
    let HostLibraryError::Call { function: "comm_init", explanation: Some(why), .. } = &error else {
        panic!("{error}")
    };
    assert_eq!(why.text, "no context today");
    assert_eq!(fake.calls().last().unwrap(), "destroy_comm_stream_ctx");
    let path = Path::new("a\0b");
    assert!(matches!(context.comm_init(0, 2, path), Err(HostLibraryError::CommPath { .. })));

    let fake = Fake::new(["-DFAIL_comm"]);
    let context = open(&fake, 0).unwrap();
    let comm = context.comm_init(0, 2, Path::new("/meet")).unwrap();
    let codes = [
        context.comm_alloc_windows(comm, 8).map(drop),
        context.comm_local_window(comm).map(drop),
        context.comm_window_bytes(comm).map(drop),
        context.comm_derive_context(comm, &[0], 0, 0, 8).map(drop),
        context.comm_alloc_domain(comm, 1, &[0], 0, 8).map(drop),
        context.comm_release_domain(comm, 1, 1, 0),
        context.comm_barrier(comm),
        context.comm_destroy(comm),
    ];
    for result in codes {
        assert_eq!(result.unwrap_err().code(), Some(-8));
    }
    assert_eq!(fake.calls().last().unwrap(), "destroy_comm_stream_ctx", "it is gone all the same");
}
