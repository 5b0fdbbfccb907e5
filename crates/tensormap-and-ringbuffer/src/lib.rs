//! The runtime variant `tensormap_and_ringbuffer`: the graph is built on the device while its tasks already run.
//!
//! **Owns:** the host half (staging of tensors, pooled memory, the run's status) and the device half: the
//! orchestrator (submission, scopes, dependencies from the overlap of tensors), the rings that tasks and their
//! outputs live in, and the scheduler (clusters, blocks, tasks that start together, conditions in memory); and, in
//! [`image`], the runtime as a device's own programs read it. The contract towards orchestrations and kernels is
//! `spec/public-abi.md`, sections D and E; that of images is `spec/device-abi.md`, section 4.
//!
//! **Must not know:** how a core runs a kernel, or which chip it is on.
//!
//! Both parts of the device half share one state under one lock; neither calls the other.

mod abi;
mod derivation;
mod dump;
mod entry;
mod frames;
mod gm;
mod host;
pub mod image;
mod kernel;
mod native;
mod options;
mod orchestrator;
mod past;
mod payload;
mod ready;
mod replay;
mod rings;
mod scheduler;
mod staging;
mod state;
mod task;
mod tensormap;
mod trace;

pub use host::TensormapAndRingbuffer;
pub use kernel::TensorKernel;
pub use native::{Graph, GraphStopped, NativeOrchestration, Submitted, TaskSpec, View};
pub use options::{OptionError, RingOptions};
