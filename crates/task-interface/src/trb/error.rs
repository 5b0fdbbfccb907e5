//! Everything that can be wrong with foreign trb structures, or with values that do not fit them.

use thiserror::Error;

use crate::wire_enum::EnumError;

/// A trb tensor description that cannot be built, read or indexed (`spec/public-abi.md`, section D.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TensorError {
    /// A number of dimensions that no tensor has.
    #[error(
        "a tensor has 1 to 5 dimensions, got {ndims}; describe a single element by the shape [1], or check that the \
         structure was initialised"
    )]
    Rank {
        /// The number of dimensions found.
        ndims: usize,
    },
    /// Element type number out of range.
    #[error("tensor has an unknown element type")]
    DataType(#[from] EnumError),
    /// The number of elements or bytes does not fit 64 bits.
    #[error("tensor size overflows 64 bits: shape {shape:?} ({ndims} used dimensions); split the tensor")]
    SizeOverflow {
        /// All five shape entries.
        shape: [u32; 5],
        /// How many entries of `shape` are used.
        ndims: usize,
    },
    /// A row-major stride does not fit its 32 bits.
    #[error(
        "a row-major stride overflows 32 bits: shape {shape:?} ({ndims} used dimensions); swap dimensions or split the \
         tensor"
    )]
    StrideOverflow {
        /// All five shape entries.
        shape: [u32; 5],
        /// How many entries of `shape` are used.
        ndims: usize,
    },
    /// A stride that no correct client writes.
    #[error(
        "dimension {dim} has stride 0, strides are positive; the structure was not initialised or is damaged"
    )]
    ZeroStride {
        /// The dimension.
        dim: usize,
    },
    /// The tensor is larger than the buffer it was to lie in.
    #[error("the tensor has {needed} bytes but its buffer only {size}; allocate more or shrink the shape")]
    BufferTooSmall {
        /// Bytes of the tensor.
        needed: u64,
        /// Bytes of the buffer.
        size: u64,
    },
    /// More indices than dimensions.
    #[error("{indices} indices for a tensor with {ndims} dimensions; give at most one per dimension")]
    TooManyIndices {
        /// How many indices were given.
        indices: usize,
        /// How many dimensions there are.
        ndims: usize,
    },
    /// An index beyond its dimension, or any index into an empty dimension.
    #[error("index {index} is outside of dimension {dim}, which has {extent} elements")]
    IndexOutOfRange {
        /// The dimension.
        dim: usize,
        /// The index given; 0 when it was left out.
        index: u32,
        /// Elements of the dimension.
        extent: u32,
    },
    /// A part reaches beyond the tensor, or is empty where it must not be.
    #[error("elements {begin} to {end} of dimension {dim} are not inside of its {extent} elements")]
    PartOutside {
        /// The dimension.
        dim: usize,
        /// First element of the part.
        begin: u64,
        /// The element behind its last one.
        end: u64,
        /// Elements of the dimension.
        extent: u32,
    },
    /// A list with something for each dimension has another length.
    #[error("{given} values for a tensor with {ndims} dimensions; give one for each")]
    PerDimension {
        /// How many were given.
        given: usize,
        /// How many dimensions there are.
        ndims: usize,
    },
    /// An order of dimensions that is none.
    #[error("dimension {dim} is missing in the new order of dimensions; name each of them once")]
    Order {
        /// A dimension that is missing.
        dim: usize,
    },
    /// A shape with another number of elements.
    #[error("a tensor of {have} elements cannot take a shape of {wanted}; the number of elements must stay")]
    Reshape {
        /// Elements there are.
        have: u64,
        /// Elements of the new shape.
        wanted: u64,
    },
    /// The elements do not follow each other in memory.
    #[error("only a contiguous tensor can take another shape; reshape first and take the part then")]
    NotContiguous,
    /// An offset or address does not fit 64 bits.
    #[error("an element offset overflows 64 bits; the strides, the start offset or the address are damaged")]
    OffsetOverflow,
    /// Strides or start offset lead out of the buffer.
    #[error(
        "element {element} lies outside of its buffer of {size} bytes; the view was taken from another buffer or is \
         damaged"
    )]
    OutsideBuffer {
        /// Offset from the start of the buffer, in elements.
        element: u64,
        /// Bytes of the buffer.
        size: u64,
    },
}

/// An argument list, or a list of outputs, with impossible content, or misuse of one (`spec/public-abi.md`, section
/// D.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ArgError {
    /// A tensor count that no correct client writes.
    #[error("Arg has tensor_count {count}, expected 0..=16; the structure was not initialised or is damaged")]
    TensorCount {
        /// The count found.
        count: i32,
    },
    /// A scalar count that no correct client writes.
    #[error("Arg has scalar_count {count}, expected 0..=32; the structure was not initialised or is damaged")]
    ScalarCount {
        /// The count found.
        count: i32,
    },
    /// An output count that no correct runtime writes.
    #[error("TaskOutputTensors has output_count {count}, expected 0..=16; the structure is damaged")]
    OutputCount {
        /// The count found.
        count: u32,
    },
    /// The role of a tensor is unknown.
    #[error("tensor argument {index} has an unknown role")]
    Tag {
        /// Index of the tensor.
        index: usize,
        /// Why.
        source: EnumError,
    },
    /// No tensor with this index.
    #[error("tensor argument {index} was asked for, but there are only {count}")]
    TensorIndex {
        /// The index asked for.
        index: usize,
        /// How many tensors there are.
        count: usize,
    },
    /// Kernels receive all tensors before all scalars, so the order of adding is fixed.
    #[error("a tensor cannot be added after a scalar; add every tensor first")]
    TensorAfterScalar,
    /// No room for another tensor.
    #[error("a task takes at most 16 tensors; split the task")]
    TooManyTensors,
    /// No room for another scalar.
    #[error("a task takes at most 32 scalars; pass the rest in a tensor")]
    TooManyScalars,
    /// A block count that cannot run.
    #[error("the block count is {block_num}; a task needs at least one block")]
    BlockNum {
        /// The count found.
        block_num: i16,
    },
    /// Explicit dependencies without a list.
    #[error("{count} explicit dependencies, but the pointer to them is null; pass the list or a count of 0")]
    NullDependencies {
        /// The count found.
        count: u32,
    },
}

/// A completion slab with impossible content (`spec/public-abi.md`, section E.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CompletionError {
    /// More conditions than a slab holds.
    #[error("the completion slab has count {count}, expected 0..=64; a kernel wrote beyond its slab")]
    Count {
        /// The count found.
        count: u32,
    },
}
