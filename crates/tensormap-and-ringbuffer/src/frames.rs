//! Where kernels find their arguments: one or two dispatch payloads for each core, and slabs for conditions.

use std::sync::Arc;

use device_runner::CoreId;
use task_interface::trb::{DeferredCompletionSlab, DispatchPayload};

use crate::gm::{Gm, OwnMemory};

/// A core's payloads and slabs, from the start of its part of the memory.
#[derive(Clone, Copy, Debug)]
struct Shape {
    stride: u64,
    payloads: [u64; 2],
    slabs: [u64; 2],
}

/// An engine starts a task on a core when the last one has ended, so one of each is enough.
const ENGINE: Shape = Shape { stride: 4096, payloads: [0; 2], slabs: [1024; 2] };

/// Cores of a device take their two payloads in turn (`spec/device-abi.md`, section 2.8).
const DEVICE: Shape = {
    const PAYLOAD: u64 = size_of::<DispatchPayload>() as u64;
    const SLAB: u64 = size_of::<DeferredCompletionSlab>() as u64;
    let slabs = 2 * PAYLOAD;
    Shape { stride: slabs + 2 * SLAB, payloads: [0, PAYLOAD], slabs: [slabs, slabs + SLAB] }
};
const _: () = assert!(DEVICE.stride.is_multiple_of(64));

/// One dispatch's payload and slab, by address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) payload: u64,
    pub(crate) slab: u64,
}

/// The frames of all cores of a run.
#[derive(Debug)]
pub(crate) struct Frames {
    pub(crate) memory: Gm,
    shape: Shape,
    /// By core: dispatches so far.
    turns: Vec<usize>,
    /// Keeps the memory, where it is of this program.
    _owner: Option<Arc<OwnMemory>>,
}

impl Frames {
    /// Bytes that an engine's frames need for as many cores.
    pub(crate) const fn engine_bytes(cores: u32) -> u64 {
        cores as u64 * ENGINE.stride
    }

    /// Frames in memory of the run.
    pub(crate) fn for_engine(memory: Gm, cores: u32) -> Self {
        Self { memory, shape: ENGINE, turns: vec![0; cores as usize], _owner: None }
    }

    /// Memory for the frames of a device program.
    pub(crate) fn device_memory(cores: u32) -> Arc<OwnMemory> {
        Arc::new(OwnMemory::new(u64::from(cores) * DEVICE.stride))
    }

    /// Zeroed frames in memory of a device program.
    pub(crate) fn for_device(owner: Arc<OwnMemory>, cores: u32) -> Self {
        let memory = owner.gm();
        memory.fill(memory.address(0), u64::from(cores) * DEVICE.stride, [0; 8]);
        Self { memory, shape: DEVICE, turns: vec![0; cores as usize], _owner: Some(owner) }
    }

    /// The frame of the next dispatch to a core: of the n-th, from 1 on, payload `n & 1`.
    pub(crate) fn advance(&mut self, core: CoreId) -> Frame {
        if let Some(turns) = self.turns.get_mut(core.0 as usize) {
            *turns = turns.wrapping_add(1);
        }
        self.current(core)
    }

    /// The frame of the last dispatch to a core.
    pub(crate) fn current(&self, core: CoreId) -> Frame {
        let turn = self.turns.get(core.0 as usize).map_or(0, |turns| turns & 1);
        let start = self.memory.address(u64::from(core.0) * self.shape.stride);
        Frame { payload: start + self.shape.payloads[turn], slab: start + self.shape.slabs[turn] }
    }

    /// Address of a core's payloads.
    pub(crate) fn payloads(&self, core: CoreId) -> u64 {
        self.memory.address(u64::from(core.0) * self.shape.stride)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_of_a_device_take_their_payloads_in_turn() {
        let mut frames = Frames::for_device(Frames::device_memory(3), 3);
        let (pair, core) = (frames.payloads(CoreId(2)), CoreId(2));
        assert!(pair.is_multiple_of(64));
        let of_turn = |turn: u64| Frame { payload: pair + 512 * turn, slab: pair + 1024 + 1600 * turn };
        for dispatch in 1..5 {
            assert_eq!(frames.advance(core), of_turn(dispatch & 1));
            assert_eq!(frames.current(core), of_turn(dispatch & 1));
        }
        assert_eq!(frames.current(CoreId(1)).payload + DEVICE.stride, pair);
    }
}
