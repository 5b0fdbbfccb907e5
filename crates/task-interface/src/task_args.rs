//! The growing argument list of a task, and its C-side view.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::chip_args::ChipStorageTaskArgs;
use crate::dtype::TensorArgType;
use crate::error::TaskArgsError;
use crate::limits::{CHIP_MAX_SCALAR_ARGS, CHIP_MAX_TENSOR_ARGS};
use crate::tensor::ContinuousTensor;
use crate::wire::assert_layout;

const NAME: &str = "TaskArgs";

/// Counts travel as `i32`, so no list grows beyond this.
const MAX_COUNT: usize = i32::MAX as usize;

/// Arguments of a task: tensors with their roles, then scalars (`spec/public-abi.md`, sections B.2 and B.4).
///
/// Unlimited up to what a 32-bit count can carry. [`to_chip_storage`](Self::to_chip_storage) turns it into the
/// fixed-size block of a chip-level call, [`to_blob`](Self::to_blob) into the bytes that travel between processes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaskArgs {
    tags: Vec<TensorArgType>,
    tensors: Vec<ContinuousTensor>,
    scalars: Vec<u64>,
}

impl TaskArgs {
    /// An empty list.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A list of input tensors and scalars. The caller keeps both within [`MAX_COUNT`].
    pub(crate) fn from_inputs(tensors: Vec<ContinuousTensor>, scalars: Vec<u64>) -> Self {
        Self { tags: alloc::vec![TensorArgType::Input; tensors.len()], tensors, scalars }
    }

    /// Appends a tensor with its role.
    ///
    /// # Errors
    /// [`TaskArgsError::TensorAfterScalar`] once a scalar was added, [`TaskArgsError::TensorCapacity`] when a 32-bit
    /// count cannot carry one more.
    pub fn add_tensor(&mut self, tensor: ContinuousTensor, tag: TensorArgType) -> Result<(), TaskArgsError> {
        if !self.scalars.is_empty() {
            return Err(TaskArgsError::TensorAfterScalar);
        }
        if self.tensors.len() >= MAX_COUNT {
            return Err(TaskArgsError::TensorCapacity { capacity: MAX_COUNT });
        }
        self.tensors.push(tensor);
        self.tags.push(tag);
        Ok(())
    }

    /// Appends a scalar.
    ///
    /// # Errors
    /// [`TaskArgsError::ScalarCapacity`] when a 32-bit count cannot carry one more.
    pub fn add_scalar(&mut self, value: u64) -> Result<(), TaskArgsError> {
        if self.scalars.len() >= MAX_COUNT {
            return Err(TaskArgsError::ScalarCapacity { capacity: MAX_COUNT });
        }
        self.scalars.push(value);
        Ok(())
    }

    /// All tensors.
    #[must_use]
    pub fn tensors(&self) -> &[ContinuousTensor] {
        &self.tensors
    }

    /// The role of each tensor, in the same order.
    #[must_use]
    pub fn tags(&self) -> &[TensorArgType] {
        &self.tags
    }

    /// All scalars.
    #[must_use]
    pub fn scalars(&self) -> &[u64] {
        &self.scalars
    }

