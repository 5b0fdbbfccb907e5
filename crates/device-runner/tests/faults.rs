//! A whole worker life, once for each of its device calls, with that call failing or panicking.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is the report of a test")]

mod common;

use std::sync::Arc;

use common::{
    ARCH, Probe, TestVariant, add, args, assert_unbound, image, image_callable, native_callable,
    quiet_injected_panics,
};
use device_runner::testing::{FakeDevice, Fault, FaultyDevice};
use device_runner::{
    ArenaSizes, CallableId, CallableSource, Device, DeviceRunner, DeviceUsage, RunnerError, host_api,
};
use task_interface::CallConfig;

/// One worker from its first call to its last.
struct Life {
    device: Arc<FaultyDevice>,
    probe: Arc<Probe>,
    errors: Vec<RunnerError>,
}

impl Life {
    fn new(fault: Option<Fault>) -> Self {
        let device = FaultyDevice::new(FakeDevice::new());
        device.set_fault(fault);
        Self { device, probe: Arc::default(), errors: Vec::new() }
    }

    /// Does a step as a user would who tries again after an error. A single fault costs two attempts at the
    /// most: one it ends, and one that only tells of a clean-up it spoiled.
    fn step<R>(&mut self, what: &str, mut attempt: impl FnMut(&Self) -> Result<R, RunnerError>) -> R {
        for _ in 0..3 {
            match attempt(self) {
                Ok(result) => return result,
                Err(error) => {
                    assert!(common::is_injected(&error), "{what}: {error}");
                    self.errors.push(error);
                }
            }
            assert_unbound();
        }
        panic!("{what} does not recover: {:?}", self.errors);
    }

    /// A step that is not repeated, as a failed one has had its effect.
    fn note<R>(&mut self, result: Result<R, RunnerError>) {
        self.errors.extend(result.err());
        assert_unbound();
    }

    fn live(&mut self) -> Arc<DeviceRunner> {
        let runner = self.step("attach", |life| {
            DeviceRunner::attach(&ARCH, Box::new(TestVariant::new(&life.probe)), life.device.clone())
        });
        let sizes = ArenaSizes { gm_heap: 4096, gm_sm: 100, runtime_arena: 2000 };
        self.step("set up arenas", |_| Ok(runner.arenas().setup(sizes)?));
        let memory = runner.memory();
        let block = self.step("allocate", |_| Ok(memory.alloc_unowned(64)?));
        self.step("copy in", |_| Ok(memory.copy_to_device(block, b"data")?));

        let encoded = image_callable(b"orchestration", &[(0, b"kernel"), (7, b"other"), (9, b"kernel")]);
        let from_image = self.step("register an image", |_| runner.register(None, &encoded));
        let adding = native_callable(vec![add(1), add(10)]);
        let native = self.step("register Rust parts", |_| runner.register(Some(33), &adding));
        for _ in 0..2 {
            self.run(&runner, from_image, 5);
            self.run(&runner, native, 16);
        }
        self.phases(&runner, native);

        let grown = ArenaSizes { gm_sm: 101, ..sizes };
        self.step("grow an arena", |_| Ok(runner.arenas().setup(grown)?));
        self.upload(&runner);
        let other = CallableSource::from_image(&image(b"another", &[(0, b"new"), (1, b"kernel")])).unwrap();
        let replaced = self.step("replace", |_| runner.replace(from_image, &other));
        self.run(&runner, replaced, 5);
        runner.unregister(native);
        self.step("copy out", |_| Ok(memory.copy_from_device(&mut [0; 4], block)?));
        self.note(memory.free(block).map_err(RunnerError::from));
        runner
    }

    fn run(&mut self, runner: &Arc<DeviceRunner>, id: CallableId, expected: u64) {
        self.step("run", |_| runner.run(id, &args(&[5]), &CallConfig::default()));
        assert_eq!(self.probe.output(), [expected]);
    }

    /// Runs that are left in each phase, and one that goes through all of them.
    fn phases(&mut self, runner: &Arc<DeviceRunner>, id: CallableId) {
        let (args, config) = (args(&[7]), CallConfig::default());
        self.step("drop a prepared run", |_| runner.prepare(id, &args, &config).map(drop));
        self.step("drop an active run", |_| runner.prepare(id, &args, &config)?.launch().map(drop));
        self.step("run by phases", |_| {
            let mut active = runner.prepare(id, &args, &config)?.launch()?;
            while !active.poll() {}
            active.wait();
            active.finish()
        });
        assert_eq!(self.probe.output(), [18]);
    }

