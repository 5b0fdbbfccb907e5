//! The tensor description shared by every layer.

use core::fmt;

use bytemuck::{Pod, Zeroable};

use crate::dtype::DataType;
use crate::error::TensorError;
use crate::limits::CONTINUOUS_TENSOR_MAX_DIMS;
use crate::wire::assert_layout;

/// A dense row-major tensor: where it is, its shape and element type (`spec/public-abi.md`, section B.2). 40 bytes.
///
/// The public fields are the raw wire values and may hold anything when they come from foreign memory; the methods
/// check them. Equality ignores the padding, which foreign writers leave undefined.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub struct ContinuousTensor {
    /// Host address, or device address when [`is_child_memory`](Self::is_child_memory).
    pub data: u64,
    /// Elements per dimension; only the first `ndims` entries count.
    pub shapes: [u32; CONTINUOUS_TENSOR_MAX_DIMS],
    /// Number of used entries of `shapes`; 0 means a single element.
    pub ndims: u32,
    /// Raw [`DataType`].
    pub dtype: u8,
    /// 0: `data` is host memory; anything else: `data` already is device memory.
    pub child_memory: u8,
    _padding: [u8; 6],
}

assert_layout!(ContinuousTensor, size 40, align 8, {
    data @ 0, shapes @ 8, ndims @ 28, dtype @ 32, child_memory @ 33, _padding @ 34,
});

impl ContinuousTensor {
    /// A tensor in host memory at address `data`.
    ///
    /// # Errors
    /// [`TensorError::TooManyDims`] for more than five dimensions.
    pub fn new(data: u64, shape: &[u32], dtype: DataType) -> Result<Self, TensorError> {
        let (shapes, ndims) = padded_dims(shape)?;
        Ok(Self {
            data,
            shapes,
            ndims: u32::from(ndims),
            dtype: dtype.raw(),
            child_memory: 0,
            _padding: [0; 6],
        })
    }

    /// The same tensor, marked as already lying in device memory.
    #[must_use]
    pub fn in_child_memory(self) -> Self {
        Self { child_memory: 1, ..self }
    }

    /// Whether `data` is a device address.
    #[must_use]
    pub fn is_child_memory(&self) -> bool {
        self.child_memory != 0
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
    /// [`TensorError::TooManyDims`] when `ndims` is larger than five.
    pub fn shape(&self) -> Result<&[u32], TensorError> {
        used_dims(&self.shapes, self.ndims)
    }

    /// Size in bytes: product of the shape times the element size; one element when there are no dimensions.
    ///
    /// # Errors
    /// The errors of [`shape`](Self::shape) and [`dtype`](Self::dtype), and [`TensorError::SizeOverflow`] when the
    /// size does not fit 64 bits.
    pub fn nbytes(&self) -> Result<u64, TensorError> {
        let shape = self.shape()?;
        let element_size = self.dtype()?.element_size();
        // An empty tensor is empty even if the product of its other dimensions would overflow.
        if shape.contains(&0) {
            return Ok(0);
        }
        shape
            .iter()
            .try_fold(element_size as u64, |size, &dim| size.checked_mul(u64::from(dim)))
            .ok_or(TensorError::SizeOverflow { shape: self.shapes, ndims: shape.len(), element_size })
    }
}

impl PartialEq for ContinuousTensor {
    fn eq(&self, other: &Self) -> bool {
        self.data == other.data
            && self.shapes == other.shapes
            && self.ndims == other.ndims
            && self.dtype == other.dtype
            && self.child_memory == other.child_memory
    }
}

impl Eq for ContinuousTensor {}

impl fmt::Debug for ContinuousTensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("ContinuousTensor");
        out.field("data", &format_args!("{:#x}", self.data));
        match self.shape() {
            Ok(shape) => out.field("shape", &shape),
            Err(_) => out.field("shapes", &self.shapes).field("ndims", &self.ndims),
        };
        match self.dtype() {
            Ok(dtype) => out.field("dtype", &dtype),
            Err(_) => out.field("dtype", &self.dtype),
        };
        out.field("child_memory", &self.is_child_memory()).finish()
    }
}