    /// Number of tensors plus scalars.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tensors.len() + self.scalars.len()
    }

    /// Whether there are no arguments.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The tensor with this index.
    ///
    /// # Errors
    /// [`TaskArgsError::TensorIndex`] beyond the last one.
    pub fn tensor(&self, index: usize) -> Result<&ContinuousTensor, TaskArgsError> {
        self.tensors.get(index).ok_or(self.no_tensor(index))
    }

    /// The tensor with this index, for changing it in place.
    ///
    /// # Errors
    /// As [`tensor`](Self::tensor).
    pub fn tensor_mut(&mut self, index: usize) -> Result<&mut ContinuousTensor, TaskArgsError> {
        let error = self.no_tensor(index);
        self.tensors.get_mut(index).ok_or(error)
    }

    /// The role of the tensor with this index.
    ///
    /// # Errors
    /// As [`tensor`](Self::tensor).
    pub fn tag(&self, index: usize) -> Result<TensorArgType, TaskArgsError> {
        self.tags.get(index).copied().ok_or(self.no_tensor(index))
    }

    /// Changes the role of the tensor with this index.
    ///
    /// # Errors
    /// As [`tensor`](Self::tensor).
    pub fn set_tag(&mut self, index: usize, tag: TensorArgType) -> Result<(), TaskArgsError> {
        let error = self.no_tensor(index);
        *self.tags.get_mut(index).ok_or(error)? = tag;
        Ok(())
    }

    /// The scalar with this index.
    ///
    /// # Errors
    /// [`TaskArgsError::ScalarIndex`] beyond the last one.
    pub fn scalar(&self, index: usize) -> Result<u64, TaskArgsError> {
        let count = self.scalars.len();
        self.scalars.get(index).copied().ok_or(TaskArgsError::ScalarIndex { container: NAME, index, count })
    }

    /// Forgets all arguments.
    pub fn clear(&mut self) {
        self.tags.clear();
        self.tensors.clear();
        self.scalars.clear();
    }

    /// The fixed-size block of a chip-level call. Roles are not part of it.
    ///
    /// # Errors
    /// [`TaskArgsError::TooManyTensors`] or [`TaskArgsError::TooManyScalars`] beyond 128 of either.
    pub fn to_chip_storage(&self) -> Result<Box<ChipStorageTaskArgs>, TaskArgsError> {
        if self.tensors.len() > CHIP_MAX_TENSOR_ARGS {
            return Err(TaskArgsError::TooManyTensors { count: self.tensors.len() });
        }
        if self.scalars.len() > CHIP_MAX_SCALAR_ARGS {
            return Err(TaskArgsError::TooManyScalars { count: self.scalars.len() });
        }
        let mut block = ChipStorageTaskArgs::new();
        for &tensor in &self.tensors {
            block.add_tensor(tensor)?;
        }
        for &scalar in &self.scalars {
            block.add_scalar(scalar)?;
        }
        Ok(block)
    }

    /// The C-side view of this list. Its pointers are good until this list is changed or dropped.
    #[must_use]
    pub fn as_view(&self) -> TaskArgsView {
        let (tensor_count, scalar_count) = self.wire_counts();
        TaskArgsView {
            tensor_count,
            scalar_count,
            tensors: self.tensors.as_ptr(),
            scalars: self.scalars.as_ptr(),
        }
    }

    /// Number of tensors and scalars as the wire carries them.
    pub(crate) fn wire_counts(&self) -> (i32, i32) {
        // Adding stops at MAX_COUNT, so the fallback is never taken.
        let count = |len| i32::try_from(len).unwrap_or(i32::MAX);
        (count(self.tensors.len()), count(self.scalars.len()))
    }

    fn no_tensor(&self, index: usize) -> TaskArgsError {
        TaskArgsError::TensorIndex { container: NAME, index, count: self.tensors.len() }
    }
}

/// Borrowed argument lists as C++ code passes them (`spec/public-abi.md`, section B.2). 24 bytes.
///
/// The structure owns nothing. Whoever follows the pointers must know that they are good; check the counts with
/// [`counts`](Self::counts) first.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct TaskArgsView {
    /// Number of tensors.
    pub tensor_count: i32,
    /// Number of scalars.
    pub scalar_count: i32,
    /// First tensor.
    pub tensors: *const ContinuousTensor,
    /// First scalar.
    pub scalars: *const u64,
}

assert_layout!(TaskArgsView, size 24, align 8, {
    tensor_count @ 0, scalar_count @ 4, tensors @ 8, scalars @ 16,
});

