//! The fixed-size argument block of a chip-level call.

use alloc::boxed::Box;
use core::fmt;

use bytemuck::{Pod, Zeroable};

use crate::error::TaskArgsError;
use crate::limits::{CHIP_MAX_SCALAR_ARGS, CHIP_MAX_TENSOR_ARGS};
use crate::tensor::ContinuousTensor;
use crate::wire::assert_layout;

const NAME: &str = "ChipStorageTaskArgs";
const MAX_TENSORS: i32 = 128;
const MAX_SCALARS: i32 = 128;
const _: () =
    assert!(MAX_TENSORS as usize == CHIP_MAX_TENSOR_ARGS && MAX_SCALARS as usize == CHIP_MAX_SCALAR_ARGS);

/// Arguments of one chip-level call: up to 128 tensors, then up to 128 scalars (`spec/public-abi.md`, section B.2).
/// 6152 bytes; use [`new`](Self::new) to create it on the heap.
///
/// Slots beyond the counts are undefined in foreign memory. The public fields are the raw wire values; the methods
/// check the counts before they touch a slot.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub struct ChipStorageTaskArgs {
    /// Tensor slots; only the first `tensor_count` count.
    pub tensors: [ContinuousTensor; CHIP_MAX_TENSOR_ARGS],
    /// Scalar slots; only the first `scalar_count` count.
    pub scalars: [u64; CHIP_MAX_SCALAR_ARGS],
    /// Number of used tensor slots, 0..=128.
    pub tensor_count: i32,
    /// Number of used scalar slots, 0..=128.
    pub scalar_count: i32,
}

assert_layout!(ChipStorageTaskArgs, size 6152, align 8, {
    tensors @ 0, scalars @ 5120, tensor_count @ 6144, scalar_count @ 6148,
});

impl ChipStorageTaskArgs {
    /// An empty block on the heap, all bytes zero.
    #[must_use]
    pub fn new() -> Box<Self> {
        bytemuck::zeroed_box()
    }

    /// The used tensors.
    ///
    /// # Errors
    /// [`TaskArgsError::InvalidTensorCount`] when the count is outside 0..=128.
    pub fn used_tensors(&self) -> Result<&[ContinuousTensor], TaskArgsError> {
        let count = self.tensor_count;
        let invalid = TaskArgsError::InvalidTensorCount { container: NAME, count, max: MAX_TENSORS };
        usize::try_from(count).ok().and_then(|count| self.tensors.get(..count)).ok_or(invalid)
    }

    /// The used scalars.
    ///
    /// # Errors
    /// [`TaskArgsError::InvalidScalarCount`] when the count is outside 0..=128.
    pub fn used_scalars(&self) -> Result<&[u64], TaskArgsError> {
        let count = self.scalar_count;
        let invalid = TaskArgsError::InvalidScalarCount { container: NAME, count, max: MAX_SCALARS };
        usize::try_from(count).ok().and_then(|count| self.scalars.get(..count)).ok_or(invalid)
    }

    /// The tensor with this index.
    ///
    /// # Errors
    /// [`TaskArgsError::TensorIndex`] beyond the count; the errors of [`used_tensors`](Self::used_tensors).
    pub fn tensor(&self, index: usize) -> Result<&ContinuousTensor, TaskArgsError> {
        let used = self.used_tensors()?;
        used.get(index).ok_or(TaskArgsError::TensorIndex { container: NAME, index, count: used.len() })
    }

    /// The tensor with this index, for changing it in place.
    ///
    /// # Errors
    /// As [`tensor`](Self::tensor).
    pub fn tensor_mut(&mut self, index: usize) -> Result<&mut ContinuousTensor, TaskArgsError> {
        let count = self.used_tensors()?.len();
        let out_of_range = TaskArgsError::TensorIndex { container: NAME, index, count };
        self.tensors.get_mut(..count).and_then(|used| used.get_mut(index)).ok_or(out_of_range)
    }

    /// The scalar with this index.
    ///
    /// # Errors
    /// [`TaskArgsError::ScalarIndex`] beyond the count; the errors of [`used_scalars`](Self::used_scalars).
    pub fn scalar(&self, index: usize) -> Result<u64, TaskArgsError> {
        let used = self.used_scalars()?;
        used.get(index).copied().ok_or(TaskArgsError::ScalarIndex {
            container: NAME,
            index,
            count: used.len(),
        })
    }