/// Copies up to five dimensions into a zero-filled array; also returns their number.
pub(crate) fn padded_dims(dims: &[u32]) -> Result<([u32; CONTINUOUS_TENSOR_MAX_DIMS], u8), TensorError> {
    let mut padded = [0; CONTINUOUS_TENSOR_MAX_DIMS];
    let too_many = TensorError::TooManyDims { ndims: dims.len() };
    padded.get_mut(..dims.len()).ok_or(too_many)?.copy_from_slice(dims);
    let ndims = u8::try_from(dims.len()).map_err(|_| too_many)?;
    Ok((padded, ndims))
}

/// The first `ndims` entries of `dims`, if there are that many.
pub(crate) fn used_dims(dims: &[u32; CONTINUOUS_TENSOR_MAX_DIMS], ndims: u32) -> Result<&[u32], TensorError> {
    let ndims = ndims as usize;
    dims.get(..ndims).ok_or(TensorError::TooManyDims { ndims })
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    #[test]
    fn new_fills_fields_and_zeroes_the_rest() {
        let tensor = ContinuousTensor::new(0x1000, &[2, 3], DataType::Float16).unwrap();
        assert_eq!(tensor.shape().unwrap(), [2, 3]);
        assert_eq!(tensor.shapes, [2, 3, 0, 0, 0]);
        assert_eq!(tensor.dtype().unwrap(), DataType::Float16);
        assert_eq!(tensor.nbytes().unwrap(), 12);
        assert!(!tensor.is_child_memory());
        assert!(tensor.in_child_memory().is_child_memory());
    }

    #[test]
    fn six_dimensions_are_refused() {
        let error = ContinuousTensor::new(0, &[1; 6], DataType::Int8).unwrap_err();
        assert_eq!(error, TensorError::TooManyDims { ndims: 6 });
    }

    #[test]
    fn foreign_dimensions_and_types_are_checked() {
        let mut tensor = ContinuousTensor::zeroed();
        tensor.ndims = u32::MAX;
        assert_eq!(tensor.shape(), Err(TensorError::TooManyDims { ndims: u32::MAX as usize }));
        assert!(tensor.nbytes().is_err());
        tensor.ndims = 0;
        tensor.dtype = 11;
        assert!(matches!(tensor.dtype(), Err(TensorError::DataType(_))));
        assert!(tensor.nbytes().is_err());
    }

    #[test]
    fn size_arithmetic() {
        let bytes = |shape: &[u32], dtype| ContinuousTensor::new(0, shape, dtype).unwrap().nbytes();
        assert_eq!(bytes(&[], DataType::Int64), Ok(8));
        assert_eq!(
            bytes(&[u32::MAX, u32::MAX], DataType::Int8),
            Ok(u64::from(u32::MAX) * u64::from(u32::MAX))
        );
        assert!(matches!(
            bytes(&[u32::MAX, u32::MAX], DataType::Int16),
            Err(TensorError::SizeOverflow { ndims: 2, element_size: 2, .. })
        ));
        assert_eq!(bytes(&[u32::MAX, u32::MAX, u32::MAX, 0], DataType::Int64), Ok(0));
    }

    #[test]
    fn equality_ignores_padding_and_debug_survives_garbage() {
        let clean = ContinuousTensor::new(1, &[4], DataType::Int8).unwrap();
        let dirty = ContinuousTensor { _padding: [7; 6], ..clean };
        assert_eq!(clean, dirty);
        assert!(format!("{clean:?}").contains("Int8"));
        let garbage: ContinuousTensor = bytemuck::cast([0xffu8; 40]);
        assert!(format!("{garbage:?}").contains("255"));
    }
}
