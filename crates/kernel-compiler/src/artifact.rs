use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// A compiled shared object.
#[derive(Clone)]
#[non_exhaustive]
pub struct Artifact {
    /// The complete ELF file.
    pub bytes: Arc<[u8]>,
    /// The file in the cache that holds the same bytes, for debuggers and `nm`; `None` without a cache, and
    /// when the result could not be kept. It may be gone or replaced at any later time: load `bytes`.
    pub path_in_cache: Option<PathBuf>,
    /// Whether no compiler was started for it.
    pub from_cache: bool,
    /// What the compiler printed although it succeeded; a result from the cache repeats it. Empty if nothing.
    pub warnings: String,
}

impl fmt::Debug for Artifact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Artifact")
            .field("bytes", &format_args!("{} bytes", self.bytes.len()))
            .field("path_in_cache", &self.path_in_cache)
            .field("from_cache", &self.from_cache)
            .field("warnings", &self.warnings)
            .finish()
    }
}
