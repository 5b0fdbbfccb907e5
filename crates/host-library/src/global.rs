//! The two libraries that host libraries expect in the global scope (`spec/public-abi.md`, section A.7).

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ffi::c_int;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use libloading::os::unix::Library;
use log::LevelFilter;

use crate::error::HostLibraryError;

/// Loads the log library, once per process, and gives it the level of the `log` crate.
pub(crate) fn start_log(path: &Path) -> Result<(), HostLibraryError> {
    type Init = unsafe extern "C" fn(level: c_int, info_v: c_int) -> c_int;
    let (level, info_v) = log_levels(log::max_level());
    let code = with_global(path, |path, library| {
        // SAFETY: the contract of that symbol is this signature.
        let init = unsafe { symbol::<Init>(library, "simpler_log_init") };
        let missing =
            || HostLibraryError::MissingSymbol { path: path.to_owned(), symbol: "simpler_log_init" };
        // SAFETY: the library is never unloaded, and the function takes two numbers.
        Ok(unsafe { init.ok_or_else(missing)?(level, info_v) })
    })?;
    if code == 0 { Ok(()) } else { Err(HostLibraryError::LogInit { path: path.to_owned(), code }) }
}

/// The level and the verbosity of information that the log library takes.
fn log_levels(level: LevelFilter) -> (c_int, c_int) {
    /// What the log library starts with.
    const INFO_V: c_int = 5;
    match level {
        LevelFilter::Off => (4, 0),
        LevelFilter::Error => (3, 0),
        LevelFilter::Warn => (2, 0),
        LevelFilter::Info => (1, INFO_V),
        LevelFilter::Debug | LevelFilter::Trace => (0, 0),
    }
}

/// The simulator's notion of which device a thread works for.
///
/// Host libraries bind the thread that takes a device into use, and when the device is given back they release
/// what belongs to the device that the *calling* thread is bound to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SimContext {
    bind: unsafe extern "C" fn(device: c_int),
    bound: unsafe extern "C" fn() -> c_int,
}

impl SimContext {
    /// Loads the library, once per process; `None` when it has no such notion.
    pub(crate) fn load(path: &Path) -> Result<Option<Self>, HostLibraryError> {
        with_global(path, |_, _| Ok(()))?;
        // Where several such libraries are loaded, host libraries are served by the first one; so are we here.
        let global = Library::this();
        // SAFETY: the contract of these symbols are these signatures.
        let (bind, bound) = unsafe {
            (symbol(&global, "pto_cpu_sim_bind_device"), symbol(&global, "pto_cpu_sim_get_bound_device"))
        };
        Ok(bind.zip(bound).map(|(bind, bound)| Self { bind, bound }))
    }

    /// Binds the calling thread until the guard is dropped.
    pub(crate) fn bind(self, device: c_int) -> BoundThread {
        // SAFETY: the library is never unloaded, and the function takes nothing.
        let before = unsafe { (self.bound)() };
        if before != device {
            // SAFETY: as above; it takes a number.
            unsafe { (self.bind)(device) };
        }
        BoundThread { context: self, device, before }
    }
}

/// A thread that works for a device of the simulator for a while.
#[derive(Debug)]
pub(crate) struct BoundThread {
    context: SimContext,
    device: c_int,
    before: c_int,
}

impl Drop for BoundThread {
    fn drop(&mut self) {
        if self.before != self.device {
            // SAFETY: the library is never unloaded, and the function takes a number.
            unsafe { (self.context.bind)(self.before) };
        }
    }
}

/// Uses a library of the global scope, which is loaded by its first use and never unloaded.
fn with_global<T>(
    path: &Path,
    body: impl FnOnce(&Path, &Library) -> Result<T, HostLibraryError>,
) -> Result<T, HostLibraryError> {
    static LOADED: Mutex<BTreeMap<PathBuf, Library>> = Mutex::new(BTreeMap::new());
    let path = resolve(path)?;
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    match loaded.entry(path.clone()) {
        Entry::Occupied(library) => body(&path, library.get()),
        Entry::Vacant(place) => {
            let library = open(&path, libc::RTLD_GLOBAL | libc::RTLD_NODELETE)?;
            body(&path, place.insert(library))
        }
    }
}

/// The whole path of a file: a bare name would be looked for in other places.
pub(crate) fn resolve(path: &Path) -> Result<PathBuf, HostLibraryError> {
    path.canonicalize().map_err(|source| HostLibraryError::Unreadable { path: path.to_owned(), source })
}

/// Opens a library with all its symbols resolved, in the given scope.
pub(crate) fn open(path: &Path, scope: c_int) -> Result<Library, HostLibraryError> {
    // SAFETY: this runs the initialisers of the library. Whoever names a library trusts it like the program itself.
    let opened = unsafe { Library::open(Some(path), libc::RTLD_NOW | scope) };
    opened.map_err(|error| {
        let reason = match error {
            libloading::Error::DlOpen { source } => source.to_string(),
            other => other.to_string(),
        };
        HostLibraryError::NotLoadable { path: path.to_owned(), reason }
    })
}

/// Looks up a function.
///
/// # Safety
/// `F` is the type of the function of this name.
unsafe fn symbol<F: Copy>(library: &Library, name: &str) -> Option<F> {
    // SAFETY: the caller vouches for the type; the option holds a null address as well.
    let found = unsafe { library.get::<Option<F>>(name) };
    found.ok().and_then(|found| *found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_level_has_its_numbers() {
        let numbers = [(4, 0), (3, 0), (2, 0), (1, 5), (0, 0), (0, 0)];
        for (level, expected) in LevelFilter::iter().zip(numbers) {
            assert_eq!(log_levels(level), expected, "{level}");
        }
    }
}
