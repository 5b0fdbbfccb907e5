//! The device of a platform on hardware.

use std::sync::Arc;
use std::time::Duration;

use device_runner::{Device, Programs};
use hal_sys::Hal;
use onboard::{OnboardDevice, OnboardOptions};

use crate::error::WorkerError;
use crate::platform::Platform;

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
        programs: Option<&Programs>,
    ) -> Result<Option<Arc<dyn Device>>, WorkerError> {
        let Some(chip) = platform.onboard_chip() else { return Ok(None) };
        let programs = programs.cloned().ok_or(WorkerError::NoPrograms { platform })?;
        let hal = match &self.hal {
            Some(hal) => Arc::clone(hal),
            None => onboard::load_hal(chip)
                .map_err(|source| WorkerError::NoCann { platform, source: Box::new(source) })?,
        };
        let mut options = OnboardOptions::new(programs);
        options.op_timeout = self.op_timeout;
        options.stream_timeout = self.stream_timeout;
        Ok(Some(Arc::new(OnboardDevice::open(hal, chip, id, options)?)))
    }
}
