//! Callables by id.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is the report of a test")]

mod common;

use std::sync::atomic::{AtomicBool, Ordering};

use common::{Bench, add, image_callable, native_callable, native_orchestration, object_orchestration};
use device_runner::{CallableSource, RunnerError};

fn empty() -> CallableSource {
    CallableSource::new(native_orchestration(), Vec::new())
}

#[test]
fn ids_are_the_lowest_free_ones() {
    let bench = Bench::new();
    let ids: Vec<_> = (0..4).map(|_| bench.register(&empty())).collect();
    assert_eq!(ids.iter().map(|id| id.index()).collect::<Vec<_>>(), [0, 1, 2, 3]);
    bench.runner.unregister(ids[1]);
    assert_eq!(bench.register(&empty()).index(), 1);
    assert_eq!(bench.register(&empty()).index(), 4);
    assert_eq!(ids[2].to_string(), "callable 2");
    bench.close();
}

#[test]
fn every_id_from_0_to_63_can_be_asked_for() {
    let bench = Bench::new();
    for id in (0..64).rev() {
        assert_eq!(bench.runner.register(Some(id), &empty()).unwrap().index(), id);
    }
    assert_eq!(bench.runner.report().callables, 64);
    bench.close();
}

#[test]
fn ids_out_of_range_are_refused_before_anything_is_made() {
    let bench = Bench::new();
    let calls = bench.device.journal().len();
    for bad in [-1, 64, i32::MIN, i32::MAX] {
        let error = bench.runner.register(Some(bad), &native_callable(vec![add(1)])).unwrap_err();
        assert!(matches!(error, RunnerError::CallableIdRange { id, max: 63 } if id == bad), "{error}");
    }
    assert_eq!(bench.device.journal().len(), calls);
    assert!(bench.runner.report().is_zero());
    bench.close();
}

#[test]
fn a_taken_id_is_refused() {
    let bench = Bench::new();
    let id = bench.runner.register(Some(5), &native_callable(vec![add(1)])).unwrap();
    let error = bench.runner.register(Some(5), &native_callable(vec![add(2)])).unwrap_err();
    assert!(matches!(error, RunnerError::CallableIdTaken { id: 5 }), "{error}");
    assert_eq!(bench.run(id, &[1]).unwrap(), [2], "the first one is untouched");
    bench.close();
}

#[test]
fn an_id_that_is_taken_while_its_callable_is_made_is_refused() {
    let bench = Bench::new();
    let runner = bench.runner.clone();
    let entered = AtomicBool::new(false);
    bench.probe.on_open.set(move || {
        // The outer registration has found the id free; the inner one takes it.
        if !entered.swap(true, Ordering::SeqCst) {
            runner.register(Some(7), &empty()).unwrap();
        }
        Ok(())
    });
    let error = bench.runner.register(Some(7), &native_callable(vec![add(2)])).unwrap_err();
    assert!(matches!(error, RunnerError::CallableIdTaken { id: 7 }), "{error}");
    let report = bench.runner.report();
    assert_eq!((report.callables, report.kernels), (1, 0));
    bench.probe.on_open.clear();
    bench.close();
}

#[test]
fn the_65th_registration_is_refused_and_leaves_nothing() {
    let bench = Bench::new();
    let ids: Vec<_> = (0..64).map(|_| bench.register(&empty())).collect();
    let error = bench.runner.register(None, &native_callable(vec![add(1)])).unwrap_err();
    assert!(matches!(error, RunnerError::RegistryFull { capacity: 64 }), "{error}");
    assert_eq!(bench.runner.report().kernels, 0);
    bench.runner.unregister(ids[40]);
    assert_eq!(bench.register(&empty()).index(), 40);
    bench.close();
}

