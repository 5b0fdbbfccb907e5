//! The host's side against a simple device, which goes on in the middle of whatever the host does.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use task_interface::records::{BufferLayout, ReadyQueues};

use super::*;
use crate::testing::{Bytes, Device, DeviceUnit, Entry, Host, Refused, Trouble, World, enter};

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
    let group = |kind, offset, units| Group {
        clean: kind == 7,
        ..Group::new(UnitLayout { kind, ..UNIT }, offset, units)
    };
    vec![group(0, STATES, 2), group(7, STATES + 2 * UNIT.bytes, 1)]
}

/// Kind and index of all units.
const ALL: [(u32, u32); 3] = [(0, 0), (0, 1), (7, 0)];

/// A device that follows the protocol.
#[derive(Default)]
struct Scripted {
    /// What it will do: by step, the unit that makes a record.
    script: VecDeque<usize>,
    /// How many steps it does at the host's next accesses.
    pace: VecDeque<u8>,
    /// Entries that it has counted, but that cannot be seen yet.
    late: VecDeque<Entry>,
    is_late: bool,
    made: [u64; 3],
    /// What was lost, by unit.
    lost: [Vec<u64>; 3],
}

impl Device for Scripted {
    fn tick(&mut self, memory: &mut Bytes) {
        self.show(memory);
        for _ in 0..self.pace.pop_front().unwrap_or(0) {
            self.step(memory);
        }
    }
}

fn unit(index: usize) -> DeviceUnit {
    let (kind, unit) = ALL[index];
    DeviceUnit {
        queues: QUEUES,
        layout: UnitLayout { kind, ..UNIT },
        state: STATES + index * UNIT.bytes,
        index: unit,
        thread: index % THREADS,
    }
}

fn number(record: &[u8]) -> u64 {
    u64::from_le_bytes(record.try_into().unwrap())
}

impl Scripted {
    fn show(&mut self, memory: &mut Bytes) {
        if let Some(entry) = self.late.pop_front() {
            entry.show(memory);
        }
    }

    /// One record.
    fn step(&mut self, memory: &mut Bytes) {
        let Some(index) = self.script.pop_front() else { return };
        let made = self.made[index];
        self.made[index] += 1;
        let Self { late, is_late, lost, .. } = self;
        let mut show = |memory: &mut Bytes, entry: Entry| {
            if *is_late { late.push_back(entry) } else { entry.show(memory) }
        };
        let dropped = unit(index).push(memory, &made.to_le_bytes(), &mut show);
        lost[index].extend(dropped.iter().map(|record| number(record)));
    }

    /// It is done.
    fn end(&mut self, memory: &mut Bytes, flush: bool) {
        while !self.script.is_empty() {
            self.step(memory);
        }
        for index in (0..ALL.len()).filter(|_| flush) {
            let dropped = unit(index).flush(memory, &mut |_, entry| self.late.push_back(entry));
            self.lost[index].extend(dropped.iter().map(|record| number(record)));
        }
        while !self.late.is_empty() {
            self.show(memory);
        }
    }
}

/// A world, and the host's side of it.
fn start(copies: bool, script: Vec<usize>) -> (Arc<Mutex<World<Scripted>>>, Queues<Host<Scripted>>) {
    let block = vec![0; STATES + ALL.len() * UNIT.bytes];
    let copy = copies.then(|| block.clone());
    let device = Scripted { script: script.into(), ..Scripted::default() };
    let memory = Bytes { block, ..Bytes::default() };
    let world = Arc::new(Mutex::new(World { memory, device }));
    let host = Host { world: Arc::clone(&world), copy, trouble: Trouble::default() };
    let mut queues = Queues::new(host, QUEUES, groups());
    queues.prime().unwrap();
    (world, queues)
}

/// Records by unit, in the order in which they came.
#[derive(Debug, Default, PartialEq)]
struct Seen([Vec<u64>; 3]);

impl Seen {
    fn add(&mut self, full: &Full<'_>) -> Result<(), Refused> {
        let place = full.group * 2 + full.unit as usize;
        let records = full.records.chunks(RECORD);
        self.0[place].extend(records.map(number));
        Ok(())
    }
}

