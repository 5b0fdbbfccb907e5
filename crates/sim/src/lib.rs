//! The software chip: a [`Device`](device_runner::Device) that needs no NPU.
//!
//! **Owns:** simulated global memory with checked addresses, the loading of kernels, the identity of cores
//! towards kernels, the engine that runs tasks on cores, and the device clock.
//!
//! **Must not know:** which chip it plays (it is told the topology per launch), which runtime variant
//! decides what runs, or the C API.
//!
//! # How it runs kernels
//!
//! Kernels are black boxes: they may block on each other, use thread-local memory, and never return. Each
//! kernel that is started therefore has an OS thread (a *carrier*) for as long as it runs, but carriers are
//! reused from task to task, so that a kernel which waits for nobody costs a function call. At most as many
//! kernels run at once as the process has CPUs; when all of them have stopped making progress and more could
//! start, one more is admitted, so kernels that wait for each other meet even on one CPU.
//!
//! Time on the device clock is modelled: a task starts when its core is free and its predecessors have
//! ended, and lasts as long as its kernel took. So `device_wall` is that of a chip with all its cores,
//! whatever the number of CPUs here.
//!
//! Nothing hangs: a graph that cannot go on ends at once, kernels that wait for each other for ever end as
//! a deadlock, and a kernel that never returns is given up after the watchdog's limit. On a device that is a rank of a
//! job, kernels may wait for those of other ranks for as long; if such a rank has ended, no longer than half a second.

mod carrier;
mod comm;
mod cores;
mod device;
mod engine;
mod foreign;
mod identity;
mod kernels;
mod memory;
mod monitor;
mod options;
mod pace;
mod placement;
mod record;
mod registers;
mod run;
mod spin;
mod threads;

pub use device::SimDevice;
pub use foreign::{ClusterMemory, CoreKernel, CoreThread};
pub use identity::context_library;
pub use options::SimOptions;
pub use registers::{AICORE_PROGRAM, AICPU_PROGRAM, NOTE_OWNER, NOTE_VERSION, RegisterDevice};
