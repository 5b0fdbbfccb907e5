//! Everything that can be wrong with foreign bytes or with values that do not fit the wire structures.
//!
//! Texts that clients know from `spec/public-abi.md`, sections B.2 and B.4, start the message; the rest names the
//! offending values and the way out.

use alloc::boxed::Box;
use core::str::Utf8Error;

use thiserror::Error;

use crate::wire_enum::EnumError;

/// A tensor description that cannot be built or read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TensorError {
    /// More dimensions than a tensor can have.
    #[error(
        "shapes length exceeds CONTINUOUS_TENSOR_MAX_DIMS: {ndims} dimensions, at most 5; reshape the tensor \
         or check that the structure was initialised"
    )]
    TooManyDims {
        /// The number of dimensions found.
        ndims: usize,
    },
    /// Element type number out of range.
    #[error("tensor has an unknown element type")]
    DataType(#[from] EnumError),
    /// The size in bytes does not fit 64 bits.
    #[error(
        "tensor size overflows 64 bits: shape {shape:?} ({ndims} used dimensions), element size {element_size}"
    )]
    SizeOverflow {
        /// All five shape entries.
        shape: [u32; 5],
        /// How many entries of `shape` are used.
        ndims: usize,
        /// Bytes per element.
        element_size: usize,
    },
    /// Lists that describe the same dimensions have different lengths.
    #[error(
        "tensor info needs one raw shape and one offset per dimension: {shape} shapes, {raw_shape} raw shapes, \
         {offsets} offsets"
    )]
    LengthMismatch {
        /// Length of the shape.
        shape: usize,
        /// Length of the raw shape.
        raw_shape: usize,
        /// Length of the offsets.
        offsets: usize,
    },
}

/// Misuse of an argument list, or an argument block with impossible counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TaskArgsError {
    /// Kernels receive all tensors before all scalars, so the order of adding is fixed.
    #[error("TaskArgs: cannot add tensor after scalar; add every tensor first")]
    TensorAfterScalar,
    /// The list of tensors is full.
    #[error("TaskArgs: tensor capacity exceeded; at most {capacity} tensors fit")]
    TensorCapacity {
        /// How many tensors fit.
        capacity: usize,
    },
    /// The list of scalars is full.
    #[error("TaskArgs: scalar capacity exceeded; at most {capacity} scalars fit")]
    ScalarCapacity {
        /// How many scalars fit.
        capacity: usize,
    },
    /// No tensor with this index.
    #[error("{container} tensor index out of range: index {index}, tensor count {count}")]
    TensorIndex {
        /// Name of the type that was indexed.
        container: &'static str,
        /// The index asked for.
        index: usize,
        /// How many tensors there are.
        count: usize,
    },
    /// No scalar with this index.
    #[error("{container} scalar index out of range: index {index}, scalar count {count}")]
    ScalarIndex {
        /// Name of the type that was indexed.
        container: &'static str,
        /// The index asked for.
        index: usize,
        /// How many scalars there are.
        count: usize,
    },
    /// A tensor count that no correct client writes.
    #[error(
        "{container} has tensor_count {count}, expected 0..={max}; the structure was not initialised or is damaged"
    )]
    InvalidTensorCount {
        /// Name of the wire structure.
        container: &'static str,
        /// The count found.
        count: i32,
        /// The largest possible count.
        max: i32,
    },
    /// A scalar count that no correct client writes.
    #[error(
        "{container} has scalar_count {count}, expected 0..={max}; the structure was not initialised or is damaged"
    )]
    InvalidScalarCount {
        /// Name of the wire structure.
        container: &'static str,
        /// The count found.
        count: i32,
        /// The largest possible count.
        max: i32,
    },
    /// A list is too long for the fixed-size argument block.
    #[error(
        "view_to_chip_storage: tensor_count exceeds CHIP_MAX_TENSOR_ARGS: {count} tensors, at most 128 per call"
    )]
    TooManyTensors {
        /// How many tensors the list has.
        count: usize,
    },
    /// A list is too long for the fixed-size argument block.
    #[error(
        "view_to_chip_storage: scalar_count exceeds CHIP_MAX_SCALAR_ARGS: {count} scalars, at most 128 per call"
    )]
    TooManyScalars {
        /// How many scalars the list has.
        count: usize,
    },
}

