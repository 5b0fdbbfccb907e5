use std::mem::offset_of;

use host_build_graph::image::{self, Layout};
use task_interface::trb::DispatchPayload;

use crate::chip::{Chip, HandshakeWords};
use crate::memory::DeviceMemory;
use crate::word::load_u64;

/// Where the AICPU program of a runtime puts what it tells a core to run.
#[derive(Clone, Copy, Debug)]
pub(crate) enum TaskSource {
    /// The token is the task's number.
    HostBuildGraph,
    /// The token's last bit says which of the core's two payloads it is in.
    TensormapAndRingbuffer,
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
    /// The image and the core's payloads must be accessible.
    pub(crate) unsafe fn task(
        self,
        chip: &Chip,
        memory: DeviceMemory,
        runtime: u64,
        handshake: &HandshakeWords,
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
            Self::TensormapAndRingbuffer => {
                // SAFETY: a word of the handshake, which is in the image.
                let pair = unsafe { load_u64(handshake.task) };
                let payload = pair.saturating_add(u64::from(token & 1) * size_of::<DispatchPayload>() as u64);
                let entry = payload + offset_of!(DispatchPayload, function_bin_addr) as u64;
                let entry = memory.read(entry).map_err(|error| error.to_string())?;
                Ok(Task { entry, args: payload + DispatchPayload::ARGS_OFFSET })
            }
        }
    }
}
