use std::time::Duration;

use hal_sys::{Hal, HalError, KernelBinary};

use crate::aicpu::AicpuProgram;
use crate::lane::Lane;

/// What this process has on a device besides memory, until it is given back.
#[derive(Debug, Default)]
pub(crate) struct Holdings {
    pub(crate) lanes: Vec<Lane>,
    pub(crate) program: Option<AicpuProgram>,
    pub(crate) kernels: Option<KernelBinary>,
}

impl Holdings {
    /// Waits once more for work that was not seen to end; whether none is left.
    pub(crate) fn settle(&self, hal: &Hal, limit: Duration) -> bool {
        for lane in &self.lanes {
            if let Err(error) = lane.drain(hal, limit) {
                log::warn!("while a device is given back: {error}");
            }
        }
        !self.is_busy()
    }

    /// Whether a stream has work that was not seen to end.
    pub(crate) fn is_busy(&self) -> bool {
        self.lanes.iter().any(Lane::is_busy)
    }

    /// Gives everything back; every step is attempted, and the first error is returned. What could not be given back
    /// goes with the device itself, as its handle is gone.
    pub(crate) fn give_back(&mut self, hal: &Hal) -> Result<(), HalError> {
        let streams =
            self.lanes.drain(..).map(|lane| hal.stream_destroy(lane.into_stream())).fold(Ok(()), Result::and);
        let program =
            self.program.take().map_or(Ok(()), |program| hal.unload_cpu_binary(program.into_binary()));
        let kernels = self.kernels.take().map_or(Ok(()), |kernels| unregister(hal, kernels));
        streams.and(program).and(kernels)
    }
}

fn unregister(hal: &Hal, kernels: KernelBinary) -> Result<(), HalError> {
    match hal.unregister_kernels(kernels) {
        // Versions without that call keep it for the life of the process.
        Err(HalError::Missing { .. }) => Ok(()),
        result => result,
    }
}
