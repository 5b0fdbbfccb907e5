//! From prepare to finish, and what happens on the way out of each phase.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is the report of a test")]

mod common;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::time::Duration;

use common::{ARCH, Bench, TestVariant, add, args, assert_unbound, image_callable, native_callable};
use device_runner::testing::{FakeDevice, Fault};
use device_runner::{
    Arch, ArenaSizes, CallableId, DevPtr, Device, DeviceError, DeviceRunner, NativeKernel, RunnerError,
    VariantError,
};
use task_interface::{CallConfig, CallConfigError, ChipStorageTaskArgs, ContinuousTensor, DataType};

fn config(block_dim: i32, aicpu_thread_num: i32) -> CallConfig {
    CallConfig { block_dim, aicpu_thread_num, ..CallConfig::default() }
}

/// A bench with a callable that adds 1 and 10.
fn eleven() -> (Bench, CallableId) {
    let bench = Bench::new();
    let id = bench.register(&native_callable(vec![add(1), add(10)]));
    (bench, id)
}

fn prepare<'a>(
    bench: &Bench,
    id: CallableId,
    args: &'a ChipStorageTaskArgs,
) -> device_runner::PreparedRun<'a> {
    bench.runner.prepare(id, args, &CallConfig::default()).unwrap()
}

fn is_busy<T>(result: &Result<T, RunnerError>) -> bool {
    matches!(result, Err(RunnerError::Device(DeviceError::Busy)))
}

#[test]
fn a_run_goes_through_its_phases() {
    let (bench, id) = eleven();
    let idle = bench.runner.report();
    let args = args(&[1, 2, 3]);
    let prepared = prepare(&bench, id, &args);
    assert_eq!(bench.runner.report().runs, 1);
    assert!(format!("{prepared:?}").contains("TestRun"));
    let mut active = prepared.launch().unwrap();
    assert!(active.poll());
    active.wait();
    assert!(active.poll(), "a run that was waited for has ended");
    active.wait();
    assert!(format!("{active:?}").contains("ActiveRun"));
    assert_eq!(bench.probe.finished.load(Ordering::SeqCst), 0);
    let outcome = active.finish().unwrap();
    assert_eq!(bench.probe.output(), [12, 13, 14]);
    assert_eq!((outcome.tasks, outcome.block_dim), (2, 4));
    assert!(outcome.host_wall >= outcome.device_wall);
    assert!(outcome.host_wall > Duration::ZERO);
    assert_eq!(bench.runner.report(), idle, "a run leaves nothing");
    bench.close();
}

#[test]
fn a_callable_may_run_any_number_of_times() {
    let (bench, id) = eleven();
    for input in 0..20 {
        assert_eq!(bench.run(id, &[input]).unwrap(), [input + 11]);
    }
    assert_eq!(bench.device.count("register_kernel"), 2);
    bench.close();
}

