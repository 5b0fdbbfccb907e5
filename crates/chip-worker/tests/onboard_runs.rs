//! Workers on hardware, with a stand-in for CANN below them: the same callables as in simulation.
#![cfg(feature = "onboard")]
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "a panic is the report of a test")]

mod common;

use std::sync::Arc;
use std::time::Duration;

use chip_worker::{
    Args, ChipCallable, ChipWorker, CoreType, Hal, Platform, Programs, RuntimeKind, WorkerError,
};
use common::{ADD_GRAPH, add_callable, callable, config, kernel};
use soft_cann::{Chip, DeviceLease, Devices};

const ONBOARD: [(Platform, Chip); 2] = [(Platform::A2a3, Chip::A2a3), (Platform::A5, Chip::A5)];

/// A device of the stand-in, and a worker on it.
fn worker(platform: Platform, chip: Chip, runtime: RuntimeKind) -> (DeviceLease, ChipWorker) {
    let lease = Devices::lease(chip).unwrap();
    // Limits are those of this test, not those of a chip.
    lease.set_time_scale(1);
    // SAFETY: the stand-in's functions keep what those of CANN promise.
    let hal = Arc::new(unsafe { Hal::from_raw_table(soft_cann::raw_table()) });
    let (arch, _) = platform.folders();
    let built = device_programs::build(arch, runtime.name()).unwrap();
    let worker = ChipWorker::builder()
        .platform(platform)
        .runtime(runtime)
        .device(lease.id().unsigned_abs())
        .programs(Programs::new(built.aicpu, built.aicore, built.dispatcher))
        .hal(hal)
        .op_timeout(Duration::from_secs(50))
        .stream_timeout(Duration::from_secs(50))
        .build()
        .unwrap();
    (lease, worker)
}

fn close(lease: &DeviceLease, worker: ChipWorker) {
    assert!(worker.close().unwrap().is_zero());
    assert!(lease.wait_idle(Duration::from_secs(20)));
    assert!(lease.leaks().is_empty(), "{}", lease.leaks());
    assert_eq!(lease.violations(), []);
}

/// Adds 41 to each of some numbers.
fn add(worker: &ChipWorker, callable: &ChipCallable, block_dim: i32) -> Result<Vec<i64>, WorkerError> {
    let handle = worker.register(callable)?;
    let (input, mut output) = ([1i64, 2, 3, 4], [0i64; 4]);
    let args = Args::new().input(&input, &[4]).unwrap().output(&mut output, &[4]).unwrap();
    let outcome = worker.run(&handle, &args.scalar(41).unwrap(), &config(block_dim, 3))?;
    assert!(outcome.device_wall > Duration::ZERO);
    Ok(output.to_vec())
}

#[test]
fn a_graph_of_the_host_runs_on_both_chips() {
    let image = add_callable();
    for (platform, chip) in ONBOARD {
        let (lease, worker) = worker(platform, chip, RuntimeKind::HostBuildGraph);
        for block_dim in [1, 2, 1] {
            assert_eq!(add(&worker, &image, block_dim).unwrap(), [42, 43, 44, 45], "{platform}");
        }
        // Of one content there is one registration, and nothing is registered for a run.
        assert_eq!(lease.calls("rtRegisterAllKernel"), 1);
        close(&lease, worker);
    }
}

#[test]
fn a_kernel_that_fails_ends_its_worker_and_no_other() {
    let image = add_callable();
    let throws = kernel(CoreType::Aiv, "throw std::runtime_error(\"on purpose\");");
    let throws = callable(ADD_GRAPH, &[(0, throws)]);
    for (platform, chip) in ONBOARD {
        let (other_lease, other) = worker(platform, chip, RuntimeKind::HostBuildGraph);
        let (lease, first) = worker(platform, chip, RuntimeKind::HostBuildGraph);
        assert_eq!(add(&first, &image, 1).unwrap(), [42, 43, 44, 45]);
        let error = add(&first, &throws, 1).unwrap_err();
        assert!(error.to_string().contains("aclrtSynchronizeStreamWithTimeout failed with"), "{error}");
        let error = add(&first, &image, 1).unwrap_err();
        assert!(error.to_string().contains("close this worker and open another"), "{error}");
        assert_eq!(add(&other, &image, 1).unwrap(), [42, 43, 44, 45]);
        close(&lease, first);
        close(&other_lease, other);
    }
}

#[test]
fn chips_in_simulation_and_on_hardware_work_side_by_side() {
    let image = add_callable();
    std::thread::scope(|scope| {
        for (platform, chip) in ONBOARD {
            let image = &image;
            scope.spawn(move || {
                let (lease, worker) = worker(platform, chip, RuntimeKind::HostBuildGraph);
                for _ in 0..5 {
                    assert_eq!(add(&worker, image, 2).unwrap(), [42, 43, 44, 45]);
                }
                close(&lease, worker);
            });
        }
        for platform in Platform::SIMULATED {
            let image = &image;
            scope.spawn(move || {
                let worker = common::worker(platform);
                for _ in 0..50 {
                    let handle = worker.register(image).unwrap();
                    let (input, mut output) = ([1i64], [0i64]);
                    let args = Args::new().input(&input, &[1]).unwrap().output(&mut output, &[1]).unwrap();
                    worker.run(&handle, &args.scalar(41).unwrap(), &config(2, 3)).unwrap();
                    assert_eq!(output, [42]);
                }
            });
        }
    });
}
