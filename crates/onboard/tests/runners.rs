//! Runners on the device.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is the report of a test")]

mod common;

use std::sync::Barrier;

use common::{Bench, CHIPS, Plan, runner};
use device_runner::{DeviceError, RunnerError};
use soft_cann::{Chip, Rule};
use task_interface::{CallConfig, ChipStorageTaskArgs};

#[test]
fn devices_work_side_by_side() {
    let benches: Vec<Bench> = (0..4).map(|index| Bench::new(CHIPS[index % 2])).collect();
    let start = Barrier::new(benches.len());
    std::thread::scope(|scope| {
        for bench in &benches {
            scope.spawn(|| {
                start.wait();
                for _ in 0..3 {
                    runner::life(bench, Plan::default()).unwrap();
                }
            });
        }
    });
    benches.iter().for_each(Bench::assert_clean);
}

#[test]
fn threads_share_a_runner() {
    let bench = Bench::new(Chip::A2a3);
    let shared = runner::runner(&bench, Plan::default()).unwrap();
    let id = shared.register(None, &runner::callable()).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..3 {
                    shared.run(id, &ChipStorageTaskArgs::new(), &CallConfig::default()).unwrap();
                }
            });
        }
    });
    shared.finalize().unwrap();
    assert!(shared.report().is_zero(), "{}", shared.report());
    bench.assert_clean();
    assert_eq!(bench.lease.calls("rtSetDevice"), bench.lease.calls("rtDeviceReset"));
    assert_eq!(bench.lease.calls("rtRegisterAllKernel"), 1);
}

#[test]
fn block_dim_is_what_the_device_has() {
    let bench = Bench::new(Chip::A5);
    let wide = runner::runner(&bench, Plan::default()).unwrap();
    let id = wide.register(None, &runner::callable()).unwrap();
    let run = |block_dim| {
        let config = CallConfig { block_dim, ..CallConfig::default() };
        wide.run(id, &ChipStorageTaskArgs::new(), &config)
    };
    assert_eq!(run(0).unwrap().block_dim, 36);
    assert_eq!(run(3).unwrap().block_dim, 3);
    assert!(matches!(run(37), Err(RunnerError::BlockDim { requested: 37, max: 36, .. })));
    wide.finalize().unwrap();
    bench.assert_clean();
}

#[test]
fn a_run_that_loses_the_device_ends_the_runner_and_not_the_next_one() {
    for (rule, by_force) in
        [(Rule::aicpu_return("simpler_aicpu_exec", 7), 0), (Rule::aicpu_hang("simpler_aicpu_exec"), 1)]
    {
        let bench = Bench::impatient(Chip::A2a3);
        let first = runner::runner(&bench, Plan::default()).unwrap();
        let id = first.register(None, &runner::callable()).unwrap();
        let run = || first.run(id, &ChipStorageTaskArgs::new(), &CallConfig::default());
        bench.lease.inject(rule);
        let error = run().unwrap_err();
        assert!(matches!(&error, RunnerError::Device(DeviceError::Lost { .. })), "{error}");
        let error = run().unwrap_err();
        assert!(matches!(&error, RunnerError::Device(DeviceError::Unusable { .. })), "{error}");
        bench.lease.clear_rules();
        first.finalize().unwrap();
        assert!(first.report().is_zero(), "{}", first.report());
        assert_eq!(bench.lease.calls("aclrtResetDeviceForce"), by_force);
        bench.assert_works();
        bench.assert_clean();
    }
}
