//! The C API of `libhost_runtime.so` (`spec/public-abi.md`, section A.3), seen from both sides.
//!
//! **Owns:** the signatures of its functions, the structures and numbers of our additions to it, and the loading
//! of a library that has them, ours or another.
//!
//! **Must not know:** what is behind the functions.
//!
//! Whoever exports the functions takes [`Functions`] and [`AdditionalFunctions`] as the list of them. Whoever uses
//! a library opens it, and then contexts of it; from there on nothing is unsafe any more:
//!
//! ```no_run
//! use host_library::{HostContext, HostLibrary, LibraryFiles};
//! use task_interface::{CallConfig, ChipCallable, ChipStorageTaskArgs};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let files = LibraryFiles::in_tree("build/lib", "a2a3", "sim", "host_build_graph")?;
//! let library = HostLibrary::open(&files.library, &files.companions)?;
//! let context = HostContext::open(library, 0, &files.companions.read_programs()?, &[])?;
//!
//! context.prepare_callable(0, &ChipCallable::from_bytes(std::fs::read("callable.bin")?)?)?;
//! let figures = context.run(0, &ChipStorageTaskArgs::new(), &CallConfig::default())?;
//! println!("{} us on the device", figures.timing.device_wall_us());
//! context.close()?;
//! # Ok(())
//! # }
//! ```

mod additions;
mod comm;
mod context;
mod error;
mod files;
mod functions;
mod global;
mod library;

pub use additions::{ContextReport, ErrorKind, LogSink, RunInfo};
pub use comm::{CommId, CommWindow};
pub use context::{HostContext, LoadCounts, MemoryInUse, RunFigures};
pub use error::{Explanation, HostLibraryError};
pub use files::{Companions, LibraryFiles, Programs};
pub use functions::{AdditionalFunctions, Functions, Signature};
pub use library::HostLibrary;
