//! What the AICPU program needs of a runtime besides its state machine.

use device_runner::{CoreId, DevPtr, DeviceProgram, Dispatch};
use host_build_graph::image;

use crate::chip::{Chip, ImageHead};
use crate::memory::DeviceMemory;
use crate::protocol::FIRST_RESERVED;

/// The device half of one run.
pub(crate) trait Program: Send {
    /// Decides what runs where.
    fn machine(&mut self) -> &mut dyn DeviceProgram;

    /// What the core's handshake names as its payloads.
    fn payloads(&self, _core: CoreId) -> u64 {
        0
    }

    /// Makes ready what the core will read, and the token that tells it to; `None` when there is no token for it.
    fn token(&mut self, dispatch: &Dispatch) -> Option<u32>;

    /// The run is over, and `failure` says why if it failed: what the host is to know is written to device memory. The
    /// code of a failure that only the runtime knows, or else 0.
    fn close(&mut self, failure: Option<&str>) -> i32;
}

/// Makes the program of an image, or says why not.
pub(crate) type Open = fn(DeviceMemory, &Chip, &ImageHead) -> Result<Box<dyn Program>, String>;

/// `host_build_graph`: tokens are the numbers of tasks (`spec/device-abi.md`, section 2.6).
struct HostBuildGraph(Box<dyn DeviceProgram>);

pub(crate) fn open_host_build_graph(
    memory: DeviceMemory,
    chip: &Chip,
    head: &ImageHead,
) -> Result<Box<dyn Program>, String> {
    let machine =
        image::read(&memory, DevPtr::new(head.address), chip.arch).map_err(|error| error.to_string())?;
    Ok(Box::new(HostBuildGraph(machine)))
}

impl Program for HostBuildGraph {
    fn machine(&mut self) -> &mut dyn DeviceProgram {
        self.0.as_mut()
    }

    fn token(&mut self, dispatch: &Dispatch) -> Option<u32> {
        u32::try_from(dispatch.task.0).ok().filter(|&token| token < FIRST_RESERVED)
    }

    fn close(&mut self, _failure: Option<&str>) -> i32 {
        // The image has no place for it.
        0
    }
}
