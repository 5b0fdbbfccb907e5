//! What the AICPU program needs of a runtime besides its state machine.

use std::sync::{Arc, OnceLock};

use device_runner::{CoreId, DevPtr, DeviceImage, DeviceProgram, Dispatch, ImageProgram, RunSinks};
use host_build_graph::image;
use task_interface::trb::TrbErrorCode;
use tensormap_and_ringbuffer::image::{DeviceHalf, DeviceLaunch};

use crate::chip::{Chip, ImageHead};
use crate::memory::DeviceMemory;
use crate::protocol::FIRST_RESERVED;
use crate::records::Threads;

/// A runtime as a device knows it.
pub(crate) trait Runtime: Sync {
    /// Makes the program of an image, or says why not.
    ///
    /// # Safety
    /// The image and what it names must be accessible until the program is closed and dropped.
    unsafe fn open(
        &self,
        memory: DeviceMemory,
        chip: &Chip,
        head: &ImageHead,
        sinks: Option<Arc<dyn RunSinks>>,
    ) -> Result<Box<dyn Program>, String>;

    /// What the threads of a launch do.
    fn threads(&self, all: u32) -> Threads;
}

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

    /// What the client calls the kernel of a dispatch.
    fn func_id(&self, kernel: u32) -> u32 {
        kernel
    }

    /// The run fails for what AICPU thread `thread` has met.
    fn fail(&mut self, _thread: u32, _reason: &str) {}

    /// The run is over; its status, which is `rc` unless the runtime knows better.
    fn close(self: Box<Self>, rc: i32) -> i32;
}

/// `host_build_graph`: tokens are the numbers of tasks (`spec/device-abi.md`, section 2.6).
pub(crate) struct HostBuildGraph;

impl Runtime for HostBuildGraph {
    unsafe fn open(
        &self,
        memory: DeviceMemory,
        chip: &Chip,
        head: &ImageHead,
        sinks: Option<Arc<dyn RunSinks>>,
    ) -> Result<Box<dyn Program>, String> {
        let machine = image::read(&memory, DevPtr::new(head.address), chip.arch, sinks);
        Ok(Box::new(Graph(machine.map_err(|error| error.to_string())?)))
    }

    fn threads(&self, all: u32) -> Threads {
        Threads { all, schedulers: all }
    }
}

struct Graph(Box<dyn DeviceProgram>);

impl Program for Graph {
    fn machine(&mut self) -> &mut dyn DeviceProgram {
        self.0.as_mut()
    }

    fn token(&mut self, dispatch: &Dispatch) -> Option<u32> {
        u32::try_from(dispatch.task.0).ok().filter(|&token| token < FIRST_RESERVED)
    }

    fn close(self: Box<Self>, rc: i32) -> i32 {
        rc
    }
}

/// `tensormap_and_ringbuffer`: tokens count the dispatches to a core, and cores find their payloads by them
/// (`spec/device-abi.md`, sections 2.6 and 2.8).
pub(crate) struct TensormapAndRingbuffer(OnceLock<DeviceHalf>);

impl TensormapAndRingbuffer {
    pub(crate) const fn new() -> Self {
        Self(OnceLock::new())
    }
}

impl Runtime for TensormapAndRingbuffer {
    unsafe fn open(
        &self,
        _memory: DeviceMemory,
        chip: &Chip,
        head: &ImageHead,
        sinks: Option<Arc<dyn RunSinks>>,
    ) -> Result<Box<dyn Program>, String> {
        let half = self.0.get_or_init(|| DeviceHalf::new(chip.arch));
        // SAFETY: as the caller promises.
        let launch = unsafe { half.open(head.address, sinks) }.map_err(|error| error.to_string())?;
        let machine = launch.take_program();
        let tokens = vec![0; head.topology.cores() as usize];
        Ok(Box::new(Rings { launch, machine, tokens }))
    }

    fn threads(&self, all: u32) -> Threads {
        Threads { all, schedulers: all.saturating_sub(1).max(1) }
    }
}

struct Rings {
    launch: DeviceLaunch,
    machine: Box<dyn DeviceProgram>,
    /// By core: the last one.
    tokens: Vec<u32>,
}

/// Tokens come round without the reserved ones, of which there is an even number: payloads go on taking turns.
const fn token_after(last: u32) -> u32 {
    if last + 1 == FIRST_RESERVED { 0 } else { last + 1 }
}

const _: () = assert!(FIRST_RESERVED.is_multiple_of(2));

impl Program for Rings {
    fn machine(&mut self) -> &mut dyn DeviceProgram {
        self.machine.as_mut()
    }

    fn payloads(&self, core: CoreId) -> u64 {
        self.launch.payload_pair(core)
    }

    fn token(&mut self, dispatch: &Dispatch) -> Option<u32> {
        // The state machine has written the payload already.
        let token = self.tokens.get_mut(dispatch.core.0 as usize)?;
        *token = token_after(*token);
        Some(*token)
    }

    fn func_id(&self, kernel: u32) -> u32 {
        self.launch.func_id(kernel)
    }

    fn fail(&mut self, thread: u32, reason: &str) {
        self.launch.fail(thread, TrbErrorCode::SchedulerTimeout, reason);
    }

    fn close(self: Box<Self>, rc: i32) -> i32 {
        self.launch.finish(self.machine, rc)
    }
}

/// What is left of a program that was closed.
pub(super) struct Closed(ImageProgram);

impl Closed {
    pub(super) fn new() -> Self {
        // Nothing is to be done for an image here.
        Self(ImageProgram::new(DeviceImage { bytes: 0, parts: Vec::new() }))
    }
}

impl Program for Closed {
    fn machine(&mut self) -> &mut dyn DeviceProgram {
        &mut self.0
    }

    fn token(&mut self, _dispatch: &Dispatch) -> Option<u32> {
        None
    }

    fn close(self: Box<Self>, rc: i32) -> i32 {
        rc
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_skip_reserved_ones_and_keep_taking_turns() {
        assert_eq!(token_after(0), 1);
        for last in [1, 7, FIRST_RESERVED - 2, FIRST_RESERVED - 1] {
            let next = token_after(last);
            assert!(next < FIRST_RESERVED && next & 1 != last & 1, "{last} {next}");
        }
    }
}
