//! The graph as device programs read it (`spec/device-abi.md`, section 3.1): the host writes it
//! ([`write`]), the AICPU program makes the [`DeviceProgram`](device_runner::DeviceProgram) of it ([`read`]),
//! and the AICore program looks up the task that it is told to run ([`Layout::task`]).
//!
//! All of it is plain data: nothing here dereferences a device address.

mod layout;
mod read;
mod tensors;
mod write;

pub use layout::{Layout, Task};
pub use read::{ImageError, read};
pub(crate) use write::{Names, write};