#[test]
fn unregistering_twice_or_something_unknown_is_fine() {
    let bench = Bench::new();
    let id = bench.register(&native_callable(vec![add(1)]));
    bench.runner.unregister(id);
    assert!(bench.runner.report().is_zero());
    bench.runner.unregister(id);
    let again = bench.register(&empty());
    assert_eq!((again.index(), again == id), (0, false));
    bench.runner.unregister(id);
    assert_eq!(bench.runner.report().callables, 1, "a stale id takes nothing away");
    bench.close();
}

#[test]
fn a_stale_id_is_unknown_to_every_call() {
    let bench = Bench::new();
    let stale = bench.register(&empty());
    bench.runner.unregister(stale);
    let unknown =
        |error: RunnerError| assert!(matches!(error, RunnerError::UnknownCallable { id: 0 }), "{error}");
    for _ in 0..2 {
        unknown(bench.run(stale, &[]).unwrap_err());
        let calls = bench.device.journal().len();
        unknown(bench.runner.replace(stale, &native_callable(vec![add(1)])).unwrap_err());
        assert_eq!(bench.device.journal().len(), calls, "nothing is made for it");
        // The second time, the id is taken by another registration.
        bench.register(&empty());
        bench.runner.find(0).unwrap();
    }
    bench.close();
}

#[test]
fn bare_ids_find_the_current_registration() {
    let bench = Bench::new();
    assert!(matches!(bench.runner.find(0), Err(RunnerError::UnknownCallable { id: 0 })));
    let id = bench.register(&empty());
    assert_eq!(bench.runner.find(0).unwrap(), id);
    let replaced = bench.runner.replace(id, &empty()).unwrap();
    assert_eq!(bench.runner.find(0).unwrap(), replaced);
    assert_ne!(id, replaced);
    for bad in [-1, 64] {
        assert!(matches!(bench.runner.find(bad), Err(RunnerError::UnknownCallable { id }) if id == bad));
    }
    bench.close();
}

#[test]
fn replacing_gives_the_old_callable_back() {
    let bench = Bench::new();
    let old = bench.register(&native_callable(vec![add(1)]));
    let new = bench.runner.replace(old, &native_callable(vec![add(10)])).unwrap();
    assert_eq!(new.index(), old.index());
    assert_eq!(bench.run(new, &[1]).unwrap(), [11]);
    assert!(matches!(bench.run(old, &[1]), Err(RunnerError::UnknownCallable { id: 0 })));
    let report = bench.runner.report();
    assert_eq!((report.callables, report.kernels), (1, 1));
    bench.close();
}

#[test]
fn a_failed_replacement_keeps_the_old_callable() {
    let bench = Bench::new();
    let old = bench.register(&native_callable(vec![add(1)]));
    let before = bench.runner.report();
    for call in ["register_kernel", "alloc", "copy_to_device", "bind_thread"] {
        bench.fail_always(call);
        bench.runner.replace(old, &image_callable(b"orch", &[(0, b"a")])).unwrap_err();
        bench.heal();
        // A clean-up may have met the same fault.
        while bench.runner.report().deferred_errors > 0 {
            assert!(matches!(bench.runner.register(None, &empty()), Err(RunnerError::Deferred(_))));
        }
        assert_eq!(bench.run(old, &[1]).unwrap(), [2], "{call}");
        assert_eq!(bench.runner.report().callables, before.callables);
    }
    bench.probe.on_open.set(|| Err(device_runner::VariantError::Returned { code: -3 }));
    let error = bench.runner.replace(old, &native_callable(vec![add(7)])).unwrap_err();
    assert_eq!(error.to_string(), "the orchestration returned -3");
    assert_eq!(bench.run(old, &[1]).unwrap(), [2]);
    let mut foreign = native_callable(vec![add(7)]);
    foreign.kernels[0].0 = 1024;
    bench.runner.replace(old, &foreign).unwrap_err();
    assert_eq!(bench.run(old, &[1]).unwrap(), [2]);
    assert_eq!(bench.runner.report(), before);
    bench.close();
}

