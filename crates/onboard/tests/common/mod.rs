//! A device on the stand-in for CANN, with small programs of its own.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part")]

pub mod runner;

use std::path::Path;
use std::process::Command;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use device_runner::{
    DevPtr, Device, DeviceError, DeviceImage, DeviceRun, GlobalMemory as _, ImageProgram, Launch, Topology,
};
use hal_sys::Hal;
use onboard::{OnboardChip, OnboardDevice, OnboardOptions, Programs};
use soft_cann::{Chip, DeviceLease, Devices};

pub const CHIPS: [Chip; 2] = [Chip::A2a3, Chip::A5];

/// Long for what these programs do, and short for a test that waits until it is over.
pub const SHORT: Duration = Duration::from_millis(300);

/// Longer than anything takes on however slow a machine.
const LONG: Duration = Duration::from_secs(20);

pub fn chip(chip: Chip) -> &'static dyn OnboardChip {
    match chip {
        Chip::A5 => &arch_a5::CHIP,
        _ => &arch_a2a3::CHIP,
    }
}

/// The compiled programs of a chip.
pub fn programs(chip: Chip) -> Programs {
    static PROGRAMS: [OnceLock<Programs>; 2] = [OnceLock::new(), OnceLock::new()];
    let (place, defines): (_, [&str; 4]) = match chip {
        Chip::A5 => (&PROGRAMS[1], ["-DWALL=128", "-DLOG=112", "-DDEVICE_ID=136", "-DTHREADS=7"]),
        _ => (&PROGRAMS[0], ["-DWALL=144", "-DLOG=128", "-DDEVICE_ID=152", "-DTHREADS=6"]),
    };
    let build = |name| compile(name, &defines);
    place.get_or_init(|| Programs::new(build("aicpu.c"), build("aicore.c"), build("dispatcher.c"))).clone()
}

fn compile(name: &str, defines: &[&str]) -> Vec<u8> {
    let scratch = tempfile::tempdir().unwrap();
    let output = scratch.path().join("program.so");
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    let compiled = Command::new(compiler)
        .args(["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-O1", "-fPIC", "-shared", "-Wl,--build-id"])
        .args(defines)
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs").join(name))
        .arg("-o")
        .arg(&output)
        .output()
        .unwrap();
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    std::fs::read(output).unwrap()
}

pub fn hal() -> Arc<Hal> {
    // SAFETY: the stand-in's functions keep what those of CANN promise.
    Arc::new(unsafe { Hal::from_raw_table(soft_cann::raw_table()) })
}

/// A device that one test has for itself.
pub struct Bench {
    pub lease: DeviceLease,
    pub hal: Arc<Hal>,
    pub options: OnboardOptions,
}

impl Bench {
    pub fn new(chip: Chip) -> Self {
        let lease = Devices::lease(chip).unwrap();
        // Limits are those of this test, not those of a chip.
        lease.set_time_scale(1);
        let mut options = OnboardOptions::new(programs(chip));
        options.op_timeout = Some(LONG);
        options.stream_timeout = Some(LONG);
        Self { lease, hal: hal(), options }
    }

    /// One whose runs are given up soon; none of them must go well.
    pub fn impatient(chip: Chip) -> Self {
        let mut bench = Self::new(chip);
        bench.options.stream_timeout = Some(SHORT);
        bench
    }

    /// Shows that the device works, whatever was done to it before.
    pub fn assert_works(&self) {
        let (of, id) = (chip(self.lease.chip()), self.id());
        let mut options = self.options.clone();
        options.stream_timeout = Some(LONG);
        let device = OnboardDevice::open(Arc::clone(&self.hal), of, id, options).unwrap();
        let worker = Worker::new(device).unwrap();
        worker.run(Plan::default()).unwrap();
        worker.close().unwrap();
    }

    pub fn id(&self) -> u32 {
        u32::try_from(self.lease.id()).unwrap()
    }

    pub fn open(&self) -> Result<OnboardDevice, DeviceError> {
        OnboardDevice::open(Arc::clone(&self.hal), chip(self.lease.chip()), self.id(), self.options.clone())
    }

    /// Names of the calls from the `from`th on.
    pub fn calls(&self, from: usize) -> Vec<&'static str> {
        self.lease.journal().into_iter().skip(from).map(|call| call.name).collect()
    }

    pub fn calls_so_far(&self) -> usize {
        self.lease.journal().len()
    }

    /// Nothing is left, and nothing was done wrong.
    pub fn assert_clean(&self) {
        assert!(self.lease.wait_idle(LONG), "tasks are left");
        let leaks = self.lease.leaks();
        assert!(leaks.is_empty(), "{leaks}");
        assert_eq!(self.lease.violations(), []);
    }
}

/// What a run does.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub block_dim: u32,
    /// What the AICPU function returns.
    pub returned: u64,
    /// How long it waits for the cores.
    pub patience: Duration,
}

impl Default for Plan {
    fn default() -> Self {
        Self { block_dim: 2, returned: 0, patience: Duration::from_secs(15) }
    }
}

/// The image of a run whose report goes there.
pub fn image_words(report: DevPtr, plan: Plan) -> Vec<u8> {
    let cores = u64::from(Topology::new(plan.block_dim).cores());
    let patience = u64::try_from(plan.patience.as_millis()).unwrap();
    [report.addr(), cores, plan.returned, patience, 0, 0].into_iter().flat_map(u64::to_le_bytes).collect()
}

/// A device with memory for the report of its runs.
pub struct Worker {
    pub device: OnboardDevice,
    report: DevPtr,
}

impl Worker {
    pub fn new(device: OnboardDevice) -> Result<Self, DeviceError> {
        let report = device.alloc(128)?;
        device.copy_to_device(report, &[0; 128])?;
        Ok(Self { device, report })
    }

    pub fn launch(&self, plan: Plan) -> Result<Box<dyn DeviceRun>, DeviceError> {
        let topology = Topology::new(plan.block_dim);
        let bytes = image_words(self.report, plan);
        // In two parts, with room behind them that nobody writes.
        let (first, second) = bytes.split_at(16);
        let parts = vec![(0, first.to_vec()), (16, second.to_vec())];
        let program = Box::new(ImageProgram::new(DeviceImage { bytes: 4096, parts }));
        self.device.launch(Launch {
            topology,
            aicpu_threads: 3,
            kernels: Vec::new(),
            program,
            recorder: None,
        })
    }

    /// Runs to the end; the device time.
    pub fn run(&self, plan: Plan) -> Result<u64, DeviceError> {
        Ok(self.launch(plan)?.wait()?.device_wall_ns)
    }

    /// What the AICPU program saw.
    pub fn report(&self) -> Result<[u64; 16], DeviceError> {
        let mut bytes = [0; 128];
        self.device.copy_from_device(&mut bytes, self.report)?;
        Ok(std::array::from_fn(|i| u64::from_le_bytes(bytes[8 * i..8 * i + 8].try_into().unwrap())))
    }

    /// Gives everything back, as a runner does.
    pub fn close(&self) -> Result<(), DeviceError> {
        self.device.bind_thread()?;
        self.device.free(self.report)?;
        self.device.reset()
    }
}

pub fn launched_threads(of: Chip) -> u64 {
    u64::from(chip(of).limits().launched_aicpu_threads)
}
