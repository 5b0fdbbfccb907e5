//! A folder for the temporary files of a run's processes, so that nothing of a killed one stays behind.

use std::fs::File;
use std::io;
use std::path::Path;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use tempfile::TempDir;

const PREFIX: &str = "scene-runner-";
/// Between making and locking a folder its owner must not lose it.
const YOUNG: Duration = Duration::from_secs(60);

/// The folder; removed with all that is in it when this is dropped.
#[derive(Debug)]
pub(crate) struct Scratch {
    folder: TempDir,
    /// Its lock tells other runners that the folder has an owner. It goes with the process, however that ends.
    _lock: File,
}

impl Scratch {
    /// Makes a folder, and removes those of runners that were killed.
    pub(crate) fn new() -> io::Result<Self> {
        Self::inside_of(&std::env::temp_dir())
    }

    fn inside_of(parent: &Path) -> io::Result<Self> {
        sweep(parent);
        let folder = tempfile::Builder::new().prefix(PREFIX).tempdir_in(parent)?;
        let lock = File::open(folder.path())?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
        Ok(Self { folder, _lock: lock })
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }
}

fn sweep(parent: &Path) {
    for entry in std::fs::read_dir(parent).into_iter().flatten().flatten() {
        if !entry.file_name().to_string_lossy().starts_with(PREFIX) {
            continue;
        }
        let Ok(folder) = File::open(entry.path()) else { continue };
        let age =
            folder.metadata().and_then(|meta| meta.modified()).ok().and_then(|time| time.elapsed().ok());
        let old = age.is_some_and(|age| age > YOUNG);
        if old && flock(&folder, FlockOperation::NonBlockingLockExclusive).is_ok() {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    fn age(folder: &Path) {
        File::open(folder).unwrap().set_modified(SystemTime::now() - 2 * YOUNG).unwrap();
    }

    #[test]
    fn only_folders_without_an_owner_are_swept() {
        let parent = tempfile::tempdir().unwrap();
        let owned = Scratch::inside_of(parent.path()).unwrap();
        let (left, young, other) = (
            parent.path().join("scene-runner-left"),
            parent.path().join("scene-runner-new"),
            parent.path().join("x"),
        );
        for folder in [&left, &young, &other] {
            std::fs::create_dir(folder).unwrap();
        }
        std::fs::write(left.join("file"), "").unwrap();
        for folder in [owned.path(), &left, &other] {
            age(folder);
        }
        let second = Scratch::inside_of(parent.path()).unwrap();
        assert!(owned.path().exists() && young.exists() && other.exists() && !left.exists());
        let path = second.path().to_owned();
        drop(second);
        assert!(!path.exists());
    }
}
