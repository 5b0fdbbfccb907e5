use std::mem::offset_of;

use host_build_graph::image::{self, Layout};

use crate::chip::{Chip, HandshakeWords};
use crate::memory::DeviceMemory;

/// Where the AICPU program of a runtime puts what it tells a core to run.
#[derive(Clone, Copy, Debug)]
pub(crate) enum TaskSource {
    /// The token is the task's number.
    HostBuildGraph,
}

/// What a core calls; addresses of device memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Task {
    /// 0 for nothing.
    pub(crate) entry: u64,
    /// The argument array.
    pub(crate) args: u64,
}

impl TaskSource {
    /// What belongs to a token.
    ///
    /// # Errors
    /// A token that there cannot be.
    ///
    /// # Safety
    /// The image must be accessible.
    pub(crate) unsafe fn task(
        self,
        chip: &Chip,
        memory: DeviceMemory,
        runtime: u64,
        _handshake: &HandshakeWords,
        token: u32,
    ) -> Result<Task, String> {
        match self {
            Self::HostBuildGraph => {
                let offset = Layout::of(chip.arch).and_then(|layout| layout.task(token as usize));
                let offset = offset.ok_or_else(|| format!("the image has no task {token}"))?;
                let task = runtime + offset as u64;
                let entry = task + offset_of!(image::Task, function_bin_addr) as u64;
                let entry = memory.read(entry).map_err(|error| error.to_string())?;
                Ok(Task { entry, args: task + offset_of!(image::Task, args) as u64 })
            }
        }
    }
}
