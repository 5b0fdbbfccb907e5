//! The calls of CANN that a host runtime for Ascend chips makes (`spec/hal.md`): of libruntime, libascendcl,
//! libascend_hal, libhcomm and the log library.
//!
//! **Owns:** their declarations ([`sys`]), the table of them ([`RawTable`]) and how it is filled from the
//! libraries of a machine ([`Loader`]), the error codes with what each means and asks for ([`Code`]), and
//! [`Hal`]: each call as a function that takes and returns Rust values.
//!
//! **Must not know:** which call is made when, what is retried, what a failure does to a device. That is
//! policy.
//!
//! Nothing is linked: the crate builds, and runs its tests, where no CANN is. What needs a chip starts with
//!
//! ```no_run
//! use hal_sys::{Group, Loader};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let hal = Loader::new().require(Group::Base).require(Group::RegistersA5).load()?;
//! hal.set_device(0)?;
//! let stream = hal.stream_create()?;
//! let buffer = hal.malloc(64)?;
//! hal.copy_to_device(buffer, &[1; 64])?;
//! hal.free(buffer)?;
//! hal.stream_destroy(stream)?;
//! hal.reset_device(0)?;
//! # Ok(())
//! # }
//! ```
//!
//! # Threads
//! A thread that works with a device must be attached to it: [`Hal::set_device`], once per thread and life of
//! the device. Calls that need it say *attached*; without it they fail with 107002. Handles are not bound to
//! a thread: any attached thread may use them.
//!
//! # Handles
//! What a handle stands for ends with it, or with the last reset of its device; from then on CANN refuses it
//! where it can tell (107003, 107017), and the owner of a device sees to it that nobody tries.
//!
//! # Addresses
//! Device addresses are plain `u64` numbers, checked by the driver; nothing here follows them. Sizes are
//! bytes.

mod acl;
mod aicpu;
mod code;
mod comm;
mod device;
mod error;
mod hal;
mod ipc;
mod kernel;
mod layout;
mod loader;
mod mapping;
mod memory;
mod registers;
mod stream;
mod table;

#[allow(missing_docs, reason = "the names are those of C; what they mean is in spec/hal.md")]
#[allow(non_camel_case_types, non_snake_case, reason = "the names are those of C")]
#[allow(
    clippy::undocumented_unsafe_blocks,
    reason = "generated: all-zero bytes are valid for each of these types"
)]
#[allow(clippy::pedantic, clippy::style, clippy::ptr_as_ptr, unused_qualifications, reason = "generated")]
/// Declarations of the C interface, made by `cargo xtask bindings` from `include/hal_sys.h` (`spec/hal.md`,
/// section 2). Each function is a type of its name, so that nothing can be linked by mistake.
pub mod sys {
    include!("bindings.rs");
}

pub use aicpu::{CpuBinary, CpuFunction};
pub use code::{Code, Family, Fault};
pub use comm::{Communicator, RootInfo};
pub use error::HalError;
pub use hal::Hal;
pub use ipc::IpcKey;
pub use kernel::KernelBinary;
pub use loader::{Attempt, Inventory, LoadError, Loader};
pub use mapping::HostMapping;
pub use registers::AddrKind;
pub use stream::{CoreKind, Stream};
pub use table::{FUNCTIONS, FunctionInfo, Group, Library, RawTable};
