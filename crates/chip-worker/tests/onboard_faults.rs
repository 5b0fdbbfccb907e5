//! Every call of CANN that a whole worker makes fails once: with the real device programs, on both chips and with both
//! runtimes.
#![cfg(feature = "onboard")]
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "a panic is the report of a test")]

mod common;

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use chip_worker::{Args, ChipCallable, ChipWorker, Hal, Platform, Programs, RuntimeKind, WorkerError};
use common::{add_callable, config, trb_add_callable};
use soft_cann::{Chip, DeviceLease, Devices, LeakReport, Rule};

const ONBOARD: [(Platform, Chip); 2] = [(Platform::A2a3, Chip::A2a3), (Platform::A5, Chip::A5)];

/// For each part of a run. Where the cores do not come, the AICPU waits for them for as long.
const LIMIT: Duration = Duration::from_secs(20);

/// Failures of these are logged only: the run goes on without what they do.
const TOLERATED: [&str; 3] = ["dlog_setlevel", "aclrtSetOpExecuteTimeOutV2", "aclrtGetStreamResLimit"];

/// A worker's place: a device of the stand-in for it alone.
struct Bench {
    platform: Platform,
    runtime: RuntimeKind,
    lease: DeviceLease,
    hal: Arc<Hal>,
}

impl Bench {
    fn new((platform, chip): (Platform, Chip), runtime: RuntimeKind) -> Self {
        let lease = Devices::lease(chip).unwrap();
        lease.set_time_scale(1);
        // SAFETY: the stand-in's functions keep what those of CANN promise.
        let hal = Arc::new(unsafe { Hal::from_raw_table(soft_cann::raw_table()) });
        Self { platform, runtime, lease, hal }
    }

    fn worker(&self) -> Result<ChipWorker, WorkerError> {
        let built = device_programs::build(self.platform.folders().0, self.runtime.name()).unwrap();
        ChipWorker::builder()
            .platform(self.platform)
            .runtime(self.runtime)
            .device(self.lease.id().unsigned_abs())
            .programs(Programs::new(built.aicpu, built.aicore, built.dispatcher))
            .hal(Arc::clone(&self.hal))
            .op_timeout(LIMIT)
            .stream_timeout(LIMIT)
            .build()
    }

    /// A worker's life: memory, a callable, two runs. The first error of it, and that of its end. A run has all of its
    /// result or nothing.
    fn life(&self) -> Result<(), WorkerError> {
        let worker = self.worker()?;
        let lived = live(&worker);
        // What could not be given back is tried once more by the end of the worker, which this is as well.
        let closed = worker.close();
        let left = closed.as_ref().map(|report| report.is_zero());
        assert!(left.unwrap_or(true), "{}: a worker that closed well holds something", self.platform);
        lived.and(closed.map(drop))
    }
}

fn live(worker: &ChipWorker) -> Result<(), WorkerError> {
    let memory = worker.malloc(64)?;
    let mut back = [0; 64];
    let copied =
        worker.copy_to(memory, &[7; 64]).and_then(|()| worker.copy_from(&mut back, memory)).and_then(|()| {
            assert_eq!(back, [7; 64]);
            run_twice(worker)
        });
    let freed = worker.free(memory);
    copied.and(freed)
}

fn run_twice(worker: &ChipWorker) -> Result<(), WorkerError> {
    let handle = worker.register(image(worker.runtime()))?;
    for _ in 0..2 {
        let (input, mut output) = ([1i64], [0i64]);
        let args = Args::new().input(&input, &[1])?.output(&mut output, &[1])?;
        let result = worker.run(&handle, &args.scalar(41)?, &config(2, 3));
        assert_eq!(output, if result.is_ok() { [42] } else { [0] }, "all of the result, or none");
        result?;
    }
    Ok(())
}

fn image(runtime: RuntimeKind) -> &'static ChipCallable {
    static IMAGES: [OnceLock<ChipCallable>; 2] = [OnceLock::new(), OnceLock::new()];
    match runtime {
        RuntimeKind::TensormapAndRingbuffer => IMAGES[1].get_or_init(trb_add_callable),
        _ => IMAGES[0].get_or_init(add_callable),
    }
}

/// What may be left: a handle is gone when its destruction fails, and what it stood for goes with the device.
fn left_by(name: &str) -> LeakReport {
    let mut left = LeakReport::default();
    match name {
        "rtStreamDestroy" => left.streams = 1,
        "rtsBinaryUnload" => left.binaries = 1,
        "rtDevBinaryUnRegister" => left.programs = 1,
        _ => {}
    }
    left
}

/// Fails each call of a life in turn.
fn fail_each_call(chip: (Platform, Chip), runtime: RuntimeKind) {
    let clean = Bench::new(chip, runtime);
    clean.life().unwrap();
    assert!(clean.lease.leaks().is_empty(), "{}", clean.lease.leaks());
    assert_eq!(clean.lease.violations(), []);
    let journal = clean.lease.journal();
    assert!(journal.len() > 60, "{} {runtime}: {} calls", chip.0, journal.len());
    let mut seen = BTreeMap::new();
    for call in &journal {
        let nth: &mut u64 = seen.entry(call.name).or_default();
        *nth += 1;
        fail(chip, runtime, call.name, *nth);
    }
}

fn fail(chip: (Platform, Chip), runtime: RuntimeKind, name: &str, nth: u64) {
    let what = format!("{} {runtime}: call {nth} of {name} fails", chip.0);
    let bench = Bench::new(chip, runtime);
    let injected = bench.lease.inject(Rule::fail(name).nth(nth));
    match bench.life() {
        Err(error) => assert!(error.to_string().contains(name), "{what}: {error}"),
        // A buffer that is not freed at once is freed at the end.
        Ok(()) => assert!(TOLERATED.contains(&name) || name == "rtFree", "{what}"),
    }
    assert_eq!(injected.fired(), 1, "{what}");
    assert!(bench.lease.wait_idle(LIMIT), "{what}");
    assert_eq!(bench.lease.leaks(), left_by(name), "{what}");
    assert_eq!(bench.lease.violations(), [], "{what}");
    let again = bench.life();
    assert!(again.is_ok(), "{what}, and then: {again:?}");
}

#[test]
fn each_call_of_a_worker_s_life_on_a2a3_fails_with_host_build_graph() {
    fail_each_call(ONBOARD[0], RuntimeKind::HostBuildGraph);
}

#[test]
fn each_call_of_a_worker_s_life_on_a2a3_fails_with_tensormap_and_ringbuffer() {
    fail_each_call(ONBOARD[0], RuntimeKind::TensormapAndRingbuffer);
}

#[test]
fn each_call_of_a_worker_s_life_on_a5_fails_with_host_build_graph() {
    fail_each_call(ONBOARD[1], RuntimeKind::HostBuildGraph);
}

#[test]
fn each_call_of_a_worker_s_life_on_a5_fails_with_tensormap_and_ringbuffer() {
    fail_each_call(ONBOARD[1], RuntimeKind::TensormapAndRingbuffer);
}
