use std::ffi::{CStr, c_char, c_void};
use std::path::{Path, PathBuf};
use std::ptr;
use std::sync::Arc;

use libloading::os::unix::Library;

use crate::additions::{ContextReport, ErrorKind};
use crate::error::{Explanation, HostLibraryError};
use crate::files::Companions;
use crate::functions::{AdditionalFunctions, Functions};
use crate::global::{SimContext, open, resolve, start_log};

/// A `libhost_runtime.so` in this process. It is unloaded with the last reference.
#[derive(Debug)]
pub struct HostLibrary {
    path: PathBuf,
    functions: Functions,
    additional: AdditionalFunctions,
    sim_context: Option<SimContext>,
    _library: Library,
}

impl HostLibrary {
    /// Opens a library in the way of the contract (`spec/public-abi.md`, section A.2).
    ///
    /// The log library and the context of simulated cores are loaded first, for the whole process and for good; the
    /// level of the log library follows that of the `log` crate. The library itself keeps its symbols to itself, so
    /// that any number of different ones can be used side by side.
    ///
    /// Libraries are as trusted as the program itself: loading one runs its code.
    ///
    /// # Errors
    /// [`HostLibraryError`]: a file is not there, is no library, or lacks one of the [`Functions`].
    pub fn open(path: impl AsRef<Path>, companions: &Companions) -> Result<Arc<Self>, HostLibraryError> {
        if let Some(log) = &companions.log {
            start_log(log)?;
        }
        let sim_context = match &companions.sim_context {
            Some(path) => SimContext::load(path)?,
            None => None,
        };
        let path = resolve(path.as_ref())?;
        let library = open(&path, libc::RTLD_LOCAL)?;
        // SAFETY: the contract is that these names stand for these signatures; the table lives next to the library.
        let functions = unsafe { Functions::look_up(&library) };
        // SAFETY: as above.
        let additional = unsafe { AdditionalFunctions::look_up(&library) };
        let tables = functions.and_then(|functions| Ok((functions, additional?)));
        let (functions, additional) =
            tables.map_err(|symbol| HostLibraryError::MissingSymbol { path: path.clone(), symbol })?;
        log::debug!("opened {}", path.display());
        Ok(Arc::new(Self { path, functions, additional, sim_context, _library: library }))
    }

    /// Where it was loaded from.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its functions, to be called only while this exists.
    #[must_use]
    pub fn functions(&self) -> &Functions {
        &self.functions
    }

    /// What it has beyond them.
    #[must_use]
    pub fn additional(&self) -> &AdditionalFunctions {
        &self.additional
    }

    /// The platform it was built for, if it tells.
    #[must_use]
    pub fn platform(&self) -> Option<String> {
        Self::text(self.additional.get_platform)
    }

    /// The runtime it was built for, if it tells.
    #[must_use]
    pub fn runtime(&self) -> Option<String> {
        Self::text(self.additional.simpler_rs_runtime)
    }

    /// The version of simpler-rs that it is, if it is one.
    #[must_use]
    pub fn version(&self) -> Option<String> {
        Self::text(self.additional.simpler_rs_version)
    }

    /// Bytes of the buffer that each run of a context needs.
    #[must_use]
    pub fn runtime_size(&self) -> usize {
        // SAFETY: the function takes nothing, and the library is loaded.
        unsafe { (self.functions.get_runtime_size)() }
    }

    /// What all of its contexts hold, if it tells.
    #[must_use]
    pub fn resource_report(&self) -> Option<ContextReport> {
        // SAFETY: null stands for all contexts.
        unsafe { self.report_of(ptr::null_mut()) }
    }

    pub(crate) fn sim_context(&self) -> Option<SimContext> {
        self.sim_context
    }

    /// What a context holds.
    ///
    /// # Safety
    /// `context` is null or a live context of this library that no other thread uses meanwhile.
    pub(crate) unsafe fn report_of(&self, context: *mut c_void) -> Option<ContextReport> {
        let report = self.additional.simpler_rs_resource_report?;
        let mut out = ContextReport { struct_size: size_of::<ContextReport>(), ..ContextReport::default() };
        // SAFETY: the caller vouches for the context; `out` says how large it is.
        let code = unsafe { report(context, &raw mut out) };
        (code == 0).then_some(out)
    }

    /// What the library says about its last error.
    ///
    /// # Safety
    /// As [`report_of`](Self::report_of); null stands for what this thread did without a context.
    pub(crate) unsafe fn last_error(&self, context: *mut c_void) -> Option<Explanation> {
        let last_error = self.additional.simpler_rs_last_error?;
        let mut text = vec![0; 1024];
        let mut length = 0;
        // SAFETY: the caller vouches for the context; the buffer has as many bytes as is said.
        let mut kind = unsafe { last_error(context, text.as_mut_ptr().cast(), text.len(), &raw mut length) };
        if length >= text.len() && length < LONGEST_TEXT {
            text.resize(length + 1, 0);
            // SAFETY: as above.
            kind = unsafe { last_error(context, text.as_mut_ptr().cast(), text.len(), &raw mut length) };
        }
        let end = text.iter().position(|&byte| byte == 0).unwrap_or(text.len());
        let text = String::from_utf8_lossy(&text[..end]).into_owned();
        (kind > 0).then(|| Explanation { kind: ErrorKind::from_code(kind), text })
    }

    fn text(function: Option<unsafe extern "C" fn() -> *const c_char>) -> Option<String> {
        // SAFETY: the function takes nothing, and belongs to a library that the caller holds.
        let text = unsafe { function?() };
        if text.is_null() {
            return None;
        }
        // SAFETY: such functions return a string literal of the library.
        Some(unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned())
    }
}

/// A text that claims to be longer is cut.
const LONGEST_TEXT: usize = 1 << 20;
