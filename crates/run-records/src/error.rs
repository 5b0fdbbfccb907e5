//! Errors of the files, for people who look for the place.

use std::io;
use std::path::{Path, PathBuf};

/// Why a file of a run could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordsError {
    /// The operating system does not let the file be read.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is not what its name says.
    #[error("{}, {place}: {reason}; the file is damaged, or comes from another version: run again to make it anew", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where in it: line and column, or the line.
        place: String,
        /// What is wrong there.
        reason: String,
    },
    /// The operating system does not let the file be written.
    #[error("cannot write {}: {source}; give an output folder that can be written and has room", path.display())]
    Unwritable {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl RecordsError {
    pub(crate) fn unreadable(path: &Path, source: io::Error) -> Self {
        Self::Unreadable { path: path.to_owned(), source }
    }

    pub(crate) fn malformed(path: &Path, place: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Malformed { path: path.to_owned(), place: place.into(), reason: reason.into() }
    }

    /// An error of the JSON text that begins at a line of the file (the first is 1).
    pub(crate) fn json(path: &Path, first_line: usize, error: &serde_json::Error) -> Self {
        // The position is said once, in the words of this type.
        let text = error.to_string();
        let reason = text.rsplit_once(" at line ").map_or(text.as_str(), |(reason, _)| reason);
        let line = first_line + error.line().saturating_sub(1);
        Self::malformed(path, format!("line {line}, column {}", error.column()), reason)
    }
}
