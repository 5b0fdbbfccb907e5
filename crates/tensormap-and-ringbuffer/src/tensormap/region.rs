//! The part of a buffer that a tensor argument touches, in the form the overlap rule works on.

use run_records::deps::View;
use task_interface::trb::Tensor;
use task_interface::{CONTINUOUS_TENSOR_MAX_DIMS, DataType};

/// Dimensions of a tensor.
pub(super) const MAX_DIMS: usize = CONTINUOUS_TENSOR_MAX_DIMS;

/// What a [`Tensor`] says about the memory it touches, with the fields the contract leaves undefined replaced.
///
/// A tensor whose number of dimensions is impossible becomes a region that may touch the whole buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Region {
    pub(super) addr: u64,
    /// First element touched.
    pub(super) first: u64,
    /// Last element touched; below `first` when there is none.
    pub(super) last: u64,
    /// Elements of the allocation; 0 when the element type is unknown.
    pub(super) storage: u64,
    pub(super) version: i32,
    pub(super) dtype: u8,
    /// 0: shapes and strides say nothing, compare by element range only.
    pub(super) ndims: u8,
    /// Zero from `ndims` on, like the strides, so that whole arrays can be compared.
    pub(super) shapes: [u32; MAX_DIMS],
    pub(super) strides: [u32; MAX_DIMS],
}

impl Region {
    /// Reads a tensor, which may hold any values. Never fails: what makes no sense ends up overlapping more, never less.
    pub(crate) fn new(tensor: &Tensor) -> Self {
        let whole = Self {
            addr: tensor.buffer_addr,
            first: 0,
            last: u64::MAX,
            storage: storage_elements(tensor),
            version: tensor.version,
            dtype: tensor.dtype,
            ndims: 0,
            shapes: [0; MAX_DIMS],
            strides: [0; MAX_DIMS],
        };
        let (dims, ndims) = match (usize::try_from(tensor.ndims), u8::try_from(tensor.ndims)) {
            (Ok(dims @ 1..=MAX_DIMS), Ok(ndims)) => (dims, ndims),
            _ => return whole,
        };
        let mut shapes = [0; MAX_DIMS];
        shapes[..dims].copy_from_slice(&tensor.shapes[..dims]);
        let (first, last) = match extent(tensor, &shapes[..dims]) {
            Some(0) => (1, 0),
            Some(extent) => (tensor.start_offset, tensor.start_offset.saturating_add(extent - 1)),
            None => (tensor.start_offset, u64::MAX),
        };
        let ranged = Self { first, last, shapes, ..whole };
        match strides(tensor, &shapes[..dims]) {
            Some(strides) => Self { ndims, strides, ..ranged },
            None => ranged,
        }
    }

    /// The buffer, which is the key of the tensor map.
    #[cfg(test)]
    pub(crate) const fn addr(&self) -> u64 {
        self.addr
    }

    /// The region as files have it.
    pub(crate) fn view(&self) -> View {
        let dims = self.dims();
        View {
            shape: self.shapes[..dims].to_vec(),
            start_offset: self.first,
            strides: self.strides[..dims].to_vec(),
        }
    }

    /// Dimensions in use; 0 when shapes and strides say nothing.
    pub(super) fn dims(&self) -> usize {
        usize::from(self.ndims)
    }
}

fn storage_elements(tensor: &Tensor) -> u64 {
    // Element sizes are 1, 2, 4 and 8: the widening is lossless.
    DataType::try_from(tensor.dtype).map_or(0, |dtype| tensor.buffer_size / dtype.element_size() as u64)
}

/// Number of elements from the first to the last one touched, both included; `None` on overflow.
fn extent(tensor: &Tensor, shapes: &[u32]) -> Option<u64> {
    if shapes.contains(&0) {
        return Some(0);
    }
    let mut lengths = shapes.iter().map(|&length| u64::from(length));
    if tensor.is_contiguous() {
        return lengths.try_fold(1, u64::checked_mul);
    }
    let mut steps = lengths.zip(&tensor.strides).map(|(length, &stride)| (length - 1) * u64::from(stride));
    steps.try_fold(1, u64::checked_add)
}

/// The strides. Those of a contiguous tensor at the start of its buffer are undefined (`spec/public-abi.md`, section
/// D.3) and follow from its shape; `None` when they exceed 32 bits.
fn strides(tensor: &Tensor, shapes: &[u32]) -> Option<[u32; MAX_DIMS]> {
    let dims = shapes.len();
    let mut strides = [0; MAX_DIMS];
    if !(tensor.is_contiguous() && tensor.start_offset == 0) {
        strides[..dims].copy_from_slice(&tensor.strides[..dims]);
        return Some(strides);
    }
    let mut stride = 1u32;
    for dim in (0..dims).rev() {
        strides[dim] = stride;
        if dim > 0 {
            stride = stride.checked_mul(shapes[dim])?;
        }
    }
    Some(strides)
}
