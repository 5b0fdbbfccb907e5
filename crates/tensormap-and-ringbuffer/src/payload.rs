use task_interface::trb::{MAX_SCALAR_ARGS, MAX_TENSOR_ARGS, Tensor};

use crate::gm::Gm;

/// Places in device memory for the tensors and scalars of tasks, which kernels and orchestrations reach by address.
///
/// The place used last is given out first, so that a long stream of tasks stays in few pages.
#[derive(Debug)]
pub(crate) struct PayloadPool {
    memory: Gm,
    unused: Vec<u32>,
    /// Places that were never given out start here.
    next: u32,
}

/// Bytes of one place: sixteen tensors, then the scalars.
const STRIDE: u64 = (MAX_TENSOR_ARGS * size_of::<Tensor>() + MAX_SCALAR_ARGS * size_of::<u64>()) as u64;

impl PayloadPool {
    /// Bytes that as many places need.
    pub(crate) fn bytes(places: u64) -> u64 {
        places * STRIDE
    }

    pub(crate) fn new(memory: Gm) -> Self {
        Self { memory, unused: Vec::new(), next: 0 }
    }

    /// Gives out nothing of the last run any more.
    pub(crate) fn renew(&mut self, memory: Gm) {
        self.memory = memory;
        self.unused.clear();
        self.next = 0;
    }

    pub(crate) fn take(&mut self) -> u32 {
        self.unused.pop().unwrap_or_else(|| {
            self.next += 1;
            self.next - 1
        })
    }

    pub(crate) fn give_back(&mut self, place: u32) {
        self.unused.push(place);
    }

    /// Address of a tensor.
    pub(crate) fn tensor_address(&self, place: u32, index: usize) -> u64 {
        self.memory.address(u64::from(place) * STRIDE + (index * size_of::<Tensor>()) as u64)
    }

    pub(crate) fn write_tensor(&self, place: u32, index: usize, tensor: &Tensor) -> u64 {
        let address = self.tensor_address(place, index);
        self.memory.write(address, tensor);
        address
    }

    fn scalars_address(&self, place: u32) -> u64 {
        self.tensor_address(place, MAX_TENSOR_ARGS)
    }

    pub(crate) fn write_scalars(&self, place: u32, scalars: &[u64]) {
        for (index, scalar) in scalars.iter().enumerate() {
            self.memory.write(self.scalars_address(place) + 8 * index as u64, scalar);
        }
    }

    pub(crate) fn read_scalar(&self, place: u32, index: usize) -> u64 {
        self.memory.read(self.scalars_address(place) + 8 * index as u64)
    }
}