    /// Appends a tensor.
    ///
    /// # Errors
    /// [`TaskArgsError::TensorAfterScalar`] once a scalar was added, [`TaskArgsError::TensorCapacity`] for the 129th
    /// tensor, and the errors of [`used_tensors`](Self::used_tensors) and [`used_scalars`](Self::used_scalars).
    pub fn add_tensor(&mut self, tensor: ContinuousTensor) -> Result<(), TaskArgsError> {
        if !self.used_scalars()?.is_empty() {
            return Err(TaskArgsError::TensorAfterScalar);
        }
        let next = self.used_tensors()?.len();
        let full = TaskArgsError::TensorCapacity { capacity: CHIP_MAX_TENSOR_ARGS };
        *self.tensors.get_mut(next).ok_or(full)? = tensor;
        self.tensor_count += 1;
        Ok(())
    }

    /// Appends a scalar.
    ///
    /// # Errors
    /// [`TaskArgsError::ScalarCapacity`] for the 129th scalar, and the errors of
    /// [`used_scalars`](Self::used_scalars).
    pub fn add_scalar(&mut self, value: u64) -> Result<(), TaskArgsError> {
        let next = self.used_scalars()?.len();
        let full = TaskArgsError::ScalarCapacity { capacity: CHIP_MAX_SCALAR_ARGS };
        *self.scalars.get_mut(next).ok_or(full)? = value;
        self.scalar_count += 1;
        Ok(())
    }

    /// Forgets all arguments. Repairs invalid counts, too.
    pub fn clear(&mut self) {
        self.tensor_count = 0;
        self.scalar_count = 0;
    }
}

impl fmt::Debug for ChipStorageTaskArgs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(NAME)
            .field("tensors", &self.used_tensors())
            .field("scalars", &self.used_scalars())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;
    use crate::DataType;

    fn tensor(data: u64) -> ContinuousTensor {
        ContinuousTensor::new(data, &[1], DataType::Int8).unwrap()
    }

    #[test]
    fn arguments_come_back_in_order() {
        let mut args = ChipStorageTaskArgs::new();
        args.add_tensor(tensor(1)).unwrap();
        args.add_tensor(tensor(2)).unwrap();
        args.add_scalar(3).unwrap();
        assert_eq!(args.tensor(1).unwrap().data, 2);
        args.tensor_mut(1).unwrap().data = 9;
        assert_eq!(args.used_tensors().unwrap()[1].data, 9);
        assert_eq!(args.scalar(0), Ok(3));
        args.clear();
        assert!(args.used_tensors().unwrap().is_empty());
    }

    #[test]
    fn order_and_capacity_are_enforced() {
        let mut args = ChipStorageTaskArgs::new();
        for index in 0..128 {
            args.add_tensor(tensor(index)).unwrap();
        }
        assert_eq!(args.add_tensor(tensor(0)), Err(TaskArgsError::TensorCapacity { capacity: 128 }));
        for index in 0..128 {
            args.add_scalar(index).unwrap();
        }
        assert_eq!(args.add_scalar(0), Err(TaskArgsError::ScalarCapacity { capacity: 128 }));
        assert_eq!(args.add_tensor(tensor(0)), Err(TaskArgsError::TensorAfterScalar));
    }

    #[test]
    fn indices_beyond_the_count_are_refused() {
        let mut args = ChipStorageTaskArgs::new();
        let expected = TaskArgsError::TensorIndex { container: NAME, index: 0, count: 0 };
        assert_eq!(args.tensor(0), Err(expected));
        assert_eq!(args.tensor_mut(0), Err(expected));
        assert_eq!(args.scalar(7), Err(TaskArgsError::ScalarIndex { container: NAME, index: 7, count: 0 }));
        assert_eq!(
            format!("{expected}"),
            "ChipStorageTaskArgs tensor index out of range: index 0, tensor count 0"
        );
    }

    #[test]
    fn foreign_counts_are_checked_by_every_method() {
        for count in [-1, 129, i32::MIN, i32::MAX] {
            let mut args = ChipStorageTaskArgs::new();
            args.tensor_count = count;
            let invalid = TaskArgsError::InvalidTensorCount { container: NAME, count, max: 128 };
            assert_eq!(args.used_tensors(), Err(invalid));
            assert_eq!(args.tensor(0), Err(invalid));
            assert_eq!(args.tensor_mut(0), Err(invalid));
            assert_eq!(args.add_tensor(tensor(0)), Err(invalid));
            args.tensor_count = 0;
            args.scalar_count = count;
            let invalid = TaskArgsError::InvalidScalarCount { container: NAME, count, max: 128 };
            assert_eq!(args.used_scalars(), Err(invalid));
            assert_eq!(args.scalar(0), Err(invalid));
            assert_eq!(args.add_scalar(0), Err(invalid));
            assert_eq!(args.add_tensor(tensor(0)), Err(invalid));
            assert!(format!("{args:?}").contains("InvalidScalarCount"));
            args.clear();
            assert_eq!(args.add_scalar(0), Ok(()));
        }
    }
}
