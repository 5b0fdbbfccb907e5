use std::collections::BTreeSet;
use std::env;
use std::ffi::{CStr, OsString, c_void};
use std::fmt::{self, Write as _};
use std::mem::MaybeUninit;
use std::path::{Path, PathBuf};

use libloading::os::unix;

use crate::hal::Hal;
use crate::table::{FUNCTIONS, FunctionInfo, Group, Library, RawTable};

/// Where the vendor installs a toolkit when nothing else is said (`spec/hal.md`, section 6).
const TOOLKITS: [&str; 2] = ["usr/local/Ascend/ascend-toolkit/latest", "usr/local/Ascend/cann"];
/// What names a toolkit; both are set by its `set_env.sh`.
const TOOLKIT_VARIABLES: [&str; 2] = ["ASCEND_HOME_PATH", "ASCEND_TOOLKIT_HOME"];
const TOOLKIT_LIBRARIES: [&str; 3] = [
    "lib64",
    "runtime/lib64",
    if cfg!(target_arch = "aarch64") { "aarch64-linux/lib64" } else { "x86_64-linux/lib64" },
];
const DRIVER: &str = "usr/local/Ascend/driver/lib64";
const DRIVER_LIBRARIES: [&str; 3] = ["driver", "common", "."];

/// Finds the libraries of CANN and of the driver, and takes their functions.
///
/// For each library the directories named by [`search_dir`](Self::search_dir) are tried first, then the
/// search path of the dynamic loader (`LD_LIBRARY_PATH`), then `ASCEND_HOME_PATH`, `ASCEND_TOOLKIT_HOME` and
/// the places where the vendor installs. A library that is loaded stays loaded: those of the vendor start
/// threads.
#[derive(Clone, Debug, Default)]
#[must_use = "nothing is loaded yet"]
pub struct Loader {
    required: BTreeSet<Group>,
    dirs: Vec<PathBuf>,
    given_dirs_only: bool,
    root: Option<PathBuf>,
}

/// One try to load a library.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attempt {
    /// What was looked for.
    pub library: Library,
    /// The file, or a bare name for the search path of the dynamic loader. Where loading was successful: the
    /// file.
    pub path: PathBuf,
    /// What the dynamic loader said; `None`: it is loaded.
    pub error: Option<String>,
}

/// What a machine has.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Inventory {
    /// All functions that there are.
    pub table: RawTable,
    /// What was tried for that, in order.
    pub attempts: Vec<Attempt>,
}

impl Inventory {
    /// Whether a library is there, under any of its names.
    #[must_use]
    pub fn is_loaded(&self, library: Library) -> bool {
        self.attempts.iter().any(|attempt| attempt.library == library && attempt.error.is_none())
    }

    /// The functions of a group that are not there.
    #[must_use]
    pub fn missing(&self, group: Group) -> Vec<FunctionInfo> {
        let missing = |function: &&FunctionInfo| function.group == group && !self.table.has(function.name);
        FUNCTIONS.iter().filter(missing).copied().collect()
    }
}

/// Functions that are required are not on this machine.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub struct LoadError {
    /// The functions.
    pub missing: Vec<FunctionInfo>,
    /// What was tried, in order.
    pub attempts: Vec<Attempt>,
}

