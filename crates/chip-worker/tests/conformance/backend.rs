//! What the cases run on.

use std::fmt;
use std::time::Duration;

use chip_worker::{ChipWorker, ChipWorkerBuilder, Platform, Programs, RuntimeKind};

/// Cases that a backend cannot have: the case, and how the names of those backends start.
pub(crate) const UNSUPPORTED: &[(&str, &str)] = &[];

/// Cases that are known to fail: likewise.
pub(crate) const EXPECTED_FAILURES: &[(&str, &str)] = &[];

/// A chip, what executes for it, and a runtime.
#[derive(Clone, Copy)]
pub(crate) struct Backend {
    pub(crate) platform: Platform,
    pub(crate) runtime: RuntimeKind,
    /// Whether device programs run it, instead of an engine.
    pub(crate) has_programs: bool,
}

impl Backend {
    pub(crate) fn all() -> Vec<Self> {
        let platforms = Platform::ALL.into_iter().filter(|platform| platform.is_available());
        let of = |platform: Platform, has_programs| {
            RuntimeKind::ALL.map(|runtime| Self { platform, runtime, has_programs })
        };
        platforms
            .flat_map(|platform| match platform.is_simulated() {
                true => [of(platform, false), of(platform, true)].concat(),
                false => of(platform, true).to_vec(),
            })
            .collect()
    }

    /// On hardware there are always programs, so only simulated platforms say so.
    pub(crate) fn name(self) -> String {
        let with = if self.has_programs && self.platform.is_simulated() { "+programs" } else { "" };
        format!("{}{with}/{}", self.platform, self.runtime)
    }

    /// Clusters that a launch may have.
    pub(crate) fn max_block_dim(self) -> i32 {
        i32::try_from(self.platform.max_block_dim().unwrap()).unwrap()
    }

    /// AICPU threads that a run may have.
    pub(crate) fn max_threads(self) -> i32 {
        if self.platform.folders().0 == "a5" { 7 } else { 4 }
    }

    /// A place where workers can be made, and where it is seen whether they leave anything.
    pub(crate) fn place(self) -> Place {
        Place {
            backend: self,
            #[cfg(feature = "onboard")]
            hardware: (!self.platform.is_simulated()).then(|| Hardware::new(self.platform)),
        }
    }
}

/// A device that one test has for itself.
pub(crate) struct Place {
    backend: Backend,
    #[cfg(feature = "onboard")]
    hardware: Option<Hardware>,
}

impl Place {
    pub(crate) fn builder(&self) -> ChipWorkerBuilder {
        let Backend { platform, runtime, has_programs } = self.backend;
        let builder =
            ChipWorker::builder().platform(platform).runtime(runtime).watchdog(Some(Duration::from_secs(30)));
        #[cfg(feature = "onboard")]
        if let Some(hardware) = &self.hardware {
            return hardware.describe(builder, platform, runtime);
        }
        if has_programs { builder.programs(programs(platform, runtime)) } else { builder }
    }

    /// The stand-in's device, if there is one.
    #[cfg(feature = "onboard")]
    #[allow(dead_code, reason = "not every suite looks at it")]
    pub(crate) fn lease(&self) -> Option<&soft_cann::DeviceLease> {
        self.hardware.as_ref().map(|hardware| &hardware.lease)
    }

    pub(crate) fn worker(&self) -> ChipWorker {
        self.builder().build().unwrap()
    }

    /// Ends a worker, which must leave nothing.
    pub(crate) fn close(&self, worker: ChipWorker) {
        let report = worker.close().unwrap();
        assert!(report.is_zero(), "{self:?}: {report}");
    }
}

/// Several workers may be on a device, so that only its end shows whether they leave something there.
#[cfg(feature = "onboard")]
impl Drop for Place {
    fn drop(&mut self) {
        if let (Some(hardware), false) = (&self.hardware, std::thread::panicking()) {
            hardware.assert_nothing_left();
        }
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.backend.name())
    }
}

/// The device programs of this project.
fn programs(platform: Platform, runtime: RuntimeKind) -> Programs {
    let built = device_programs::build(platform.folders().0, runtime.name()).unwrap();
    Programs::new(built.aicpu, built.aicore, built.dispatcher)
}

/// A device of the stand-in for CANN.
#[cfg(feature = "onboard")]
struct Hardware {
    lease: soft_cann::DeviceLease,
    hal: std::sync::Arc<chip_worker::Hal>,
}

#[cfg(feature = "onboard")]
impl Hardware {
    fn new(platform: Platform) -> Self {
        let chip = if platform == Platform::A5 { soft_cann::Chip::A5 } else { soft_cann::Chip::A2a3 };
        let lease = soft_cann::Devices::lease(chip).unwrap();
        // Limits are those of these tests, not those of a chip.
        lease.set_time_scale(1);
        // SAFETY: the stand-in's functions keep what those of CANN promise.
        let hal = unsafe { chip_worker::Hal::from_raw_table(soft_cann::raw_table()) };
        Self { lease, hal: std::sync::Arc::new(hal) }
    }

    fn describe(
        &self,
        builder: ChipWorkerBuilder,
        platform: Platform,
        runtime: RuntimeKind,
    ) -> ChipWorkerBuilder {
        const LIMIT: Duration = Duration::from_secs(50);
        builder
            .device(self.lease.id().unsigned_abs())
            .programs(programs(platform, runtime))
            .hal(std::sync::Arc::clone(&self.hal))
            .op_timeout(LIMIT)
            .stream_timeout(LIMIT)
    }

    fn assert_nothing_left(&self) {
        assert!(self.lease.wait_idle(Duration::from_secs(20)));
        let leaks = self.lease.leaks();
        assert!(leaks.is_empty(), "{leaks}");
        assert_eq!(self.lease.violations(), []);
    }
}
