//! Ranks of a job find each other on one machine, share windows of memory, and wait for each other.
//!
//! **Owns:** the rendezvous by a path ([`enter`]), the shared segment of a job ([`Session`]), windows in it
//! ([`Windows`]), the barrier, and who a rank's job is ([`Launch`], [`Job`]). Ranks may be threads of one process,
//! or processes of any parents.
//!
//! **Must not know:** devices, kernels, or what the windows are for.
//!
//! # How
//! Ranks meet in a segment of POSIX shared memory. Its name exists only while they gather: the last one to arrive
//! takes it away, so whatever happens later, nothing is left behind. Names and parents of processes play no part. A
//! small registry, one per path and user, says which segments still gather; a lock that the kernel releases with its
//! holder guards it, and whoever comes next, to whatever path, removes what crashed jobs have left.
//!
//! Each rank holds a lock on a byte of the segment for as long as it lives, so others can tell whether it does; the
//! end of its process wakes them. Every wait has a limit and names the ranks that it waited for. Waiting costs no CPU.

mod error;
mod job;
mod registry;
mod room;
mod seat;
mod segment;
mod session;
#[cfg(feature = "testing")]
pub mod testing;
mod watcher;

pub use error::{RankSet, RendezvousError};
pub use job::{Job, Launch};
pub use registry::names;
pub use room::{Group, Windows};
pub use seat::{Options, Seat, enter};
pub use session::Session;

/// Ranks of a job at the most (`spec/device-abi.md`, section 5.8).
pub const MAX_RANKS: u32 = 64;
