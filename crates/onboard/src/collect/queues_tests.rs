//! The host's side against a simple device, which goes on in the middle of whatever the host does.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use proptest::prelude::*;
use task_interface::records::{BufferLayout, ReadyQueues};

use super::*;

const THREADS: usize = 2;
const CAPACITY: usize = 3;
const SLOTS: usize = 2;
const ROOM: usize = 2;
const RECORD: usize = 8;

const HEADS: usize = THREADS * CAPACITY * ENTRY;
const TAILS: usize = HEADS + THREADS * 4;
const STATES: usize = 256;

const BUFFER: BufferLayout =
    BufferLayout { bytes: 32, records: 0, record_bytes: RECORD, capacity: ROOM, count: 16 };

#[allow(clippy::cast_possible_truncation, reason = "small constants")]
const QUEUES: ReadyQueues = ReadyQueues {
    threads: THREADS as u32,
    capacity: CAPACITY as u32,
    heads: HEADS,
    tails: TAILS,
    header_bytes: STATES,
};

/// A state: slots, head, tail, current buffer, its number, total, dropped, mismatched.
#[allow(clippy::cast_possible_truncation, reason = "small constants")]
const UNIT: UnitLayout = UnitLayout {
    kind: 0,
    bytes: 64,
    free_slots: 0,
    slots: SLOTS as u32,
    free_head: 16,
    free_tail: 20,
    current: 24,
    sequence: 32,
    total: Some(36),
    dropped: 40,
    mismatched: Some(44),
    buffer: BUFFER,
    buffers: 4,
    primed: 1,
};

fn groups() -> Vec<Group> {
    let group =
        |kind, offset, units| Group { layout: UnitLayout { kind, ..UNIT }, offset, units, clean: kind == 7 };
    vec![group(0, STATES, 2), group(7, STATES + 2 * UNIT.bytes, 1)]
}

/// Kind and index of all units.
const ALL: [(u32, u32); 3] = [(0, 0), (0, 1), (7, 0)];

/// Device memory, and a device that follows the protocol.
#[derive(Default)]
struct World {
    block: Vec<u8>,
    buffers: BTreeMap<u64, Vec<u8>>,
    /// What the device will do: by step, the unit that makes a record.
    script: VecDeque<usize>,
    /// How many steps the device does at the host's next accesses.
    pace: VecDeque<u8>,
    /// Entries that the device has counted, but that cannot be seen yet.
    late: VecDeque<(usize, u64, u32, u32)>,
    is_late: bool,
    made: [u64; 3],
    /// What was lost, by unit.
    lost: [Vec<u64>; 3],
}

impl World {
    fn get(&self, offset: usize) -> u32 {
        u32::from_le_bytes(*self.block[offset..].first_chunk().unwrap())
    }

    fn get64(&self, offset: usize) -> u64 {
        u64::from_le_bytes(*self.block[offset..].first_chunk().unwrap())
    }

    fn set(&mut self, offset: usize, bytes: &[u8]) {
        self.block[offset..offset + bytes.len()].copy_from_slice(bytes);
    }

    /// What happens before the host's next access.
    fn tick(&mut self) {
        self.show();
        for _ in 0..self.pace.pop_front().unwrap_or(0) {
            self.step();
        }
    }

    fn show(&mut self) {
        if let Some((place, buffer, unit, kind)) = self.late.pop_front() {
            self.enter(place, buffer, unit, kind);
        }
    }

    fn enter(&mut self, place: usize, buffer: u64, unit: u32, kind: u32) {
        self.set(place, &unit.to_le_bytes());
        self.set(place + 4, &kind.to_le_bytes());
        self.set(place + 8, &buffer.to_le_bytes());
    }

    fn state(unit: usize) -> usize {
        STATES + unit * UNIT.bytes
    }

    fn pop(&mut self, unit: usize) -> bool {
        let state = Self::state(unit);
        let (head, tail) = (self.get(state + 16), self.get(state + 20));
        if head == tail {
            return false;
        }
        let buffer = self.get64(state + (head as usize % SLOTS) * 8);
        self.set(state + 16, &(head + 1).to_le_bytes());
        self.set(state + 24, &buffer.to_le_bytes());
        self.buffers.get_mut(&buffer).unwrap()[16..20].fill(0);
        true
    }

