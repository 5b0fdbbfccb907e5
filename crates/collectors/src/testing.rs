//! Device memory for tests, and a device's side of the protocol.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use task_interface::records::{ReadyEntry, ReadyQueues, UnitLayout};

use crate::shared::{Shared, SharedMemory};

/// Memory of a device: a block, and buffers by their address.
#[derive(Default)]
pub(crate) struct Bytes {
    pub(crate) block: Vec<u8>,
    pub(crate) buffers: BTreeMap<u64, Vec<u8>>,
    /// The device may look at them.
    pub(crate) is_published: bool,
    /// Blocks and buffers that were given back.
    pub(crate) is_released: bool,
    pub(crate) is_retired: bool,
}

pub(crate) const BLOCK: u64 = 1 << 48;

impl Bytes {
    pub(crate) fn get(&self, offset: usize) -> u32 {
        u32::from_le_bytes(*self.block[offset..].first_chunk().unwrap())
    }

    pub(crate) fn get64(&self, offset: usize) -> u64 {
        u64::from_le_bytes(*self.block[offset..].first_chunk().unwrap())
    }

    pub(crate) fn set(&mut self, offset: usize, bytes: &[u8]) {
        self.block[offset..offset + bytes.len()].copy_from_slice(bytes);
    }

    pub(crate) fn set32(&mut self, offset: usize, value: u32) {
        self.set(offset, &value.to_le_bytes());
    }

    /// The bytes of a buffer from an address inside it.
    pub(crate) fn at(&mut self, address: u64) -> &mut [u8] {
        let (start, buffer) = self.buffers.range_mut(..=address).next_back().unwrap();
        &mut buffer[usize::try_from(address - start).unwrap()..]
    }

    pub(crate) fn get_at(&mut self, address: u64) -> u32 {
        u32::from_le_bytes(*self.at(address).first_chunk().unwrap())
    }

    pub(crate) fn set_at(&mut self, address: u64, bytes: &[u8]) {
        self.at(address)[..bytes.len()].copy_from_slice(bytes);
    }
}

/// What goes wrong.
#[derive(Debug, thiserror::Error)]
#[error("refused")]
pub(crate) struct Refused;

/// Which call is refused.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trouble {
    /// Calls so far.
    calls: Arc<AtomicI64>,
    /// The one to be refused; counted from 1.
    refused: i64,
}

impl Trouble {
    pub(crate) fn at(refused: i64) -> Self {
        Self { refused, ..Self::default() }
    }

    /// Whether it has come so far.
    pub(crate) fn has_come(&self) -> bool {
        self.calls.load(Ordering::Relaxed) >= self.refused
    }

    fn call(&self) -> Result<(), Refused> {
        let call = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
        if call == self.refused { Err(Refused) } else { Ok(()) }
    }
}

/// What a device does whenever the host looks at its memory.
pub(crate) trait Device: Send + 'static {
    fn tick(&mut self, memory: &mut Bytes);
}

/// A device that does nothing unasked.
impl Device for () {
    fn tick(&mut self, _: &mut Bytes) {}
}

#[derive(Default)]
pub(crate) struct World<D> {
    pub(crate) memory: Bytes,
    pub(crate) device: D,
}

impl<D: Device> World<D> {
    pub(crate) fn tick(&mut self) {
        self.device.tick(&mut self.memory);
    }
}

/// Device memory as the host has it: in copies, or as it is.
pub(crate) struct Host<D> {
    pub(crate) world: Arc<Mutex<World<D>>>,
    pub(crate) copy: Option<Vec<u8>>,
    pub(crate) trouble: Trouble,
}

const LARGE: usize = 1 << 20;

impl<D: Device> Shared for Host<D> {
    type Error = Refused;

    fn address(&self) -> u64 {
        BLOCK
    }

    fn publish(&mut self) -> Result<(), Refused> {
        self.trouble.call()?;
        self.world.lock().unwrap().memory.is_published = true;
        Ok(())
    }

    fn refresh(&mut self) -> Result<(), Refused> {
        self.trouble.call()?;
        let mut world = self.world.lock().unwrap();
        world.tick();
        if let Some(copy) = &mut self.copy {
            // What lies behind may be younger.
            let half = copy.len() / 2;
            copy[..half].copy_from_slice(&world.memory.block[..half]);
            world.tick();
            copy[half..].copy_from_slice(&world.memory.block[half..]);
        }
        Ok(())
    }

    fn refresh_part(&mut self, offset: usize, bytes: usize) -> Result<(), Refused> {
        self.trouble.call()?;
        let mut world = self.world.lock().unwrap();
        world.tick();
        if let Some(copy) = &mut self.copy {
            copy[offset..offset + bytes].copy_from_slice(&world.memory.block[offset..offset + bytes]);
        }
        Ok(())
    }