#[test]
fn leaving_at_any_phase_releases_everything_and_copies_nothing() {
    type Leave = fn(device_runner::PreparedRun<'_>);
    let ways: [(&str, Leave); 5] = [
        ("prepared", |prepared| drop(prepared)),
        ("launched", |prepared| drop(prepared.launch().unwrap())),
        ("polled", |prepared| {
            let mut active = prepared.launch().unwrap();
            active.poll();
        }),
        ("waited for", |prepared| {
            let mut active = prepared.launch().unwrap();
            active.wait();
        }),
        ("waited for twice", |prepared| {
            let mut active = prepared.launch().unwrap();
            active.wait();
            active.poll();
            active.wait();
        }),
    ];
    let (bench, id) = eleven();
    let idle = bench.runner.report();
    for (phase, leave) in ways {
        let args = args(&[1]);
        leave(prepare(&bench, id, &args));
        assert_eq!(bench.runner.report(), idle, "{phase}");
        assert_eq!(bench.probe.bound_runs.load(Ordering::SeqCst), 0, "{phase}");
        assert_unbound();
    }
    assert_eq!(bench.device.count("copy_from_device"), 0);
    assert_eq!(bench.probe.finished.load(Ordering::SeqCst), 0);
    assert_eq!(bench.device.count("cancel"), 2, "launches that nobody waited for are stopped");
    assert_eq!(bench.run(id, &[1]).unwrap(), [12]);
    bench.close();
}

#[test]
fn one_run_is_on_the_device_at_a_time() {
    let (bench, id) = eleven();
    let args = args(&[1]);
    let (first, second) = (prepare(&bench, id, &args), prepare(&bench, id, &args));
    let active = first.launch().unwrap();
    assert!(is_busy(&second.launch()), "the second is dropped");
    assert!(is_busy(&bench.run(id, &[1])), "waiting could be for oneself");
    assert_eq!(bench.runner.report().runs, 1);
    active.finish().unwrap();
    assert_eq!(bench.run(id, &[5]).unwrap(), [16]);
    // A run that is dropped makes way, too.
    drop(prepare(&bench, id, &args).launch().unwrap());
    prepare(&bench, id, &args).launch().unwrap().finish().unwrap();
    bench.close();
}

#[test]
fn a_failed_launch_makes_way_for_the_next() {
    common::quiet_injected_panics();
    let (bench, id) = eleven();
    for fault in [Fault::Always("launch"), Fault::AlwaysPanic("launch"), Fault::Always("wait")] {
        bench.device.set_fault(Some(fault));
        bench.run(id, &[1]).unwrap_err();
        bench.heal();
        assert_eq!(bench.run(id, &[1]).unwrap(), [12]);
    }
    bench.close();
}

#[test]
fn many_runs_may_be_prepared_at_once() {
    let (bench, id) = eleven();
    let all_args: Vec<_> = (0..10).map(|value| args(&[value])).collect();
    let prepared: Vec<_> = all_args.iter().map(|args| prepare(&bench, id, args)).collect();
    assert_eq!(bench.runner.report().runs, 10);
    for (value, prepared) in (0..).zip(prepared) {
        prepared.launch().unwrap().finish().unwrap();
        assert_eq!(bench.probe.output(), [value + 11]);
    }
    bench.close();
}

#[test]
fn runs_of_many_threads_take_turns() {
    let (bench, id) = eleven();
    let start = Barrier::new(8);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                start.wait();
                for _ in 0..25 {
                    // The fake device takes one launch at a time and refuses all others.
                    let outcome = bench.runner.run(id, &args(&[1]), &CallConfig::default()).unwrap();
                    assert_eq!(outcome.tasks, 2);
                    assert_unbound();
                }
            });
        }
    });
    assert_eq!(bench.probe.finished.load(Ordering::SeqCst), 200);
    assert_eq!(bench.device.count("launch"), 200);
    bench.close();
}

#[test]
fn runners_of_one_process_do_not_share_anything() {
    std::thread::scope(|scope| {
        for summand in 0..6 {
            scope.spawn(move || {
                let bench = Bench::new();
                let id = bench.register(&native_callable(vec![add(summand)]));
                for input in 0..20 {
                    assert_eq!(bench.run(id, &[input]).unwrap(), [input + summand]);
                }
                bench.close();
            });
        }
    });
}

#[test]
fn a_run_keeps_its_callable_when_that_is_unregistered_or_replaced() {
    let (bench, id) = eleven();
    let args = args(&[1]);
    let prepared = prepare(&bench, id, &args);
    bench.runner.unregister(id);
    assert_eq!((bench.runner.report().callables, bench.runner.report().kernels), (0, 2));
    let active = prepared.launch().unwrap();
    assert_eq!(bench.device.count("unregister_kernel"), 0);
    active.finish().unwrap();
    assert_eq!(bench.probe.output(), [12]);
    assert!(bench.runner.report().is_zero());

    let id = bench.register(&native_callable(vec![add(1)]));
    let prepared = prepare(&bench, id, &args);
    let id = bench.runner.replace(id, &native_callable(vec![add(2)])).unwrap();
    assert_eq!(bench.runner.report().kernels, 2);
    prepared.launch().unwrap().finish().unwrap();
    assert_eq!(bench.probe.output(), [2]);
    assert_eq!(bench.runner.report().kernels, 1);
    assert_eq!(bench.run(id, &[1]).unwrap(), [3]);
    bench.close();
}

