use std::mem::offset_of;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytemuck::Zeroable as _;
use device_runner::{DevPtr, GlobalMemory as _};
use task_interface::records::{BufferLayout, KIND_PHASES, ReadyEntry, ReadyQueues, UnitLayout};

use crate::memory::DeviceMemory;
use crate::patience::Patience;
use crate::word::{Word, load_u64, store_u64};

/// The queues of full buffers of one collector.
#[derive(Clone, Debug)]
pub(super) struct Ready {
    header: u64,
    queues: &'static ReadyQueues,
    /// The host did not come when it was waited for last.
    is_absent: Arc<AtomicBool>,
}

impl Ready {
    /// Those of the header at this address.
    pub(super) fn new(header: u64, queues: &'static ReadyQueues) -> Self {
        Self { header, queues, is_absent: Arc::default() }
    }
}

/// The device's side of one unit's buffers (`spec/device-abi.md`, section 6.0).
#[derive(Debug)]
pub(super) struct Unit {
    memory: DeviceMemory,
    ready: Ready,
    layout: &'static UnitLayout,
    /// Its state.
    state: u64,
    index: u32,
    /// Address of the buffer that is being filled; 0 for none.
    pub(super) current: u64,
    /// Buffers taken.
    head: u32,
    sequence: u32,
    total: u32,
    dropped: u32,
}

/// How long the device waits for the host when a buffer is full. The host is another thread of this machine, which may
/// have to wait for its turn; one that did not come is not waited for again before it does.
const PATIENCE: Duration = Duration::from_millis(500);

impl Unit {
    /// # Safety
    /// `ready` and `state` must be of memory with these layouts, which has the host on its other side and stays
    /// accessible while the result is used.
    pub(super) unsafe fn open(
        memory: DeviceMemory,
        ready: &Ready,
        (state, layout): (u64, &'static UnitLayout),
        index: u32,
    ) -> Self {
        let (current, head, sequence, total, dropped) = Default::default();
        let mut unit = Self {
            memory,
            ready: ready.clone(),
            layout,
            state,
            index,
            current,
            head,
            sequence,
            total,
            dropped,
        };
        if !unit.take() {
            log::error!("there is no buffer for the records of unit {index} of kind {}", layout.kind);
        }
        unit
    }

    pub(super) fn buffer(&self) -> &'static BufferLayout {
        &self.layout.buffer
    }

    fn word(&self, address: u64) -> Word {
        // SAFETY: a field of the memory that this was opened with, or of a buffer that the host has given.
        unsafe { Word::at(address) }
    }

    fn set(&self, offset: usize, value: u32) {
        self.word(self.state + offset as u64).store(value);
    }

    /// Whether the host has given a buffer that was not taken yet.
    fn has_free(&self) -> bool {
        self.word(self.state + self.layout.free_tail as u64).load() != self.head
    }

    /// Takes a buffer; `false` when there is none.
    pub(super) fn take(&mut self) -> bool {
        if !self.has_free() {
            return false;
        }
        let slot = u64::from(self.head % self.layout.slots) * size_of::<u64>() as u64;
        // SAFETY: as in `word`.
        let buffer = unsafe { load_u64(self.state + self.layout.free_slots as u64 + slot) };
        self.word(buffer + self.layout.buffer.count as u64).store(0);
        self.make_current(buffer);
        self.head = self.head.wrapping_add(1);
        self.set(self.layout.free_head, self.head);
        self.set(self.layout.sequence, self.sequence);
        true
    }

    fn make_current(&mut self, buffer: u64) {
        self.current = buffer;
        // SAFETY: as in `word`.
        unsafe { store_u64(self.state + self.layout.current as u64, buffer) };
    }

    /// Hands the buffer over, with so many records in it; `false` when there is no room in the queue.
    fn hand_over(&mut self, thread: u32, count: u32) -> bool {
        let Ready { header, queues, .. } = &self.ready;
        let (header, ReadyQueues { capacity, heads, tails, .. }) = (*header, **queues);
        let index = |offset: usize| self.word(header + offset as u64 + u64::from(thread) * 4);
        let (head, tail) = (index(heads), index(tails));
        let place = tail.load();
        let next = (place + 1) % capacity;
        if next == head.load() {
            return false;
        }
        self.word(self.current + self.layout.buffer.count as u64).store(count);
        let entry = ReadyEntry {
            unit: self.index,
            kind: self.layout.kind,
            buffer_ptr: self.current,
            buffer_seq: self.sequence,
            ..ReadyEntry::zeroed()
        };
        let at = header + (u64::from(thread) * u64::from(capacity) + u64::from(place)) * ENTRY;
        // The address is what makes the entry valid.
        let rest = bytemuck::bytes_of(&entry);
        let buffer = offset_of!(ReadyEntry, buffer_ptr);
        let copied = [(0, &rest[..buffer]), (buffer + 8, &rest[buffer + 8..])]
            .map(|(offset, bytes)| self.memory.copy_to_device(DevPtr::new(at + offset as u64), bytes));
        if copied.iter().any(Result::is_err) {
            return false;
        }
        // SAFETY: as in `word`.
        unsafe { store_u64(at + buffer as u64, self.current) };
        tail.store(next);
        self.sequence += 1;
        true
    }

    /// Puts a new buffer in the place of one with so many records; `false` when the old one stays, as the host is too
    /// slow.
    pub(super) fn exchange(&mut self, thread: u32, count: u32) -> bool {
        self.wait_for(|unit| unit.has_free())
            && self.wait_for(|unit| unit.hand_over(thread, count))
            && self.take()
    }

