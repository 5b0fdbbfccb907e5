//! Files that others read at any time.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// Puts a file into its place as a whole, unless it is there already; whether it was not.
///
/// A file with the same bytes keeps its time of change, and whoever has the old one open or mapped keeps it.
pub fn publish(path: &Path, bytes: &[u8]) -> Result<bool> {
    if fs::read(path).is_ok_and(|present| present == bytes) {
        return Ok(false);
    }
    replace(path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(true)
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
    let directory = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(directory)?;
    remove_orphans(directory, name)?;
    let fresh = fresh_path(directory, name, std::process::id());
    let replaced = fs::write(&fresh, bytes).and_then(|()| fs::rename(&fresh, path));
    if replaced.is_err() {
        let _ = fs::remove_file(&fresh);
    }
    replaced
}

const FRESH: &str = ".fresh";

/// What the file is called until it is complete.
fn fresh_path(directory: &Path, name: &OsStr, process: u32) -> PathBuf {
    let mut fresh = OsStr::new(".").to_owned();
    fresh.push(name);
    fresh.push(format!(".{process}{FRESH}"));
    directory.join(fresh)
}

/// Removes what processes left that were ended while they wrote.
fn remove_orphans(directory: &Path, name: &OsStr) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?.file_name();
        let process = entry.to_str().and_then(|entry| {
            entry.strip_suffix(FRESH)?.rsplit_once('.').and_then(|(_, process)| process.parse().ok())
        });
        let Some(process) = process else { continue };
        let orphan = fresh_path(directory, name, process);
        let is_ours = orphan.file_name() == Some(&entry);
        if is_ours && !Path::new("/proc").join(process.to_string()).exists() {
            fs::remove_file(orphan)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Seek as _};
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn only_a_file_that_changed_is_replaced_and_open_ones_stay() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("deep/down/lib.so");
        assert!(publish(&path, b"first").unwrap());
        let (mut open, before) = (fs::File::open(&path).unwrap(), fs::metadata(&path).unwrap());
        assert!(!publish(&path, b"first").unwrap());
        let after = fs::metadata(&path).unwrap();
        assert_eq!((before.ino(), before.modified().unwrap()), (after.ino(), after.modified().unwrap()));

        assert!(publish(&path, b"second").unwrap());
        let mut text = String::new();
        open.rewind().unwrap();
        open.read_to_string(&mut text).unwrap();
        assert_eq!((text.as_str(), fs::read(&path).unwrap().as_slice()), ("first", b"second".as_slice()));
        assert_eq!(names(path.parent().unwrap()), ["lib.so"]);
    }

    #[test]
    fn what_a_killed_process_left_is_removed_and_nothing_else() {
        let scratch = tempfile::tempdir().unwrap();
        // No process has this number: Linux has 22 bits for it.
        let orphan = fresh_path(scratch.path(), OsStr::new("lib.so"), u32::MAX);
        let other = fresh_path(scratch.path(), OsStr::new("other.so"), u32::MAX);
        let of_living = fresh_path(scratch.path(), OsStr::new("lib.so"), 1);
        for path in [&orphan, &other, &of_living, &scratch.path().join("x.fresh")] {
            fs::write(path, "half").unwrap();
        }
        publish(&scratch.path().join("lib.so"), b"whole").unwrap();
        let expected = [".lib.so.1.fresh", ".other.so.4294967295.fresh", "lib.so", "x.fresh"];
        assert_eq!(names(scratch.path()), expected);
    }

    #[test]
    fn a_place_that_takes_no_file_is_named_and_left_alone() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("lib.so");
        fs::create_dir(&path).unwrap();
        let error = publish(&path, b"bytes").unwrap_err();
        assert!(error.to_string().contains("lib.so"), "{error}");
        assert_eq!(names(scratch.path()), ["lib.so"]);
        assert!(publish(Path::new("/proc/nowhere/lib.so"), b"bytes").is_err());
    }
}