#[test]
fn block_dim_is_checked_against_the_chip() {
    let (bench, id) = eleven();
    let run =
        |block_dim| bench.runner.run(id, &args(&[]), &config(block_dim, 1)).map(|outcome| outcome.block_dim);
    assert_eq!(run(0).unwrap(), 4, "0 is all");
    assert_eq!([run(1).unwrap(), run(4).unwrap()], [1, 4]);
    for bad in [5, i32::MAX] {
        let error = run(bad).unwrap_err();
        assert!(
            matches!(error, RunnerError::BlockDim { requested, max: 4, arch: "test-chip" } if requested == bad),
            "{error}"
        );
    }
    for bad in [-1, i32::MIN] {
        let error = run(bad).unwrap_err();
        assert!(
            matches!(error, RunnerError::Config(CallConfigError::NegativeBlockDim { value }) if value == bad),
            "{error}"
        );
        assert!(
            matches!(ARCH.resolve_block_dim(bad), Err(RunnerError::BlockDim { requested, .. }) if requested == bad)
        );
    }
    bench.close();
}

#[test]
fn aicpu_thread_num_is_checked_against_the_chip() {
    let (bench, id) = eleven();
    let run = |threads| bench.runner.run(id, &args(&[]), &config(1, threads));
    for good in [1, 3] {
        run(good).unwrap();
    }
    for bad in [0, 4, i32::MAX] {
        let error = run(bad).unwrap_err();
        assert!(
            matches!(error, RunnerError::AicpuThreads { requested, max: 3, arch: "test-chip" } if requested == bad),
            "{error}"
        );
    }
    for bad in [-1, i32::MIN] {
        let error = run(bad).unwrap_err();
        assert!(
            matches!(error, RunnerError::Config(CallConfigError::NegativeThreadNum { value }) if value == bad),
            "{error}"
        );
        assert!(ARCH.resolve_aicpu_threads(bad).is_err());
    }
    bench.close();
}

#[test]
fn device_tensors_must_be_inside_one_allocation() {
    let (bench, id) = eleven();
    let memory = bench.runner.memory();
    let block = memory.alloc_unowned(64).unwrap().addr();
    let freed = memory.alloc_unowned(64).unwrap();
    memory.free(freed).unwrap();
    let run = |address: u64, values: u32| {
        let mut args = ChipStorageTaskArgs::new();
        // Host tensors are not looked at; this one only moves the index.
        args.add_tensor(ContinuousTensor::new(3, &[1], DataType::Int8).unwrap()).unwrap();
        let tensor = ContinuousTensor::new(address, &[values], DataType::Float32).unwrap();
        args.add_tensor(tensor.in_child_memory()).unwrap();
        bench.runner.run(id, &args, &CallConfig::default())
    };
    for (address, values) in [(block, 16), (block, 1), (block + 60, 1), (block + 4, 15)] {
        run(address, values).unwrap();
    }
    let bad = [
        (block, 17),
        (block + 61, 1),
        (block + 64, 1),
        (block - 1, 1),
        (block - 4, 20),
        (freed.addr(), 1),
        (0, 1),
        (u64::MAX, 1),
        (u64::MAX - 3, 1),
    ];
    for (address, values) in bad {
        let error = run(address, values).unwrap_err();
        let expected = (1, DevPtr::new(address), u64::from(values) * 4);
        assert!(
            matches!(error, RunnerError::DeviceTensor { index, ptr, bytes } if (index, ptr, bytes) == expected),
            "{address:#x} x {values}: {error}"
        );
    }
    let other = Bench::new();
    let foreign = other.runner.memory().alloc_unowned(1 << 20).unwrap().addr() + (1 << 19);
    assert!(matches!(run(foreign, 1), Err(RunnerError::DeviceTensor { .. })), "another runner's memory");
    bench.close();
}

