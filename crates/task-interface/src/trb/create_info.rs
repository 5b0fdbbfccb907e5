//! The description of a tensor that the runtime is to allocate.

use core::fmt;

use bytemuck::{Pod, Zeroable};

use super::dims::{Dims, byte_count, checked_dims, used_dims};
use super::error::TensorError;
use super::limits::PACKED_OUTPUT_ALIGN;
use super::tensor::Tensor;
use super::token::TaskToken;
use crate::dtype::DataType;
use crate::wire::assert_layout;

/// Asks the runtime for an output (`spec/public-abi.md`, section D.3). 64 bytes; from `start_offset` on the fields are
/// where the first cache line of a [`Tensor`] has them.
///
/// The public fields are the raw wire values; the methods check them.
#[derive(Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(C, align(64))]
pub struct TensorCreateInfo {
    /// Bit pattern of the element to fill the buffer with; its low bytes count.
    pub initial_value: u64,
    /// Not 0: fill the buffer. 0: leave it as it is.
    pub has_initial_value: u8,
    /// Undefined.
    pub pad1: [u8; 7],
    /// Undefined.
    pub pad2: u64,
    /// Always 0.
    pub start_offset: u64,
    /// Always 0.
    pub version: i32,
    /// Number of used entries of `shapes`, 1..=5.
    pub ndims: u32,
    /// Raw [`DataType`].
    pub dtype: u8,
    /// Not 0: consumers depend on the creator only.
    pub manual_dep: u8,
    /// Always 1.
    pub is_contiguous: u8,
    /// Undefined.
    pub pad_flags: u8,
    /// Elements per dimension.
    pub shapes: Dims,
}

assert_layout!(TensorCreateInfo, size 64, align 64, {
    initial_value @ 0, has_initial_value @ 8, pad1 @ 9, pad2 @ 16, start_offset @ 24, version @ 32, ndims @ 36,
    dtype @ 40, manual_dep @ 41, is_contiguous @ 42, pad_flags @ 43, shapes @ 44,
});

impl TensorCreateInfo {
    /// An output with this shape, not initialised.
    ///
    /// # Errors
    /// [`TensorError::Rank`] unless there are 1 to 5 dimensions.
    pub fn new(shape: &[u32], dtype: DataType) -> Result<Self, TensorError> {
        let (shapes, ndims) = checked_dims(shape)?;
        Ok(Self { ndims, dtype: dtype.raw(), is_contiguous: 1, shapes, ..Self::zeroed() })
    }

    /// The same output, filled with the element whose bit pattern is in the low bytes of `bits`.
    #[must_use]
    pub fn with_initial_value(self, bits: u64) -> Self {
        Self { initial_value: bits, has_initial_value: 1, ..self }
    }

    /// The same output, whose consumers depend on its creator only.
    #[must_use]
    pub fn with_manual_dep(self) -> Self {
        Self { manual_dep: 1, ..self }
    }

    /// The element type.
    ///
    /// # Errors
    /// [`TensorError::DataType`] when the raw number is no element type.
    pub fn dtype(&self) -> Result<DataType, TensorError> {
        Ok(DataType::try_from(self.dtype)?)
    }

    /// Elements per used dimension.
    ///
    /// # Errors
    /// [`TensorError::Rank`] when `ndims` is not in 1..=5.
    pub fn shape(&self) -> Result<&[u32], TensorError> {
        used_dims(&self.shapes, self.ndims)
    }

    /// Whether consumers depend on the creator only.
    #[must_use]
    pub fn manual_dep(&self) -> bool {
        self.manual_dep != 0
    }

    /// The bit pattern to fill the buffer with, if it is to be filled.
    #[must_use]
    pub fn initial_value(&self) -> Option<u64> {
        (self.has_initial_value != 0).then_some(self.initial_value)
    }

    /// The initial element repeated to eight bytes, if the buffer is to be filled. Element sizes divide eight and
    /// allocated sizes are multiples of it, so repeating this fills the whole buffer.
    ///
    /// # Errors
    /// [`TensorError::DataType`].
    pub fn fill_pattern(&self) -> Result<Option<[u8; 8]>, TensorError> {
        let element_size = self.dtype()?.element_size();
        Ok(self.initial_value().map(|bits| {
            let element = bits.to_le_bytes();
            core::array::from_fn(|byte| element[byte % element_size])
        }))
    }

    /// Size of the tensor in bytes.
    ///
    /// # Errors
    /// [`TensorError::Rank`], [`TensorError::DataType`] and [`TensorError::SizeOverflow`].
    pub fn nbytes(&self) -> Result<u64, TensorError> {
        byte_count(self.shape()?, self.dtype()?)
    }

