//! The tensor description that orchestrations build and kernels read.

use core::fmt;

use bytemuck::{Pod, Zeroable};

use super::dims::{Dims, byte_count, checked_dims, checked_sum, element_count, row_major_strides, used_dims};
use super::error::TensorError;
use super::token::TaskToken;
use crate::dtype::DataType;
use crate::wire::assert_layout;

/// A strided view of a buffer (`spec/public-abi.md`, section D.3). 128 bytes, two cache lines.
///
/// Offsets, extents and strides are in elements; addresses and buffer sizes in bytes. The public fields are the raw
/// wire values and may hold anything when they come from foreign memory; the methods check them. Entries of `shapes`
/// and `strides` beyond `ndims` and all of `pad_cl2` are undefined; equality compares them, too, so compare
/// [`payload_copy`](Self::payload_copy)s where that matters.
#[derive(Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(C, align(64))]
pub struct Tensor {
    /// Address of the whole allocation, in bytes.
    pub buffer_addr: u64,
    /// Size of the whole allocation, in bytes. Outputs are rounded up to
    /// [`PACKED_OUTPUT_ALIGN`](super::PACKED_OUTPUT_ALIGN).
    pub buffer_size: u64,
    /// The task that created the buffer; invalid for memory from outside.
    pub owner_task_id: TaskToken,
    /// First element of the view, counted from the start of the buffer.
    pub start_offset: u64,
    /// A newer version depends on every write of an older one.
    pub version: i32,
    /// Number of used entries of `shapes` and `strides`, 1..=5.
    pub ndims: u32,
    /// Raw [`DataType`].
    pub dtype: u8,
    /// Not 0: depends on its creator only.
    pub manual_dep: u8,
    /// Not 0: the strides are row-major.
    pub is_contiguous: u8,
    /// 0.
    pub pad_cl1: u8,
    /// Elements per dimension.
    pub shapes: Dims,
    /// Elements from the first to behind the last one of the view, as its writer computed it. See
    /// [`extent`](Self::extent).
    pub extent_elem_cache: u64,
    /// Elements from one index to the next, per dimension.
    pub strides: Dims,
    /// Undefined.
    pub pad_cl2: [u8; 36],
}

assert_layout!(Tensor, size 128, align 64, {
    buffer_addr @ 0, buffer_size @ 8, owner_task_id @ 16, start_offset @ 24, version @ 32, ndims @ 36, dtype @ 40,
    manual_dep @ 41, is_contiguous @ 42, pad_cl1 @ 43, shapes @ 44, extent_elem_cache @ 64, strides @ 72, pad_cl2 @ 92,
});

impl Tensor {
    /// A dense row-major tensor at the start of a buffer of `size` bytes that no task owns.
    ///
    /// # Errors
    /// [`TensorError::Rank`] unless there are 1 to 5 dimensions, [`TensorError::StrideOverflow`],
    /// [`TensorError::SizeOverflow`], and [`TensorError::BufferTooSmall`] when `size` does not hold the tensor.
    pub fn contiguous(addr: u64, size: u64, shape: &[u32], dtype: DataType) -> Result<Self, TensorError> {
        let (shapes, ndims) = checked_dims(shape)?;
        let needed = byte_count(shape, dtype)?;
        if needed > size {
            return Err(TensorError::BufferTooSmall { needed, size });
        }
        Ok(Self {
            buffer_addr: addr,
            buffer_size: size,
            owner_task_id: TaskToken::INVALID,
            ndims,
            dtype: dtype.raw(),
            is_contiguous: 1,
            shapes,
            extent_elem_cache: element_count(shape)?,
            strides: row_major_strides(shape)?,
            ..Self::zeroed()
        })
    }

