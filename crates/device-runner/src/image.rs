use std::any::Any;
use std::fmt;

use crate::arch::CoreId;
use crate::program::{Cores, DeviceProgram, DeviceTime, Dispatch, TaskId};
use crate::stall::WaitingTask;

/// The object that a device's own programs read: its size, and those parts that say something. What lies between
/// the parts may be anything on the device.
#[derive(Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "plain data between variant and device")]
pub struct DeviceImage {
    /// Bytes of the whole object.
    pub bytes: usize,
    /// Offset and content of each part, ascending.
    pub parts: Vec<(usize, Vec<u8>)>,
}

impl fmt::Debug for DeviceImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let written: usize = self.parts.iter().map(|(_, part)| part.len()).sum();
        write!(f, "DeviceImage({written} of {} bytes in {} parts)", self.bytes, self.parts.len())
    }
}

/// A program that runs on the device itself; here, it is only its image.
#[derive(Debug)]
pub struct ImageProgram {
    image: Option<DeviceImage>,
}

impl ImageProgram {
    /// The program that `image` describes.
    #[must_use]
    pub fn new(image: DeviceImage) -> Self {
        Self { image: Some(image) }
    }
}

/// An engine finds nothing to do here; what ran, the variant reads from the device's memory.
impl DeviceProgram for ImageProgram {
    fn take_image(&mut self) -> Option<DeviceImage> {
        self.image.take()
    }

    fn next(&mut self, _cores: &dyn Cores) -> Option<Dispatch> {
        None
    }

    fn has_startable(&self, _cores: &dyn Cores) -> bool {
        false
    }

    fn complete(&mut self, _task: TaskId, _core: CoreId, _at: DeviceTime) {}

    fn is_done(&self) -> bool {
        true
    }

    fn completed(&self) -> u64 {
        0
    }

    fn waiting(&self) -> Vec<WaitingTask> {
        Vec::new()
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}