    fn load_u32(&self, offset: usize) -> Result<u32, Refused> {
        self.trouble.call()?;
        let mut world = self.world.lock().unwrap();
        let Some(copy) = &self.copy else {
            world.tick();
            return Ok(world.memory.get(offset));
        };
        Ok(u32::from_le_bytes(*copy[offset..].first_chunk().unwrap()))
    }

    fn load_u64(&self, offset: usize) -> Result<u64, Refused> {
        self.trouble.call()?;
        let mut world = self.world.lock().unwrap();
        let Some(copy) = &self.copy else {
            world.tick();
            return Ok(world.memory.get64(offset));
        };
        Ok(u64::from_le_bytes(*copy[offset..].first_chunk().unwrap()))
    }

    fn store_u32(&mut self, offset: usize, value: u32) -> Result<(), Refused> {
        self.trouble.call()?;
        self.store(offset, &value.to_le_bytes());
        Ok(())
    }

    fn store_u64(&mut self, offset: usize, value: u64) -> Result<(), Refused> {
        self.trouble.call()?;
        self.store(offset, &value.to_le_bytes());
        Ok(())
    }

    fn allocate(&mut self, bytes: usize) -> Result<u64, Refused> {
        self.trouble.call()?;
        let buffers = &mut self.world.lock().unwrap().memory.buffers;
        let end = buffers.last_key_value().map_or(0, |(address, buffer)| address + buffer.len() as u64);
        let address = (end + 0x1000).next_multiple_of(0x1000);
        // Memory of large ones is taken only where it is used.
        buffers.insert(address, vec![if bytes > LARGE { 0 } else { 0xee }; bytes]);
        Ok(address)
    }

    fn fill(&mut self, buffer: u64, content: &[u8]) -> Result<(), Refused> {
        self.trouble.call()?;
        self.world.lock().unwrap().memory.set_at(buffer, content);
        Ok(())
    }

    fn read(&mut self, address: u64, bytes: &mut [u8]) -> Result<(), Refused> {
        self.trouble.call()?;
        let mut world = self.world.lock().unwrap();
        world.tick();
        bytes.copy_from_slice(&world.memory.at(address)[..bytes.len()]);
        Ok(())
    }

    fn release(self) {
        self.world.lock().unwrap().memory.is_released = true;
    }

    fn retire(self) {
        self.world.lock().unwrap().memory.is_retired = true;
        self.release();
    }
}

impl<D: Device> Host<D> {
    fn store(&mut self, offset: usize, bytes: &[u8]) {
        let mut world = self.world.lock().unwrap();
        world.tick();
        world.memory.set(offset, bytes);
        if let Some(copy) = &mut self.copy {
            copy[offset..offset + bytes.len()].copy_from_slice(bytes);
        }
    }
}

pub(crate) type PlainWorld = Arc<Mutex<World<()>>>;

/// Memory in which each block has a world of its own.
#[derive(Clone, Default)]
pub(crate) struct Plain {
    /// In the order in which blocks were made.
    pub(crate) worlds: Arc<Mutex<Vec<PlainWorld>>>,
    /// The host has copies of blocks.
    pub(crate) copies: bool,
    pub(crate) trouble: Trouble,
    pub(crate) attached: Arc<AtomicU64>,
}

impl SharedMemory for Plain {
    type Error = Refused;
    type Block = Host<()>;

    fn attach(&self) -> Result<(), Refused> {
        self.attached.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn block(&self, content: Vec<u8>) -> Result<Host<()>, Refused> {
        self.trouble.call()?;
        assert!(content.len().is_multiple_of(64));
        let copy = self.copies.then(|| content.clone());
        let world = Arc::new(Mutex::new(World::default()));
        world.lock().unwrap().memory.block = content;
        self.worlds.lock().unwrap().push(Arc::clone(&world));
        Ok(Host { world, copy, trouble: self.trouble.clone() })
    }
}

/// An entry of a full buffer, whose queue has counted it.
pub(crate) struct Entry {
    place: usize,
    buffer: u64,
    unit: u32,
    kind: u32,
}

impl Entry {
    pub(crate) fn show(&self, memory: &mut Bytes) {
        enter(memory, self.place, (self.unit, self.kind), self.buffer);
    }
}

/// Writes an entry at a place of the block.
pub(crate) fn enter(memory: &mut Bytes, place: usize, (unit, kind): (u32, u32), buffer: u64) {
    memory.set32(place, unit);
    memory.set32(place + 4, kind);
    memory.set(place + 8, &buffer.to_le_bytes());
}

/// The device's side of one unit (`spec/device-abi.md`, section 6.0).
#[derive(Clone, Copy)]
pub(crate) struct DeviceUnit {
    pub(crate) queues: ReadyQueues,
    pub(crate) layout: UnitLayout,
    /// Where its state is.
    pub(crate) state: usize,
    pub(crate) index: u32,
    /// AICPU thread that enqueues.
    pub(crate) thread: usize,
}

impl DeviceUnit {
    pub(crate) fn current(&self, memory: &Bytes) -> u64 {
        memory.get64(self.state + self.layout.current)
    }

