use task_interface::TensorArgType;
use task_interface::trb::{MAX_TENSOR_ARGS, TaskToken, Tensor, TensorCreateInfo};

use crate::rings::{Packed, pack_outputs};

/// One tensor argument.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ArgTensor {
    /// A tensor that exists.
    Existing(TensorArgType, Tensor),
    /// An output to be allocated.
    Create(TensorCreateInfo),
}

impl ArgTensor {
    /// What is known of a tensor that exists.
    pub(crate) fn existing(&self) -> Option<(TensorArgType, &Tensor)> {
        match self {
            Self::Existing(tag, tensor) => Some((*tag, tensor)),
            Self::Create(_) => None,
        }
    }
}

/// The arguments of a task.
#[derive(Debug, Default)]
pub(crate) struct Submission {
    pub(crate) tensors: Vec<ArgTensor>,
    pub(crate) scalars: Vec<u64>,
    pub(crate) deps: Vec<TaskToken>,
    pub(crate) blocks: u32,
    pub(crate) sync_start: bool,
    /// Tensors to be dumped, bit i for tensor i; `None` if none is chosen.
    pub(crate) chosen: Option<u64>,
}

impl Submission {
    /// Makes it empty, keeping its memory.
    pub(crate) fn clear(&mut self) {
        self.tensors.clear();
        self.scalars.clear();
        self.deps.clear();
        self.blocks = 1;
        self.sync_start = false;
        self.chosen = None;
    }

    /// Sizes and places of the outputs.
    pub(crate) fn pack(&self) -> Result<Packed, String> {
        let mut sizes = [0; MAX_TENSOR_ARGS];
        let mut count = 0;
        for tensor in &self.tensors {
            if let ArgTensor::Create(info) = tensor {
                let size = sizes.get_mut(count).ok_or_else(|| "a task has too many outputs".to_owned())?;
                *size = info.nbytes().map_err(|error| format!("an output cannot be created: {error}"))?;
                count += 1;
            }
        }
        pack_outputs(&sizes[..count]).map_err(|error| error.to_string())
    }
}
