//! `tensor_dump/`: tensors before and after tasks (`spec/device-abi.md`, section 6.2).

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::dtype::Dtype;
use crate::error::RecordsError;
use crate::file;

/// The folder in a run's output folder.
pub const FOLDER: &str = "tensor_dump";
/// The index, in that folder.
pub const INDEX: &str = "tensor_dump.json";
/// The tensors' bytes, in that folder.
pub const BYTES: &str = "tensor_dump.bin";

/// The index of the dumped tensors.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dump {
    /// [`FOLDER`].
    pub run_dir: String,
    /// How tensors lie in the file.
    pub bin_format: BinFormat,
    /// All tensors.
    pub total_tensors: u64,
    /// Those with [`Stage::BeforeDispatch`].
    pub before_dispatch: u64,
    /// Those with [`Stage::AfterCompletion`].
    pub after_completion: u64,
    /// Those with [`Role::Input`].
    pub input_tensors: u64,
    /// Those with [`Role::Output`].
    pub output_tensors: u64,
    /// Those with [`Role::Inout`].
    pub inout_tensors: u64,
    /// Those of which only a part is there.
    pub truncated_tensors: u64,
    /// Records that were lost.
    pub dropped_records: u64,
    /// Tensors whose bytes were overwritten before they were read.
    pub dropped_overwrite: u64,
    /// [`BYTES`].
    pub bin_file: String,
    /// Ordered by task, sub-task, kernel, stage, argument, role.
    pub tensors: Vec<DumpedTensor>,
}

/// How tensors lie in the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BinFormat {
    /// `logical_contiguous`: row-major, whatever the strides.
    #[serde(rename = "type")]
    pub kind: String,
    /// `little_endian`.
    pub byte_order: String,
}

/// One tensor at one time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DumpedTensor {
    /// The task.
    #[serde(with = "hexadecimal")]
    pub task_id: u64,
    /// 0 AIC, 1 and 2 AIV.
    pub subtask_id: u8,
    /// The kernel.
    pub func_id: u32,
    /// What the task does with it.
    pub role: Role,
    /// When.
    pub stage: Stage,
    /// Its place among the task's arguments.
    pub arg_index: u32,
    /// Its element type.
    pub dtype: Dtype,
    /// Whether it was contiguous in memory.
    pub is_contiguous: bool,
    /// Its extents.
    pub shape: Vec<u32>,
    /// Its steps, in elements.
    pub strides: Vec<u32>,
    /// Its first element.
    pub start_offset: u64,
    /// Its elements.
    pub numel: u64,
    /// Where its bytes begin in the file.
    pub bin_offset: u64,
    /// How many there are.
    pub bin_size: u64,
    /// Whether they are only the first.
    pub truncated: bool,
    /// Whether they were lost; offset and size are 0 then.
    pub overwritten: bool,
}

/// What a task does with a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the names say it")]
pub enum Role {
    Input,
    Output,
    Inout,
}

/// When a tensor was dumped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the names say it")]
pub enum Stage {
    BeforeDispatch,
    AfterCompletion,
}

fn count(tensors: &[DumpedTensor], which: impl Fn(&DumpedTensor) -> bool) -> u64 {
    tensors.iter().filter(|tensor| which(tensor)).count() as u64
}

impl Dump {
    /// The index of these tensors, which are put in order; counters follow from them.
    #[must_use]
    pub fn new(mut tensors: Vec<DumpedTensor>, dropped_records: u64) -> Self {
        tensors.sort_by_key(|t| (t.task_id, t.subtask_id, t.func_id, t.stage, t.arg_index, t.role));
        Self {
            run_dir: FOLDER.to_owned(),
            bin_format: BinFormat {
                kind: "logical_contiguous".to_owned(),
                byte_order: "little_endian".to_owned(),
            },
            total_tensors: tensors.len() as u64,
            before_dispatch: count(&tensors, |tensor| tensor.stage == Stage::BeforeDispatch),
            after_completion: count(&tensors, |tensor| tensor.stage == Stage::AfterCompletion),
            input_tensors: count(&tensors, |tensor| tensor.role == Role::Input),
            output_tensors: count(&tensors, |tensor| tensor.role == Role::Output),
            inout_tensors: count(&tensors, |tensor| tensor.role == Role::Inout),
            truncated_tensors: count(&tensors, |tensor| tensor.truncated),
            dropped_records,
            dropped_overwrite: count(&tensors, |tensor| tensor.overwritten),
            bin_file: BYTES.to_owned(),
            tensors,
        }
    }

