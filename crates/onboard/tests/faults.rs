//! Every call of a whole life fails once.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is the report of a test")]

mod common;

use std::collections::BTreeMap;
use std::error::Error;
use std::time::Duration;

use common::{Bench, CHIPS, Plan, Worker, runner};
use device_runner::{Device as _, DeviceError, KernelSource};
use soft_cann::{Chip, LeakReport, Rule};

/// Failures of these are logged only: the run goes on without what they do.
const TOLERATED: [&str; 2] = ["dlog_setlevel", "aclrtSetOpExecuteTimeOutV2"];

/// The AICPU gives up on cores that do not come.
const PLAN: Plan = Plan { block_dim: 2, returned: 0, patience: Duration::from_secs(2) };

/// A life of a device with all that a runner does; the first error of it.
fn device_life(bench: &Bench) -> Result<(), Box<dyn Error>> {
    let worker = Worker::new(bench.open()?)?;
    let lived = live(&worker);
    // A runner gives back what it can and then tries again what could not be given back, once.
    let closed = worker.close().or_else(|first| worker.device.reset().and(Err(first)));
    Ok(lived.and(closed)?)
}

fn live(worker: &Worker) -> Result<(), DeviceError> {
    let kernel =
        worker.device.register_kernel("k", &KernelSource::Object([1, 2, 3].as_slice().into()), &[])?;
    let ran = worker.device.max_block_dim(24).and_then(|_| worker.run(PLAN)).and_then(|_| worker.run(PLAN));
    let read = worker.report().map(drop);
    let unregistered = worker.device.unregister_kernel(kernel);
    ran.map(drop).and(read).and(unregistered)
}

/// The same for a runner, a variant and a callable on it.
fn runner_life(bench: &Bench) -> Result<(), Box<dyn Error>> {
    Ok(runner::life(bench, PLAN)?)
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

struct Loop {
    chip: Chip,
    /// What calls return; what is usual for them, if nothing else.
    code: Option<i32>,
    life: fn(&Bench) -> Result<(), Box<dyn Error>>,
}

impl Loop {
    /// Fails each call of a life in turn; how many there were.
    fn go(&self) -> usize {
        let clean = Bench::new(self.chip);
        (self.life)(&clean).unwrap();
        clean.assert_clean();
        let calls = clean.calls(0);
        let mut seen = BTreeMap::new();
        for &name in &calls {
            let nth: &mut u64 = seen.entry(name).or_default();
            *nth += 1;
            self.fail(name, *nth);
        }
        calls.len()
    }

    fn fail(&self, name: &str, nth: u64) {
        let Self { chip, code, life } = self;
        let what = format!("{chip:?}: call {nth} of {name} fails with {code:?}");
        let bench = Bench::new(*chip);
        let rule = Rule::fail(name).nth(nth);
        let injected = bench.lease.inject(code.map_or(rule.clone(), |code| rule.code(code)));
        match life(&bench) {
            Err(error) => assert!(error.to_string().contains(name), "{what}: {error}"),
            // The buffers of the bootstrap are freed at the end, if not at once.
            Ok(()) => assert!(
                TOLERATED.contains(&name) || name == "rtFree" || name == "aclrtGetStreamResLimit",
                "{what}"
            ),
        }
        assert_eq!(injected.fired(), 1, "{what}");
        assert!(bench.lease.wait_idle(Duration::from_secs(20)), "{what}");
        assert_eq!(bench.lease.leaks(), left_by(name), "{what}");
        assert_eq!(bench.lease.violations(), [], "{what}");
        let again = life(&bench);
        assert!(again.is_ok(), "{what}, and then: {again:?}");
    }
}

fn fail_each_call(code: Option<i32>, life: fn(&Bench) -> Result<(), Box<dyn Error>>) {
    for chip in CHIPS {
        let calls = Loop { chip, code, life }.go();
        assert!(calls > 40, "{calls}");
    }
}

#[test]
fn each_call_of_a_device_s_life_fails_as_it_usually_does() {
    fail_each_call(None, device_life);
}

#[test]
fn each_call_of_a_device_s_life_is_refused() {
    fail_each_call(Some(107_000), device_life);
}

#[test]
fn each_call_of_a_runner_s_life_fails_as_it_usually_does() {
    fail_each_call(None, runner_life);
}

#[test]
fn each_call_of_a_runner_s_life_is_refused() {
    fail_each_call(Some(107_000), runner_life);
}
