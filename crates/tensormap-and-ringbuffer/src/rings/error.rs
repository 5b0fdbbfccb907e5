//! Why a ring cannot be made, or cannot give what was asked for.

use std::ops::Range;

use task_interface::trb::PACKED_OUTPUT_ALIGN;

/// Why a ring cannot have this configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum ConfigError {
    /// The window is too small or not a power of two.
    #[error("a task window of {window} slots is not possible; choose a power of two of at least 4")]
    Window {
        /// Slots asked for.
        window: u32,
    },
    /// The heap does not consist of whole outputs.
    #[error("a heap of {heap} bytes is not possible; choose a multiple of {PACKED_OUTPUT_ALIGN}, and not 0")]
    Heap {
        /// Bytes asked for.
        heap: u64,
    },
    /// The dependency pool is too small.
    #[error("a dependency pool of {entries} entries is not possible; choose at least 4")]
    DepPool {
        /// Entries asked for.
        entries: u32,
    },
}

/// Why a ring cannot take another task now. Nothing has changed; unless [`is_permanent`](Self::is_permanent), the same
/// request succeeds after enough tasks have retired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Full {
    /// No task slot.
    #[error(
        "{alive} tasks are alive, all that a window of {window} slots allows; \
         wait for tasks to retire, close scopes earlier, or set a larger task window"
    )]
    Window {
        /// Tasks alive.
        alive: u32,
        /// Slots of the window.
        window: u32,
    },
    /// No block of this size.
    #[error(
        "outputs need {needed} bytes in one piece, the heap has {free} ({in_use} of {size} bytes in use); \
         wait for tasks to retire, close scopes earlier, or set a larger heap"
    )]
    Heap {
        /// Bytes asked for, rounded up to the block alignment.
        needed: u64,
        /// Largest block that would succeed.
        free: u64,
        /// Bytes in use.
        in_use: u64,
        /// Size of the heap.
        size: u64,
    },
    /// All 2^32 - 1 task numbers of a run are used up.
    #[error("the ring has no task numbers left; split the run")]
    Numbers,
}

impl Full {
    /// Whether waiting is in vain.
    pub(crate) const fn is_permanent(&self) -> bool {
        match *self {
            Self::Window { .. } => false,
            Self::Heap { needed, size, .. } => needed > size,
            Self::Numbers => true,
        }
    }
}

/// The task is not alive in this ring, or was consumed before.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "task number {local_id} is consumed already or not alive (alive: {} to below {}); \
     each task retires once, after it was allocated",
    alive.start,
    alive.end
)]
pub(crate) struct NotAlive {
    /// The number.
    pub(crate) local_id: u32,
    /// Numbers of the tasks that are alive.
    pub(crate) alive: Range<u32>,
}

/// Why a task cannot have dependency entries.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum DepsError {
    /// Not enough entries are free; nothing has changed.
    #[error(
        "{needed} dependency entries are needed, {free} of {capacity} are free; \
         wait for tasks to retire, or set a larger dependency pool"
    )]
    Exhausted {
        /// Entries asked for.
        needed: u32,
        /// Entries free.
        free: u32,
        /// Entries of the pool.
        capacity: u32,
    },
    /// There is no such task.
    #[error(transparent)]
    NotAlive(#[from] NotAlive),
}

impl DepsError {
    /// Whether waiting is in vain.
    pub(crate) const fn is_permanent(&self) -> bool {
        match *self {
            Self::Exhausted { needed, capacity, .. } => needed > capacity,
            Self::NotAlive(_) => true,
        }
    }
}

/// Why the outputs of a task cannot be laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum PackError {
    /// More outputs than a task has tensors.
    #[error("{count} outputs were given; a task has at most {max}")]
    TooMany {
        /// Outputs given.
        count: usize,
        /// The limit.
        max: usize,
    },
    /// The sizes do not fit in 64 bits.
    #[error("output {index} of {bytes} bytes does not fit in the address space behind the outputs before it")]
    TooLarge {
        /// The output at which the sum overflows.
        index: usize,
        /// Its size.
        bytes: u64,
    },
}