impl TaskArgsView {
    /// Number of tensors and of scalars.
    ///
    /// # Errors
    /// [`TaskArgsError::InvalidTensorCount`] or [`TaskArgsError::InvalidScalarCount`] for negative counts.
    pub fn counts(&self) -> Result<(usize, usize), TaskArgsError> {
        let container = "TaskArgsView";
        let (count, max) = (self.tensor_count, i32::MAX);
        let tensors = usize::try_from(count).map_err(|_| TaskArgsError::InvalidTensorCount {
            container,
            count,
            max,
        })?;
        let count = self.scalar_count;
        let scalars = usize::try_from(count).map_err(|_| TaskArgsError::InvalidScalarCount {
            container,
            count,
            max,
        })?;
        Ok((tensors, scalars))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DataType;

    fn tensor(data: u64) -> ContinuousTensor {
        ContinuousTensor::new(data, &[1], DataType::Int8).unwrap()
    }

    fn sample() -> TaskArgs {
        let mut args = TaskArgs::new();
        args.add_tensor(tensor(1), TensorArgType::Input).unwrap();
        args.add_tensor(tensor(2), TensorArgType::Output).unwrap();
        args.add_scalar(3).unwrap();
        args
    }

    #[test]
    fn everything_added_can_be_read_and_changed() {
        let mut args = sample();
        assert_eq!(args.len(), 3);
        assert_eq!(args.tag(1), Ok(TensorArgType::Output));
        args.set_tag(1, TensorArgType::NoDep).unwrap();
        args.tensor_mut(0).unwrap().data = 7;
        assert_eq!(args.tags(), [TensorArgType::Input, TensorArgType::NoDep]);
        assert_eq!(args.tensor(0).unwrap().data, 7);
        assert_eq!(args.tensors().len(), 2);
        assert_eq!(args.scalar(0), Ok(3));
        args.clear();
        assert!(args.is_empty() && args.tags().is_empty());
    }

    #[test]
    fn wrong_order_and_indices_are_refused() {
        let mut args = sample();
        assert_eq!(args.add_tensor(tensor(0), TensorArgType::Input), Err(TaskArgsError::TensorAfterScalar));
        let no_tensor = TaskArgsError::TensorIndex { container: "TaskArgs", index: 2, count: 2 };
        assert_eq!(args.tensor(2), Err(no_tensor));
        assert_eq!(args.tensor_mut(2), Err(no_tensor));
        assert_eq!(args.tag(2), Err(no_tensor));
        assert_eq!(args.set_tag(2, TensorArgType::Input), Err(no_tensor));
        assert_eq!(
            args.scalar(1),
            Err(TaskArgsError::ScalarIndex { container: "TaskArgs", index: 1, count: 1 })
        );
    }

    #[test]
    fn chip_storage_keeps_order_and_refuses_the_129th() {
        let block = sample().to_chip_storage().unwrap();
        assert_eq!(block.used_tensors().unwrap(), sample().tensors());
        assert_eq!(block.used_scalars().unwrap(), sample().scalars());

        let too_many = TaskArgs::from_inputs(alloc::vec![tensor(0); 129], Vec::new());
        assert_eq!(too_many.to_chip_storage().unwrap_err(), TaskArgsError::TooManyTensors { count: 129 });
        let too_many = TaskArgs::from_inputs(Vec::new(), alloc::vec![0; 129]);
        assert_eq!(too_many.to_chip_storage().unwrap_err(), TaskArgsError::TooManyScalars { count: 129 });
    }

    #[test]
    fn view_points_at_the_lists() {
        let args = sample();
        let mut view = args.as_view();
        assert_eq!(view.counts(), Ok((2, 1)));
        assert_eq!(view.tensors, args.tensors().as_ptr());
        assert_eq!(view.scalars, args.scalars().as_ptr());
        view.scalar_count = -1;
        assert!(matches!(view.counts(), Err(TaskArgsError::InvalidScalarCount { count: -1, .. })));
        view.tensor_count = -2;
        assert!(matches!(view.counts(), Err(TaskArgsError::InvalidTensorCount { count: -2, .. })));
    }
}