/// Ends the run; every record has come once and in order, or is known to be lost.
fn check_end(
    world: &Mutex<World<Scripted>>,
    queues: &mut Queues<Host<Scripted>>,
    mut seen: Seen,
    flush: bool,
) -> u64 {
    {
        let World { memory, device } = &mut *world.lock().unwrap();
        device.pace.clear();
        device.end(memory, flush);
    }
    let tallies = queues.finish(&mut |_, full| seen.add(full)).unwrap();
    let device = &world.lock().unwrap().device;
    for (unit, seen) in seen.0.iter().enumerate() {
        assert!(seen.is_sorted_by(|a, b| a < b), "unit {unit}: {seen:?}");
        let mut all: Vec<u64> = seen.iter().chain(&device.lost[unit]).copied().collect();
        all.sort_unstable();
        assert_eq!(all, (0..device.made[unit]).collect::<Vec<u64>>(), "unit {unit}");
    }
    let sum =
        |units: std::ops::Range<usize>, of: &dyn Fn(usize) -> usize| units.map(of).sum::<usize>() as u64;
    for (tally, units) in tallies.iter().zip([0..2, 2..3]) {
        assert_eq!(tally.collected, sum(units.clone(), &|unit| seen.0[unit].len()));
        assert_eq!(tally.dropped, sum(units.clone(), &|unit| device.lost[unit].len()));
        assert_eq!(tally.total, Some(tally.collected + tally.dropped));
        assert_eq!(tally.lost(), tally.dropped);
    }
    tallies.iter().map(Tally::lost).sum()
}

/// The device goes on, if it has anything to do.
fn step(world: &Mutex<World<Scripted>>) -> bool {
    let World { memory, device } = &mut *world.lock().unwrap();
    let goes_on = !device.script.is_empty();
    device.step(memory);
    goes_on
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
        world.lock().unwrap().device.is_late = is_late;
        world.lock().unwrap().device.pace = pace.into();
        let mut seen = Seen::default();
        for _ in 0..polls {
            queues.poll(&mut |_, full| seen.add(full)).unwrap();
        }
        check_end(&world, &mut queues, seen, flush);
    }

    /// Nothing is lost if the host looks often enough, however long that is, and buffers are used again.
    #[test]
    fn a_host_that_looks_loses_nothing(copies: bool, script in prop::collection::vec(0..ALL.len(), 0..200)) {
        let (world, mut queues) = start(copies, script);
        let mut seen = Seen::default();
        while step(&world) {
            queues.poll(&mut |_, full| seen.add(full)).unwrap();
        }
        prop_assert_eq!(check_end(&world, &mut queues, seen, true), 0);
        // For each group at the start, and once more.
        prop_assert!(world.lock().unwrap().memory.buffers.len() <= 4, "buffers are used again");
    }
}

#[test]
fn spoiled_indices_are_passed_over() {
    for copies in [false, true] {
        let (world, mut queues) = start(copies, vec![0; 3]);
        let mut seen = Seen::default();
        // Tail of a queue, then the device's index into a unit's free buffers.
        world.lock().unwrap().memory.set32(TAILS, 9);
        world.lock().unwrap().memory.set32(unit(1).state + 16, 77);
        assert!(!queues.poll(&mut |_, full| seen.add(full)).unwrap());
        world.lock().unwrap().memory.set32(TAILS, 0);
        world.lock().unwrap().memory.set32(unit(1).state + 16, 0);
        check_end(&world, &mut queues, seen, true);
    }
}

#[test]
fn entries_that_cannot_be_are_passed_over() {
    let (world, mut queues) = start(true, vec![0; 3]);
    // A buffer that nobody has got, and a unit that there is not.
    enter(&mut world.lock().unwrap().memory, 0, (0, 0), 0x9000_0000);
    enter(&mut world.lock().unwrap().memory, ENTRY, (5, 0), 0x1000);
    world.lock().unwrap().memory.set32(TAILS, 2);
    let mut seen = Seen::default();
    assert!(queues.poll(&mut |_, full| seen.add(full)).unwrap());
    assert_eq!(seen, Seen::default());
    assert_eq!(world.lock().unwrap().memory.get(HEADS), 2);
    check_end(&world, &mut queues, seen, true);
}

#[test]
fn what_is_missing_counts_as_lost() {
    let tally = |total| Tally { collected: 5, dropped: 1, mismatched: 1, total };
    assert_eq!(tally(None).lost(), 2);
    assert_eq!(tally(Some(7)).lost(), 2);
    assert_eq!(tally(Some(9)).lost(), 4);
}
