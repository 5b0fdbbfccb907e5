//! Shared objects in this process: from bytes to addresses.

use std::ffi::{CStr, CString, OsStr, OsString, c_char, c_int, c_void};
use std::num::NonZero;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::ptr;

use libloading::os::unix::Library;

use crate::LoadError;
use crate::elf::check_shared_object;
use crate::place::{MemoryFile, TempFile};

/// The address of a function or variable of a loaded object, never zero.
///
/// It is valid while the object is loaded; nothing in the type tracks that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(transparent)]
pub struct SymbolAddress(pub NonZero<usize>);

impl SymbolAddress {
    /// Reads an address out of a 64-bit word of an ABI; zero, which means "none" there, is `None`.
    #[must_use]
    pub fn from_u64(address: u64) -> Option<Self> {
        usize::try_from(address).ok().and_then(NonZero::new).map(Self)
    }

    /// The address as a 64-bit word of an ABI.
    #[must_use]
    pub fn as_u64(self) -> u64 {
        self.0.get() as u64
    }
}

/// A shared object loaded from bytes, private to its user (`RTLD_LOCAL`): its symbols serve no other object.
///
/// Every load makes a copy of its own, with its own static data, even of equal bytes. The exception are symbols
/// of type `STB_GNU_UNIQUE`: those exist once per process, and an object that has any stays in memory after the
/// drop. Compile with `-fno-gnu-unique` to get real copies that can be unloaded.
///
/// Loading runs the initialisers of the object and dropping its finalisers. Objects are as trusted as the
/// program itself: code that breaks the rules of its language breaks the process, and an exception that leaves
/// an initialiser or a finaliser ends it.
#[derive(Debug)]
pub struct SharedObject(Loaded);

impl SharedObject {
    /// Loads a copy of the object in `bytes` and resolves all its symbols.
    ///
    /// `name_hint` names the object in errors and in `/proc/self/maps`; it need not be unique. No file
    /// descriptor stays open.
    ///
    /// # Errors
    ///
    /// [`LoadError::NotLoadable`] before anything is mapped; [`LoadError::UndefinedSymbol`],
    /// [`LoadError::Refused`] and [`LoadError::NotDistinct`] from the dynamic loader; [`LoadError::NotStored`]
    /// when the system has no place for the bytes.
    pub fn load(name_hint: &str, bytes: &[u8]) -> Result<Self, LoadError> {
        Loaded::new(name_hint, bytes, libc::RTLD_LOCAL).map(Self)
    }

    /// The address of a symbol of the object or of a library it is linked with.
    ///
    /// # Errors
    ///
    /// [`LoadError::MissingSymbol`]; [`LoadError::InvalidSymbolName`] for a name with a NUL.
    pub fn symbol_address(&self, name: &str) -> Result<SymbolAddress, LoadError> {
        self.0.symbol_address(name)
    }

    /// Like [`SharedObject::symbol_address`], for a symbol that the object may leave out.
    ///
    /// # Errors
    ///
    /// [`LoadError::InvalidSymbolName`] for a name with a NUL.
    pub fn optional_symbol(&self, name: &str) -> Result<Option<SymbolAddress>, LoadError> {
        self.0.optional_symbol(name)
    }
}

/// A shared object whose symbols serve every object loaded after it (`RTLD_GLOBAL`), to the end of the process.
///
/// Dropping the handle unloads nothing. What is said about trust at [`SharedObject`] holds here too.
#[derive(Debug)]
pub struct GlobalObject(Loaded);

impl GlobalObject {
    /// Loads the object in `bytes` for the whole process. Errors call it `process-wide object`.
    ///
    /// Where two process-wide objects define the same symbol, the one that was loaded first serves it.
    ///
    /// # Errors
    ///
    /// Those of [`SharedObject::load`].
    pub fn load(bytes: &[u8]) -> Result<Self, LoadError> {
        Loaded::new("process-wide object", bytes, libc::RTLD_GLOBAL | libc::RTLD_NODELETE).map(Self)
    }

    /// See [`SharedObject::symbol_address`].
    ///
    /// # Errors
    ///
    /// Those of [`SharedObject::symbol_address`].
    pub fn symbol_address(&self, name: &str) -> Result<SymbolAddress, LoadError> {
        self.0.symbol_address(name)
    }

