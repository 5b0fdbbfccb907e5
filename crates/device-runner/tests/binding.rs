//! The runner of a thread, and the functions that find it by that.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is the report of a test")]

mod common;

use std::cell::RefCell;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};

use common::{Bench, add, args, assert_panics, assert_unbound, image, image_callable, native_callable};
use device_runner::testing::{FakeDevice, Fault};
use device_runner::{
    ArenaSizes, BindGuard, CallableId, DevPtr, Device, DeviceError, DeviceRunner, NativeKernel, RunnerError,
    VariantError, current_runner, host_api,
};
use task_interface::CallConfig;

fn is_current(runner: &Arc<DeviceRunner>) -> bool {
    current_runner().is_some_and(|current| Arc::ptr_eq(&current, runner))
}

#[test]
fn the_newest_binding_counts() {
    let (first, second) = (Bench::new(), Bench::new());
    assert_unbound();
    {
        let _outer = first.runner.bind().unwrap();
        assert!(is_current(&first.runner));
        {
            let _inner = second.runner.bind().unwrap();
            assert!(is_current(&second.runner));
            let _same_again = second.runner.bind().unwrap();
            assert!(is_current(&second.runner));
        }
        assert!(is_current(&first.runner));
    }
    assert_unbound();
}

#[test]
fn guards_may_go_in_any_order() {
    // All orders of three guards.
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let benches = [Bench::new(), Bench::new(), Bench::new()];
        let mut guards: Vec<Option<BindGuard>> =
            benches.iter().map(|bench| Some(bench.runner.bind().unwrap())).collect();
        for gone in order {
            guards[gone] = None;
            match guards.iter().rposition(Option::is_some) {
                Some(newest) => assert!(is_current(&benches[newest].runner), "{order:?}"),
                None => assert_unbound(),
            }
        }
    }
}

#[test]
fn guards_of_one_runner_are_not_mixed_up() {
    let (outer, inner) = (Bench::new(), Bench::new());
    let first = outer.runner.bind().unwrap();
    let second = inner.runner.bind().unwrap();
    let third = outer.runner.bind().unwrap();
    drop(first);
    assert!(is_current(&outer.runner), "the third guard still counts");
    drop(third);
    assert!(is_current(&inner.runner));
    drop(second);
    assert_unbound();
}

#[test]
fn other_threads_do_not_see_it() {
    let bench = Bench::new();
    let _guard = bench.runner.bind().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(assert_unbound).join().unwrap();
    });
    assert!(is_current(&bench.runner));
}

#[test]
fn a_device_that_cannot_be_bound_leaves_no_binding() {
    common::quiet_injected_panics();
    let bench = Bench::new();
    for fault in [Fault::Always("bind_thread"), Fault::AlwaysPanic("bind_thread")] {
        bench.device.set_fault(Some(fault));
        assert!(matches!(bench.runner.bind(), Err(RunnerError::Device(_))));
        assert_unbound();
    }
    bench.heal();
    bench.close();
    assert!(matches!(bench.runner.bind(), Err(RunnerError::Closed)));
}

#[test]
fn a_runner_lives_as_long_as_it_is_bound() {
    let device = FakeDevice::new();
    let probe = Arc::default();
    let variant = Box::new(common::TestVariant::new(&probe));
    let runner = DeviceRunner::attach(&common::ARCH, variant, device.clone()).unwrap();
    let guard = runner.bind().unwrap();
    drop(runner);
    host_api::device_malloc(8).unwrap();
    assert_eq!(device.usage().allocations, 1);
    drop(guard);
    assert_unbound();
    assert_eq!(device.usage().allocations, 0, "dropping the last reference closes the runner");
}

/// Runs jobs one after the other on one thread, and checks after each that it left no binding.
fn on_one_thread(jobs: Vec<Box<dyn FnOnce() + Send>>) {
    let (sender, receiver) = mpsc::channel::<Box<dyn FnOnce() + Send>>();
    let worker = std::thread::spawn(move || {
        for job in receiver {
            job();
            assert_unbound();
        }
    });
    jobs.into_iter().for_each(|job| sender.send(job).unwrap());
    drop(sender);
    worker.join().unwrap();
}

