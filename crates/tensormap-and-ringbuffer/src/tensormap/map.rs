//! The set of writers, found by buffer address.
//!
//! Entries live in a slab. Each is in two lists: the bucket of its buffer address, which lookups walk, and the queue of
//! its producer's ring, from whose front retired producers leave. Freed slots are used again before the slab grows,
//! so once the slab is as large as the largest number of entries that were needed at a time, nothing allocates.
//!
//! **Bound.** Memory is `128 bytes * E + 16 bytes * B`, with E the most entries held at a time (doubled at worst by
//! the growth of a vector) and B at most max(64, 2 * E) buckets. A caller that reports retirement before it inserts
//! holds at most 16 entries (one for each argument) for each live task, and live tasks are bounded by the windows of
//! the rings, however many tasks a run submits.

use task_interface::trb::{OverlapStatus, TaskToken};

use super::list::{Link, Linked, List, NONE};
use super::overlap::overlap;
use super::region::Region;

/// List kinds of an [`Entry`].
const BUCKET: usize = 0;
const RING: usize = 1;

/// Buckets of a map that is used for the first time.
const FIRST_BUCKETS: usize = 64;

/// Odd, and close to 2^64 divided by the golden ratio: the top bits of a product spread neighbouring addresses.
const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;

/// Names one entry; stays harmless after the entry is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Handle {
    index: usize,
    generation: u32,
}

#[derive(Debug)]
struct Entry {
    region: Region,
    producer: TaskToken,
    /// Counts the uses of the slot, so that an old [`Handle`] does not name a new entry.
    generation: u32,
    in_use: bool,
    links: [Link; 2],
}

/// The bound in the module text counts on it; it is two cache lines.
const _: () = assert!(size_of::<Entry>() <= 128);

impl Linked for Entry {
    fn link(&mut self, kind: usize) -> &mut Link {
        &mut self.links[kind]
    }
}

/// The writers of all buffers. See the module text for what it costs.
#[derive(Debug)]
pub(crate) struct TensorMap {
    entries: Vec<Entry>,
    /// Unused slots of `entries`, through their bucket links.
    unused: List,
    /// Empty, or a power of two.
    buckets: Vec<List>,
    /// Entries of each ring, in the order they were inserted.
    rings: Vec<List>,
    len: usize,
    high_water: usize,
}

impl Default for TensorMap {
    fn default() -> Self {
        Self::new()
    }
}

impl TensorMap {
    /// An empty map; allocates nothing yet.
    pub(crate) const fn new() -> Self {
        Self {
            entries: Vec::new(),
            unused: List::EMPTY,
            buckets: Vec::new(),
            rings: Vec::new(),
            len: 0,
            high_water: 0,
        }
    }

    /// Calls `visit` for every entry of the probe's buffer whose producer is alive and that overlaps the probe, in the
    /// order of insertion. The status is never [`OverlapStatus::NoOverlap`].
    ///
    /// Costs one step for each entry of the bucket; dead entries of the bucket cost a step until
    /// [`drop_retired`](Self::drop_retired) takes them out.
    pub(crate) fn overlapping(
        &self,
        probe: &Region,
        alive: impl Fn(TaskToken) -> bool,
        mut visit: impl FnMut(TaskToken, OverlapStatus, Handle),
    ) {
        let mut index = self.buckets.get(self.bucket(probe.addr)).map_or(NONE, |bucket| bucket.first());
        while let Some(entry) = self.entries.get(index) {
            if entry.region.addr == probe.addr && alive(entry.producer) {
                match overlap(probe, &entry.region) {
                    OverlapStatus::NoOverlap => {}
                    status => visit(entry.producer, status, Handle { index, generation: entry.generation }),
                }
            }
            index = entry.links[BUCKET].next();
        }
    }

    /// Records `producer` as writer of `region`. Producers of one ring come in ascending order (as tasks are
    /// submitted); one that comes late is found like any other, but is dropped only after those inserted before it.
    pub(crate) fn insert(&mut self, region: Region, producer: TaskToken) -> Handle {
        if self.len == self.buckets.len() {
            self.grow_buckets();
        }
        let index = self.take_slot(region, producer);
        let bucket = self.bucket(region.addr);
        self.buckets[bucket].push_back(&mut self.entries, BUCKET, index);
        let ring = usize::from(producer.ring());
        if ring >= self.rings.len() {
            self.rings.resize(ring + 1, List::EMPTY);
        }
        self.rings[ring].push_back(&mut self.entries, RING, index);
        self.len += 1;
        self.high_water = self.high_water.max(self.len);
        Handle { index, generation: self.entries[index].generation }
    }