    fn upload(&mut self, runner: &Arc<DeviceRunner>) {
        let image = image(b"uploaded", &[(0, b"kernel")]);
        self.step("upload", |_| {
            let _guard = runner.bind()?;
            host_api::upload_chip_callable_buffer(&image)
        });
    }

    /// Closes the worker; a second call must be enough.
    fn close(&mut self, runner: &Arc<DeviceRunner>) {
        if let Err(error) = runner.finalize() {
            assert!(common::is_injected(&error), "finalize: {error}");
            self.errors.push(error);
            runner.finalize().unwrap();
        }
        let report = runner.report();
        assert!(report.is_zero(), "left: {report}");
    }

    fn assert_nothing_left(&self) {
        assert_eq!(self.device.usage(), DeviceUsage::default());
        self.probe.assert_nothing_left();
        assert_unbound();
    }
}

/// Names of all device calls of a life without faults.
fn calls_of_a_life() -> Vec<&'static str> {
    let mut life = Life::new(None);
    let runner = life.live();
    life.close(&runner);
    life.assert_nothing_left();
    assert!(life.errors.is_empty(), "{:?}", life.errors);
    life.device.journal()
}

#[test]
fn a_life_touches_every_kind_of_call() {
    let calls = calls_of_a_life();
    println!("a whole life makes {} device calls", calls.len());
    for name in [
        "bind_thread",
        "alloc",
        "free",
        "copy_to_device",
        "copy_from_device",
        "register_kernel",
        "unregister_kernel",
        "launch",
        "poll",
        "wait",
        "cancel",
        "reset",
    ] {
        assert!(calls.contains(&name), "{name} is missing among {} calls", calls.len());
    }
}

/// Lives once per device call with a fault there; `closing` ends the life.
fn fail_each_call(fault: fn(usize) -> Fault, closing: fn(&mut Life, Arc<DeviceRunner>)) {
    quiet_injected_panics();
    let calls = calls_of_a_life();
    for (at, name) in calls.iter().enumerate() {
        let mut life = Life::new(Some(fault(at)));
        let runner = life.live();
        closing(&mut life, runner);
        assert!(life.device.journal().len() > at, "call {at} of {}: {name} was never made", calls.len());
        life.assert_nothing_left();
    }
}

#[test]
fn a_failure_of_any_call_is_told_and_leaves_nothing_behind() {
    fail_each_call(Fault::Once, |life, runner| {
        life.close(&runner);
        let Some(Fault::Once(at)) = life.device.fault() else { panic!("no fault") };
        // A launch that is dropped has no way to fail, only to panic.
        let expected = usize::from(life.device.journal()[at] != "cancel");
        assert_eq!(life.errors.len(), expected, "call {at}: {:?}", life.errors);
    });
}

#[test]
fn a_panic_of_any_call_is_told_and_leaves_nothing_behind() {
    fail_each_call(Fault::PanicOnce, |life, runner| {
        life.close(&runner);
        assert_eq!(life.errors.len(), 1, "{:?}", life.errors);
    });
}

#[test]
fn a_failure_of_any_call_leaves_nothing_behind_a_runner_that_is_just_dropped() {
    for fault in [Fault::Once, Fault::PanicOnce] {
        fail_each_call(fault, |life, runner| {
            drop(runner);
            // A reset that failed was the last chance; the device itself still has what it failed to free.
            if life.device.usage() != DeviceUsage::default() {
                assert_eq!(life.device.journal().last(), Some(&"reset"));
                life.device.bind_thread().unwrap();
                life.device.reset().unwrap();
            }
        });
    }
}

#[test]
fn a_device_that_fails_one_kind_of_call_from_some_point_on_is_still_left_clean() {
    quiet_injected_panics();
    for name in ["bind_thread", "free", "unregister_kernel", "copy_from_device", "wait"] {
        for fault in [Fault::Always, Fault::AlwaysPanic] {
            let mut life = Life::new(None);
            let runner = life.live();
            let adding = native_callable(vec![add(1)]);
            let id = life.step("register", |_| runner.register(None, &adding));
            life.device.set_fault(Some(fault(name)));
            for _ in 0..3 {
                let _ = runner.run(id, &args(&[1]), &CallConfig::default());
                let _ = runner.arenas().setup(ArenaSizes { gm_heap: 5000, ..ArenaSizes::default() });
                let _ = runner.replace(id, &adding);
                assert_unbound();
            }
            runner.unregister(id);
            let _ = runner.finalize();
            life.device.set_fault(None);
            life.close(&runner);
            life.assert_nothing_left();
        }
    }
}
