//! Other views of the elements of a tensor (`spec/public-abi.md`, section D.3).

use super::dims::{checked_dims, element_count, row_major_strides};
use super::error::TensorError;
use super::tensor::Tensor;

impl Tensor {
    /// The box of `shape` elements that starts at `offsets`.
    ///
    /// # Errors
    /// [`TensorError::PerDimension`], [`TensorError::PartOutside`], and those of [`strides`](Self::strides).
    pub fn part(&self, offsets: &[u32], shape: &[u32]) -> Result<Self, TensorError> {
        let ndims = self.shape()?.len();
        let mut made = *self;
        for list in [offsets, shape] {
            if list.len() != ndims {
                return Err(TensorError::PerDimension { given: list.len(), ndims });
            }
        }
        for (dim, (&offset, &extent)) in offsets.iter().zip(shape).enumerate() {
            let begin = u64::from(offset);
            made.narrow(dim, begin, begin + u64::from(extent), 1)?;
        }
        made.derived()
    }

    /// Of dimension `dim` the elements `start`, `start + step`, … below `end`; of the others all.
    ///
    /// # Errors
    /// [`TensorError::PartOutside`] also for an empty range, [`TensorError::ZeroStride`],
    /// [`TensorError::TooManyIndices`] for a dimension that does not exist, [`TensorError::OffsetOverflow`] for
    /// strides of more than 32 bits, and those of [`strides`](Self::strides).
    pub fn slice(&self, dim: usize, start: u32, end: u32, step: u32) -> Result<Self, TensorError> {
        let own = self.shape()?;
        let extent =
            *own.get(dim).ok_or(TensorError::TooManyIndices { indices: dim + 1, ndims: own.len() })?;
        if step == 0 {
            return Err(TensorError::ZeroStride { dim });
        }
        let (begin, end) = (u64::from(start), u64::from(end));
        if begin >= end {
            return Err(TensorError::PartOutside { dim, begin, end, extent });
        }
        let mut made = *self;
        made.narrow(dim, begin, end, step)?;
        made.derived()
    }

    /// The same elements with dimension `order[i]` as dimension `i`.
    ///
    /// # Errors
    /// [`TensorError::PerDimension`], [`TensorError::Order`], and those of [`strides`](Self::strides).
    pub fn permuted(&self, order: &[usize]) -> Result<Self, TensorError> {
        let (shape, strides) = (self.shape()?, self.strides()?);
        if order.len() != shape.len() {
            return Err(TensorError::PerDimension { given: order.len(), ndims: shape.len() });
        }
        if let Some(dim) = (0..shape.len()).find(|dim| !order.contains(dim)) {
            return Err(TensorError::Order { dim });
        }
        let mut made = *self;
        for (dim, &from) in order.iter().enumerate() {
            made.shapes[dim] = shape[from];
            made.strides[dim] = strides[from];
        }
        made.derived()
    }

    /// The same elements with two dimensions exchanged.
    ///
    /// # Errors
    /// [`TensorError::Order`] for a dimension that does not exist, and those of [`strides`](Self::strides).
    pub fn transposed(&self, x: usize, y: usize) -> Result<Self, TensorError> {
        let ndims = self.shape()?.len();
        let missing = [x, y].into_iter().find(|&dim| dim >= ndims);
        if let Some(dim) = missing {
            return Err(TensorError::Order { dim });
        }
        let mut order = [0, 1, 2, 3, 4];
        order.swap(x, y);
        self.permuted(&order[..ndims])
    }

    /// The same elements in row-major order under another shape.
    ///
    /// # Errors
    /// [`TensorError::NotContiguous`], [`TensorError::Reshape`], [`TensorError::Rank`],
    /// [`TensorError::SizeOverflow`] and [`TensorError::StrideOverflow`].
    pub fn reshaped(&self, shape: &[u32]) -> Result<Self, TensorError> {
        if !self.is_contiguous() {
            return Err(TensorError::NotContiguous);
        }
        let (have, wanted) = (self.element_count()?, element_count(shape)?);
        if have != wanted {
            return Err(TensorError::Reshape { have, wanted });
        }
        let (shapes, ndims) = checked_dims(shape)?;
        Self { shapes, ndims, strides: row_major_strides(shape)?, ..*self }.derived()
    }

    /// Takes every `step`th element from `begin` to `end` of a dimension.
    fn narrow(&mut self, dim: usize, begin: u64, end: u64, step: u32) -> Result<(), TensorError> {
        let extent = self.shapes[dim];
        let outside = TensorError::PartOutside { dim, begin, end, extent };
        if end > u64::from(extent) {
            return Err(outside);
        }
        let stride = self.strides()?[dim];
        let skipped = begin * u64::from(stride);
        self.start_offset = self.start_offset.checked_add(skipped).ok_or(TensorError::OffsetOverflow)?;
        let elements = end.saturating_sub(begin).div_ceil(u64::from(step));
        self.shapes[dim] = u32::try_from(elements).map_err(|_| outside)?;
        if elements > 1 {
            self.strides[dim] = stride.checked_mul(step).ok_or(TensorError::OffsetOverflow)?;
        }
        Ok(())
    }

