//! What device programs record, on its way to the [`Recorder`](device_runner::Recorder) of their run.
//!
//! **Owns:** the host's side of all collectors (`spec/device-abi.md`, section 6): what their memory looks like when a
//! launch starts, the queues through which buffers go to the device and come back, the threads that keep these moving,
//! what the records in them mean, and how many were lost.
//!
//! **Must not know:** how device memory is reached (that is a [`SharedMemory`]), which device runs the programs, how a
//! launch tells them where to record, or how files are written.
//!
//! # One launch
//!
//! [`Collection::open`] makes the memory of all collectors that a run asks for, and [`places`](Collection::places) says
//! where the programs find it. From [`start`](Collection::start) on a thread for each takes over what becomes full. When
//! the launch has ended, [`finish`](Collection::finish) takes the rest, compares it with what the device has counted,
//! and hands everything to the recorder. A collection that is dropped instead gives its memory back and tells nothing.
//!
//! The device is not trusted: an index, an address or a count that cannot be is told and passed over.
#![forbid(unsafe_code)]

mod collection;
mod dump;
mod phases;
mod pmu;
mod queues;
mod scopes;
mod shared;
mod submits;
mod swimlane;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use collection::{Collection, CollectorError, RecordPlaces};
pub use shared::{Shared, SharedMemory};
