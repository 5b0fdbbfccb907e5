//! Runners on the device.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is the report of a test")]

mod common;

use std::sync::{Arc, Barrier};

use common::{Bench, CHIPS, Plan, runner};
use device_runner::{DeviceError, DeviceRunner, RunnerError, VariantError};
use soft_cann::{Chip, LeakReport, Rule};
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

/// Runs once and expects that status; whether the runner can go on.
fn fails_with_status(runner: &Arc<DeviceRunner>, status: i32) -> bool {
    let id = runner.find(0).unwrap_or_else(|_| runner.register(None, &runner::callable()).unwrap());
    let run = || runner.run(id, &ChipStorageTaskArgs::new(), &CallConfig::default()).unwrap_err();
    let error = run();
    assert!(
        matches!(&error, RunnerError::Variant(VariantError::Status { code, .. }) if *code == status),
        "{error}"
    );
    !matches!(run(), RunnerError::Device(DeviceError::Unusable { .. }))
}

#[test]
fn a_program_that_says_why_it_ended_costs_only_its_streams() {
    for of in CHIPS {
        let bench = Bench::new(of);
        let plan = Plan { returned: 7, ..Plan::default() };
        let knowing = runner::knowing(&bench, plan, -7);
        for _ in 0..3 {
            assert!(fails_with_status(&knowing, -7));
        }
        assert_eq!(bench.lease.calls("rtStreamCreate"), 2 + 2 * 6, "an errored stream is never used again");
        assert_eq!(bench.lease.calls("rtRegisterAllKernel"), 1);
        knowing.finalize().unwrap();
        assert!(knowing.report().is_zero(), "{}", knowing.report());
        bench.assert_clean();
    }
}

#[test]
fn whatever_else_fails_besides_the_program_keeps_the_device_lost() {
    let synchronize = "aclrtSynchronizeStreamWithTimeout";
    // The cores as well, another code, no new streams, and old ones that do not go.
    for rule in [
        Rule::fail(synchronize).nth(2).code(507_015),
        Rule::fail(synchronize).nth(1).code(507_899),
        Rule::cascade(),
        Rule::fail("rtStreamCreate").nth(2).code(207_008),
        Rule::fail("rtStreamDestroy").nth(1).code(107_003),
    ] {
        let bench = Bench::new(Chip::A2a3);
        let knowing = runner::knowing(&bench, Plan { returned: 7, ..Plan::default() }, -7);
        let left = if rule == Rule::fail("rtStreamDestroy").nth(1).code(107_003) { 1 } else { 0 };
        bench.lease.inject(rule.clone());
        assert!(!fails_with_status(&knowing, -7), "{rule:?}");
        bench.lease.clear_rules();
        knowing.finalize().unwrap();
        assert!(knowing.report().is_zero(), "{}", knowing.report());
        assert_eq!(bench.lease.leaks(), LeakReport { streams: left, ..LeakReport::default() }, "{rule:?}");
        assert_eq!(bench.lease.violations(), [], "{rule:?}");
        bench.assert_works();
    }
    let bench = Bench::impatient(Chip::A2a3);
    let knowing = runner::knowing(&bench, Plan::default(), -7);
    bench.lease.inject(Rule::aicpu_hang("simpler_aicpu_exec"));
    assert!(!fails_with_status(&knowing, -7), "it has not ended");
    bench.lease.clear_rules();
    knowing.finalize().unwrap();
    bench.assert_clean();
}
