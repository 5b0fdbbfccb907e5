//! Names of kernels.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use run_records::RecordsError;
use serde::{Deserialize, Serialize};

/// What kernels are called, by func id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FuncNames(BTreeMap<u32, String>);

/// Why names could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NamesError {
    /// The operating system does not let the file be read.
    #[error("cannot read the names of kernels from {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is no such file.
    #[error("{} has no names of kernels: {source}; expected is {{\"0\": \"name\", ...}}, or the same under \"callable_id_to_name\"", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong where.
        source: serde_json::Error,
    },
}

/// The file of the toolchain's name maps.
#[derive(Deserialize, Serialize)]
struct NameMap {
    callable_id_to_name: BTreeMap<u32, String>,
}

impl FuncNames {
    /// Reads a JSON file: an object of names by func id, or a name map that has such an object under
    /// `callable_id_to_name`.
    ///
    /// # Errors
    /// It cannot be read, or is no such file.
    pub fn read(path: &Path) -> Result<Self, NamesError> {
        let text = fs::read_to_string(path)
            .map_err(|source| NamesError::Unreadable { path: path.to_owned(), source })?;
        if let Ok(map) = serde_json::from_str::<NameMap>(&text) {
            return Ok(Self(map.callable_id_to_name));
        }
        let names = serde_json::from_str(&text)
            .map_err(|source| NamesError::Malformed { path: path.to_owned(), source })?;
        Ok(Self(names))
    }

    /// Writes a name map; `name_map_<something>.json` in a run's output folder is found there by whoever shows the run.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), RecordsError> {
        let map = NameMap { callable_id_to_name: self.0.clone() };
        let text = serde_json::to_vec(&map);
        debug_assert!(text.is_ok(), "names that are no JSON: {text:?}");
        run_records::replace(path, &text.unwrap_or_default())
    }

    /// The name of a kernel: the given one, else `func_<id>`.
    #[must_use]
    pub fn get(&self, func_id: u32) -> String {
        self.0.get(&func_id).cloned().unwrap_or_else(|| format!("func_{func_id}"))
    }
}

impl<S: Into<String>> FromIterator<(u32, S)> for FuncNames {
    fn from_iter<I: IntoIterator<Item = (u32, S)>>(names: I) -> Self {
        Self(names.into_iter().map(|(func_id, name)| (func_id, name.into())).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read_and_the_rest_is_numbered() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("names.json");
        for text in [
            r#"{"0": "matmul", "7": "softmax"}"#,
            r#"{"level": 2, "callable_id_to_name": {"0": "matmul", "7": "softmax"}}"#,
        ] {
            fs::write(&path, text).unwrap();
            let names = FuncNames::read(&path).unwrap();
            assert_eq!(names, [(0, "matmul"), (7, "softmax")].into_iter().collect());
            assert_eq!((names.get(7), names.get(8)), ("softmax".to_owned(), "func_8".to_owned()));
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("deep/name_map_run.json");
        let names: FuncNames = [(0, "a \"b\""), (u32::MAX, "c")].into_iter().collect();
        names.write(&path).unwrap();
        assert_eq!(FuncNames::read(&path).unwrap(), names);
        assert!(names.write(&path.join("below")).is_err());
    }

    #[test]
    fn other_files_are_refused() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("names.json");
        assert!(
            FuncNames::read(&path).unwrap_err().to_string().starts_with("cannot read the names of kernels")
        );
        for text in ["[]", r#"{"matmul": "0"}"#, r#"{"0": 1}"#, ""] {
            fs::write(&path, text).unwrap();
            let error = FuncNames::read(&path).unwrap_err().to_string();
            assert!(
                error.contains("has no names of kernels: ") && error.contains("{\"0\": \"name\""),
                "{error}"
            );
        }
    }
}