    /// The tensor with what follows from its shape and strides; free of the flag `manual_dep`, like every new view.
    fn derived(mut self) -> Result<Self, TensorError> {
        let strides = self.strides()?;
        let dense = row_major_strides(self.shape()?).is_ok_and(|dense| dense[..strides.len()] == *strides);
        self.is_contiguous = u8::from(dense);
        self.extent_elem_cache = self.extent()?;
        self.manual_dep = 0;
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;
    use crate::dtype::DataType;

    fn dense(shape: &[u32]) -> Tensor {
        Tensor::contiguous(0x1000, 4096, shape, DataType::Float32).unwrap()
    }

    /// Places of all elements, in row-major order.
    fn elements(tensor: &Tensor) -> Vec<u64> {
        let shape = tensor.shape().unwrap();
        let count = tensor.element_count().unwrap();
        let index_of = |mut flat: u64| {
            let mut index = [0; 5];
            for dim in (0..shape.len()).rev() {
                index[dim] = u32::try_from(flat % u64::from(shape[dim])).unwrap();
                flat /= u64::from(shape[dim]);
            }
            index
        };
        (0..count).map(|flat| tensor.flat_offset(&index_of(flat)[..shape.len()]).unwrap()).collect()
    }

    #[test]
    fn parts_are_boxes() {
        let part = dense(&[4, 6]).part(&[1, 2], &[2, 3]).unwrap();
        assert_eq!(elements(&part), [8, 9, 10, 14, 15, 16]);
        assert_eq!((part.extent_elem_cache, part.is_contiguous()), (9, false));
        let again = part.part(&[1, 1], &[1, 2]).unwrap();
        assert_eq!(elements(&again), [15, 16]);
        let rows = dense(&[4, 6]).part(&[1, 0], &[2, 6]).unwrap();
        assert!(rows.is_contiguous() && rows.start_offset == 6);
        let none = dense(&[4, 6]).part(&[4, 0], &[0, 6]).unwrap();
        assert_eq!(none.element_count(), Ok(0));
    }

    #[test]
    fn slices_skip() {
        let columns = dense(&[4, 6]).slice(1, 1, 6, 2).unwrap();
        assert_eq!((columns.shape().unwrap(), columns.strides().unwrap()), (&[4, 3][..], &[6, 2][..]));
        assert_eq!(elements(&columns)[..4], [1, 3, 5, 7]);
        assert_eq!(dense(&[10]).slice(0, 3, 10, 3).unwrap().element_count(), Ok(3));
        assert!(dense(&[10]).slice(0, 2, 3, u32::MAX).is_ok(), "one element needs no step");
    }

    #[test]
    fn dimensions_are_exchanged() {
        let turned = dense(&[2, 3, 4]).permuted(&[2, 0, 1]).unwrap();
        assert_eq!(turned.shape().unwrap(), [4, 2, 3]);
        assert_eq!(turned.flat_offset(&[3, 1, 2]), dense(&[2, 3, 4]).flat_offset(&[1, 2, 3]));
        assert!(!turned.is_contiguous());
        let back = turned.permuted(&[1, 2, 0]).unwrap();
        assert_eq!(elements(&back), elements(&dense(&[2, 3, 4])));
        assert!(back.is_contiguous());
        let transposed = dense(&[2, 3]).transposed(0, 1).unwrap();
        assert_eq!(elements(&transposed), [0, 3, 1, 4, 2, 5]);
    }

    #[test]
    fn dense_tensors_take_other_shapes() {
        let tensor = dense(&[4, 6]).part(&[2, 0], &[2, 6]).unwrap().reshaped(&[3, 2, 2]).unwrap();
        assert_eq!(elements(&tensor), (12..24).collect::<Vec<_>>());
        assert_eq!(tensor.strides().unwrap(), [4, 2, 1]);
        assert_eq!(dense(&[6]).reshaped(&[4]), Err(TensorError::Reshape { have: 6, wanted: 4 }));
        let columns = dense(&[4, 6]).slice(1, 0, 6, 2).unwrap();
        assert_eq!(columns.reshaped(&[12]), Err(TensorError::NotContiguous));
    }

    #[test]
    fn views_lose_the_flag_and_keep_the_rest() {
        let tensor = Tensor { manual_dep: 1, version: 3, ..dense(&[4]) };
        let part = tensor.part(&[0], &[4]).unwrap();
        assert_eq!(part, Tensor { manual_dep: 0, ..tensor });
    }

    #[test]
    fn what_is_not_possible_is_refused() {
        let tensor = dense(&[4, 6]);
        let outside = TensorError::PartOutside { dim: 1, begin: 4, end: 7, extent: 6 };
        assert_eq!(tensor.part(&[0, 4], &[4, 3]), Err(outside));
        let far = tensor.part(&[u32::MAX, 0], &[u32::MAX, 1]);
        assert!(matches!(far, Err(TensorError::PartOutside { dim: 0, .. })));
        assert_eq!(tensor.part(&[0], &[4, 3]), Err(TensorError::PerDimension { given: 1, ndims: 2 }));
        assert_eq!(tensor.part(&[0, 0], &[4, 3, 1]), Err(TensorError::PerDimension { given: 3, ndims: 2 }));
        assert!(matches!(tensor.slice(0, 2, 2, 1), Err(TensorError::PartOutside { .. })));
        assert!(matches!(tensor.slice(0, 0, 5, 1), Err(TensorError::PartOutside { .. })));
        assert_eq!(tensor.slice(0, 0, 4, 0), Err(TensorError::ZeroStride { dim: 0 }));
        assert_eq!(tensor.slice(2, 0, 1, 1), Err(TensorError::TooManyIndices { indices: 3, ndims: 2 }));
        assert_eq!(tensor.permuted(&[0, 0]), Err(TensorError::Order { dim: 1 }));
        assert_eq!(tensor.transposed(0, 2), Err(TensorError::Order { dim: 2 }));
        let moved = Tensor { start_offset: u64::MAX, ..tensor };
        assert_eq!(moved.part(&[1, 0], &[1, 1]), Err(TensorError::OffsetOverflow));
    }
}