/// A task-argument blob that cannot be read or written (`spec/public-abi.md`, section B.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BlobError {
    /// Not even the counts fit.
    #[error("read_blob: capacity {capacity} < header size 8; pass the whole blob")]
    ShorterThanHeader {
        /// Bytes given.
        capacity: usize,
    },
    /// A count is negative.
    #[error("read_blob: negative counts — T={tensor_count}, S={scalar_count}; the bytes are not a blob")]
    NegativeCounts {
        /// The tensor count found.
        tensor_count: i32,
        /// The scalar count found.
        scalar_count: i32,
    },
    /// The counts ask for more bytes than there are.
    #[error(
        "read_blob: header reports {needed} bytes (T={tensor_count}, S={scalar_count}) but capacity is {capacity}; \
         the blob was cut or is damaged"
    )]
    Truncated {
        /// Bytes the counts ask for.
        needed: usize,
        /// The tensor count found.
        tensor_count: i32,
        /// The scalar count found.
        scalar_count: i32,
        /// Bytes given.
        capacity: usize,
    },
    /// The destination is too small.
    #[error(
        "write_blob: the blob has {needed} bytes but the buffer only {capacity}; size it with blob_size()"
    )]
    BufferTooSmall {
        /// Bytes the blob has.
        needed: usize,
        /// Bytes given.
        capacity: usize,
    },
}

/// A call configuration that breaks a rule (`spec/public-abi.md`, section B.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CallConfigError {
    /// Diagnostics would have no place to go.
    #[error(
        "CallConfig: output_prefix must be set whenever any of enable_l2_swimlane / enable_dump_tensor / enable_pmu / \
         enable_dep_gen / enable_scope_stats is enabled; call set_output_prefix first"
    )]
    MissingOutputPrefix,
    /// Swimlane level out of range.
    #[error("CallConfig.enable_l2_swimlane is {level}; use 0 (off) to 4 (everything)")]
    SwimlaneLevel {
        /// The level found.
        level: i32,
    },
    /// The prefix does not fit.
    #[error("CallConfig.output_prefix length {len} exceeds buffer (1023 bytes); use a shorter path")]
    PrefixTooLong {
        /// Length in bytes.
        len: usize,
    },
    /// The prefix would be cut at the NUL by every reader.
    #[error("CallConfig.output_prefix contains a NUL at byte {position}; remove it")]
    PrefixContainsNul {
        /// Position of the first NUL.
        position: usize,
    },
    /// No NUL in the 1024 bytes.
    #[error("CallConfig.output_prefix has no terminating NUL in its 1024 bytes; the structure is damaged")]
    PrefixNotTerminated,
    /// The prefix is not text.
    #[error("CallConfig.output_prefix is not UTF-8; use a UTF-8 path")]
    PrefixNotUtf8(#[from] Utf8Error),
    /// Negative block dimension.
    #[error("CallConfig.block_dim is {value}; use 0 (automatic) or a positive number")]
    NegativeBlockDim {
        /// The value found.
        value: i32,
    },
    /// Negative thread count.
    #[error("CallConfig.aicpu_thread_num is {value}; use a positive number")]
    NegativeThreadNum {
        /// The value found.
        value: i32,
    },
    /// The bytes are not one configuration.
    #[error("a CallConfig has 1052 bytes, got {len}; pass exactly one structure")]
    WrongSize {
        /// Bytes given.
        len: usize,
    },
}

