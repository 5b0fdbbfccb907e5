//! The runtime variant `host_build_graph`: the host builds the whole graph, then the device runs it.
//!
//! **Owns:** the host half (calling an orchestration, staging its tensors, checking its graph, copying
//! results back) and the device half (a scheduler as a state machine). The contract towards orchestrations
//! is `spec/public-abi.md`, section C.
//!
//! **Must not know:** how a core runs a kernel, or which chip it is on.
//!
//! What the contract's first implementation drops silently is an error here: an edge to a task that does
//! not exist, a kernel that is not registered, a cycle, too many tasks or arguments. All of them are
//! remembered while the orchestration runs, and fail the run before anything reaches the device.

mod abi;
mod builder;
mod cycle;
mod dump;
mod error;
mod graph;
pub mod image;
mod orchestration;
mod scheduler;
mod staging;

pub use builder::{GraphBuilder, NativeGraph};
pub use error::GraphError;
pub use orchestration::HostBuildGraph;
