use task_interface::trb::{MAX_SCALAR_ARGS, MAX_TENSOR_ARGS, Tensor};

use crate::gm::Gm;
use crate::image::shared_memory::{SharedMemoryLayout, TaskDescriptor, TaskPayload};
use crate::state::RINGS;

/// Places in device memory for the tensors and scalars of tasks, which kernels and orchestrations reach by address.
#[derive(Debug)]
pub(crate) struct PayloadPool {
    memory: Gm,
    places: Places,
}

/// A place is known by the offset of its first tensor.
#[derive(Debug)]
enum Places {
    /// Any for any task. That used last is given out first, so that a long stream of tasks stays in few pages.
    Pooled {
        unused: Vec<u64>,
        /// Places that were never given out start here.
        next: u64,
    },
    /// One for each task slot of each ring, in the contract's shared memory.
    OfSlots {
        /// By ring: the place of slot 0.
        first: [u64; RINGS],
        stride: u64,
        /// By ring: the descriptor of slot 0.
        descriptors: [u64; RINGS],
    },
}

/// Bytes of one pooled place: sixteen tensors, then the scalars.
const STRIDE: u64 = (MAX_TENSOR_ARGS * size_of::<Tensor>() + MAX_SCALAR_ARGS * size_of::<u64>()) as u64;

impl PayloadPool {
    /// Bytes that as many pooled places need.
    pub(crate) fn bytes(places: u64) -> u64 {
        places * STRIDE
    }

    /// Places anywhere in `memory`.
    pub(crate) fn pooled(memory: Gm) -> Self {
        Self { memory, places: Places::Pooled { unused: Vec::new(), next: 0 } }
    }

    /// A place for each task slot, in shared memory with this layout.
    pub(crate) fn of_slots(memory: Gm, layout: &SharedMemoryLayout) -> Self {
        let first = layout.rings.map(|ring| ring.payloads + TaskPayload::TENSORS_OFFSET);
        let (stride, descriptors) =
            (size_of::<TaskPayload>() as u64, layout.rings.map(|ring| ring.descriptors));
        Self { memory, places: Places::OfSlots { first, stride, descriptors } }
    }

    /// The place of a new task, which has this slot of this ring.
    pub(crate) fn take(&mut self, ring: usize, slot: u32) -> u64 {
        match &mut self.places {
            Places::Pooled { unused, next } => unused.pop().unwrap_or_else(|| {
                *next += STRIDE;
                *next - STRIDE
            }),
            Places::OfSlots { first, stride, .. } => first[ring] + u64::from(slot) * *stride,
        }
    }

    /// Says what the task in a slot is, where that can be read from outside.
    pub(crate) fn describe(&self, ring: usize, slot: u32, task: impl FnOnce() -> TaskDescriptor) {
        if let Places::OfSlots { descriptors, .. } = &self.places {
            let offset = descriptors[ring] + u64::from(slot) * size_of::<TaskDescriptor>() as u64;
            self.memory.write(self.memory.address(offset), &task());
        }
    }

    pub(crate) fn give_back(&mut self, place: u64) {
        if let Places::Pooled { unused, .. } = &mut self.places {
            unused.push(place);
        }
    }

    /// Address of a tensor.
    pub(crate) fn tensor_address(&self, place: u64, index: usize) -> u64 {
        self.memory.address(place + (index * size_of::<Tensor>()) as u64)
    }

    pub(crate) fn write_tensor(&self, place: u64, index: usize, tensor: &Tensor) -> u64 {
        let address = self.tensor_address(place, index);
        self.memory.write(address, tensor);
        address
    }

    pub(crate) fn read_tensor(&self, place: u64, index: usize) -> Tensor {
        self.memory.read(self.tensor_address(place, index))
    }

    fn scalars_address(&self, place: u64) -> u64 {
        self.tensor_address(place, MAX_TENSOR_ARGS)
    }

    pub(crate) fn write_scalars(&self, place: u64, scalars: &[u64]) {
        for (index, scalar) in scalars.iter().enumerate() {
            self.memory.write(self.scalars_address(place) + 8 * index as u64, scalar);
        }
    }

    pub(crate) fn read_scalar(&self, place: u64, index: usize) -> u64 {
        self.memory.read(self.scalars_address(place) + 8 * index as u64)
    }
}
