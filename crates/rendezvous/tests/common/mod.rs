//! A place to meet at, and access to windows.
#![allow(dead_code, reason = "each test file uses a part")]

use std::path::{Path, PathBuf};

/// A path that only one test uses.
pub(crate) struct Place {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

impl Place {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { path: folder.path().join("rootinfo"), _folder: folder }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What exists for this place.
    pub(crate) fn names(&self) -> Vec<String> {
        rendezvous::names(&self.path).unwrap()
    }
}

/// # Safety
/// The address is that of a word in a window that lives.
pub(crate) unsafe fn read(address: u64) -> u64 {
    let word = std::ptr::with_exposed_provenance::<u64>(usize::try_from(address).unwrap());
    // SAFETY: the caller's.
    unsafe { word.read_volatile() }
}

/// # Safety
/// The address is that of a word in a window that lives.
pub(crate) unsafe fn write(address: u64, value: u64) {
    let word = std::ptr::with_exposed_provenance_mut::<u64>(usize::try_from(address).unwrap());
    // SAFETY: the caller's.
    unsafe { word.write_volatile(value) };
}
