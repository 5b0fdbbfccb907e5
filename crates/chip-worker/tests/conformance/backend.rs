//! What the cases run on.

use std::fmt;
use std::time::Duration;

use chip_worker::{ChipWorker, ChipWorkerBuilder, Platform, RuntimeKind};

/// Cases that a backend cannot have: the case, and how the names of those backends start.
pub(crate) const UNSUPPORTED: &[(&str, &str)] = &[];

/// Cases that are known to fail: likewise.
pub(crate) const EXPECTED_FAILURES: &[(&str, &str)] = &[];

/// A chip, what executes for it, and a runtime.
#[derive(Clone, Copy)]
pub(crate) struct Backend {
    pub(crate) platform: Platform,
    pub(crate) runtime: RuntimeKind,
}

impl Backend {
    pub(crate) fn all() -> Vec<Self> {
        let platforms = Platform::ALL.into_iter();
        platforms.flat_map(|platform| RuntimeKind::ALL.map(|runtime| Self { platform, runtime })).collect()
    }

    pub(crate) fn name(self) -> String {
        format!("{}/{}", self.platform, self.runtime)
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
        Place { backend: self }
    }
}

/// A device that one test has for itself.
pub(crate) struct Place {
    backend: Backend,
}

impl Place {
    pub(crate) fn builder(&self) -> ChipWorkerBuilder {
        let Backend { platform, runtime } = self.backend;
        ChipWorker::builder().platform(platform).runtime(runtime).watchdog(Some(Duration::from_secs(30)))
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

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.backend.name())
    }
}
