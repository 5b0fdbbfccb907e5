//! The real chip: a [`Device`](device_runner::Device) on CANN.
//!
//! **Owns:** the life of a device in this process (`spec/hal.md`, section 1.6): attaching threads, streams, device
//! memory, the AICPU program's way to the device, the AICore program's registration, launches, their two streams
//! with time limits, how memory of collectors is reached, and what is done about a device that is lost.
//!
//! **Must not know:** which chip it drives (that is an [`OnboardChip`]), which runtime variant made the image that it
//! launches, or the C API.
//!
//! # One life
//!
//! A device is opened by [`OnboardDevice::open`] and given back by [`reset`](device_runner::Device::reset), after which
//! its next use opens it again. What runs need beyond that (AICore registration, register table, buffers) is made by
//! the first run and kept. Every step that fails gives back what it took, so that it can be tried again.
//!
//! # When a run does not end well
//!
//! Both streams are waited for even if the first one fails, and a stream that has reported an error is never waited
//! for again, as that wedges real devices. The device then counts as lost: nothing is launched any more, and memory is
//! kept until [`reset`](device_runner::Device::reset) has seen the work end, or has taken the device away from it.
//!
//! One case is milder: where nothing but the AICPU program has failed, and the variant knows from device memory why,
//! [`recover`](device_runner::Device::recover) puts two new streams in the place of the old ones, and runs go on.
#![forbid(unsafe_code)]

mod aicpu;
mod attachment;
mod bootstrap;
mod chip;
mod comm;
mod device;
mod error;
mod hccl;
mod holdings;
mod inner;
mod lane;
mod launch;
mod load;
mod memory;
mod options;
mod records;
mod run;
mod session;
mod sync;

pub use chip::{LaunchArgs, OnboardChip, RegisterBank};
pub use device::OnboardDevice;
pub use device_runner::Programs;
pub use error::OnboardError;
pub use load::load_hal;
pub use options::OnboardOptions;
