//! Device programs of our own, for machines without an NPU: what runs on AICPU and AICore when a device runs images
//! instead of being driven by an engine.
//!
//! **Owns:** both sides of the protocol between AICPU and AICore (`spec/device-abi.md`, section 2), the entry points by
//! which hosts start them (sections 1.4, 1.5 and 7.2), the dispatcher that installs the AICPU program (section 5.2), and
//! how all of these are built.
//!
//! **Must not know:** the host's side of a launch. What is to run comes from images in device memory, and is driven by
//! the state machines of the runtimes.
//!
//! Built with features for a chip, a runtime and a program, this crate is a shared object that a device loads
//! (`build` makes one). The cores of such a device are threads, and its kernels objects for this
//! machine. All waits give way to other threads and come to an end, since there may be dozens of threads for each CPU.

#![cfg_attr(
    not(all(feature = "aicpu", feature = "aicore")),
    allow(dead_code, reason = "either program uses a part of what both share")
)]

#[cfg(feature = "aicore")]
mod aicore;
#[cfg(feature = "aicpu")]
mod aicpu;
#[cfg(feature = "build")]
mod building;
#[cfg(any(feature = "aicpu", feature = "aicore"))]
mod chip;
#[cfg(any(feature = "aicpu", feature = "aicore"))]
mod exports;
#[cfg(any(feature = "aicpu", feature = "aicore"))]
mod memory;
#[cfg(any(feature = "aicpu", feature = "aicore"))]
mod patience;
#[cfg(any(feature = "aicpu", feature = "aicore"))]
mod protocol;
#[cfg(any(feature = "aicpu", feature = "aicore"))]
mod records;
#[cfg(all(test, feature = "aicpu", feature = "aicore"))]
mod tests;
#[cfg(any(feature = "aicpu", feature = "aicore"))]
mod word;

#[cfg(feature = "build")]
pub use building::{Programs, build, build_with_profile};

/// `libsimpler_aicpu_dispatcher.so` for this machine.
#[must_use]
pub fn dispatcher() -> &'static [u8] {
    include_bytes!(concat!(env!("OUT_DIR"), "/dispatcher.so"))
}
