//! The host's side of a collector's memory, as plain as its layouts.

use std::sync::atomic::AtomicU64;

use bytemuck::Pod;
use device_runner::{DevPtr, GlobalMemory as _};
use task_interface::records::{ReadyEntry, ReadyQueues, UnitLayout};

use super::Machine;
use crate::word::{Word, load_u64, store_u64};

/// Memory that programs reach by address; zeros at first.
pub(crate) struct Bytes(Box<[AtomicU64]>);

impl Bytes {
    pub(crate) fn new(bytes: usize) -> Self {
        Self((0..bytes.div_ceil(8)).map(|_| AtomicU64::new(0)).collect())
    }

    pub(crate) fn address(&self) -> u64 {
        self.0.as_ptr().expose_provenance() as u64
    }

    pub(crate) fn get<T: Pod>(&self, offset: usize) -> T {
        Machine::memory().read(self.address() + offset as u64).unwrap()
    }

    pub(crate) fn put<T: Pod>(&self, offset: usize, value: T) {
        let to = DevPtr::new(self.address() + offset as u64);
        Machine::memory().copy_to_device(to, bytemuck::bytes_of(&value)).unwrap();
    }
}

/// A block with its buffers.
pub(crate) struct Block {
    pub(crate) bytes: Bytes,
    queues: &'static ReadyQueues,
    layouts: Vec<(usize, &'static UnitLayout)>,
    buffers: Vec<Bytes>,
}

/// A buffer that a program has handed over.
pub(crate) struct Full {
    pub(crate) unit: u32,
    pub(crate) thread: u32,
    pub(crate) sequence: u32,
    layout: &'static UnitLayout,
    content: Vec<u8>,
}

impl Full {
    pub(crate) fn records<T: Pod>(&self) -> Vec<T> {
        let records = self.content.chunks_exact(self.layout.buffer.record_bytes);
        records.map(|record| bytemuck::pod_read_unaligned(&record[..size_of::<T>()])).collect()
    }
}

impl Block {
    pub(crate) fn new(queues: &'static ReadyQueues, bytes: usize) -> Self {
        Self { bytes: Bytes::new(bytes), queues, layouts: Vec::new(), buffers: Vec::new() }
    }

    /// Units whose states begin at an offset, with so many buffers each.
    pub(crate) fn units(
        mut self,
        layout: &'static UnitLayout,
        offset: usize,
        units: usize,
        buffers: u32,
    ) -> Self {
        for unit in 0..units {
            let state = offset + unit * layout.bytes;
            (0..buffers).for_each(|_| self.give(layout, state));
        }
        self.layouts.push((offset, layout));
        self
    }

    /// Puts another buffer into the queue of the unit with this state.
    pub(crate) fn give(&mut self, layout: &UnitLayout, state: usize) {
        let buffer = Bytes::new(layout.buffer.bytes);
        let base = self.bytes.address() + state as u64;
        // SAFETY: fields of the state.
        unsafe {
            let tail = Word::at(base + layout.free_tail as u64);
            let slot = u64::from(tail.load() % layout.slots) * 8;
            store_u64(base + layout.free_slots as u64 + slot, buffer.address());
            tail.store(tail.load() + 1);
        }
        self.buffers.push(buffer);
    }

    pub(crate) fn address(&self) -> u64 {
        self.bytes.address()
    }

    /// Takes what was handed over, from the oldest on in each thread's queue.
    pub(crate) fn take(&self) -> Vec<Full> {
        let ReadyQueues { threads, capacity, heads, tails, .. } = *self.queues;
        let mut all = Vec::new();
        for thread in 0..threads {
            let index = |offset: usize| offset + thread as usize * 4;
            let (mut head, tail): (u32, u32) = (self.bytes.get(index(heads)), self.bytes.get(index(tails)));
            while head != tail {
                let at = (thread * capacity + head) as usize * size_of::<ReadyEntry>();
                all.push(self.full(thread, &self.bytes.get(at)));
                head = (head + 1) % capacity;
            }
            self.bytes.put(index(heads), head);
        }
        all
    }

    fn full(&self, thread: u32, entry: &ReadyEntry) -> Full {
        let known = |&&(_, layout): &&(usize, &UnitLayout)| layout.kind == entry.kind;
        let layout = self.layouts.iter().find(known).unwrap().1;
        let memory = Machine::memory();
        let count: u32 = memory.read(entry.buffer_ptr + layout.buffer.count as u64).unwrap();
        let mut content = vec![0; count as usize * layout.buffer.record_bytes];
        let from = DevPtr::new(entry.buffer_ptr + layout.buffer.records as u64);
        memory.copy_from_device(&mut content, from).unwrap();
        Full { unit: entry.unit, thread, sequence: entry.buffer_seq, layout, content }
    }

    /// A count in the state of a unit.
    pub(crate) fn count(&self, layout: &UnitLayout, unit: usize, offset: usize) -> u32 {
        let first = self.layouts.iter().find(|(_, known)| std::ptr::eq(*known, layout)).unwrap().0;
        self.bytes.get(first + unit * layout.bytes + offset)
    }

    /// Address of the buffer that a unit fills.
    pub(crate) fn current(&self, layout: &UnitLayout, unit: usize) -> u64 {
        let first = self.layouts.iter().find(|(_, known)| std::ptr::eq(*known, layout)).unwrap().0;
        // SAFETY: a field of the state.
        unsafe { load_u64(self.address() + (first + unit * layout.bytes + layout.current) as u64) }
    }
}