    fn push(&mut self, unit: usize, buffer: u64) -> bool {
        let thread = unit % THREADS;
        let (head, tail) = (self.get(HEADS + 4 * thread), self.get(TAILS + 4 * thread) as usize);
        let next = (tail + 1) % CAPACITY;
        if next == head as usize {
            return false;
        }
        let place = (thread * CAPACITY + tail) * ENTRY;
        let (kind, index) = ALL[unit];
        if self.is_late {
            self.late.push_back((place, buffer, index, kind));
        } else {
            self.enter(place, buffer, index, kind);
        }
        self.set(TAILS + 4 * thread, &u32::try_from(next).unwrap().to_le_bytes());
        true
    }

    /// Drops what is in the unit's buffer, which is used again.
    fn drop_records(&mut self, unit: usize, buffer: u64) {
        let bytes = self.buffers.get_mut(&buffer).unwrap();
        let records = bytes[..ROOM * RECORD].chunks(RECORD);
        let lost: Vec<u64> = records.map(|record| u64::from_le_bytes(record.try_into().unwrap())).collect();
        bytes[16..20].fill(0);
        self.count_lost(unit, &lost);
    }

    fn count_lost(&mut self, unit: usize, lost: &[u64]) {
        self.lost[unit].extend(lost);
        let place = Self::state(unit) + 40;
        let dropped = self.get(place) + u32::try_from(lost.len()).unwrap();
        self.set(place, &dropped.to_le_bytes());
    }

    /// One record.
    fn step(&mut self) {
        let Some(unit) = self.script.pop_front() else { return };
        let state = Self::state(unit);
        let number = self.made[unit];
        self.made[unit] += 1;
        let total = self.get(state + 36) + 1;
        self.set(state + 36, &total.to_le_bytes());
        if self.get64(state + 24) == 0 && !self.pop(unit) {
            return self.count_lost(unit, &[number]);
        }
        let mut buffer = self.get64(state + 24);
        if u32::from_le_bytes(self.buffers[&buffer][16..20].try_into().unwrap()) as usize == ROOM {
            let has_free = self.get(state + 16) != self.get(state + 20);
            if has_free && self.push(unit, buffer) {
                assert!(self.pop(unit));
                buffer = self.get64(state + 24);
            } else {
                self.drop_records(unit, buffer);
            }
        }
        let bytes = self.buffers.get_mut(&buffer).unwrap();
        let count = u32::from_le_bytes(bytes[16..20].try_into().unwrap());
        bytes[count as usize * RECORD..][..RECORD].copy_from_slice(&number.to_le_bytes());
        bytes[16..20].copy_from_slice(&(count + 1).to_le_bytes());
    }

    /// The device is done.
    fn end(&mut self, flush: bool) {
        while !self.script.is_empty() {
            self.step();
        }
        for unit in 0..ALL.len() {
            let state = Self::state(unit);
            let buffer = self.get64(state + 24);
            if flush && buffer != 0 {
                let count = self.buffers[&buffer][16];
                if count > 0 {
                    if !self.push(unit, buffer) {
                        let bytes = &self.buffers[&buffer][..usize::from(count) * RECORD];
                        let lost: Vec<u64> = bytes
                            .chunks(RECORD)
                            .map(|record| u64::from_le_bytes(record.try_into().unwrap()))
                            .collect();
                        self.count_lost(unit, &lost);
                    }
                    self.set(state + 24, &[0; 8]);
                }
            }
        }
        while !self.late.is_empty() {
            self.show();
        }
    }
}

/// Device memory as the host has it: in copies, or as it is.
struct Host {
    world: Rc<RefCell<World>>,
    copy: Option<Vec<u8>>,
}

impl Shared for Host {
    fn refresh(&mut self) -> Result<(), OnboardError> {
        let mut world = self.world.borrow_mut();
        world.tick();
        if let Some(copy) = &mut self.copy {
            // What lies behind may be younger.
            let half = copy.len() / 2;
            copy[..half].copy_from_slice(&world.block[..half]);
            world.tick();
            copy[half..].copy_from_slice(&world.block[half..]);
        }
        Ok(())
    }