#[test]
fn tensors_that_are_not_valid_are_refused() {
    let (bench, id) = eleven();
    let good = ContinuousTensor::new(64, &[2, 2], DataType::Float32).unwrap();
    let foreign: [fn(&mut ContinuousTensor); 3] = [
        |tensor| tensor.dtype = 250,
        |tensor| tensor.ndims = 6,
        |tensor| {
            tensor.ndims = 5;
            tensor.shapes = [u32::MAX; 5];
        },
    ];
    for spoil in foreign {
        let mut args = ChipStorageTaskArgs::new();
        args.add_tensor(good).unwrap();
        args.add_tensor(good).unwrap();
        spoil(args.tensor_mut(1).unwrap());
        let error = bench.runner.run(id, &args, &CallConfig::default()).unwrap_err();
        assert!(matches!(error, RunnerError::Tensor { index: 1, .. }), "{error}");
    }
    bench.close();
}

#[test]
fn argument_counts_out_of_range_are_refused() {
    let (bench, id) = eleven();
    for bad in [-1, 129, i32::MIN, i32::MAX] {
        let mut tensors = ChipStorageTaskArgs::new();
        tensors.tensor_count = bad;
        let mut scalars = ChipStorageTaskArgs::new();
        scalars.scalar_count = bad;
        for args in [tensors, scalars] {
            let error = bench.runner.run(id, &args, &CallConfig::default()).unwrap_err();
            assert!(matches!(error, RunnerError::Args(_)), "{error}");
        }
    }
    assert_eq!(bench.runner.report().runs, 0);
    let full = args(&(0..128).collect::<Vec<_>>());
    bench.runner.run(id, &full, &CallConfig::default()).unwrap();
    assert_eq!(bench.probe.output().len(), 128);
    bench.close();
}

#[test]
fn errors_of_the_variant_release_the_run() {
    let (bench, id) = eleven();
    let idle = bench.runner.report();
    for hook in [&bench.probe.on_bind, &bench.probe.on_finish] {
        hook.set(|| Err(VariantError::Returned { code: 17 }));
        let error = bench.run(id, &[1]).unwrap_err();
        assert!(matches!(error, RunnerError::Variant(VariantError::Returned { code: 17 })), "{error}");
        hook.clear();
        assert_eq!(bench.runner.report(), idle);
    }
    assert_eq!(bench.run(id, &[1]).unwrap(), [12]);
    bench.close();
}

#[test]
fn a_run_that_stalls_or_whose_kernel_fails_leaves_the_runner_usable() {
    let (bench, id) = eleven();
    let idle = bench.runner.report();
    bench.probe.stuck.store(true, Ordering::SeqCst);
    let error = bench.run(id, &[1]).unwrap_err();
    let RunnerError::Device(DeviceError::Stalled(stall)) = &error else { panic!("{error}") };
    assert_eq!((stall.completed, stall.waiting.len()), (2, 1));
    bench.probe.stuck.store(false, Ordering::SeqCst);
    assert_eq!(bench.runner.report(), idle);

    let kernel = NativeKernel::new("faulty", |context| context.write(DevPtr::new(8), &[1_u64]));
    let faulty = bench.register(&native_callable(vec![add(1), kernel.into()]));
    let error = bench.run(faulty, &[1]).unwrap_err().to_string();
    assert!(error.starts_with("task 1 failed: kernel faulty on core"), "{error}");
    bench.runner.unregister(faulty);
    assert_eq!(bench.run(id, &[1]).unwrap(), [12]);
    bench.close();
}

#[test]
fn a_device_with_a_kernel_that_never_returns_takes_no_more_work_but_gives_everything_back() {
    let (bench, id) = eleven();
    let memory = bench.runner.memory();
    let mine = memory.alloc_unowned(8).unwrap();
    memory.alloc_unowned(8).unwrap();
    let args = args(&[1]);
    let waiting = prepare(&bench, id, &args);
    bench.device.set_fault(Some(Fault::Hang));
    let error = bench.run(id, &[1]).unwrap_err();
    assert!(matches!(error, RunnerError::Device(DeviceError::Watchdog { .. })), "{error}");
    bench.heal();

    let unusable = |result: Result<(), RunnerError>| {
        let error = result.unwrap_err();
        assert!(
            matches!(&error, RunnerError::Device(DeviceError::Unusable { reason }) if reason.contains("nothing finished")),
            "{error}"
        );
    };
    let launches = bench.device.count("launch");
    unusable(bench.run(id, &[1]).map(drop));
    unusable(bench.runner.prepare(id, &args, &CallConfig::default()).map(drop));
    unusable(bench.runner.register(None, &native_callable(vec![])).map(drop));
    unusable(bench.runner.replace(id, &native_callable(vec![])).map(drop));
    unusable(waiting.launch().map(drop));
    assert_eq!(bench.device.count("launch"), launches, "the device is not even asked");

    memory.free(mine).unwrap();
    bench.runner.unregister(id);
    let guard = bench.runner.bind().unwrap();
    drop(guard);
    bench.close();
}