    /// The copy that a task payload gets. Its undefined bytes are zero.
    ///
    /// The first cache line is copied. For a dense tensor at the start of its buffer the second one is computed from
    /// the shape, so whatever its writer left there does not matter; otherwise extent and used strides are copied.
    ///
    /// # Errors
    /// [`TensorError::Rank`], and for a dense tensor [`TensorError::SizeOverflow`] and
    /// [`TensorError::StrideOverflow`].
    pub fn payload_copy(&self) -> Result<Self, TensorError> {
        let shape = self.shape()?;
        let (shapes, _) = checked_dims(shape)?;
        let (extent_elem_cache, strides) = if self.is_contiguous() && self.start_offset == 0 {
            (element_count(shape)?, row_major_strides(shape)?)
        } else {
            (self.extent_elem_cache, checked_dims(used_dims(&self.strides, self.ndims)?)?.0)
        };
        Ok(Self { shapes, extent_elem_cache, strides, pad_cl1: 0, pad_cl2: [0; 36], ..*self })
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

    /// Stride per used dimension, in elements.
    ///
    /// # Errors
    /// [`TensorError::Rank`], and [`TensorError::ZeroStride`] when distinct elements would share a place. A tensor
    /// without elements may have any strides.
    pub fn strides(&self) -> Result<&[u32], TensorError> {
        let strides = used_dims(&self.strides, self.ndims)?;
        let empty = self.shape()?.contains(&0);
        match strides.iter().position(|&stride| stride == 0) {
            Some(dim) if !empty => Err(TensorError::ZeroStride { dim }),
            _ => Ok(strides),
        }
    }

    /// Whether the tensor depends on its creator only.
    #[must_use]
    pub fn manual_dep(&self) -> bool {
        self.manual_dep != 0
    }

    /// Whether the writer declared the strides row-major.
    #[must_use]
    pub fn is_contiguous(&self) -> bool {
        self.is_contiguous != 0
    }

    /// Number of elements of the view.
    ///
    /// # Errors
    /// [`TensorError::Rank`] and [`TensorError::SizeOverflow`].
    pub fn element_count(&self) -> Result<u64, TensorError> {
        element_count(self.shape()?)
    }

    /// Size of the elements of the view, in bytes. Smaller than `buffer_size` for views and for rounded outputs.
    ///
    /// # Errors
    /// [`TensorError::Rank`], [`TensorError::DataType`] and [`TensorError::SizeOverflow`].
    pub fn nbytes(&self) -> Result<u64, TensorError> {
        byte_count(self.shape()?, self.dtype()?)
    }

    /// Elements from the first to behind the last one of the view, computed from shape and strides: 0 when the view
    /// is empty, else 1 + Σ (shape − 1) · stride.
    ///
    /// # Errors
    /// The errors of [`strides`](Self::strides), and [`TensorError::OffsetOverflow`].
    pub fn extent(&self) -> Result<u64, TensorError> {
        let (shape, strides) = (self.shape()?, self.strides()?);
        if shape.contains(&0) {
            return Ok(0);
        }
        let last = shape.iter().zip(strides).map(|(&dim, &stride)| u64::from(dim - 1) * u64::from(stride));
        checked_sum(1, last)
    }

    /// Place of an element, counted in elements from the start of the buffer. Indices that are left out at the end
    /// are 0, because operations on tensor data say themselves how many indices they bring (section D.5).
    ///
    /// # Errors
    /// The errors of [`strides`](Self::strides), [`TensorError::TooManyIndices`], [`TensorError::IndexOutOfRange`]
    /// and [`TensorError::OffsetOverflow`].
    pub fn flat_offset(&self, indices: &[u32]) -> Result<u64, TensorError> {
        let (shape, strides) = (self.shape()?, self.strides()?);
        if indices.len() > shape.len() {
            return Err(TensorError::TooManyIndices { indices: indices.len(), ndims: shape.len() });
        }
        let all_indices = || indices.iter().copied().chain(core::iter::repeat(0));
        for (dim, (index, &extent)) in all_indices().zip(shape).enumerate() {
            if index >= extent {
                return Err(TensorError::IndexOutOfRange { dim, index, extent });
            }
        }
        let steps = all_indices().zip(strides).map(|(index, &stride)| u64::from(index) * u64::from(stride));
        checked_sum(self.start_offset, steps)
    }

    /// Address of an element, in bytes. The whole element lies inside of the buffer.
    ///
    /// # Errors
    /// The errors of [`flat_offset`](Self::flat_offset) and [`dtype`](Self::dtype), and
    /// [`TensorError::OutsideBuffer`].
    pub fn element_address(&self, indices: &[u32]) -> Result<u64, TensorError> {
        let element = self.flat_offset(indices)?;
        let element_size = self.dtype()?.element_size() as u64;
        let begin = element.checked_mul(element_size).ok_or(TensorError::OffsetOverflow)?;
        let end = begin.checked_add(element_size).ok_or(TensorError::OffsetOverflow)?;
        if end > self.buffer_size {
            return Err(TensorError::OutsideBuffer { element, size: self.buffer_size });
        }
        self.buffer_addr.checked_add(begin).ok_or(TensorError::OffsetOverflow)
    }
}

impl fmt::Debug for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Tensor");
        out.field("buffer", &format_args!("{:#x}+{:#x}", self.buffer_addr, self.buffer_size))
            .field("owner", &self.owner_task_id)
            .field("start_offset", &self.start_offset)
            .field("version", &self.version);
        match (self.shape(), used_dims(&self.strides, self.ndims)) {
            (Ok(shape), Ok(strides)) => out.field("shape", &shape).field("strides", &strides),
            _ => out.field("ndims", &self.ndims),
        };
        match self.dtype() {
            Ok(dtype) => out.field("dtype", &dtype),
            Err(_) => out.field("dtype", &self.dtype),
        };
        out.field("manual_dep", &self.manual_dep()).field("is_contiguous", &self.is_contiguous()).finish()
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    fn dense(shape: &[u32]) -> Tensor {
        Tensor::contiguous(0x1000, 4096, shape, DataType::Float32).unwrap()
    }