#[test]
fn func_ids_out_of_range_are_refused_with_nothing_kept() {
    let bench = Bench::new();
    for bad in [1024, u32::MAX] {
        let kernels = vec![(0, add(1)), (1023, add(2)), (bad, add(3))];
        let error =
            bench.runner.register(None, &CallableSource::new(native_orchestration(), kernels)).unwrap_err();
        assert!(matches!(error, RunnerError::FuncId { func_id, max: 1023 } if func_id == bad), "{error}");
        assert!(bench.runner.report().is_zero());
    }
    let highest = vec![(1023, add(2))];
    bench.register(&CallableSource::new(native_orchestration(), highest));
    bench.close();
}

#[test]
fn host_loads_count_registrations_of_objects() {
    let bench = Bench::new();
    let object = CallableSource::new(object_orchestration(b"orch"), Vec::new());
    bench.register(&empty());
    assert_eq!(bench.runner.dlopen_counts().host, 0);
    let id = bench.register(&object);
    let other = bench.register(&object);
    assert_eq!(bench.runner.dlopen_counts().host, 2, "each callable opens its own");
    bench.runner.unregister(other);
    bench.run(id, &[]).unwrap();
    assert_eq!(bench.runner.dlopen_counts().host, 2);
    bench.runner.replace(id, &object).unwrap();
    let mut broken = CallableSource::new(object_orchestration(b"orch"), Vec::new());
    broken.kernels.push((1024, add(1)));
    bench.runner.register(None, &broken).unwrap_err();
    assert_eq!(bench.runner.dlopen_counts().host, 3);
    bench.close();
    let counts = bench.runner.dlopen_counts();
    assert_eq!((counts.host, counts.aicpu), (3, 0), "finalize keeps the host's count");
}

#[test]
fn device_loads_count_first_runs_of_registrations() {
    let bench = Bench::with(|variant| variant.on_device = true);
    let aicpu = || bench.runner.dlopen_counts().aicpu;
    let object = CallableSource::new(object_orchestration(b"orch"), Vec::new());
    let id = bench.register(&object);
    let other = bench.register(&object);
    assert_eq!(aicpu(), 0, "registering loads nothing");
    bench.run(id, &[]).unwrap();
    bench.run(id, &[]).unwrap();
    assert_eq!(aicpu(), 1);
    bench.run(other, &[]).unwrap();
    assert_eq!(aicpu(), 2);
    bench.runner.unregister(id);
    let id = bench.register(&object);
    bench.run(id, &[]).unwrap();
    assert_eq!(aicpu(), 3, "a new registration is seen anew");
    let id = bench.runner.replace(id, &object).unwrap();
    bench.run(id, &[]).unwrap();
    assert_eq!(aicpu(), 4);
    let native = bench.register(&empty());
    bench.run(native, &[]).unwrap();
    let counts = bench.runner.dlopen_counts();
    assert_eq!((counts.aicpu, counts.host), (4, 0));
    bench.close();
    assert_eq!(aicpu(), 0, "finalize resets the device's count");
}

#[test]
fn a_run_that_never_reached_the_device_is_not_its_first() {
    let bench = Bench::with(|variant| variant.on_device = true);
    let id = bench.register(&CallableSource::new(object_orchestration(b"orch"), Vec::new()));
    for call in ["alloc", "launch"] {
        bench.fail_always(call);
        bench.run(id, &[1]).unwrap_err();
        bench.heal();
        assert_eq!(bench.runner.dlopen_counts().aicpu, 0, "{call}");
    }
    drop(bench.runner.prepare(id, &common::args(&[1]), &task_interface::CallConfig::default()).unwrap());
    assert_eq!(bench.runner.dlopen_counts().aicpu, 0);
    bench.run(id, &[1]).unwrap();
    assert_eq!(bench.runner.dlopen_counts().aicpu, 1);
    bench.close();
}