#[test]
fn a_lost_device_is_noted_even_if_nobody_looks_at_the_outcome() {
    let (bench, id) = eleven();
    let args = args(&[1]);
    bench.device.set_fault(Some(Fault::Hang));
    let mut active = prepare(&bench, id, &args).launch().unwrap();
    active.wait();
    drop(active);
    bench.heal();
    assert!(matches!(bench.run(id, &[1]), Err(RunnerError::Device(DeviceError::Unusable { .. }))));
    bench.close();
}

#[test]
fn errors_of_drops_are_told_by_the_next_call() {
    let (bench, id) = eleven();
    let args = args(&[1]);
    let prepared = prepare(&bench, id, &args);
    bench.fail_always("free");
    drop(prepared);
    bench.heal();
    assert_eq!(bench.runner.report().deferred_errors, 2, "the run had two buffers");
    let error = bench.run(id, &[1]).unwrap_err();
    assert!(matches!(&error, RunnerError::Deferred(DeviceError::Platform { call: "free", .. })), "{error}");
    let error = bench.runner.register(None, &native_callable(vec![])).unwrap_err();
    assert!(matches!(error, RunnerError::Deferred(_)), "{error}");
    assert_eq!(bench.run(id, &[1]).unwrap(), [12], "all were told");

    bench.fail_always("unregister_kernel");
    let replaced = bench.runner.replace(id, &native_callable(vec![add(1)])).unwrap();
    bench.heal();
    assert_eq!(bench.runner.report().deferred_errors, 2);
    assert!(matches!(
        bench.runner.replace(replaced, &native_callable(vec![])),
        Err(RunnerError::Deferred(_))
    ));
    let error = bench.runner.finalize().unwrap_err();
    assert!(
        matches!(&error, RunnerError::Deferred(DeviceError::Platform { call: "unregister_kernel", .. })),
        "{error}"
    );
    bench.assert_nothing_left();
    bench.runner.finalize().unwrap();
}

#[test]
fn an_error_of_a_drop_within_finish_does_not_spoil_its_result() {
    let (bench, id) = eleven();
    bench.fail_always("free");
    assert_eq!(bench.run(id, &[1]).unwrap(), [12]);
    bench.heal();
    assert!(matches!(bench.run(id, &[1]), Err(RunnerError::Deferred(_))));
    assert!(bench.runner.finalize().is_err());
    bench.assert_nothing_left();
}

#[test]
fn finalize_waits_for_no_run() {
    let (bench, id) = eleven();
    let args = args(&[1]);
    let prepared = prepare(&bench, id, &args);
    assert!(is_busy(&bench.runner.finalize()));
    let mut active = prepared.launch().unwrap();
    assert!(is_busy(&bench.runner.finalize()));
    active.wait();
    assert!(is_busy(&bench.runner.finalize()));
    active.finish().unwrap();
    assert_eq!(bench.run(id, &[1]).unwrap(), [12], "a refused finalize changes nothing");
    assert_unbound();
    bench.close();
}

#[test]
fn finalize_from_inside_of_a_run_or_a_registration_is_refused() {
    let (bench, id) = eleven();
    let refused = Arc::new(AtomicUsize::new(0));
    for hook in [&bench.probe.on_open, &bench.probe.on_bind, &bench.probe.on_finish] {
        let (runner, refused) = (Arc::downgrade(&bench.runner), Arc::clone(&refused));
        hook.set(move || {
            refused.fetch_add(usize::from(is_busy(&runner.upgrade().unwrap().finalize())), Ordering::SeqCst);
            Ok(())
        });
    }
    assert_eq!(bench.run(id, &[1]).unwrap(), [12]);
    bench.register(&native_callable(vec![]));
    assert_eq!(refused.load(Ordering::SeqCst), 3);
    bench.close();
}