    fn refresh_part(&mut self, offset: usize, bytes: usize) -> Result<(), OnboardError> {
        let mut world = self.world.borrow_mut();
        world.tick();
        if let Some(copy) = &mut self.copy {
            copy[offset..offset + bytes].copy_from_slice(&world.block[offset..offset + bytes]);
        }
        Ok(())
    }

    fn load_u32(&self, offset: usize) -> Result<u32, OnboardError> {
        let mut world = self.world.borrow_mut();
        let Some(copy) = &self.copy else {
            world.tick();
            return Ok(world.get(offset));
        };
        Ok(u32::from_le_bytes(*copy[offset..].first_chunk().unwrap()))
    }

    fn load_u64(&self, offset: usize) -> Result<u64, OnboardError> {
        let mut world = self.world.borrow_mut();
        let Some(copy) = &self.copy else {
            world.tick();
            return Ok(world.get64(offset));
        };
        Ok(u64::from_le_bytes(*copy[offset..].first_chunk().unwrap()))
    }

    fn store_u32(&mut self, offset: usize, value: u32) -> Result<(), OnboardError> {
        self.store(offset, &value.to_le_bytes());
        Ok(())
    }

    fn store_u64(&mut self, offset: usize, value: u64) -> Result<(), OnboardError> {
        self.store(offset, &value.to_le_bytes());
        Ok(())
    }

    fn allocate(&mut self, bytes: usize) -> Result<u64, OnboardError> {
        let mut world = self.world.borrow_mut();
        let address = 0x1000 * (1 + world.buffers.len() as u64);
        world.buffers.insert(address, vec![0xee; bytes]);
        Ok(address)
    }

    fn clear(&mut self, buffer: u64, bytes: usize) -> Result<(), OnboardError> {
        self.world.borrow_mut().buffers.insert(buffer, vec![0; bytes]);
        Ok(())
    }

    fn read(&mut self, address: u64, bytes: &mut [u8]) -> Result<(), OnboardError> {
        let mut world = self.world.borrow_mut();
        world.tick();
        let (start, buffer) = world.buffers.range(..=address).next_back().unwrap();
        let offset = usize::try_from(address - start).unwrap();
        bytes.copy_from_slice(&buffer[offset..offset + bytes.len()]);
        Ok(())
    }
}

impl Host {
    fn store(&mut self, offset: usize, bytes: &[u8]) {
        let mut world = self.world.borrow_mut();
        world.tick();
        world.set(offset, bytes);
        if let Some(copy) = &mut self.copy {
            copy[offset..offset + bytes.len()].copy_from_slice(bytes);
        }
    }
}

/// A world, and the host's side of it.
fn start(copies: bool, script: Vec<usize>) -> (Rc<RefCell<World>>, Queues<Host>) {
    let block = vec![0; STATES + ALL.len() * UNIT.bytes];
    let copy = copies.then(|| block.clone());
    let world = Rc::new(RefCell::new(World { block, script: script.into(), ..World::default() }));
    let host = Host { world: Rc::clone(&world), copy };
    let mut queues = Queues::new(host, QUEUES, groups());
    queues.prime().unwrap();
    (world, queues)
}

/// Records by unit, in the order in which they came.
#[derive(Debug, Default, PartialEq)]
struct Seen([Vec<u64>; 3]);

impl Seen {
    fn add(&mut self, full: &Full<'_>) {
        let place = full.group * 2 + full.unit as usize;
        let records = full.records.chunks(RECORD);
        self.0[place].extend(records.map(|record| u64::from_le_bytes(record.try_into().unwrap())));
    }
}