/// A callable image that cannot be built or read (`spec/public-abi.md`, section B.3).
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CallableError {
    /// The image ends before its content does.
    #[error("{what} image needs {needed} bytes but only {available} are there; it was cut or is damaged")]
    ImageTooShort {
        /// `CoreCallable` or `ChipCallable`.
        what: &'static str,
        /// Bytes needed.
        needed: usize,
        /// Bytes there.
        available: usize,
    },
    /// `sig_count` out of range.
    #[error("{what} image has sig_count {count}, expected 0..={max}; the image is damaged")]
    SigCount {
        /// `CoreCallable` or `ChipCallable`.
        what: &'static str,
        /// The count found.
        count: i32,
        /// The largest possible count.
        max: usize,
    },
    /// A signature entry is not a direction.
    #[error("{what} signature entry {index} is invalid")]
    Direction {
        /// `CoreCallable` or `ChipCallable`.
        what: &'static str,
        /// Index of the entry.
        index: usize,
        /// Why.
        source: EnumError,
    },
    /// `child_count` out of range.
    #[error("ChipCallable image has child_count {count}, expected 0..=1024; the image is damaged")]
    ChildCount {
        /// The count found.
        count: i32,
    },
    /// A kernel id out of range.
    #[error("child {index} has func_id {func_id}; kernel ids are in 0..1024")]
    FuncId {
        /// Index of the child.
        index: usize,
        /// The id found.
        func_id: i64,
    },
    /// A child starts inside the content before it.
    #[error(
        "child {index} starts at storage offset {offset}, inside the content before it that ends at {previous_end}; \
         the image is damaged"
    )]
    ChildOverlap {
        /// Index of the child.
        index: usize,
        /// Its offset, relative to the storage.
        offset: usize,
        /// End of the orchestration library or of the child before it, relative to the storage.
        previous_end: usize,
    },
    /// A child is invalid in itself.
    #[error("child {index} of the ChipCallable is invalid")]
    Child {
        /// Index of the child.
        index: usize,
        /// Why.
        source: Box<CallableError>,
    },
    /// A name length out of range, or a length that is not where the first NUL is.
    #[error(
        "{field}_len is {declared} but the first NUL of {field} is at {nul_at:?}; both must agree and be at most 63"
    )]
    NameLength {
        /// `func_name` or `config_name`.
        field: &'static str,
        /// The length field of the image.
        declared: u32,
        /// Position of the first NUL, if there is one.
        nul_at: Option<usize>,
    },
    /// A name is not text.
    #[error(
        "{field} is not UTF-8; names cut in the middle of a character look like this, use a shorter name"
    )]
    NameNotUtf8 {
        /// `func_name` or `config_name`.
        field: &'static str,
        /// Why.
        source: Utf8Error,
    },
    /// A name would be cut and then not be found in the library.
    #[error("{field} has {len} bytes, at most 63 fit; rename the function")]
    NameTooLong {
        /// `func_name` or `config_name`.
        field: &'static str,
        /// Length in bytes.
        len: usize,
    },
    /// A name would be cut at its NUL.
    #[error("{field} contains a NUL at byte {position}; remove it")]
    NameContainsNul {
        /// `func_name` or `config_name`.
        field: &'static str,
        /// Position of the first NUL.
        position: usize,
    },
    /// A signature is too long for its callable.
    #[error("make_callable: sig_count exceeds MaxSig: {what} takes {max} entries, got {len}")]
    SignatureTooLong {
        /// `CoreCallable` or `ChipCallable`.
        what: &'static str,
        /// Length of the signature.
        len: usize,
        /// The largest possible length.
        max: usize,
    },
    /// Too many kernels.
    #[error(
        "make_callable: child_count exceeds MaxChildren: {len} children, at most 1024; split the callable"
    )]
    TooManyChildren {
        /// Number of children.
        len: usize,
    },
    /// Two kernels with one id; only the last would be reachable.
    #[error("children {first} and {second} both have func_id {func_id}; give each kernel its own id")]
    DuplicateFuncId {
        /// Index of the first child.
        first: usize,
        /// Index of the second child.
        second: usize,
        /// The id both have.
        func_id: u32,
    },
    /// A size or offset does not fit the 32-bit fields of an image.
    #[error("{what} image is too large: {size} bytes do not fit its 32-bit size fields; split the callable")]
    TooLarge {
        /// `CoreCallable` or `ChipCallable`.
        what: &'static str,
        /// The size or offset that does not fit.
        size: usize,
    },
    /// No child with this index.
    #[error("ChipCallable child index out of range: index {index}, child count {count}")]
    ChildIndex {
        /// The index asked for.
        index: usize,
        /// How many children there are.
        count: usize,
    },
}
