//! What a submission gives back.

use core::fmt;

use bytemuck::{Pod, Zeroable};

use super::error::ArgError;
use super::limits::MAX_TENSOR_ARGS;
use super::tensor::Tensor;
use super::token::TaskToken;
use crate::wire::assert_layout;

/// The new task and its outputs, one per [`Output`](crate::TensorArgType::Output) argument, in their order
/// (`spec/public-abi.md`, section D.3). 144 bytes.
///
/// The tensors belong to the runtime and are valid until the enclosing scope ends.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub struct TaskOutputTensors {
    /// The task; invalid when nothing was submitted.
    pub task_id: TaskToken,
    /// Number of used entries of `tensors`, 0..=16.
    pub output_count: u32,
    /// Undefined.
    pub pad: [u8; 4],
    /// Addresses of [`Tensor`]s; only the first `output_count` count.
    pub tensors: [u64; MAX_TENSOR_ARGS],
}

assert_layout!(TaskOutputTensors, size 144, align 8, { task_id @ 0, output_count @ 8, pad @ 12, tensors @ 16 });

impl TaskOutputTensors {
    /// Task `task_id`, no outputs yet.
    #[must_use]
    pub fn new(task_id: TaskToken) -> Self {
        Self { task_id, ..Self::zeroed() }
    }

    /// Addresses of the outputs.
    ///
    /// # Errors
    /// [`ArgError::OutputCount`] when the count is larger than 16.
    pub fn outputs(&self) -> Result<&[u64], ArgError> {
        let invalid = ArgError::OutputCount { count: self.output_count };
        self.tensors.get(..self.output_count as usize).ok_or(invalid)
    }

    /// Appends an output, which must live until the enclosing scope ends.
    ///
    /// # Errors
    /// [`ArgError::TooManyTensors`] for the 17th, and [`ArgError::OutputCount`].
    pub fn push(&mut self, tensor: *const Tensor) -> Result<(), ArgError> {
        let next = self.outputs()?.len();
        *self.tensors.get_mut(next).ok_or(ArgError::TooManyTensors)? = tensor.expose_provenance() as u64;
        self.output_count += 1;
        Ok(())
    }
}

impl Default for TaskOutputTensors {
    /// Nothing was submitted.
    fn default() -> Self {
        Self::new(TaskToken::INVALID)
    }
}

impl fmt::Debug for TaskOutputTensors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskOutputTensors")
            .field("task_id", &self.task_id)
            .field("outputs", &self.outputs())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    #[test]
    fn outputs_come_back_in_order_up_to_the_capacity() {
        let tensors = [Tensor::zeroed(); 17];
        let mut outputs = TaskOutputTensors::default();
        assert!(!outputs.task_id.is_valid() && outputs.outputs().unwrap().is_empty());
        for tensor in &tensors[..16] {
            outputs.push(tensor).unwrap();
        }
        assert_eq!(outputs.push(&raw const tensors[16]), Err(ArgError::TooManyTensors));
        let addresses = tensors[..16].iter().map(|tensor| (&raw const *tensor).addr() as u64);
        assert!(outputs.outputs().unwrap().iter().copied().eq(addresses));
    }

    #[test]
    fn foreign_counts_are_checked() {
        let mut outputs = TaskOutputTensors { output_count: 17, ..TaskOutputTensors::default() };
        let invalid = ArgError::OutputCount { count: 17 };
        assert_eq!(outputs.outputs(), Err(invalid));
        assert_eq!(outputs.push(core::ptr::null()), Err(invalid));
        assert!(format!("{outputs:?}").contains("OutputCount"));
    }
}
