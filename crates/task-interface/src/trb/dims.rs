//! Arithmetic with shapes and strides of 1 to 5 dimensions.

use super::error::TensorError;
use crate::dtype::DataType;
use crate::limits::CONTINUOUS_TENSOR_MAX_DIMS;

/// One value per possible dimension.
pub(super) type Dims = [u32; CONTINUOUS_TENSOR_MAX_DIMS];

/// Copies 1 to 5 dimensions into a zero-filled array; also returns their number.
pub(super) fn checked_dims(dims: &[u32]) -> Result<(Dims, u32), TensorError> {
    let rank = TensorError::Rank { ndims: dims.len() };
    let mut padded = Dims::default();
    padded.get_mut(..dims.len()).ok_or(rank)?.copy_from_slice(dims);
    match u32::try_from(dims.len()) {
        Ok(0) | Err(_) => Err(rank),
        Ok(ndims) => Ok((padded, ndims)),
    }
}

/// The first `ndims` entries of `dims`, if that is a possible number of dimensions.
pub(super) fn used_dims(dims: &Dims, ndims: u32) -> Result<&[u32], TensorError> {
    let ndims = ndims as usize;
    dims.get(..ndims).filter(|used| !used.is_empty()).ok_or(TensorError::Rank { ndims })
}

/// Size of a dense tensor, in bytes.
pub(super) fn byte_count(shape: &[u32], dtype: DataType) -> Result<u64, TensorError> {
    product(shape, dtype.element_size() as u64)
}

/// Number of elements of a tensor.
pub(super) fn element_count(shape: &[u32]) -> Result<u64, TensorError> {
    product(shape, 1)
}

fn product(shape: &[u32], unit: u64) -> Result<u64, TensorError> {
    let (shapes, _) = checked_dims(shape)?;
    // An empty tensor is empty even if the product of its other dimensions would overflow.
    if shape.contains(&0) {
        return Ok(0);
    }
    shape
        .iter()
        .try_fold(unit, |size, &dim| size.checked_mul(u64::from(dim)))
        .ok_or(TensorError::SizeOverflow { shape: shapes, ndims: shape.len() })
}

/// Strides of a dense tensor. Empty dimensions count as one element, so that strides stay positive.
pub(super) fn row_major_strides(shape: &[u32]) -> Result<Dims, TensorError> {
    let (shapes, _) = checked_dims(shape)?;
    let overflow = TensorError::StrideOverflow { shape: shapes, ndims: shape.len() };
    let mut strides = Dims::default();
    let mut step = 1_u64;
    for (stride, &dim) in strides.iter_mut().zip(shape).rev() {
        *stride = u32::try_from(step).map_err(|_| overflow)?;
        // Both factors have 32 bits, the product fits.
        step *= u64::from(dim.max(1));
    }
    Ok(strides)
}

/// Adds up offsets.
pub(super) fn checked_sum(start: u64, mut summands: impl Iterator<Item = u64>) -> Result<u64, TensorError> {
    summands.try_fold(start, u64::checked_add).ok_or(TensorError::OffsetOverflow)
}
