//! Compiles C++ kernels and C++ orchestrations to shared objects for the simulated chips.
//!
//! This crate owns the compiler command lines (`spec/public-abi.md`, section E.5), the headers that kernels
//! and orchestrations include, the content-keyed cache, and the wording of compiler errors. It returns bytes.
//! It must not know how those bytes are packed, loaded or run.
//!
//! ```no_run
//! use kernel_compiler::{CoreType, KernelCompiler, Runtime, Source};
//!
//! # fn main() -> Result<(), kernel_compiler::CompileError> {
//! let compiler = KernelCompiler::new()?;
//! let add = compiler.compile(&Source::kernel("kernels/add.cpp", CoreType::Aiv))?;
//! let graph = Source::orchestration("graph.cpp", Runtime::HostBuildGraph).entry("build_graph");
//! let graph = compiler.compile(&graph)?;
//! assert_eq!(&add.bytes[..4], b"\x7fELF");
//! # let _ = graph;
//! # Ok(())
//! # }
//! ```
//!
//! # When the cache answers
//!
//! The key of a compilation is a SHA-256 over the compiler (path, version text, and the environment variables
//! that steer it), every flag in order, the path and the bytes of the source. Under a key the cache keeps up to
//! eight results, each with the SHA-256 of every file the compiler read, system headers included, and with the
//! places where a file *would have been* read had it existed. A result is used only if all of that still holds
//! and its own digest is right; anything else is compiled again. So an upgrade of the system's headers, an
//! edited header, a new header in an earlier include folder and a damaged cache all lead to a fresh object.
//!
//! Not seen, because the compiler does not report it: files that flags in [`Source::flag`] name (other than
//! included ones), a new header that shadows one found in a folder given by such a flag or by the system,
//! `__has_include` answers that change, and the linker's version. `__TIME__` and `__DATE__` stay as they were
//! at the first compilation.
//!
//! Results are published by renaming finished files, so any number of threads and processes share a cache
//! folder. Two that compile the same source at the same time both compile it, and either result is kept.
//! Deleting the folder at any time is safe.
//!
//! # bfloat16
//!
//! PTO-ISA's CPU headers compute `bfloat16_t` as half precision, without a word, when the compiler lacks
//! `std::bfloat16_t`. With such a compiler a kernel that includes PTO-ISA is preprocessed first; if an
//! identifier with `bf16` or `bfloat16` in it (any case) appears in the source or in an included file that
//! belongs neither to PTO-ISA, nor to the system, nor to this project, the kernel is refused with
//! [`CompileError::NoBfloat16`]. Macros are expanded and comments are gone at that point. The check refuses
//! more than it must, for example a kernel that only mentions `DataType::BFLOAT16`; it lets through only a
//! kernel that reaches the type through a PTO-ISA alias whose name does not say so.
#![forbid(unsafe_code)]

mod artifact;
mod bfloat16;
mod cache;
mod command;
mod compiler;
mod depfile;
mod digest;
mod elf;
mod error;
mod headers;
mod process;
mod scratch;
mod settings;
mod source;
mod toolchain;

pub use artifact::Artifact;
pub use compiler::{Builder, KernelCompiler};
pub use error::{CompileError, Invocation};
pub use source::{Arch, Runtime, Source, Unit};
pub use task_interface::CoreType;
