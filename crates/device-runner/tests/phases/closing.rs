//! The end of a runner: finalize, drop, and what outlives it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};

use device_runner::testing::{FakeDevice, Fault};
use device_runner::{ArenaSizes, DevPtr, Device, DeviceError, DeviceRunner, RunnerError};
use task_interface::CallConfig;

use crate::common::{ARCH, Bench, TestVariant, add, args, assert_unbound, image_callable, native_callable};
use crate::{eleven, is_busy, prepare};

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
    crate::common::quiet_injected_panics();
    for fault in [Fault::Always, Fault::AlwaysPanic] {
        let (bench, _id) = eleven();
        bench.register(&image_callable(b"orch", &[(0, b"kernel")]));
        bench.runner.memory().alloc_unowned(100).unwrap();
        bench.device.set_fault(Some(fault("reset")));
        for _ in 0..2 {
            let error = bench.runner.finalize().unwrap_err();
            assert!(crate::common::is_injected(&error), "{error}");
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
