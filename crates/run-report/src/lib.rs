//! What a run's records tell: whether they hold together, and pictures of them.
//!
//! **Owns:** the rules that records keep ([`check`]), what follows from them (utilisation, critical path,
//! slowest kernels), the page ([`page`]) and the trace ([`trace`]) that show it.
//!
//! **Must not know:** how records are collected, or what wrote the files.

#![forbid(unsafe_code)]

mod check;
mod graph;
mod names;
mod page;
mod path;
mod stats;
#[cfg(feature = "testing")]
pub mod testing;
mod trace;

pub use check::{Facts, Finding, RecordRef, check, untold};
pub use graph::{EdgeSource, TaskGraph};
pub use names::{FuncNames, NamesError};
pub use page::page;
pub use path::{CriticalPath, Step, Wait, blocking_chain, critical_path};
pub use stats::{CoreUse, KernelUse, Makespan};
pub use trace::trace;

/// How a task is shown: its ring and its number in the ring.
#[must_use]
pub fn task_name(task_id: u64) -> String {
    format!("r{}t{}", run_records::swimlane::ring_of(task_id), task_id & 0xFFFF_FFFF)
}
