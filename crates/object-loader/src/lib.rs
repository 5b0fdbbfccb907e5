//! Turns the bytes of an ELF shared object into code that this process can call.
//!
//! This crate owns the border to foreign machine code: checking an object before it is mapped ([`elf`]), loading
//! it as a copy of its own ([`SharedObject`], [`GlobalObject`]) and calling C++ functions without letting their
//! exceptions into Rust frames ([`call`]). It knows addresses and calling conventions; it must not know what the
//! code is for - kernels, orchestrations and devices are matters of its users.
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use object_loader::{SharedObject, call::call_kernel};
//!
//! let object = SharedObject::load("scale", &std::fs::read("scale.so")?)?;
//! let entry = object.symbol_address("kernel_entry")?;
//! let mut args = [1_i64, 2, 3];
//! // SAFETY: kernel_entry has this signature and reads three words; `object` is still loaded.
//! unsafe { call_kernel(entry, args.as_mut_ptr()) }?;
//! # Ok(())
//! # }
//! ```

#[cfg(not(all(
    target_os = "linux",
    target_env = "gnu",
    any(target_arch = "x86_64", target_arch = "aarch64")
)))]
compile_error!("object-loader uses glibc's dynamic loader on Linux for x86_64 or aarch64");

pub mod call;
pub mod elf;
mod error;
mod load;
mod place;

/// The compiler helper of the integration tests, for those unit tests that need a real object.
#[cfg(test)]
#[path = "../tests/common/mod.rs"]
mod common;

pub use error::LoadError;
pub use load::{GlobalObject, SharedObject, SymbolAddress};
