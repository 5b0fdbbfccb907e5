//! What device programs record, on its way to the run's [`Recorder`](device_runner::Recorder)
//! (`spec/device-abi.md`, section 6).

mod queues;
mod shared;
