//! Files that grow beside their place and are put there as a whole.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::RecordsError;

/// A file that nobody sees before it is complete. Dropped before, it leaves nothing.
#[derive(Debug)]
pub struct GrowingFile {
    path: PathBuf,
    /// Beside `path`, so that it can be renamed; no other run has the same.
    fresh: PathBuf,
    file: BufWriter<File>,
    length: u64,
    published: bool,
}

impl GrowingFile {
    /// Begins an empty file; the folder is created when needed.
    ///
    /// # Errors
    /// The folder or the file cannot be created.
    pub fn create(path: &Path) -> Result<Self, RecordsError> {
        static SERIAL: AtomicU64 = AtomicU64::new(0);
        let unwritable = |source| RecordsError::Unwritable { path: path.to_owned(), source };
        let name = path.file_name().ok_or_else(|| unwritable(io::ErrorKind::InvalidFilename.into()))?;
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory).map_err(unwritable)?;
        }
        let mut fresh = OsString::from(".");
        fresh.push(name);
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        fresh.push(format!(".{}.{serial}.fresh", std::process::id()));
        let fresh = path.with_file_name(fresh);
        let file = BufWriter::new(File::create(&fresh).map_err(unwritable)?);
        Ok(Self { path: path.to_owned(), fresh, file, length: 0, published: false })
    }

    /// Appends bytes; where in the file they begin.
    ///
    /// # Errors
    /// The bytes cannot be written.
    pub fn append(&mut self, bytes: &[u8]) -> Result<u64, RecordsError> {
        self.file.write_all(bytes).map_err(|source| self.unwritable(source))?;
        let begin = self.length;
        self.length += bytes.len() as u64;
        Ok(begin)
    }

    /// Puts the file into its place; whoever reads meanwhile sees the old file or this one.
    ///
    /// # Errors
    /// The file cannot be completed or renamed; an old one stays as it is.
    pub fn publish(mut self) -> Result<(), RecordsError> {
        self.file.flush().map_err(|source| self.unwritable(source))?;
        fs::rename(&self.fresh, &self.path).map_err(|source| self.unwritable(source))?;
        self.published = true;
        Ok(())
    }

    fn unwritable(&self, source: io::Error) -> RecordsError {
        RecordsError::Unwritable { path: self.path.clone(), source }
    }
}

impl Drop for GrowingFile {
    fn drop(&mut self) {
        if !self.published {
            // What cannot be removed stays; nobody can be told here, and it is in nobody's way.
            let _ = fs::remove_file(&self.fresh);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(directory: &Path) -> Vec<OsString> {
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name()).collect()
    }

    #[test]
    fn files_appear_when_they_are_complete() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("folder/file");
        let mut file = GrowingFile::create(&path).unwrap();
        assert_eq!((file.append(b"ab").unwrap(), file.append(b"").unwrap()), (0, 2));
        assert_eq!(file.append(&[b'c'; 100_000]).unwrap(), 2);
        assert!(!path.exists());
        // Two runs may write to one place at a time; the last to end counts.
        let other = GrowingFile::create(&path).unwrap();
        file.publish().unwrap();
        assert_eq!(fs::read(&path).unwrap().len(), 100_002);
        other.publish().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"");
        assert_eq!(names(path.parent().unwrap()), ["file"]);
    }

    #[test]
    fn what_is_given_up_leaves_nothing() {
        let scratch = tempfile::tempdir().unwrap();
        let mut file = GrowingFile::create(&scratch.path().join("file")).unwrap();
        file.append(b"ab").unwrap();
        assert_eq!(names(scratch.path()).len(), 1);
        drop(file);
        assert!(names(scratch.path()).is_empty());
        assert!(matches!(GrowingFile::create(Path::new("/")), Err(RecordsError::Unwritable { .. })));
    }
}