impl LoadError {
    fn describe(&self, library: Library, text: &mut String) -> fmt::Result {
        let names: Vec<_> = self
            .missing
            .iter()
            .filter(|missing| missing.library == library)
            .map(|missing| missing.name)
            .collect();
        if names.is_empty() {
            return Ok(());
        }
        let attempts = || self.attempts.iter().filter(|attempt| attempt.library == library);
        let loaded: Vec<_> = attempts()
            .filter(|attempt| attempt.error.is_none())
            .map(|loaded| loaded.path.display())
            .collect();
        match &loaded[..] {
            [] => writeln!(text, "  {library}: cannot be loaded")?,
            [path, ..] => {
                writeln!(text, "  {library}: loaded from {path}, but lacks {}", names.join(", "))?;
            }
        }
        for attempt in attempts() {
            if let Some(error) = &attempt.error {
                writeln!(text, "    {}: {error}", attempt.path.display())?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::from("CANN is not complete on this machine:\n");
        for library in Library::ALL {
            self.describe(library, &mut text)?;
        }
        if self.missing.iter().any(|missing| missing.library == Library::Hal) {
            writeln!(
                text,
                "Install the driver, and put /{DRIVER}/driver on LD_LIBRARY_PATH if it is not found by itself."
            )?;
        }
        text.push_str(
            "Source set_env.sh of the CANN toolkit: it sets ASCEND_HOME_PATH and LD_LIBRARY_PATH. Where functions \
             are lacking, the installed version is too old or a package of it is missing.",
        );
        f.write_str(&text)
    }
}

impl Loader {
    /// One that requires nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Fails unless all functions of this group are there. Others are taken where they are.
    pub fn require(mut self, group: Group) -> Self {
        self.required.insert(group);
        self
    }

    /// Looks into this directory before any other place.
    pub fn search_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.dirs.push(dir.into());
        self
    }

    /// Looks into no other directories than those of [`search_dir`](Self::search_dir).
    pub fn given_dirs_only(mut self) -> Self {
        self.given_dirs_only = true;
        self
    }

    /// Takes this directory for `/` when it looks where the vendor installs.
    pub fn root(mut self, root: impl Into<PathBuf>) -> Self {
        self.root = Some(root.into());
        self
    }

    /// Where a toolkit is looked for, the preferred place first, whether there is one or not.
    #[must_use]
    pub fn toolkits(&self) -> Vec<PathBuf> {
        self.toolkits_of(|variable| env::var_os(variable))
    }

    /// Loads the libraries.
    ///
    /// Libraries are as trusted as the program itself: loading one runs its code.
    ///
    /// # Errors
    /// [`LoadError`] names each required function that is not there, each path that was tried with what the
    /// dynamic loader said, and what to set.
    pub fn load(&self) -> Result<Hal, LoadError> {
        let inventory = self.inventory();
        let missing: Vec<_> = self.required.iter().flat_map(|&group| inventory.missing(group)).collect();
        if !missing.is_empty() {
            return Err(LoadError { missing, attempts: inventory.attempts });
        }
        // SAFETY: the functions are those that CANN exports under these names, and are never unloaded.
        Ok(unsafe { Hal::from_raw_table(inventory.table) })
    }

    /// Loads what there is, and tells what there is not.
    #[must_use]
    pub fn inventory(&self) -> Inventory {
        let mut inventory = Inventory { table: RawTable::default(), attempts: Vec::new() };
        for library in Library::ALL {
            self.take(library, &mut inventory);
        }
        inventory
    }

    /// Takes the functions of a library from the first of its candidates, and from later ones what that
    /// lacks.
    fn take(&self, library: Library, inventory: &mut Inventory) {
        let wanted = || FUNCTIONS.iter().filter(|function| function.library == library);
        for name in library.candidates() {
            for path in self.paths(library, name, |variable| env::var_os(variable)) {
                let opened = open(&path);
                let (path, error) = match &opened {
                    Ok(opened) => (file_of(opened, wanted()).unwrap_or(path), None),
                    Err(reason) => (path, Some(reason.clone())),
                };
                match &error {
                    None => log::debug!("loaded {}", path.display()),
                    Some(error) => log::trace!("{}: {error}", path.display()),
                }
                inventory.attempts.push(Attempt { library, path, error });
                if let Ok(opened) = opened {
                    // SAFETY: the library is never unloaded, and the names stand for these signatures.
                    unsafe { inventory.table.fill(library, &opened) };
                    break;
                }
            }
            if wanted().all(|function| inventory.table.has(function.name)) {
                break;
            }
        }
    }

    /// Where a file of this name is looked for.
    fn paths(
        &self,
        library: Library,
        name: &str,
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Vec<PathBuf> {
        let mut paths: Vec<_> = self.dirs.iter().map(|dir| dir.join(name)).collect();
        if self.given_dirs_only {
            return paths;
        }
        paths.push(PathBuf::from(name));
        let toolkits = self.toolkits_of(variable).into_iter();
        let mut dirs: Vec<_> =
            toolkits.flat_map(|toolkit| TOOLKIT_LIBRARIES.map(|dir| toolkit.join(dir))).collect();
        if matches!(library, Library::Hal | Library::Dlog) {
            dirs.extend(DRIVER_LIBRARIES.map(|dir| self.installed(DRIVER).join(dir)));
        }
        paths.extend(dirs.into_iter().map(|dir| dir.join(name)));
        paths
    }

    fn toolkits_of(&self, variable: impl Fn(&str) -> Option<OsString>) -> Vec<PathBuf> {
        let set = TOOLKIT_VARIABLES.iter().filter_map(|name| variable(name)).filter(|path| !path.is_empty());
        let toolkits = set.map(PathBuf::from).chain(TOOLKITS.map(|path| self.installed(path)));
        let mut seen = BTreeSet::new();
        toolkits.filter(|toolkit| seen.insert(toolkit.clone())).collect()
    }

    fn installed(&self, path: &str) -> PathBuf {
        self.root.as_deref().unwrap_or(Path::new("/")).join(path)
    }
}

/// Opens a library for good, with all its symbols resolved: one that cannot work says so now.
fn open(path: &Path) -> Result<unix::Library, String> {
    let flags = libc::RTLD_NOW | libc::RTLD_LOCAL | libc::RTLD_NODELETE;
    // SAFETY: this runs the initialisers of the library. Whoever names a library trusts it like the program
    // itself.
    let opened = unsafe { unix::Library::open(Some(path), flags) };
    opened.map_err(|error| {
        let reason = match error {
            libloading::Error::DlOpen { source } => source.to_string(),
            other => other.to_string(),
        };
        // It often starts with the path, which the reader has in front of it already.
        let path = format!("{}: ", path.display());
        reason.strip_prefix(&path).map(str::to_owned).unwrap_or(reason)
    })
}

/// The file that a library was loaded from, told by the first of these functions that it has.
fn file_of<'a>(
    library: &unix::Library,
    functions: impl Iterator<Item = &'a FunctionInfo>,
) -> Option<PathBuf> {
    let address = functions.into_iter().find_map(|function| {
        // SAFETY: the symbol is taken as an address only.
        unsafe { library.get::<*const c_void>(function.name.as_bytes()) }.ok().map(|symbol| *symbol)
    })?;
    let mut info = MaybeUninit::<libc::Dl_info>::zeroed();
    // SAFETY: `info` lives during the call, and an address is only looked up.
    let found = unsafe { libc::dladdr(address, info.as_mut_ptr()) };
    // SAFETY: all-zero bytes are a valid value, and the call leaves a valid one.
    let name = unsafe { info.assume_init() }.dli_fname;
    if found == 0 || name.is_null() {
        return None;
    }
    // SAFETY: the name is a string of the dynamic loader, which keeps it as long as the library: for good.
    let name = unsafe { CStr::from_ptr(name) };
    Some(PathBuf::from(OsString::from(String::from_utf8_lossy(name.to_bytes()).into_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(loader: &Loader, library: Library, variables: &[(&str, &str)]) -> Vec<String> {
        let value = |name: &str| {
            variables.iter().find(|(variable, _)| *variable == name).map(|(_, value)| value.into())
        };
        let paths = loader.paths(library, library.candidates()[0], value);
        paths.into_iter().map(|path| path.display().to_string()).collect()
    }

    #[test]
    fn places_are_tried_from_the_nearest_to_the_farthest() {
        let loader = Loader::new().search_dir("/given");
        let tried = paths(
            &loader,
            Library::Runtime,
            &[("ASCEND_HOME_PATH", "/home/cann"), ("ASCEND_TOOLKIT_HOME", "")],
        );
        assert_eq!(
            tried[..4],
            [
                "/given/libruntime.so",
                "libruntime.so",
                "/home/cann/lib64/libruntime.so",
                "/home/cann/runtime/lib64/libruntime.so",
            ]
        );
        assert!(tried[4].ends_with("-linux/lib64/libruntime.so"), "{tried:?}");
        assert_eq!(tried[5], "/usr/local/Ascend/ascend-toolkit/latest/lib64/libruntime.so");
        assert_eq!(tried.len(), 2 + 3 * 3);
    }

    #[test]
    fn the_driver_has_places_of_its_own() {
        let driver = "/usr/local/Ascend/driver/lib64/driver/libascend_hal.so".to_owned();
        assert!(paths(&Loader::new(), Library::Hal, &[]).contains(&driver));
        assert!(!paths(&Loader::new(), Library::Runtime, &[]).iter().any(|path| path.contains("/driver/")));
    }

    #[test]
    fn another_root_moves_what_is_installed_and_nothing_else() {
        let loader = Loader::new().root("/other");
        let tried = paths(&loader, Library::Hal, &[("ASCEND_HOME_PATH", "/cann")]);
        assert_eq!(tried[..2], ["libascend_hal.so", "/cann/lib64/libascend_hal.so"]);
        assert!(tried[4..].iter().all(|path| path.starts_with("/other/usr/local/Ascend/")), "{tried:?}");
        assert_eq!(loader.toolkits().last(), Some(&PathBuf::from("/other/usr/local/Ascend/cann")));
    }

    #[test]
    fn no_place_is_tried_twice() {
        let same = [("ASCEND_HOME_PATH", "/cann"), ("ASCEND_TOOLKIT_HOME", "/cann")];
        let mut tried = paths(&Loader::new(), Library::Dlog, &same);
        let count = tried.len();
        tried.sort();
        tried.dedup();
        assert_eq!(tried.len(), count);
    }

    #[test]
    fn only_the_given_directories_if_that_is_said() {
        let loader = Loader::new().given_dirs_only();
        assert!(paths(&loader, Library::Hal, &[("ASCEND_HOME_PATH", "/cann")]).is_empty());
    }
}