    /// Size of the buffer to allocate: [`nbytes`](Self::nbytes) rounded up to [`PACKED_OUTPUT_ALIGN`].
    ///
    /// # Errors
    /// The errors of [`nbytes`](Self::nbytes).
    pub fn padded_nbytes(&self) -> Result<u64, TensorError> {
        let overflow = TensorError::SizeOverflow { shape: self.shapes, ndims: self.shape()?.len() };
        self.nbytes()?.checked_next_multiple_of(PACKED_OUTPUT_ALIGN).ok_or(overflow)
    }

    /// The output once it has `size` bytes at `addr`, created by task `owner`.
    ///
    /// # Errors
    /// The errors of [`Tensor::contiguous`] and [`dtype`](Self::dtype).
    pub fn output_tensor(&self, addr: u64, size: u64, owner: TaskToken) -> Result<Tensor, TensorError> {
        let tensor = Tensor::contiguous(addr, size, self.shape()?, self.dtype()?)?;
        Ok(Tensor {
            owner_task_id: owner,
            version: self.version,
            manual_dep: u8::from(self.manual_dep()),
            ..tensor
        })
    }
}

impl fmt::Debug for TensorCreateInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("TensorCreateInfo");
        match self.shape() {
            Ok(shape) => out.field("shape", &shape),
            Err(_) => out.field("ndims", &self.ndims),
        };
        match self.dtype() {
            Ok(dtype) => out.field("dtype", &dtype),
            Err(_) => out.field("dtype", &self.dtype),
        };
        out.field("initial_value", &self.initial_value()).field("manual_dep", &self.manual_dep()).finish()
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    #[test]
    fn outputs_are_dense_padded_and_owned() {
        let info = TensorCreateInfo::new(&[300], DataType::Float32).unwrap().with_manual_dep();
        assert_eq!((info.nbytes(), info.padded_nbytes()), (Ok(1200), Ok(2048)));
        let owner = TaskToken::new(1, 5);
        let tensor = info.output_tensor(0x4000, 2048, owner).unwrap();
        assert_eq!((tensor.buffer_addr, tensor.buffer_size, tensor.owner_task_id), (0x4000, 2048, owner));
        assert_eq!(tensor.strides().unwrap(), [1]);
        assert!(tensor.manual_dep() && tensor.is_contiguous());
        let small = info.output_tensor(0x4000, 1199, owner);
        assert_eq!(small, Err(TensorError::BufferTooSmall { needed: 1200, size: 1199 }));
    }

    #[test]
    fn initial_values_repeat_the_element() {
        let info = |dtype| TensorCreateInfo::new(&[1], dtype).unwrap();
        assert_eq!(info(DataType::Int8).initial_value(), None);
        assert_eq!(info(DataType::Int8).fill_pattern(), Ok(None));
        let bits = 0x8877_6655_4433_2211;
        let pattern = |dtype| info(dtype).with_initial_value(bits).fill_pattern().unwrap();
        assert_eq!(pattern(DataType::Int8), Some([0x11; 8]));
        assert_eq!(pattern(DataType::Bfloat16), Some([0x11, 0x22, 0x11, 0x22, 0x11, 0x22, 0x11, 0x22]));
        assert_eq!(pattern(DataType::Float32), Some([0x11, 0x22, 0x33, 0x44, 0x11, 0x22, 0x33, 0x44]));
        assert_eq!(pattern(DataType::Uint64), Some(bits.to_le_bytes()));
        assert_eq!(info(DataType::Int8).with_initial_value(bits).initial_value(), Some(bits));
    }

    #[test]
    fn foreign_values_are_checked() {
        assert_eq!(TensorCreateInfo::new(&[], DataType::Int8), Err(TensorError::Rank { ndims: 0 }));
        let garbage: TensorCreateInfo = bytemuck::cast([0xff_u8; 64]);
        assert!(garbage.shape().is_err() && garbage.dtype().is_err() && garbage.fill_pattern().is_err());
        assert!(garbage.nbytes().is_err() && garbage.padded_nbytes().is_err());
        assert!(garbage.output_tensor(0, 0, TaskToken::INVALID).is_err());
        assert!(format!("{garbage:?}").contains("255"));
        // Fits 64 bits, but not after rounding up.
        let huge = TensorCreateInfo::new(&[u32::MAX, u32::MAX, 1], DataType::Int8).unwrap();
        assert!(huge.padded_nbytes().is_ok());
        let prime = TensorCreateInfo::new(&[641, 6_700_417, u32::MAX], DataType::Int8).unwrap();
        assert_eq!(prime.nbytes(), Ok(u64::MAX));
        assert!(matches!(prime.padded_nbytes(), Err(TensorError::SizeOverflow { ndims: 3, .. })));
        assert!(format!("{prime:?}").contains("Int8"));
    }
}
