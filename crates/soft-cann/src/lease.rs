//! Devices for tests: one for each, whoever else tests in the same process.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::chip::Chip;
use crate::codes;
use crate::context;
use crate::device::Device;
use crate::process::process;
use crate::report::{Call, LeakReport, Violation};
use crate::rule::{Injected, Rule};

/// How long a lease waits for a device that somebody gives back.
const LIMIT: Duration = Duration::from_secs(60);

/// The devices of this process.
#[derive(Clone, Copy, Debug)]
pub struct Devices;

/// Everybody has leased a device and keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoDevice;

impl std::fmt::Display for NoDevice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "no device became free within {LIMIT:?}; SOFT_CANN_DEVICES sets how many there are")
    }
}

impl std::error::Error for NoDevice {}

impl Devices {
    /// How many there are; their numbers are less.
    #[must_use]
    pub fn count() -> i32 {
        i32::from(process().settings.devices)
    }

    /// A device that nobody uses, as new: nothing is allocated, loaded or injected. Calls of this thread that
    /// name no device, as `aclInit`, are put down to it until the thread attaches to another one.
    ///
    /// # Errors
    ///
    /// [`NoDevice`] when none was given back for a minute.
    pub fn lease(chip: Chip) -> Result<DeviceLease, NoDevice> {
        let deadline = Instant::now() + LIMIT;
        loop {
            if let Some(device) = process().lease(chip) {
                context::remember(device.id);
                return Ok(DeviceLease { device });
            }
            if Instant::now() > deadline {
                return Err(NoDevice);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// A device that one test has for itself. Dropping it ends whatever goes on there and gives the number back.
#[derive(Debug)]
pub struct DeviceLease {
    device: Arc<Device>,
}

impl DeviceLease {
    /// The number that calls of CANN know it by.
    #[must_use]
    pub fn id(&self) -> i32 {
        self.device.id
    }

    /// Which chip it is.
    #[must_use]
    pub fn chip(&self) -> Chip {
        self.device.chip
    }

    /// Makes something go wrong from now on.
    pub fn inject(&self, rule: Rule) -> Injected {
        self.device.inject(rule)
    }

    /// Takes all rules back. Limits of memory and bitmaps of cores stay.
    pub fn clear_rules(&self) {
        self.device.rules.clear();
    }

    /// The device is gone from this moment on, see [`Rule::lose_at`].
    pub fn lose(&self) {
        self.device.lose();
    }

    /// How often a function was called, successfully or not.
    #[must_use]
    pub fn calls(&self, name: &str) -> u64 {
        self.device.calls(name)
    }

    /// The last calls, oldest first, at the most 65536.
    #[must_use]
    pub fn journal(&self) -> Vec<Call> {
        self.device.journal()
    }

    /// What is not given back.
    #[must_use]
    pub fn leaks(&self) -> LeakReport {
        context::leaks(&self.device)
    }

    /// What was done wrong.
    #[must_use]
    pub fn violations(&self) -> Vec<Violation> {
        self.device.violations()
    }

    /// How many times longer limits of time are than calls say. A test machine has fewer CPUs than a chip has
    /// cores; 10 unless `SOFT_CANN_TIME_SCALE` says something else.
    pub fn set_time_scale(&self, scale: u32) {
        self.device.set_time_scale(scale);
    }

    /// Level and event switch that `dlog_setlevel` last set for a module. The log is the whole process's.
    #[must_use]
    pub fn log_level(&self, module: i32) -> Option<(i32, i32)> {
        process().log_level(module)
    }

    /// Waits until no task runs, counting those that were given up; false if that takes longer.
    #[must_use]
    pub fn wait_idle(&self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        while self.device.running() > 0 {
            if Instant::now() > deadline {
                return false;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        true
    }
}

impl Drop for DeviceLease {
    fn drop(&mut self) {
        context::drop_handles(&self.device);
        self.device.kill_tasks(codes::LOST_HEARTBEAT);
        process().give_back(&self.device);
    }
}