    /// See [`SharedObject::optional_symbol`].
    ///
    /// # Errors
    ///
    /// Those of [`SharedObject::optional_symbol`].
    pub fn optional_symbol(&self, name: &str) -> Result<Option<SymbolAddress>, LoadError> {
        self.0.optional_symbol(name)
    }
}

#[derive(Debug)]
struct Loaded {
    name: String,
    library: Library,
}

impl Loaded {
    fn new(name: &str, bytes: &[u8], scope: c_int) -> Result<Self, LoadError> {
        let not_loadable = |source| LoadError::NotLoadable { name: name.to_owned(), source };
        check_shared_object(bytes).map_err(not_loadable)?;
        let library = match open_from_memory(name, bytes, scope) {
            Some(opened) => opened,
            None => open_from_directory(&std::env::temp_dir(), name, bytes, scope),
        }?;
        Ok(Self { name: name.to_owned(), library })
    }

    fn symbol_address(&self, symbol: &str) -> Result<SymbolAddress, LoadError> {
        let missing = || LoadError::MissingSymbol { name: self.name.clone(), symbol: symbol.to_owned() };
        self.optional_symbol(symbol)?.ok_or_else(missing)
    }

    fn optional_symbol(&self, symbol: &str) -> Result<Option<SymbolAddress>, LoadError> {
        let invalid = |_| LoadError::InvalidSymbolName { name: self.name.clone(), symbol: symbol.to_owned() };
        let c_symbol = CString::new(symbol).map_err(invalid)?;
        // SAFETY: the type matters for uses of the symbol only, and here nothing but its address is taken.
        let found = unsafe { self.library.get::<*mut c_void>(c_symbol.as_c_str()) };
        // Exposed, because the address comes back as a number when it is called.
        let address = found.ok().and_then(|symbol| NonZero::new(symbol.as_raw_ptr().expose_provenance()));
        Ok(address.map(SymbolAddress))
    }
}

/// `None` when this system does not load code from memory files.
fn open_from_memory(name: &str, bytes: &[u8], scope: c_int) -> Option<Result<Library, LoadError>> {
    let file = match MemoryFile::new(name, bytes) {
        Ok(file) => file,
        Err(error) => {
            log::debug!("no memory file for object `{name}`, it goes through a temporary file: {error}");
            return None;
        }
    };
    match open_path(file.path(), name, scope) {
        Err(error) if matches!(error, LoadError::NotDistinct { .. }) || !file.is_loadable() => {
            log::debug!("loading from memory failed, trying a temporary file: {error}");
            None
        }
        opened => Some(opened),
    }
}

fn open_from_directory(
    directory: &Path,
    name: &str,
    bytes: &[u8],
    scope: c_int,
) -> Result<Library, LoadError> {
    let not_stored =
        |source| LoadError::NotStored { name: name.to_owned(), directory: directory.to_owned(), source };
    let file = TempFile::new(directory, bytes).map_err(not_stored)?;
    open_path(file.path(), name, scope)
}

fn open_path(path: &Path, name: &str, scope: c_int) -> Result<Library, LoadError> {
    // SAFETY: this runs the initialisers of the object, and its drop the finalisers. The object passed
    // check_shared_object; beyond that its code is trusted like the program itself, as SharedObject says.
    let library = unsafe { Library::open(Some(path), libc::RTLD_NOW | scope) }
        .map_err(|error| refusal(name, path, &error))?;
    let handle = library.into_raw();
    // SAFETY: the handle was opened above and is not closed yet.
    let loaded_path = unsafe { loaded_path(handle) };
    // SAFETY: the handle comes from into_raw, and nobody else has it.
    let library = unsafe { Library::from_raw(handle) };
    // Compared as text: Path takes all spellings of one path for equal.
    if loaded_path.as_deref() == Some(path.as_os_str()) {
        Ok(library)
    } else {
        // The path is new, so this is a library that the dynamic loader takes for the same file. It happens
        // when inode numbers, which have 32 bits on older kernels, come round while the library is loaded.
        Err(LoadError::NotDistinct { name: name.to_owned() })
    }
}