    /// Reads the index from a run's output folder; `None` if it is not there.
    ///
    /// # Errors
    /// It cannot be read, or is malformed.
    pub fn read(directory: &Path) -> Result<Option<Self>, RecordsError> {
        file::read_json(&directory.join(FOLDER).join(INDEX))
    }

    /// Writes the index into a run's output folder, which is created when needed.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, directory: &Path) -> Result<(), RecordsError> {
        file::replace(&directory.join(FOLDER).join(INDEX), &self.to_json())
    }

    /// The bytes of the index: a counter per line, a tensor per line, keys in the order of section 6.2.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.tensors.len() * 384);
        out.extend_from_slice(b"{\n  \"run_dir\": ");
        file::push_json(&mut out, &self.run_dir);
        out.extend_from_slice(b",\n  \"bin_format\": ");
        file::push_json(&mut out, &self.bin_format);
        for (name, value) in self.counters() {
            out.extend_from_slice(format!(",\n  \"{name}\": {value}").as_bytes());
        }
        out.extend_from_slice(b",\n  \"bin_file\": ");
        file::push_json(&mut out, &self.bin_file);
        out.extend_from_slice(b",\n  \"tensors\": [");
        file::push_lines(&mut out, "    ", &self.tensors);
        out.extend_from_slice(b"\n  ]\n}\n");
        out
    }

    /// The counters with their names, in the order of the file.
    #[must_use]
    pub fn counters(&self) -> [(&'static str, u64); 9] {
        [
            ("total_tensors", self.total_tensors),
            ("before_dispatch", self.before_dispatch),
            ("after_completion", self.after_completion),
            ("input_tensors", self.input_tensors),
            ("output_tensors", self.output_tensors),
            ("inout_tensors", self.inout_tensors),
            ("truncated_tensors", self.truncated_tensors),
            ("dropped_records", self.dropped_records),
            ("dropped_overwrite", self.dropped_overwrite),
        ]
    }

    /// The bytes of a tensor, from the file in a run's output folder.
    ///
    /// # Errors
    /// The file cannot be read, or ends before the tensor does.
    pub fn bytes_of(&self, directory: &Path, tensor: &DumpedTensor) -> Result<Vec<u8>, RecordsError> {
        let path = directory.join(FOLDER).join(&self.bin_file);
        let unreadable = |source| RecordsError::unreadable(&path, source);
        let mut file = File::open(&path).map_err(unreadable)?;
        file.seek(SeekFrom::Start(tensor.bin_offset)).map_err(unreadable)?;
        let mut bytes = Vec::new();
        file.take(tensor.bin_size).read_to_end(&mut bytes).map_err(unreadable)?;
        if (bytes.len() as u64) < tensor.bin_size {
            let reason = format!("only {} of {} bytes of a tensor are there", bytes.len(), tensor.bin_size);
            return Err(RecordsError::malformed(&path, format!("byte {}", tensor.bin_offset), reason));
        }
        Ok(bytes)
    }
}

/// Task ids as `"0x0000000100000003"`.
mod hexadecimal {
    use serde::de::{Error as _, Unexpected};
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(value: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{value:#018x}"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        crate::pmu::parse_hex(&text)
            .ok_or_else(|| D::Error::invalid_value(Unexpected::Str(&text), &"a 64-bit number in hexadecimal"))
    }
}
