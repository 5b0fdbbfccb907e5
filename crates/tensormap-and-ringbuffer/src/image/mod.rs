//! The runtime as the image that a device's own AICPU and AICore programs read.
//!
//! Three regions and an object (`spec/device-abi.md`, section 4): the output heap of all rings, the shared memory, the
//! runtime arena, and the `Runtime` object that says where they are and what the run is about. The host half lays
//! them out and reads the outcome back; the device half ([`DeviceHalf`]) makes a program of them, on the state
//! machines that engines drive as well.
//!
//! Every structure and offset is compared with the measured `spec/device-layouts.json`.

mod arena;
mod contents;
#[cfg(test)]
mod contents_tests;
mod device;
mod error;
mod host;
#[cfg(test)]
mod layout_tests;
mod objects;
mod reader;
mod runtime;
pub(crate) mod shared_memory;
mod structs;

pub(crate) use host::ImageHost;

pub use device::{DeviceHalf, DeviceLaunch};
pub use error::{ImageError, LaunchLimit};
