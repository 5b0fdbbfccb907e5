//! Runs that fail, devices that are lost, and errors of drops.

use std::sync::atomic::Ordering;

use device_runner::testing::Fault;
use device_runner::{DevPtr, DeviceError, NativeKernel, RunnerError, VariantError};
use task_interface::CallConfig;

use crate::common::{add, args, native_callable};
use crate::{eleven, prepare};

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
