//! One ring: a window, a heap and a dependency pool that retire together.

use std::ops::Range;

use task_interface::trb::{HEAP_SIZE, MAX_RING_DEPTH};

use super::Usage;
use super::dep_pool::DepPool;
use super::error::{ConfigError, DepsError, Full, NotAlive};
use super::heap::{Block, Heap};
use super::window::Window;

/// The sizes of a ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RingConfig {
    /// Task slots, a power of two of at least 4; one slot fewer than that can be in use.
    pub(crate) window: u32,
    /// Bytes of output memory, a multiple of 1024.
    pub(crate) heap: u64,
    /// Dependency entries, at least 4.
    pub(crate) dep_pool: u32,
}

impl Default for RingConfig {
    /// The sizes of `spec/device-abi.md`, section 4.2.
    fn default() -> Self {
        Self { window: 16384, heap: HEAP_SIZE, dep_pool: 16384 }
    }
}

impl RingConfig {
    /// Bytes of output memory of all rings together; more than there can be where the number does not fit.
    pub(crate) const fn heap_of_all_rings(&self) -> u64 {
        self.heap.saturating_mul(MAX_RING_DEPTH as u64)
    }
}

/// What a new task was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    /// Number of the task within the ring.
    pub(crate) local_id: u32,
    /// Its place in arrays of as many elements as the window has slots.
    pub(crate) slot: u32,
    /// First byte of its block, from the start of the ring's heap.
    pub(crate) heap_offset: u64,
    /// Bytes of its block, rounded up to 64.
    pub(crate) heap_len: u64,
}

/// What a retirement has freed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Freed {
    /// Numbers of the tasks whose life has ended, oldest first; empty while an older task is alive.
    pub(crate) tasks: Range<u32>,
    /// Bytes of output memory.
    pub(crate) heap_bytes: u64,
    /// Dependency entries.
    pub(crate) dep_entries: u64,
}

/// How full a ring is and was.
#[cfg(test)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RingStats {
    /// Tasks alive.
    pub(crate) tasks: Usage,
    /// Bytes of output memory.
    pub(crate) heap: Usage,
    /// Dependency entries.
    pub(crate) deps: Usage,
}

/// What a task holds until it retires.
#[derive(Clone, Copy, Debug, Default)]
struct Holding {
    block: Block,
    deps: u32,
}

/// See the module text.
#[derive(Clone, Debug)]
pub(crate) struct Ring {
    window: Window<Holding>,
    tasks: Usage,
    heap: Heap,
    deps: DepPool,
}

impl Ring {
    /// An empty ring.
    ///
    /// # Errors
    ///
    /// When a size is not possible.
    pub(crate) fn new(config: &RingConfig) -> Result<Self, ConfigError> {
        let window = Window::new(config.window)?;
        let tasks = Usage::new(u64::from(window.capacity()));
        Ok(Self { window, tasks, heap: Heap::new(config.heap)?, deps: DepPool::new(config.dep_pool)? })
    }

    /// Allocates the next task with `bytes` bytes of output memory.
    ///
    /// # Errors
    ///
    /// When no slot is free, else when the heap has no room; nothing has changed then.
    pub(crate) fn try_alloc(&mut self, bytes: u64) -> Result<Slot, Full> {
        self.window.check_free()?;
        let block = self.heap.alloc(bytes)?;
        let local_id = self.window.push(Holding { block, deps: 0 })?;
        self.tasks.add(1);
        let Block { offset: heap_offset, len: heap_len } = block;
        Ok(Slot { local_id, slot: self.window.slot(local_id), heap_offset, heap_len })
    }

    /// Whether a task with `bytes` bytes of outputs can be allocated when no other task is alive.
    #[cfg(test)]
    pub(crate) fn would_ever_fit(&self, bytes: u64) -> bool {
        self.heap.would_ever_fit(bytes)
    }

    /// Takes `count` more dependency entries for a task; they are freed when its life ends.
    ///
    /// # Errors
    ///
    /// When fewer are free, or the task is consumed or not alive; nothing has changed then.
    pub(crate) fn take_deps(&mut self, local_id: u32, count: u32) -> Result<(), DepsError> {
        let holding = self.window.value_mut(local_id)?;
        self.deps.take(count)?;
        holding.deps += count;
        Ok(())
    }

    /// Marks a task as consumed, and ends the life of every consumed task that has no older one before it.
    ///
    /// # Errors
    ///
    /// When the task was consumed before or is not alive.
    pub(crate) fn retire(&mut self, local_id: u32) -> Result<Freed, NotAlive> {
        self.window.mark_consumed(local_id)?;
        let first = self.first_alive();
        let mut freed = Freed { tasks: first..first, heap_bytes: 0, dep_entries: 0 };
        while let Some(Holding { block, deps }) = self.window.pop_consumed() {
            self.heap.free_oldest(block);
            self.deps.release(deps);
            self.tasks.sub(1);
            freed.heap_bytes += block.len;
            freed.dep_entries += u64::from(deps);
        }
        freed.tasks.end = self.first_alive();
        Ok(freed)
    }

    /// The oldest task alive, or the next task when none is.
    pub(crate) const fn first_alive(&self) -> u32 {
        self.window.alive().start
    }

    /// The number the next task will have.
    pub(crate) const fn next_id(&self) -> u32 {
        self.window.alive().end
    }

    /// Output memory in use: from the first byte to behind the last, around the end of the heap.
    pub(crate) const fn heap_span(&self) -> (u64, u64) {
        self.heap.span()
    }

    /// Whether a task has been allocated and its life has not ended; a consumed task behind an older one is alive.
    pub(crate) fn is_alive(&self, local_id: u32) -> bool {
        self.window.alive().contains(&local_id)
    }

    /// How full the ring is and was.
    #[cfg(test)]
    pub(crate) fn stats(&self) -> RingStats {
        RingStats { tasks: self.tasks, heap: self.heap.usage(), deps: self.deps.usage() }
    }

    /// Forgets everything but keeps the memory, for the next run.
    pub(crate) fn clear(&mut self) {
        self.window.clear();
        self.heap.clear();
        self.deps.clear();
        self.tasks = Usage::new(self.tasks.capacity);
    }
}
