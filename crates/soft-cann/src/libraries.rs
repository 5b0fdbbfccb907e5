//! Where the shared objects under the vendor's names are.

use std::io;
use std::path::{Path, PathBuf};

/// The folder of the shared objects, to be searched by a loader or named in `LD_LIBRARY_PATH`. Their state is
/// not the state of this process's [`raw_table`](crate::raw_table): they are for programs that load them.
///
/// # Errors
///
/// [`io::ErrorKind::NotFound`] when cargo has not built the library behind them, or has put it somewhere
/// else.
pub fn libraries_dir() -> io::Result<PathBuf> {
    let folder = Path::new(env!("OUT_DIR")).join("lib");
    match folder.join("libsoft_cann_core.so").canonicalize() {
        Ok(_) => Ok(folder),
        Err(error) => {
            let text = format!("{}: the cdylib of soft-cann is not there ({error})", folder.display());
            Err(io::Error::new(error.kind(), text))
        }
    }
}
