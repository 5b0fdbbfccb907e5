//! From prepare to finish, and what happens on the way out of each phase.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is the report of a test")]

#[path = "../common/mod.rs"]
mod common;

mod closing;
mod failures;
mod inputs;

use std::sync::Barrier;
use std::sync::atomic::Ordering;
use std::time::Duration;

use common::{Bench, add, args, assert_unbound, native_callable};
use device_runner::testing::Fault;
use device_runner::{CallableId, DeviceError, RunnerError};
use task_interface::{CallConfig, ChipStorageTaskArgs};

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