#[test]
fn nothing_is_left_behind_on_a_reused_thread() {
    let mut jobs: Vec<Box<dyn FnOnce() + Send>> = Vec::new();
    for _ in 0..4 {
        let bench = Bench::new();
        let runner = Arc::clone(&bench.runner);
        jobs.push(Box::new(move || drop(runner.bind().unwrap())));
        jobs.push(Box::new(move || {
            let id = bench.register(&native_callable(vec![add(1)]));
            assert_eq!(bench.run(id, &[1]).unwrap(), [2]);
            bench.probe.on_bind.set(|| Err(VariantError::Returned { code: 1 }));
            bench.run(id, &[1]).unwrap_err();
            bench.close();
        }));
    }
    on_one_thread(jobs);
}

/// A bench with a callable, and a call that is to fail.
type Failing = (&'static str, fn(&Bench), fn(&Bench, CallableId));

fn returned() -> Result<(), VariantError> {
    Err(VariantError::Returned { code: 9 })
}

fn panicked() -> Result<(), VariantError> {
    resume_unwind(Box::new("a panic of the variant"))
}

#[test]
fn every_exit_with_an_error_clears_the_binding() {
    let run = |bench: &Bench, id| drop(bench.run(id, &[1]).unwrap_err());
    let register =
        |bench: &Bench, _| drop(bench.runner.register(None, &native_callable(vec![])).unwrap_err());
    let failing: [Failing; 6] = [
        ("open", |bench| bench.probe.on_open.set(returned), register),
        ("bind", |bench| bench.probe.on_bind.set(returned), run),
        ("finish", |bench| bench.probe.on_finish.set(returned), run),
        ("launch", |bench| bench.fail_always("launch"), run),
        ("wait", |bench| bench.fail_always("wait"), run),
        ("copy back", |bench| bench.fail_always("copy_from_device"), run),
    ];
    for (what, prepare, call) in failing {
        let bench = Bench::new();
        let id = bench.register(&native_callable(vec![add(1)]));
        prepare(&bench);
        call(&bench, id);
        assert!(current_runner().is_none(), "{what}");
        bench.heal();
        bench.close();
    }
}

#[test]
fn every_exit_with_a_panic_clears_the_binding() {
    let run = |bench: &Bench, id| assert_panics(|| bench.run(id, &[1]));
    let register = |bench: &Bench, _| assert_panics(|| bench.runner.register(None, &native_callable(vec![])));
    let replace = |bench: &Bench, id| assert_panics(|| bench.runner.replace(id, &native_callable(vec![])));
    let failing: [Failing; 4] = [
        ("register", |bench| bench.probe.on_open.set(panicked), register),
        ("replace", |bench| bench.probe.on_open.set(panicked), replace),
        ("bind", |bench| bench.probe.on_bind.set(panicked), run),
        ("finish", |bench| bench.probe.on_finish.set(panicked), run),
    ];
    for (what, prepare, call) in failing {
        let bench = Bench::new();
        let id = bench.register(&native_callable(vec![add(1)]));
        let before = bench.runner.report();
        prepare(&bench);
        call(&bench, id);
        assert!(current_runner().is_none(), "{what}");
        assert_eq!(bench.runner.report(), before, "{what}");
        bench.close();
    }
}

#[test]
fn a_client_s_own_guard_is_cleared_by_a_panic() {
    let bench = Bench::new();
    let outer = bench.runner.bind().unwrap();
    assert_panics(|| {
        let _guard = bench.runner.bind().unwrap();
        resume_unwind(Box::new(()));
    });
    assert!(is_current(&bench.runner), "the outer guard is not touched");
    drop(outer);
    assert_unbound();
}

#[test]
fn kernels_that_panic_end_in_an_error() {
    let bench = Bench::new();
    let kernel = NativeKernel::new("broken", |_| resume_unwind(Box::new("a panic of the kernel")));
    let id = bench.register(&native_callable(vec![kernel.into()]));
    let error = bench.run(id, &[1]).unwrap_err();
    assert!(
        matches!(&error, RunnerError::Device(DeviceError::Internal(text)) if text.contains("of the kernel"))
    );
    let good = bench.register(&native_callable(vec![add(1)]));
    assert_eq!(bench.run(good, &[1]).unwrap(), [2]);
    bench.close();
}

/// Calls every function of the host API; the outcomes by name.
fn call_all() -> Vec<(&'static str, Result<(), RunnerError>)> {
    let image = image(b"orch", &[(0, b"kernel")]);
    vec![
        ("device_malloc", host_api::device_malloc(16).map(drop)),
        ("device_free", host_api::device_free(DevPtr::new(64))),
        ("copy_to_device", host_api::copy_to_device(DevPtr::new(64), &[1])),
        ("copy_from_device", host_api::copy_from_device(&mut [0], DevPtr::new(64))),
        ("setup_static_arena", host_api::setup_static_arena(ArenaSizes::default())),
        ("acquire_pooled_gm_heap", host_api::acquire_pooled_gm_heap().map(drop)),
        ("acquire_pooled_gm_sm", host_api::acquire_pooled_gm_sm().map(drop)),
        ("acquire_pooled_runtime_arena", host_api::acquire_pooled_runtime_arena().map(drop)),
        ("upload_chip_callable_buffer", host_api::upload_chip_callable_buffer(&image).map(drop)),
    ]
}

#[test]
fn without_a_binding_every_function_says_so() {
    let bench = Bench::new();
    for (name, result) in call_all() {
        assert!(matches!(result, Err(RunnerError::NotBound)), "{name}: {result:?}");
    }
    bench.close();
}

#[test]
fn a_runner_that_was_closed_while_bound_is_closed_to_every_function() {
    let bench = Bench::new();
    let guard = bench.runner.bind().unwrap();
    bench.runner.finalize().unwrap();
    let calls = bench.device.journal().len();
    for (name, result) in call_all() {
        assert!(matches!(result, Err(RunnerError::Closed)), "{name}: {result:?}");
    }
    assert_eq!(bench.device.journal().len(), calls, "the device is left alone");
    drop(guard);
    bench.close();
}

/// Uses every function of the host API and checks what it does.
fn use_all() {
    let ptr = host_api::device_malloc(16).unwrap();
    host_api::copy_to_device(ptr, b"sixteen bytes ok").unwrap();
    let mut read = [0; 16];
    host_api::copy_from_device(&mut read, ptr).unwrap();
    assert_eq!(&read, b"sixteen bytes ok");
    host_api::device_free(ptr).unwrap();
    assert!(matches!(
        host_api::device_free(ptr),
        Err(RunnerError::Device(DeviceError::InvalidPointer { operation: "free", .. }))
    ));
    assert!(matches!(host_api::copy_to_device(ptr, b"x"), Err(RunnerError::Device(_))));

    let sizes = ArenaSizes { gm_heap: 100, gm_sm: 0, runtime_arena: 300 };
    host_api::setup_static_arena(sizes).unwrap();
    assert_eq!(current_runner().unwrap().arenas().committed(), sizes);
    assert!(host_api::acquire_pooled_gm_heap().unwrap().is_some());
    assert_eq!(host_api::acquire_pooled_gm_sm().unwrap(), None);
    assert!(host_api::acquire_pooled_runtime_arena().unwrap().is_some());

    let with_kernels = image(b"orch", &[(0, b"kernel")]);
    let address = host_api::upload_chip_callable_buffer(&with_kernels).unwrap();
    assert!(address.is_some());
    assert_eq!(host_api::upload_chip_callable_buffer(&with_kernels).unwrap(), address);
    assert_eq!(host_api::upload_chip_callable_buffer(&image(b"orch", &[])).unwrap(), None);
}

#[test]
fn every_function_works_inside_a_run_and_inside_a_registration() {
    let bench = Bench::new();
    let used = Arc::new(AtomicUsize::new(0));
    for hook in [&bench.probe.on_open, &bench.probe.on_bind, &bench.probe.on_finish] {
        let used = Arc::clone(&used);
        hook.set(move || {
            use_all();
            used.fetch_add(1, Ordering::SeqCst);
            Ok(())
        });
    }
    let id = bench.register(&image_callable(b"orch", &[(0, b"kernel")]));
    assert_unbound();
    bench.run(id, &[1]).unwrap();
    assert_unbound();
    bench.runner.replace(id, &native_callable(vec![])).unwrap();
    assert_unbound();
    assert_eq!(used.load(Ordering::SeqCst), 4);
    bench.close();
}

#[test]
fn each_phase_binds_for_itself_on_whatever_thread_it_runs() {
    let bench = Bench::new();
    let id = bench.register(&native_callable(vec![add(1)]));
    bench
        .probe
        .on_bind
        .set(|| host_api::device_malloc(1).map(drop).map_err(|error| VariantError::Failed(error.into())));
    bench
        .probe
        .on_finish
        .set(|| host_api::device_malloc(1).map(drop).map_err(|error| VariantError::Failed(error.into())));
    let args = args(&[1]);
    let prepared = bench.runner.prepare(id, &args, &CallConfig::default()).unwrap();
    assert_unbound();
    std::thread::scope(|scope| {
        let mut active = scope
            .spawn(|| {
                let active = prepared.launch().unwrap();
                assert_unbound();
                active
            })
            .join()
            .unwrap();
        active.wait();
        assert_unbound();
        scope.spawn(|| {
            active.finish().unwrap();
            assert_unbound();
        });
    });
    assert_eq!(bench.probe.output(), [2]);
    bench.close();
}

#[test]
fn failing_calls_of_the_host_api_leave_no_binding_and_nothing_else() {
    let bench = Bench::new();
    for call in ["bind_thread", "alloc", "register_kernel", "copy_to_device"] {
        let guard = bench.runner.bind().unwrap();
        bench.fail_always(call);
        let upload = host_api::upload_chip_callable_buffer(&image(b"orch", &[(0, b"kernel")]));
        assert!(upload.is_err(), "{call}");
        bench.heal();
        assert!(is_current(&bench.runner));
        drop(guard);
        assert_unbound();
        while bench.runner.report().deferred_errors > 0 {
            drop(bench.runner.register(None, &native_callable(vec![])).unwrap_err());
        }
        assert!(bench.runner.report().is_zero(), "{call}: {}", bench.runner.report());
    }
    bench.close();
}

/// Something of a client that is cleaned up when its thread ends.
struct AtThreadEnd(Arc<DeviceRunner>, CallableId);

impl Drop for AtThreadEnd {
    fn drop(&mut self) {
        self.0.unregister(self.1);
        assert!(self.0.bind().is_ok());
        // None or this one, depending on which thread-local goes first; never a panic.
        let _ = current_runner();
    }
}

thread_local! {
    static LAST: RefCell<Option<AtThreadEnd>> = const { RefCell::new(None) };
}

#[test]
fn a_thread_may_clean_up_at_its_very_end() {
    let bench = Bench::new();
    for _ in 0..4 {
        let runner = Arc::clone(&bench.runner);
        std::thread::spawn(move || {
            // First touched, last destroyed: the list of bindings is gone by then.
            LAST.with_borrow_mut(|last| assert!(last.is_none()));
            let id = runner.register(None, &native_callable(vec![add(1)])).unwrap();
            LAST.set(Some(AtThreadEnd(runner, id)));
        })
        .join()
        .unwrap();
    }
    bench.close();
}
