//! Gives the bytes of an object a path, because `dlopen` takes nothing else.
//!
//! # Why every path is new
//!
//! glibc recognises a library that it already has by its path and by its device and inode, and then returns the
//! old one. Both must therefore never come back:
//!
//! * The inode is that of a fresh memory file or temporary file. A loaded object keeps its inode in use, so the
//!   kernel cannot give it to another file.
//! * The path must be new for the life of the *process*. Keeping a descriptor open until `dlclose` does not
//!   achieve that: a library with `STB_GNU_UNIQUE` symbols (g++ makes them from inline statics and templates)
//!   stays loaded after `dlclose`, and `/proc/self/fd/7` would return it when number 7 is used again.
//!
//! So each memory file gets its own spelling of its path in `/proc`: a number, written in binary with `/` and
//! `./` where one `/` would do. The kernel reads all spellings alike, glibc compares them as text. The
//! descriptor is closed as soon as the object is loaded, because the mapping needs neither it nor the path.
//!
//! A process may have several copies of this code, in libraries that know nothing of each other. Each counts from
//! a random 64-bit number, so that none comes to a number of another.

use std::collections::hash_map::RandomState;
use std::ffi::CString;
use std::fs::{File, OpenOptions};
use std::hash::{BuildHasher as _, Hasher as _};
use std::io::{self, Write as _};
use std::os::fd::{AsRawFd as _, FromRawFd as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::ptr;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use libc::c_int;

/// Linux takes up to 249 bytes.
const MEMORY_NAME_BYTES: usize = 200;

/// How many names of earlier processes with our process id are stepped over before giving up.
const TEMP_NAME_ATTEMPTS: usize = 64;

/// Number of the next path of this process.
fn next_number() -> u64 {
    static NEXT: LazyLock<AtomicU64> =
        LazyLock::new(|| AtomicU64::new(RandomState::new().build_hasher().finish()));
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// An object in an anonymous memory file; the path is good until this is dropped.
#[derive(Debug)]
pub(crate) struct MemoryFile {
    file: File,
    path: PathBuf,
}

impl MemoryFile {
    /// `name` shows up in `/proc/self/maps` and profilers.
    pub(crate) fn new(name: &str, bytes: &[u8]) -> io::Result<Self> {
        let mut file = create_memory_file(name)?;
        file.write_all(bytes)?;
        let path = memory_path(file.as_raw_fd(), next_number());
        Ok(Self { file, path })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether this system lets code be loaded from here: `/proc` is there and no policy forbids it.
    ///
    /// Meant for after a failed load, to tell a bad place from a bad object.
    pub(crate) fn is_loadable(&self) -> bool {
        self.path.exists() && can_map_code(&self.file)
    }
}

fn create_memory_file(name: &str) -> io::Result<File> {
    let mut name: Vec<u8> = name.bytes().filter(|byte| *byte != 0).collect();
    name.truncate(MEMORY_NAME_BYTES);
    let name = CString::new(name)?;
    // The file is mapped, never executed. Since Linux 6.3 saying so is the only way that works under every
    // setting of vm.memfd_noexec; older kernels do not know the flag.
    let sealed = memfd_create(&name, libc::MFD_CLOEXEC | libc::MFD_NOEXEC_SEAL);
    match sealed {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => memfd_create(&name, libc::MFD_CLOEXEC),
        other => other,
    }
}

fn memfd_create(name: &CString, flags: libc::c_uint) -> io::Result<File> {
    // SAFETY: `name` is NUL-terminated and outlives the call.
    let fd = unsafe { libc::memfd_create(name.as_ptr(), flags) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call made this descriptor and nobody else has it.
    Ok(unsafe { File::from_raw_fd(fd) })
}

/// `thread-self`, because `/proc/self` is the main thread, which may have ended.
fn memory_path(fd: c_int, number: u64) -> PathBuf {
    let mut path = String::from("/proc/thread-self/fd/");
    let mut rest = number;
    while rest != 0 {
        path.push_str(if rest & 1 == 1 { "./" } else { "/" });
        rest >>= 1;
    }
    path.push_str(&fd.to_string());
    PathBuf::from(path)
}

fn can_map_code(file: &File) -> bool {
    const PROBE_BYTES: usize = 1;
    // SAFETY: a new private mapping at an address of the kernel's choice; it is never accessed.
    let address = unsafe {
        libc::mmap(
            ptr::null_mut(),
            PROBE_BYTES,
            libc::PROT_READ | libc::PROT_EXEC,
            libc::MAP_PRIVATE,
            file.as_raw_fd(),
            0,
        )
    };
    if address == libc::MAP_FAILED {
        return false;
    }
    // SAFETY: exactly the mapping made above, which nobody else knows.
    unsafe { libc::munmap(address, PROBE_BYTES) };
    true
}

/// An object in a temporary file, which is deleted when this is dropped.
#[derive(Debug)]
pub(crate) struct TempFile {
    path: PathBuf,
}

impl TempFile {
    pub(crate) fn new(directory: &Path, bytes: &[u8]) -> io::Result<Self> {
        // Without a slash in it, dlopen would search the path in the library directories.
        let directory = std::path::absolute(directory)?;
        let (mut file, path) = create_temp_file(&directory)?;
        let temp_file = Self { path };
        file.write_all(bytes)?;
        Ok(temp_file)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            log::warn!("temporary object {} is left behind: {error}", self.path.display());
        }
    }
}

fn create_temp_file(directory: &Path) -> io::Result<(File, PathBuf)> {
    let mut taken = io::Error::from(io::ErrorKind::AlreadyExists);
    for _ in 0..TEMP_NAME_ATTEMPTS {
        let path = directory.join(format!("object-{}-{}.so", std::process::id(), next_number()));
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => taken = error,
            other => return other.map(|file| (file, path)),
        }
    }
    Err(taken)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn memory_paths_are_spelled_differently_and_mean_the_same() {
        let file = MemoryFile::new("paths", b"content").unwrap();
        let fd = file.file.as_raw_fd();
        let numbers = (0..300).chain([u64::MAX - 1, u64::MAX]);
        let paths: HashSet<_> =
            numbers.clone().map(|number| memory_path(fd, number).into_os_string()).collect();
        assert_eq!(paths.len(), numbers.count());
        for path in paths {
            assert_eq!(std::fs::read(path).unwrap(), b"content");
        }
    }

    #[test]
    fn a_memory_file_is_gone_after_the_drop() {
        let file = MemoryFile::new("gone", b"content").unwrap();
        let path = file.path().to_owned();
        assert!(file.is_loadable());
        drop(file);
        // Another thread may own the number by now, but not this content.
        assert_ne!(std::fs::read(path).ok().as_deref(), Some(&b"content"[..]));
    }

    #[test]
    fn a_file_that_cannot_hold_code_is_noticed() {
        let not_mappable = File::open("/proc/self/status").unwrap();
        assert!(!can_map_code(&not_mappable));
    }

    #[test]
    fn a_temp_file_is_private_and_deleted_on_drop() {
        let directory = tempfile::tempdir().unwrap();
        let first = TempFile::new(directory.path(), b"first").unwrap();
        let second = TempFile::new(directory.path(), b"second").unwrap();
        assert_eq!(std::fs::read(first.path()).unwrap(), b"first");
        assert_eq!(std::fs::read(second.path()).unwrap(), b"second");
        assert_eq!(std::fs::metadata(first.path()).unwrap().permissions().mode() & 0o777, 0o600);
        drop((first, second));
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_temp_file_steps_over_names_that_are_taken() {
        let directory = tempfile::tempdir().unwrap();
        let next = next_number();
        for number in next..next + 20 {
            let name = format!("object-{}-{number}.so", std::process::id());
            std::fs::write(directory.path().join(name), b"of an earlier process").unwrap();
        }
        let file = TempFile::new(directory.path(), b"ours").unwrap();
        assert_eq!(std::fs::read(file.path()).unwrap(), b"ours");
    }

    #[test]
    fn a_deleted_temp_file_does_not_panic_on_drop() {
        let directory = tempfile::tempdir().unwrap();
        let file = TempFile::new(directory.path(), b"content").unwrap();
        std::fs::remove_file(file.path()).unwrap();
        drop(file);
    }

    #[test]
    fn a_relative_directory_becomes_absolute() {
        let error = TempFile::new(Path::new("no/such/directory"), b"").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert!(TempFile::new(Path::new("."), b"").unwrap().path().is_absolute());
    }
}