    /// Every second column, from column 1 on, of a dense 4 x 6 matrix.
    fn columns() -> Tensor {
        Tensor {
            start_offset: 1,
            is_contiguous: 0,
            shapes: [4, 3, 99, 99, 99],
            strides: [6, 2, 99, 99, 99],
            extent_elem_cache: 23,
            pad_cl2: [9; 36],
            ..dense(&[4, 6])
        }
    }

    #[test]
    fn contiguous_fills_every_field() {
        let tensor = dense(&[2, 3, 4]);
        assert_eq!(tensor.shape().unwrap(), [2, 3, 4]);
        assert_eq!(tensor.strides().unwrap(), [12, 4, 1]);
        assert_eq!((tensor.extent_elem_cache, tensor.extent(), tensor.element_count()), (24, Ok(24), Ok(24)));
        assert_eq!((tensor.buffer_size, tensor.nbytes()), (4096, Ok(96)));
        assert_eq!(tensor.dtype(), Ok(DataType::Float32));
        assert!(tensor.is_contiguous() && !tensor.manual_dep());
        assert!(!tensor.owner_task_id.is_valid());
        assert_eq!((tensor.start_offset, tensor.version), (0, 0));
    }

    #[test]
    fn impossible_shapes_are_refused() {
        let build = |size, shape: &[u32]| Tensor::contiguous(0, size, shape, DataType::Int32);
        assert_eq!(build(4, &[]), Err(TensorError::Rank { ndims: 0 }));
        assert_eq!(build(4, &[1; 6]), Err(TensorError::Rank { ndims: 6 }));
        assert_eq!(build(7, &[2]), Err(TensorError::BufferTooSmall { needed: 8, size: 7 }));
        assert!(matches!(
            build(u64::MAX, &[u32::MAX, u32::MAX]),
            Err(TensorError::SizeOverflow { ndims: 2, .. })
        ));
        let wide = build(u64::MAX, &[1, 2, 1 << 31]);
        assert_eq!(wide, Err(TensorError::StrideOverflow { shape: [1, 2, 1 << 31, 0, 0], ndims: 3 }));
    }

    #[test]
    fn empty_tensors_have_positive_strides_and_no_element() {
        let tensor = Tensor::contiguous(0, 0, &[3, 0, 2], DataType::Int64).unwrap();
        assert_eq!(tensor.strides().unwrap(), [2, 2, 1]);
        assert_eq!((tensor.element_count(), tensor.extent(), tensor.nbytes()), (Ok(0), Ok(0), Ok(0)));
        let outside = TensorError::IndexOutOfRange { dim: 1, index: 0, extent: 0 };
        assert_eq!(tensor.flat_offset(&[]), Err(outside));
        assert!(Tensor { strides: [0; 5], ..tensor }.strides().is_ok());
    }