/// The path under which the dynamic loader filed a library.
///
/// # Safety
///
/// `handle` comes from `dlopen` and is open.
unsafe fn loaded_path(handle: *mut c_void) -> Option<OsString> {
    /// The public start of glibc's `struct link_map`.
    #[repr(C)]
    struct LinkMap {
        load_bias: usize,
        path: *const c_char,
    }
    let mut map: *const LinkMap = ptr::null();
    // SAFETY: the caller has the handle open, and RTLD_DI_LINKMAP stores one pointer.
    let status = unsafe { libc::dlinfo(handle, libc::RTLD_DI_LINKMAP, (&raw mut map).cast()) };
    if status != 0 || map.is_null() {
        return None;
    }
    // SAFETY: the link map of an open library stays in place; its path is NUL-terminated and never changes.
    let path = unsafe { CStr::from_ptr((*map).path) };
    Some(OsStr::from_bytes(path.to_bytes()).to_owned())
}

/// Turns the text of the dynamic loader into an error that names the object instead of our path for it.
fn refusal(name: &str, path: &Path, error: &libloading::Error) -> LoadError {
    let text = match error {
        libloading::Error::DlOpen { source } => source.to_string(),
        other => other.to_string(),
    };
    let reason = text.replace(&*path.to_string_lossy(), name);
    let symbol = text.split_once("undefined symbol: ").map(|(_, rest)| {
        // A versioned symbol is followed by ", version ...".
        rest.split(',').next().unwrap_or(rest).trim().to_owned()
    });
    match symbol {
        Some(symbol) => LoadError::UndefinedSymbol { name: name.to_owned(), symbol, reason },
        None => LoadError::Refused { name: name.to_owned(), reason },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::call_entry;
    use crate::common::shared;

    const SOURCE: &str = "extern \"C\" int value(void *, const void *) { return 6; }";

    fn value(library: Library) -> i32 {
        let loaded = Loaded { name: "test".to_owned(), library };
        let f = loaded.symbol_address("value").unwrap();
        // SAFETY: `value` has this signature and ignores its arguments; `loaded` is open.
        unsafe { call_entry(f, ptr::null_mut(), ptr::null()) }.unwrap()
    }

    #[test]
    fn a_temporary_file_does_when_there_are_no_memory_files() {
        let directory = tempfile::tempdir().unwrap();
        let bytes = shared(SOURCE);
        let open = || open_from_directory(directory.path(), "test", &bytes, libc::RTLD_LOCAL).unwrap();
        let (first, second) = (open(), open());
        assert_eq!(
            std::fs::read_dir(directory.path()).unwrap().count(),
            0,
            "deleted as soon as it is loaded"
        );
        assert_eq!((value(first), value(second)), (6, 6));
    }

    #[test]
    fn a_refused_object_leaves_no_temporary_file() {
        let directory = tempfile::tempdir().unwrap();
        let bytes = shared("extern \"C\" int nowhere(); extern \"C\" int value() { return nowhere(); }");
        let error = open_from_directory(directory.path(), "test", &bytes, libc::RTLD_LOCAL).unwrap_err();
        assert!(
            matches!(&error, LoadError::UndefinedSymbol { symbol, .. } if symbol == "nowhere"),
            "{error}"
        );
        assert!(!error.to_string().contains("object-"), "our path is nobody's business: {error}");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_directory_that_takes_no_file_is_named() {
        let directory = Path::new("/no/such/directory");
        let error = open_from_directory(directory, "test", b"", libc::RTLD_LOCAL).unwrap_err();
        assert!(matches!(&error, LoadError::NotStored { .. }));
        assert!(
            error.to_string().starts_with("object `test` cannot be stored in /no/such/directory: "),
            "{error}"
        );
    }

    /// The same inode under another path is what inode numbers that come round look like.
    #[test]
    fn a_library_that_is_taken_for_another_one_is_refused() {
        let file = MemoryFile::new("test", &shared(SOURCE)).unwrap();
        let first = open_path(file.path(), "first", libc::RTLD_LOCAL).unwrap();
        let mut other_spelling = file.path().parent().unwrap().as_os_str().to_owned();
        other_spelling.push("/.//./");
        other_spelling.push(file.path().file_name().unwrap());
        let error = open_path(Path::new(&other_spelling), "second", libc::RTLD_LOCAL).unwrap_err();
        assert!(matches!(&error, LoadError::NotDistinct { name } if name == "second"), "{error}");
        assert_eq!(value(first), 6);
    }
}