/// Ends the run; every record has come once and in order, or is known to be lost.
fn check_end(world: &RefCell<World>, queues: &mut Queues<Host>, mut seen: Seen, flush: bool) -> u64 {
    world.borrow_mut().pace.clear();
    world.borrow_mut().end(flush);
    let tallies = queues.finish(&mut |full| seen.add(full)).unwrap();
    let world = world.borrow();
    for (unit, seen) in seen.0.iter().enumerate() {
        assert!(seen.is_sorted_by(|a, b| a < b), "unit {unit}: {seen:?}");
        let mut all: Vec<u64> = seen.iter().chain(&world.lost[unit]).copied().collect();
        all.sort_unstable();
        assert_eq!(all, (0..world.made[unit]).collect::<Vec<u64>>(), "unit {unit}");
    }
    let sum =
        |units: std::ops::Range<usize>, of: &dyn Fn(usize) -> usize| units.map(of).sum::<usize>() as u64;
    for (tally, units) in tallies.iter().zip([0..2, 2..3]) {
        assert_eq!(tally.collected, sum(units.clone(), &|unit| seen.0[unit].len()));
        assert_eq!(tally.dropped, sum(units.clone(), &|unit| world.lost[unit].len()));
        assert_eq!(tally.total, Some(tally.collected + tally.dropped));
        assert_eq!(tally.lost(), tally.dropped);
    }
    tallies.iter().map(Tally::lost).sum()
}

proptest! {
    /// However device and host take turns, every record comes once, in order, or is counted.
    #[test]
    fn records_come_once_or_are_counted(
        copies: bool,
        is_late: bool,
        flush: bool,
        script in prop::collection::vec(0..ALL.len(), 0..80),
        pace in prop::collection::vec(0..3u8, 0..200),
        polls in 0..20usize,
    ) {
        let (world, mut queues) = start(copies, script);
        world.borrow_mut().is_late = is_late;
        world.borrow_mut().pace = pace.into();
        let mut seen = Seen::default();
        for _ in 0..polls {
            queues.poll(&mut |full| seen.add(full)).unwrap();
        }
        check_end(&world, &mut queues, seen, flush);
    }

    /// Nothing is lost if the host looks often enough, however long that is, and buffers are used again.
    #[test]
    fn a_host_that_looks_loses_nothing(copies: bool, script in prop::collection::vec(0..ALL.len(), 0..200)) {
        let (world, mut queues) = start(copies, script);
        let mut seen = Seen::default();
        while !world.borrow().script.is_empty() {
            world.borrow_mut().step();
            queues.poll(&mut |full| seen.add(full)).unwrap();
        }
        prop_assert_eq!(check_end(&world, &mut queues, seen, true), 0);
        prop_assert!(world.borrow().buffers.len() <= ALL.len() * (SLOTS + 2));
    }
}

#[test]
fn spoiled_indices_are_passed_over() {
    for copies in [false, true] {
        let (world, mut queues) = start(copies, vec![0; 3]);
        let mut seen = Seen::default();
        // Tail of a queue, then the device's index into a unit's free buffers.
        world.borrow_mut().set(TAILS, &9u32.to_le_bytes());
        world.borrow_mut().set(World::state(1) + 16, &77u32.to_le_bytes());
        assert!(!queues.poll(&mut |full| seen.add(full)).unwrap());
        world.borrow_mut().set(TAILS, &0u32.to_le_bytes());
        world.borrow_mut().set(World::state(1) + 16, &0u32.to_le_bytes());
        check_end(&world, &mut queues, seen, true);
    }
}

#[test]
fn entries_that_cannot_be_are_passed_over() {
    let (world, mut queues) = start(true, vec![0; 3]);
    // A buffer that nobody has got, and a unit that there is not.
    world.borrow_mut().enter(0, 0x9000, 0, 0);
    world.borrow_mut().enter(ENTRY, 0x1000, 5, 0);
    world.borrow_mut().set(TAILS, &2u32.to_le_bytes());
    let mut seen = Seen::default();
    assert!(queues.poll(&mut |full| seen.add(full)).unwrap());
    assert_eq!(seen, Seen::default());
    assert_eq!(world.borrow().get(HEADS), 2);
    check_end(&world, &mut queues, seen, true);
}

#[test]
fn what_is_missing_counts_as_lost() {
    let tally = |total| Tally { collected: 5, dropped: 1, mismatched: 1, total };
    assert_eq!(tally(None).lost(), 2);
    assert_eq!(tally(Some(7)).lost(), 2);
    assert_eq!(tally(Some(9)).lost(), 4);
}