#[test]
fn finalize_is_done_once() {
    let (bench, id) = eleven();
    bench.run(id, &[1]).unwrap();
    bench.runner.memory().alloc_unowned(100).unwrap();
    bench.close();
    let calls = bench.device.journal().len();
    // The device may be another runner's by now.
    for _ in 0..3 {
        bench.close();
    }
    assert_eq!(bench.device.journal().len(), calls);
}

#[test]
fn a_runner_may_be_closed_on_a_thread_that_never_used_it() {
    let (bench, id) = eleven();
    bench.register(&image_callable(b"orch", &[(0, b"kernel")]));
    bench.runner.memory().alloc_unowned(100).unwrap();
    bench.runner.arenas().setup(ArenaSizes { gm_heap: 64, gm_sm: 64, runtime_arena: 64 }).unwrap();
    let args = args(&[1]);
    let prepared = prepare(&bench, id, &args);
    // The fake device refuses a thread that is not bound to it.
    std::thread::scope(|scope| {
        scope.spawn(|| drop(prepared)).join().unwrap();
        scope.spawn(|| bench.close()).join().unwrap();
    });
}

#[test]
fn finalize_can_be_tried_again() {
    common::quiet_injected_panics();
    for fault in [Fault::Always, Fault::AlwaysPanic] {
        let (bench, _id) = eleven();
        bench.register(&image_callable(b"orch", &[(0, b"kernel")]));
        bench.runner.memory().alloc_unowned(100).unwrap();
        bench.device.set_fault(Some(fault("reset")));
        for _ in 0..2 {
            let error = bench.runner.finalize().unwrap_err();
            assert!(common::is_injected(&error), "{error}");
        }
        bench.heal();
        bench.close();
    }
}

#[test]
fn what_cannot_be_freed_one_by_one_goes_with_the_reset() {
    for call in ["free", "unregister_kernel", "bind_thread"] {
        let (bench, _id) = eleven();
        bench.register(&image_callable(b"orch", &[(0, b"kernel")]));
        bench.runner.memory().alloc_unowned(100).unwrap();
        bench.fail_always(call);
        bench.runner.finalize().unwrap_err();
        assert_eq!(bench.device.count("reset"), 1, "{call}");
        bench.assert_nothing_left();
        bench.heal();
        bench.close();
    }
}

#[test]
fn a_closed_runner_takes_nothing() {
    let (bench, id) = eleven();
    bench.close();
    let closed =
        |result: Result<(), RunnerError>| assert!(matches!(result, Err(RunnerError::Closed)), "{result:?}");
    let source = native_callable(vec![add(1)]);
    let args = args(&[1]);
    closed(bench.runner.register(None, &source).map(drop));
    closed(bench.runner.register(Some(0), &source).map(drop));
    closed(bench.runner.replace(id, &source).map(drop));
    closed(bench.runner.prepare(id, &args, &CallConfig::default()).map(drop));
    closed(bench.run(id, &[1]).map(drop));
    closed(bench.runner.bind().map(drop));
    assert!(matches!(bench.runner.find(0), Err(RunnerError::UnknownCallable { id: 0 })));
    assert!(matches!(bench.runner.memory().alloc(1), Err(DeviceError::Closed)));
    assert!(matches!(bench.runner.memory().alloc_unowned(1), Err(DeviceError::Closed)));
    assert!(matches!(bench.runner.memory().free(DevPtr::new(64)), Err(DeviceError::InvalidPointer { .. })));
    bench.runner.unregister(id);
    bench.assert_nothing_left();
}

#[test]
fn buffers_may_outlive_their_runner() {
    let bench = Bench::new();
    let buffer = bench.runner.memory().alloc(64).unwrap();
    assert_eq!((buffer.len(), buffer.is_empty()), (64, false));
    let released = bench.runner.memory().alloc(0).unwrap();
    assert!(released.is_empty());
    bench.close();
    let frees = bench.device.count("free");
    drop(buffer);
    released.release().unwrap();
    assert_eq!(bench.device.count("free"), frees, "they were freed with the runner");
    bench.assert_nothing_left();
}