    /// Waits for what the host has to do first; whether it did.
    fn wait_for(&mut self, mut so: impl FnMut(&mut Self) -> bool) -> bool {
        let is_absent = &self.ready.is_absent;
        let limit = if is_absent.load(Ordering::Acquire) { Duration::ZERO } else { PATIENCE };
        let came = Patience::new(limit).until(|| so(self));
        self.ready.is_absent.store(!came, Ordering::Release);
        came
    }

    /// Counts a record that was tried.
    pub(super) fn tried(&mut self) {
        self.total = self.total.wrapping_add(1);
        if let Some(offset) = self.layout.total {
            self.set(offset, self.total);
        }
    }

    /// Counts records that are lost.
    pub(super) fn lose(&mut self, count: u32) {
        self.dropped = self.dropped.wrapping_add(count);
        self.set(self.layout.dropped, self.dropped);
    }

    /// Writes a record, on behalf of an AICPU thread.
    pub(super) fn push(&mut self, thread: u32, record: &[u8]) {
        self.tried();
        if self.make_room(thread, 1) {
            self.append(record);
        } else {
            self.lose(1);
        }
    }

    /// Makes room for so many records in one buffer; `false` when there is no buffer.
    pub(super) fn make_room(&mut self, thread: u32, records: usize) -> bool {
        if self.current == 0 {
            return self.take();
        }
        let filled = self.filled();
        if filled as usize + records <= self.layout.buffer.capacity {
            return true;
        }
        if self.layout.kind == KIND_PHASES {
            return self.replace(thread, filled);
        }
        if !self.exchange(thread, filled) {
            self.overwrite(filled);
        }
        true
    }

    /// As the host gives buffers for phases only in the place of full ones, these go first; `false` when there is none
    /// then.
    fn replace(&mut self, thread: u32, filled: u32) -> bool {
        if !self.wait_for(|unit| unit.hand_over(thread, filled)) {
            self.overwrite(filled);
            return true;
        }
        self.make_current(0);
        self.wait_for(Self::take)
    }

    /// Loses what is in the buffer.
    fn overwrite(&mut self, filled: u32) {
        self.lose(filled);
        self.word(self.current + self.layout.buffer.count as u64).store(0);
    }

    /// Writes a record where [there is room](Self::make_room).
    pub(super) fn append(&self, record: &[u8]) {
        let filled = self.filled();
        let BufferLayout { records, record_bytes, count, .. } = self.layout.buffer;
        let at = self.current + (records + filled as usize * record_bytes) as u64;
        if self.memory.copy_to_device(DevPtr::new(at), record).is_ok() {
            self.word(self.current + count as u64).store(filled + 1);
        }
    }

    /// Records in the buffer.
    fn filled(&self) -> u32 {
        self.word(self.current + self.layout.buffer.count as u64).load()
    }

    /// The end: hands over what there is.
    pub(super) fn flush(&mut self, thread: u32) {
        if self.current != 0 {
            let filled = self.filled();
            self.flush_count(thread, filled);
        }
    }

    /// Likewise, of a buffer that another program counts.
    pub(super) fn flush_count(&mut self, thread: u32, count: u32) {
        if self.current == 0 || count == 0 {
            return;
        }
        if !self.wait_for(|unit| unit.hand_over(thread, count)) {
            self.lose(count);
        }
        self.make_current(0);
    }
}

const ENTRY: u64 = size_of::<ReadyEntry>() as u64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_host_that_does_not_come_has_no_room_for_is_counted() {
        let pmu = &arch_a2a3::records::RECORDS.pmu;
        let (queues, layout) = (&pmu.queues, &pmu.rows);
        let bytes = queues.header_bytes + layout.bytes;
        let mut block = vec![0u64; bytes / 8 + 8];
        let mut buffer = vec![0u64; layout.buffer.bytes / 8];
        let header = block.as_mut_ptr().expose_provenance() as u64;
        let state = header + queues.header_bytes as u64;
        let free = buffer.as_mut_ptr().expose_provenance() as u64;
        // SAFETY: the memory above is as the layouts say, and outlives the unit; there is nobody else.
        let (memory, word) = unsafe {
            store_u64(state + layout.free_slots as u64, free);
            let word = |offset: usize| Word::at(state + offset as u64);
            word(layout.free_tail).store(1);
            (DeviceMemory::new(), word)
        };
        // SAFETY: likewise.
        let mut unit = unsafe { Unit::open(memory, &Ready::new(header, queues), (state, layout), 3) };
        let record = vec![7; layout.buffer.record_bytes];
        let capacity = u32::try_from(layout.buffer.capacity).unwrap();
        (0..2 * capacity + 5).for_each(|_| unit.push(1, &record));
        unit.flush(1);
        let counted = |offset: usize| word(offset).load();
        assert_eq!(counted(layout.total.unwrap()), 2 * capacity + 5);
        assert_eq!(counted(layout.dropped), 2 * capacity);
        // SAFETY: likewise.
        let (filled, entry, current) = unsafe {
            let entry = header + u64::from(queues.capacity) * ENTRY;
            let filled = Word::at(free + layout.buffer.count as u64).load();
            (filled, memory.read::<ReadyEntry>(entry).unwrap(), load_u64(state + layout.current as u64))
        };
        assert_eq!((filled, entry.unit, entry.buffer_ptr, current), (5, 3, free, 0));
    }
}