    #[test]
    fn strided_views_have_an_extent_and_addresses() {
        let view = columns();
        assert_eq!((view.element_count(), view.extent(), view.nbytes()), (Ok(12), Ok(23), Ok(48)));
        assert_eq!(view.flat_offset(&[0, 0]), Ok(1));
        assert_eq!(view.flat_offset(&[3, 2]), Ok(1 + 18 + 4));
        assert_eq!(view.flat_offset(&[3]), view.flat_offset(&[3, 0]));
        assert_eq!(view.element_address(&[3, 2]), Ok(0x1000 + 23 * 4));
    }

    #[test]
    fn indices_and_buffers_are_checked() {
        let view = columns();
        assert_eq!(view.flat_offset(&[0, 0, 0]), Err(TensorError::TooManyIndices { indices: 3, ndims: 2 }));
        let outside = TensorError::IndexOutOfRange { dim: 1, index: 3, extent: 3 };
        assert_eq!(view.flat_offset(&[0, 3]), Err(outside));
        let small = Tensor { buffer_size: 4 * 23, ..view };
        assert!(small.element_address(&[3, 1]).is_ok());
        assert_eq!(small.element_address(&[3, 2]), Err(TensorError::OutsideBuffer { element: 23, size: 92 }));
        for damaged in [
            Tensor { start_offset: u64::MAX, ..view },
            Tensor { start_offset: u64::MAX / 2, ..view },
            Tensor { start_offset: u64::MAX / 4 - 23, buffer_size: u64::MAX, ..view },
        ] {
            assert_eq!(damaged.element_address(&[3, 2]), Err(TensorError::OffsetOverflow));
        }
        let flat = Tensor { start_offset: 0, strides: [0, 1, 0, 0, 0], ..view };
        assert_eq!(flat.strides(), Err(TensorError::ZeroStride { dim: 0 }));
        assert_eq!(flat.extent(), Err(TensorError::ZeroStride { dim: 0 }));
        let huge = Tensor { ndims: 5, shapes: [u32::MAX; 5], strides: [u32::MAX; 5], ..view };
        assert_eq!(huge.extent(), Err(TensorError::OffsetOverflow));
    }

    #[test]
    fn payload_copies_repair_dense_tensors_and_keep_views() {
        let dense = dense(&[2, 3]);
        let dirty = Tensor {
            strides: [7; 5],
            extent_elem_cache: 1,
            pad_cl1: 1,
            pad_cl2: [7; 36],
            shapes: [2, 3, 7, 7, 7],
            ..dense
        };
        assert_eq!(dirty.payload_copy(), Ok(dense));
        // A dense tensor elsewhere in its buffer keeps what its writer says.
        let moved = Tensor { start_offset: 5, ..dirty };
        let copy = moved.payload_copy().unwrap();
        assert_eq!((copy.strides, copy.extent_elem_cache, copy.start_offset), ([7, 7, 0, 0, 0], 1, 5));
        let view = columns().payload_copy().unwrap();
        assert_eq!((view.strides, view.shapes), ([6, 2, 0, 0, 0], [4, 3, 0, 0, 0]));
        assert_eq!((view.extent_elem_cache, view.pad_cl2), (23, [0; 36]));
    }

    #[test]
    fn foreign_values_are_checked() {
        let garbage: Tensor = bytemuck::cast([0xff_u8; 128]);
        let rank = TensorError::Rank { ndims: u32::MAX as usize };
        assert_eq!(garbage.shape(), Err(rank));
        assert_eq!(garbage.strides(), Err(rank));
        assert_eq!(garbage.payload_copy(), Err(rank));
        assert!(matches!(garbage.dtype(), Err(TensorError::DataType(_))));
        assert!(garbage.nbytes().is_err() && garbage.element_address(&[]).is_err());
        assert_eq!(Tensor::zeroed().shape(), Err(TensorError::Rank { ndims: 0 }));
        assert!(format!("{garbage:?}").contains("255"));
        assert!(format!("{:?}", dense(&[2])).contains("Float32"));
    }
}