    pub(crate) fn count(&self, memory: &mut Bytes) -> usize {
        let buffer = self.current(memory);
        memory.get_at(buffer + self.layout.buffer.count as u64) as usize
    }

    fn set_count(&self, memory: &mut Bytes, count: usize) {
        let buffer = self.current(memory);
        let count = u32::try_from(count).unwrap();
        memory.set_at(buffer + self.layout.buffer.count as u64, &count.to_le_bytes());
    }

    /// Counts records in a field of the state.
    pub(crate) fn add(&self, memory: &mut Bytes, field: usize, records: usize) {
        let count = memory.get(self.state + field) + u32::try_from(records).unwrap();
        memory.set32(self.state + field, count);
    }

    pub(crate) fn has_free(&self, memory: &Bytes) -> bool {
        memory.get(self.state + self.layout.free_head) != memory.get(self.state + self.layout.free_tail)
    }

    /// Takes a free buffer, if there is one.
    pub(crate) fn pop(&self, memory: &mut Bytes) -> bool {
        if !self.has_free(memory) {
            return false;
        }
        let head = memory.get(self.state + self.layout.free_head);
        let slot = self.layout.free_slots + (head % self.layout.slots) as usize * 8;
        let buffer = memory.get64(self.state + slot);
        memory.set32(self.state + self.layout.free_head, head + 1);
        memory.set(self.state + self.layout.current, &buffer.to_le_bytes());
        self.set_count(memory, 0);
        true
    }

    /// Counts an entry with the current buffer, if there is room for it; it still has to be shown.
    pub(crate) fn enqueue(&self, memory: &mut Bytes) -> Option<Entry> {
        let (heads, tails) = (self.queues.heads + 4 * self.thread, self.queues.tails + 4 * self.thread);
        let (head, tail) = (memory.get(heads), memory.get(tails));
        let next = (tail + 1) % self.queues.capacity;
        if next == head {
            return None;
        }
        let place = (self.thread * self.queues.capacity as usize + tail as usize) * size_of::<ReadyEntry>();
        memory.set32(tails, next);
        Some(Entry { place, buffer: self.current(memory), unit: self.index, kind: self.layout.kind })
    }

    /// Records of the current buffer.
    pub(crate) fn records(&self, memory: &mut Bytes) -> Vec<Vec<u8>> {
        let layout = self.layout.buffer;
        let (count, start) = (self.count(memory), self.current(memory) + layout.records as u64);
        memory.at(start)[..count * layout.record_bytes]
            .chunks(layout.record_bytes)
            .map(<[u8]>::to_vec)
            .collect()
    }

    /// Adds a record; what is lost for it is returned.
    pub(crate) fn push(
        &self,
        memory: &mut Bytes,
        record: &[u8],
        show: &mut dyn FnMut(&mut Bytes, Entry),
    ) -> Vec<Vec<u8>> {
        if let Some(total) = self.layout.total {
            self.add(memory, total, 1);
        }
        if self.current(memory) == 0 && !self.pop(memory) {
            self.add(memory, self.layout.dropped, 1);
            return vec![record.to_vec()];
        }
        let mut lost = Vec::new();
        if self.count(memory) == self.layout.buffer.capacity {
            match self.has_free(memory).then(|| self.enqueue(memory)).flatten() {
                Some(entry) => {
                    show(memory, entry);
                    assert!(self.pop(memory));
                }
                None => lost = self.drop_records(memory),
            }
        }
        let layout = self.layout.buffer;
        let count = self.count(memory);
        let place = self.current(memory) + (layout.records + count * layout.record_bytes) as u64;
        memory.set_at(place, record);
        self.set_count(memory, count + 1);
        lost
    }

    /// Drops what is in the current buffer, which is used again.
    fn drop_records(&self, memory: &mut Bytes) -> Vec<Vec<u8>> {
        let lost = self.records(memory);
        self.add(memory, self.layout.dropped, lost.len());
        self.set_count(memory, 0);
        lost
    }

    /// The end: hands the current buffer over; what is lost is returned.
    pub(crate) fn flush(&self, memory: &mut Bytes, show: &mut dyn FnMut(&mut Bytes, Entry)) -> Vec<Vec<u8>> {
        if self.current(memory) == 0 || self.count(memory) == 0 {
            return Vec::new();
        }
        let entry = self.enqueue(memory);
        let lost = if entry.is_none() { self.drop_records(memory) } else { Vec::new() };
        if let Some(entry) = entry {
            show(memory, entry);
        }
        memory.set(self.state + self.layout.current, &[0; 8]);
        lost
    }
}
