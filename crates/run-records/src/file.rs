//! Reading and writing whole files, and the JSON layout that they share.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::ser::Formatter;

use crate::error::RecordsError;
use crate::growing::GrowingFile;

/// The text of a file; `None` if there is no such file.
pub(crate) fn read(path: &Path) -> Result<Option<String>, RecordsError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(RecordsError::unreadable(path, error)),
    };
    String::from_utf8(bytes).map(Some).map_err(|error| {
        let byte = error.utf8_error().valid_up_to();
        RecordsError::malformed(path, format!("byte {byte}"), "the text is not UTF-8")
    })
}

/// The value of a JSON file; `None` if there is no such file.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, RecordsError> {
    let Some(text) = read(path)? else { return Ok(None) };
    serde_json::from_str(&text).map(Some).map_err(|error| RecordsError::json(path, 1, &error))
}

/// Puts a file into its place as a whole; the folder is created when needed.
///
/// Whoever reads meanwhile sees the old file or the new one. If it fails, the old one stays and nothing is
/// left beside it.
///
/// # Errors
/// The folder cannot be created, or the file not written.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), RecordsError> {
    let mut file = GrowingFile::create(path)?;
    file.append(bytes)?;
    file.publish()
}

/// Appends a value as JSON on one line: `{"key": value, "key": value}`, times with three decimals.
pub(crate) fn push_json<T: Serialize>(out: &mut Vec<u8>, value: &T) {
    let mut serializer = serde_json::Serializer::with_formatter(out, Spaced);
    // A vector takes every byte, and none of the types has keys that are not strings.
    let written = value.serialize(&mut serializer);
    debug_assert!(written.is_ok(), "a record that is no JSON: {written:?}");
}

/// Appends values as elements of an array, one per line.
pub(crate) fn push_lines<T: Serialize>(out: &mut Vec<u8>, indent: &str, values: &[T]) {
    values.iter().enumerate().for_each(|(index, value)| push_line(out, indent, index, value));
}

fn push_line<T: Serialize>(out: &mut Vec<u8>, indent: &str, index: usize, value: &T) {
    out.extend_from_slice(if index == 0 { b"\n" } else { b",\n" });
    out.extend_from_slice(indent.as_bytes());
    push_json(out, value);
}

/// JSON on one line with a space behind `,` and `:`; every fraction has three decimals, as only times have
/// any.
struct Spaced;

impl Formatter for Spaced {
    fn write_f64<W: Write + ?Sized>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        #[allow(clippy::cast_possible_truncation, reason = "times are far below: see `Micros`")]
        let thousandths = (value * 1000.0).round() as i64;
        let (whole, rest) = (thousandths.unsigned_abs() / 1000, thousandths.unsigned_abs() % 1000);
        if thousandths < 0 {
            writer.write_all(b"-")?;
        }
        self.write_u64(writer, whole)?;
        #[allow(clippy::cast_possible_truncation, reason = "a digit")]
        let digit = |unit: u64| b'0' + (rest / unit % 10) as u8;
        writer.write_all(&[b'.', digit(100), digit(10), digit(1)])
    }

    fn begin_array_value<W: Write + ?Sized>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_key<W: Write + ?Sized>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_value<W: Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }
}

/// A long file, written as its text comes: memory for the whole of it would take longer to get than to fill.
pub(crate) struct Lines {
    file: GrowingFile,
    text: Vec<u8>,
}

/// Bytes that are written at a time.
const CHUNK: usize = 256 << 10;

impl Lines {
    /// Begins an empty file, which appears when it is [published](Self::publish).
    pub(crate) fn create(path: &Path) -> Result<Self, RecordsError> {
        Ok(Self { file: GrowingFile::create(path)?, text: Vec::with_capacity(CHUNK + CHUNK / 8) })
    }

    pub(crate) fn push(&mut self, text: &str) {
        self.text.extend_from_slice(text.as_bytes());
    }

    /// See [`push_json`].
    pub(crate) fn push_json<T: Serialize>(&mut self, value: &T) {
        push_json(&mut self.text, value);
    }

    /// Appends values as elements of an array, one per line.
    pub(crate) fn push_lines<T: Serialize>(
        &mut self,
        indent: &str,
        values: &[T],
    ) -> Result<(), RecordsError> {
        for (index, value) in values.iter().enumerate() {
            push_line(&mut self.text, indent, index, value);
            if self.text.len() >= CHUNK {
                self.file.append(&self.text)?;
                self.text.clear();
            }
        }
        Ok(())
    }

    /// Puts the file into its place, as [`replace`].
    pub(crate) fn publish(mut self) -> Result<(), RecordsError> {
        self.file.append(&self.text)?;
        self.file.publish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_as_a_whole_and_folders_are_made() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("deep/down/file");
        replace(&path, b"one").unwrap();
        replace(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn what_cannot_be_written_is_told_and_leaves_nothing() {
        let scratch = tempfile::tempdir().unwrap();
        let file = scratch.path().join("file");
        fs::write(&file, "x").unwrap();
        let error = replace(&file.join("below"), b"y").unwrap_err();
        assert!(error.to_string().starts_with(&format!("cannot write {}", file.join("below").display())));
        // A folder in the place of the file: the rename fails after the bytes were written.
        let folder = scratch.path().join("folder");
        fs::create_dir_all(folder.join("inside")).unwrap();
        assert!(matches!(replace(&folder, b"y"), Err(RecordsError::Unwritable { .. })));
        assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 2);
        assert!(matches!(replace(Path::new("/"), b""), Err(RecordsError::Unwritable { .. })));
    }

    #[test]
    fn fractions_have_three_decimals() {
        let mut line = Vec::new();
        push_json(&mut line, &[0.0, -0.001, 12.34, 999.9994, 1e12, 1e-9]);
        assert_eq!(
            String::from_utf8(line).unwrap(),
            "[0.000, -0.001, 12.340, 999.999, 1000000000000.000, 0.000]"
        );
    }

    #[test]
    fn files_that_are_no_text_are_refused_with_the_place() {
        let scratch = tempfile::tempdir().unwrap();
        let file = scratch.path().join("file");
        assert!(read(&file).unwrap().is_none());
        fs::write(&file, b"ab\xff").unwrap();
        let error = read(&file).unwrap_err().to_string();
        assert!(error.contains("file, byte 2: the text is not UTF-8"), "{error}");
        assert!(matches!(read(scratch.path()), Err(RecordsError::Unreadable { .. })));
    }
}
