//! `deps.json`: which task depends on which, and why (`spec/device-abi.md`, section 6.5).
//!
//! It is made by replaying all submits with nothing ever retired, so it holds every edge of the run and may
//! hold more. Tasks that only allocate are no nodes, but edges may begin at them.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::dtype::Dtype;
use crate::error::RecordsError;
use crate::{decimal, file};

mod flat;

use flat::{FlatArg, FlatEdge};

/// Where the file lies in a run's output folder.
pub const FILE: &str = "deps.json";

/// The file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deps {
    /// The tasks in the order of their submits.
    pub tasks: Vec<Task>,
    /// The versions of tensors that they use.
    pub tensors: Vec<TensorVersion>,
    /// Who waits for whom.
    pub edges: Vec<Edge>,
}

/// One submit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// The task.
    #[serde(with = "decimal")]
    pub task_id: u64,
    /// Whether dependencies inside its scope are derived.
    pub scope: Scope,
    /// Its tensors.
    pub args: Vec<Arg>,
}

/// Who derives the dependencies of a scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// The tensor map.
    Auto,
    /// The orchestration.
    Manual,
}

/// One tensor of a submit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "FlatArg", into = "FlatArg")]
pub struct Arg {
    /// Its place among the task's tensors.
    pub idx: u32,
    /// What the task does with it.
    pub kind: ArgKind,
    /// What it is; nothing is known of a tensor that the submit allocates.
    pub tensor: Option<ArgTensor>,
}

/// What a task does with a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[allow(missing_docs, reason = "the names of `task_interface::TensorArgType`")]
pub enum ArgKind {
    Input,
    Output,
    Inout,
    OutputExisting,
    /// Passed through without dependencies.
    Unknown,
}

/// The view of a tensor that a task has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArgTensor {
    /// See [`tensor_id`].
    pub tensor_id: u64,
    /// Its element type.
    pub dtype: Dtype,
    /// The part of its buffer.
    pub view: View,
}

/// A part of a buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// Its extents.
    pub shape: Vec<u32>,
    /// Its first element.
    pub start_offset: u64,
    /// Its steps, in elements.
    pub strides: Vec<u32>,
}

/// One version of a tensor's buffer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TensorVersion {
    /// See [`tensor_id`].
    #[serde(with = "decimal")]
    pub tensor_id: u64,
    /// Its device address.
    #[serde(with = "decimal")]
    pub buffer_addr: u64,
    /// Its version.
    pub version: i32,
    /// Its element type.
    pub dtype: Dtype,
    /// Its elements.
    #[serde(with = "decimal")]
    pub buffer_numel: u64,
}

/// One task waits for another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "FlatEdge", into = "FlatEdge")]
pub struct Edge {
    /// Who has to be done first.
    pub pred: u64,
    /// Who waits.
    pub succ: u64,
    /// The successor's tensor that is the reason, -1 if none is.
    pub arg: i32,
    /// Why.
    pub reason: Reason,
}

/// Where an edge comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Named by the orchestration.
    Explicit,
    /// The predecessor allocated the tensor.
    Creator {
        /// The tensor as the successor uses it.
        consumer: ArgTensor,
    },
    /// The predecessor wrote a part of the tensor that the successor uses.
    Tensormap {
        /// How the parts lie.
        overlap: Overlap,
        /// The tensor as the successor uses it.
        consumer: ArgTensor,
        /// The part that the predecessor wrote.
        producer: View,
    },
}

/// How two parts of a tensor lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Overlap {
    /// The producer's covers the consumer's.
    Covered,
    /// They overlap, or may.
    Other,
}

/// The id of a version of a buffer: FNV-1a (64 bits) of its address and its version, little endian.
#[must_use]
pub fn tensor_id(buffer_addr: u64, version: i32) -> u64 {
    let bytes = buffer_addr.to_le_bytes().into_iter().chain(version.to_le_bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

impl Deps {
    /// Reads the file from a run's output folder; `None` if it is not there.
    ///
    /// # Errors
    /// It cannot be read, or is malformed.
    pub fn read(directory: &Path) -> Result<Option<Self>, RecordsError> {
        file::read_json(&directory.join(FILE))
    }

    /// Writes the file into a run's output folder, which is created when needed.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, directory: &Path) -> Result<(), RecordsError> {
        file::replace(&directory.join(FILE), &self.to_json())
    }

    /// The bytes of the file: one line, keys in the order of section 6.5.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let written = serde_json::to_vec(self);
        debug_assert!(written.is_ok(), "dependencies that are no JSON: {written:?}");
        written.unwrap_or_default()
    }
}
