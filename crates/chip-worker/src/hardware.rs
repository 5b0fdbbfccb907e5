//! The device of a platform on hardware.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use device_runner::{Device, Programs};
use hal_sys::Hal;
use host_library::Companions;
use onboard::{OnboardDevice, OnboardOptions};

use crate::error::WorkerError;
use crate::platform::{Platform, RuntimeKind};

/// What a builder was told about it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hardware {
    pub(crate) hal: Option<Arc<Hal>>,
    pub(crate) op_timeout: Option<Duration>,
    pub(crate) stream_timeout: Option<Duration>,
}

impl Hardware {
    /// Opens a device; `None` where this build leaves the platform out.
    pub(crate) fn open(
        &self,
        platform: Platform,
        id: u32,
        comm_limit: Option<Duration>,
        programs: Option<&Programs>,
    ) -> Result<Option<Arc<dyn Device>>, WorkerError> {
        let Some(chip) = platform.onboard_chip() else { return Ok(None) };
        let programs = programs.cloned().ok_or(WorkerError::NoPrograms { platform })?;
        let hal = match &self.hal {
            Some(hal) => Arc::clone(hal),
            None => load_hal(platform, chip)?,
        };
        let mut options = OnboardOptions::new(programs);
        options.op_timeout = self.op_timeout;
        options.stream_timeout = self.stream_timeout;
        options.comm_limit = comm_limit;
        Ok(Some(Arc::new(OnboardDevice::open(hal, chip, id, options)?)))
    }
}

fn load_hal(platform: Platform, chip: &'static dyn onboard::OnboardChip) -> Result<Arc<Hal>, WorkerError> {
    onboard::load_hal(chip).map_err(|source| WorkerError::NoCann { platform, source: Box::new(source) })
}

impl Platform {
    /// Whether this machine has what the platform needs: the libraries of CANN for a chip on hardware. Nothing is
    /// asked of a device.
    ///
    /// # Errors
    /// [`WorkerError::PlatformUnavailable`] or [`WorkerError::NoCann`].
    pub fn check_machine(self) -> Result<(), WorkerError> {
        match self.onboard_chip() {
            Some(chip) => load_hal(self, chip).map(drop),
            None if self.is_available() => Ok(()),
            None => Err(WorkerError::PlatformUnavailable { platform: self, features: self.features() }),
        }
    }
}

/// The programs that run on a device of this platform, from a `build/lib` tree (`spec/public-abi.md`, section A.1).
///
/// # Errors
/// [`WorkerError::Library`] with all files that are missing, or the one that cannot be read.
pub fn programs_in_tree(
    root: impl AsRef<Path>,
    platform: Platform,
    runtime: RuntimeKind,
) -> Result<Programs, WorkerError> {
    let (arch, variant) = platform.folders();
    let read = Companions::programs_in_tree(root, arch, variant, runtime.name())?.read_programs()?;
    Ok(Programs::new(read.aicpu, read.aicore, read.dispatcher))
}