#[test]
fn dropping_a_runner_gives_everything_back() {
    let device = FakeDevice::new();
    let probe = Arc::default();
    let attach = || DeviceRunner::attach(&ARCH, Box::new(TestVariant::new(&probe)), device.clone()).unwrap();
    let runner = attach();
    let id = runner.register(None, &native_callable(vec![add(1)])).unwrap();
    runner.register(None, &image_callable(b"orch", &[(0, b"kernel")])).unwrap();
    runner.memory().alloc_unowned(100).unwrap();
    let args = args(&[1]);
    let prepared = runner.prepare(id, &args, &CallConfig::default()).unwrap();
    drop(runner);
    assert!(device.usage().allocations > 0, "a run keeps its runner");
    prepared.launch().unwrap().finish().unwrap();
    assert_eq!(device.usage(), device_runner::DeviceUsage::default());
    probe.assert_nothing_left();

    // The device can be taken by another one then.
    let again = attach();
    again.memory().alloc_unowned(1).unwrap();
    assert_eq!(again.report().device.allocations, 1);
    again.finalize().unwrap();
}

#[test]
fn a_device_that_cannot_be_bound_is_not_attached() {
    let device = device_runner::testing::FaultyDevice::new(FakeDevice::new());
    let probe = Arc::default();
    device.set_fault(Some(Fault::Always("bind_thread")));
    let error = DeviceRunner::attach(&ARCH, Box::new(TestVariant::new(&probe)), device.clone()).unwrap_err();
    assert!(matches!(error, RunnerError::Device(_)), "{error}");
    assert_eq!(device.journal(), ["bind_thread"]);
}

#[test]
fn a_runner_tells_what_it_is_made_of() {
    let bench = Bench::new();
    assert_eq!(bench.runner.arch().name(), "test-chip");
    assert_eq!(bench.runner.variant().name(), "test_variant");
    let report = bench.runner.report();
    assert!(
        report.to_string().starts_with("0 allocation(s) of 0 bytes, arenas 0/0/0, 0 callable(s)"),
        "{report}"
    );
    let id = bench.register(&native_callable(vec![add(1)]));
    assert!(!bench.runner.report().is_zero());
    bench.runner.unregister(id);
    bench.close();
}

/// Calls again and again until the runner is closed, or often enough for `finalize` to find a gap.
fn work_until_closed(start: &Barrier, call: impl Fn() -> Result<(), RunnerError>) {
    start.wait();
    for _ in 0..100 {
        match call() {
            Ok(()) => {}
            Err(RunnerError::Closed | RunnerError::Device(DeviceError::Closed)) => break,
            Err(other) => panic!("{other}"),
        }
    }
    assert_unbound();
}

#[test]
fn closing_while_others_work_loses_nothing() {
    for _ in 0..20 {
        let (bench, id) = eleven();
        let (runner, start) = (&bench.runner, &Barrier::new(5));
        let source = &image_callable(b"orch", &[(0, b"kernel"), (1, b"other")]);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                work_until_closed(start, || runner.run(id, &args(&[1]), &CallConfig::default()).map(drop));
            });
            scope.spawn(|| {
                work_until_closed(start, || {
                    let id = runner.register(None, source)?;
                    runner.unregister(id);
                    Ok(())
                });
            });
            scope.spawn(|| {
                work_until_closed(start, || {
                    drop(runner.memory().alloc(64)?);
                    runner.memory().alloc_unowned(64)?;
                    Ok(())
                });
            });
            scope.spawn(|| {
                let sizes = ArenaSizes { gm_heap: 64, gm_sm: 64, runtime_arena: 64 };
                work_until_closed(start, || {
                    runner.arenas().setup(ArenaSizes::default())?;
                    Ok(runner.arenas().setup(sizes)?)
                });
            });
            start.wait();
            while let Err(error) = runner.finalize() {
                assert!(is_busy::<()>(&Err(error)));
            }
        });
        bench.assert_nothing_left();
    }
}
