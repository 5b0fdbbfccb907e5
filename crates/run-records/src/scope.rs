//! `scope_stats.jsonl`: how full rings, heaps and the tensor map were (`spec/device-abi.md`, section 6.4).

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::RecordsError;
use crate::file;

/// Where the file lies in a run's output folder.
pub const FILE: &str = "scope_stats/scope_stats.jsonl";
/// The version of the format.
pub const VERSION: u32 = 4;
/// Rings of a run.
pub const RINGS: usize = 4;

/// The file: a header line, then a line per record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopeStats {
    /// The first line.
    pub header: Header,
    /// The other lines, in the order in which they were recorded.
    pub records: Vec<Record>,
}

/// Capacities and counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// [`VERSION`].
    pub version: u32,
    /// Whether a fatal error ended the recording.
    pub fatal: bool,
    /// Records that were lost.
    pub dropped: u64,
    /// Records that there should be.
    pub total: u64,
    /// Tasks that each ring has room for.
    pub task_window_max: [i32; RINGS],
    /// Bytes of each ring's heap.
    pub heap_max: [u64; RINGS],
    /// Entries that the tensor map has room for.
    pub tensormap_max: i32,
}

/// The state at the border of a scope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// `file:line` of the scope, `(unknown):0` if it did not say.
    pub site: String,
    /// Which border.
    pub phase: Border,
    /// How many scopes it is inside of.
    pub depth: i16,
    /// The ring of the scope.
    pub ring: i16,
    /// The ring's oldest task that is alive.
    pub task_window_start: i32,
    /// The ring's next task.
    pub task_window_end: i32,
    /// The heap's tail, in bytes.
    pub heap_start: u64,
    /// The heap's top, in bytes.
    pub heap_end: u64,
    /// Entries of the tensor map in use.
    pub tensormap: i32,
}

/// The two borders of a scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Border {
    /// Its begin.
    Begin,
    /// Its end.
    End,
}

impl Record {
    /// Tasks of the ring that are alive.
    #[must_use]
    pub fn tasks_alive(&self) -> i64 {
        i64::from(self.task_window_end) - i64::from(self.task_window_start)
    }

    /// Bytes of the ring's heap that are in use; the heap of `capacity` bytes is used in a circle.
    #[must_use]
    pub fn heap_used(&self, capacity: u64) -> u64 {
        if self.heap_end >= self.heap_start {
            self.heap_end - self.heap_start
        } else {
            capacity.saturating_sub(self.heap_start - self.heap_end)
        }
    }
}

impl ScopeStats {
    /// Reads the file from a run's output folder; `None` if it is not there.
    ///
    /// # Errors
    /// It cannot be read, or is malformed.
    pub fn read(directory: &Path) -> Result<Option<Self>, RecordsError> {
        let path = directory.join(FILE);
        let Some(text) = file::read(&path)? else { return Ok(None) };
        // Empty lines are none, but count for the place of an error.
        let mut lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        let (number, line) =
            lines.next().ok_or_else(|| RecordsError::malformed(&path, "line 1", "the header is missing"))?;
        let header: Header =
            serde_json::from_str(line).map_err(|error| RecordsError::json(&path, number + 1, &error))?;
        if header.version != VERSION {
            let reason = format!("version {} is not known, only {VERSION}", header.version);
            return Err(RecordsError::malformed(&path, format!("line {}", number + 1), reason));
        }
        let records = lines
            .map(|(number, line)| {
                serde_json::from_str(line).map_err(|error| RecordsError::json(&path, number + 1, &error))
            })
            .collect::<Result<_, _>>()?;
        Ok(Some(Self { header, records }))
    }

    /// Writes the file into a run's output folder, which is created when needed.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, directory: &Path) -> Result<(), RecordsError> {
        file::replace(&directory.join(FILE), &self.to_jsonl())
    }

    /// The bytes of the file.
    #[must_use]
    pub fn to_jsonl(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity((self.records.len() + 1) * 192);
        file::push_json(&mut out, &self.header);
        for record in &self.records {
            out.push(b'\n');
            file::push_json(&mut out, record);
        }
        out.push(b'\n');
        out
    }
}