    /// Takes an entry out; false if it is already gone.
    pub(crate) fn remove(&mut self, handle: Handle) -> bool {
        let found = self.entries.get(handle.index);
        let current = found.is_some_and(|entry| entry.in_use && entry.generation == handle.generation);
        if current {
            self.remove_at(handle.index);
        }
        current
    }

    /// Drops the entries of all producers of `ring` below `first_alive`, and says how many; each is shown to `visit`
    /// before, by its buffer and its producer. Costs one step for each
    /// entry dropped, and one more: cheap enough to be called before every lookup, for every ring.
    pub(crate) fn drop_retired(
        &mut self,
        ring: u8,
        first_alive: u32,
        mut visit: impl FnMut(u64, TaskToken),
    ) -> usize {
        let before = self.len;
        let Some(&queue) = self.rings.get(usize::from(ring)) else { return 0 };
        let mut index = queue.first();
        while let Some(entry) = self.entries.get(index).filter(|entry| entry.producer.local() < first_alive) {
            let next = entry.links[RING].next();
            visit(entry.region.addr, entry.producer);
            self.remove_at(index);
            index = next;
        }
        before - self.len
    }

    /// Drops everything but keeps the memory, for the next run. Handles given out before name nothing any more.
    pub(crate) fn clear(&mut self) {
        for ring in 0..self.rings.len() {
            while self.rings[ring].first() != NONE {
                self.remove_at(self.rings[ring].first());
            }
        }
        self.high_water = 0;
    }

    /// What an entry says about memory; nothing for one that is gone.
    pub(crate) fn region(&self, handle: Handle) -> Option<&Region> {
        let entry = self.entries.get(handle.index)?;
        (entry.in_use && entry.generation == handle.generation).then_some(&entry.region)
    }

    /// Entries held, dead ones included.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// Whether no entry is held.
    #[cfg(test)]
    pub(crate) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The most entries held at a time since the last [`clear`](Self::clear).
    #[cfg(test)]
    pub(crate) const fn high_water(&self) -> usize {
        self.high_water
    }

    /// Entries for which memory is held.
    #[cfg(test)]
    pub(crate) const fn slots(&self) -> usize {
        self.entries.len()
    }

    /// The bucket of an address; 0 while there are no buckets.
    fn bucket(&self, addr: u64) -> usize {
        let bits = self.buckets.len().max(1).trailing_zeros();
        let top = addr.wrapping_mul(SPREAD).checked_shr(u64::BITS - bits).unwrap_or(0);
        usize::try_from(top).unwrap_or(0)
    }

    fn take_slot(&mut self, region: Region, producer: TaskToken) -> usize {
        // The slot freed last is the one most likely still in a cache.
        let index = self.unused.last();
        if index == NONE {
            let links = [Link::NONE; 2];
            self.entries.push(Entry { region, producer, generation: 0, in_use: true, links });
            return self.entries.len() - 1;
        }
        self.unused.unlink(&mut self.entries, BUCKET, index);
        let entry = &mut self.entries[index];
        (entry.region, entry.producer, entry.in_use) = (region, producer, true);
        index
    }

    fn remove_at(&mut self, index: usize) {
        let entry = &mut self.entries[index];
        entry.in_use = false;
        entry.generation = entry.generation.wrapping_add(1);
        let (addr, ring) = (entry.region.addr, usize::from(entry.producer.ring()));
        let bucket = self.bucket(addr);
        self.buckets[bucket].unlink(&mut self.entries, BUCKET, index);
        self.rings[ring].unlink(&mut self.entries, RING, index);
        self.unused.push_back(&mut self.entries, BUCKET, index);
        self.len -= 1;
    }

    /// Doubles the buckets. Each bucket is emptied from its front, so entries of one buffer keep their order.
    fn grow_buckets(&mut self) {
        let doubled = (self.buckets.len() * 2).max(FIRST_BUCKETS);
        let old = std::mem::replace(&mut self.buckets, vec![List::EMPTY; doubled]);
        for bucket in old {
            let mut index = bucket.first();
            while index != NONE {
                let next = self.entries[index].links[BUCKET].next();
                let target = self.bucket(self.entries[index].region.addr);
                self.buckets[target].push_back(&mut self.entries, BUCKET, index);
                index = next;
            }
        }
    }
}
