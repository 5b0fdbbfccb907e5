use device_runner::{CoreId, PmuEvents, Topology};
use task_interface::records::{PmuMemory, PmuRecordHead};

use super::RecordPlaces;
use super::cores::Ended;
use super::ring::Ring;
use super::unit::{Ready, Unit};
use crate::chip::{Block, Chip};
use crate::memory::DeviceMemory;
use crate::word::Word;

/// What cores counted while tasks ran (`spec/device-abi.md`, section 6.3).
#[derive(Debug)]
pub(super) struct PmuRows {
    events: Option<&'static PmuEvents>,
    /// By core.
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    unit: Unit,
    counters: Option<Counters>,
    /// Through which the core tells, where it reads its counters itself.
    ring: Option<Ring>,
}

/// In PMU_CTRL_0, and in PMU_CTRL_1 where there is that register.
const ENABLED: [u32; 2] = [7, 1];

impl PmuRows {
    /// `None` if a launch does not ask for them.
    ///
    /// # Safety
    /// As [`CoreRecords::open`](super::CoreRecords::open).
    pub(super) unsafe fn open(
        chip: &'static Chip,
        memory: DeviceMemory,
        places: &RecordPlaces,
        topology: Topology,
    ) -> Option<Self> {
        if places.pmu == 0 {
            return None;
        }
        let layout = &chip.records.pmu;
        // SAFETY: a field of the header.
        let event_type = unsafe { Word::at(places.pmu + layout.event_type as u64) }.load();
        let events = chip.arch.diagnostics().events(event_type);
        if events.is_none() {
            log::error!("{event_type} is no PMU event type of {}", chip.arch.name());
        }
        let ready = Ready::new(places.pmu, &layout.queues);
        let rows = (0..topology.cores()).map(|core| {
            // SAFETY: the header is followed by the states, as the caller promises.
            unsafe { Row::open(layout, memory, (places.pmu, &ready), core) }
        });
        Some(Self { events, rows: rows.collect() })
    }

    pub(super) fn arm(&mut self, core: CoreId, block: Option<&Block>) {
        let (Some(row), Some(events)) = (self.rows.get_mut(core.0 as usize), self.events) else { return };
        row.counters = block.and_then(Counters::of);
        if let Some(counters) = &mut row.counters {
            counters.arm(events);
        }
    }

    pub(super) fn disarm(&mut self, core: CoreId) {
        let counters = self.rows.get_mut(core.0 as usize).and_then(|row| row.counters.take());
        if let Some(counters) = counters {
            counters.disarm();
        }
    }

    pub(super) fn ended(&mut self, ended: &Ended<'_>) {
        let Some(row) = self.rows.get_mut(ended.core.0 as usize) else { return };
        let Some((total_cycles, counters)) = row.read(ended.token) else {
            return log::error!("{} has not told what it counted in {}", ended.core, ended.task);
        };
        let head = PmuRecordHead {
            task_id: ended.task.0,
            func_id: ended.func_id,
            core_type: ended.core_type.raw(),
            pmu_total_cycles: total_cycles,
        };
        let mut record = [0u8; size_of::<arch_a5::records::PmuRecord>()];
        let (front, rest) = record.split_at_mut(size_of::<PmuRecordHead>());
        front.copy_from_slice(bytemuck::bytes_of(&head));
        let bytes = counters.iter().flat_map(|counter| counter.to_le_bytes());
        rest.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
        row.unit.push(ended.thread, &record);
    }

    pub(super) fn flush(&mut self, thread: u32) {
        self.rows.iter_mut().for_each(|row| row.unit.flush(thread));
    }
}

/// Records are of the same size on both chips; only their numbers of counters differ.
const _: () = assert!(size_of::<arch_a2a3::records::PmuRecord>() == size_of::<arch_a5::records::PmuRecord>());

impl Row {
    /// # Safety
    /// As [`PmuRows::open`].
    unsafe fn open(
        layout: &'static PmuMemory,
        memory: DeviceMemory,
        (header, ready): (u64, &Ready),
        core: u32,
    ) -> Self {
        let state = header + (layout.queues.header_bytes + core as usize * layout.rows.bytes) as u64;
        // SAFETY: as the caller promises.
        let unit = unsafe { Unit::open(memory, ready, (state, &layout.rows), core) };
        let ring = layout.ring.map(|(_, address)| {
            // SAFETY: likewise, with the ring that the host has made for this core.
            unsafe { Ring::open(memory, (state, &layout.rows), address) }
        });
        Self { unit, counters: None, ring }
    }

    /// Cycles and counters of the task that has just ended; `None`, and counted, if the core has not told them.
    fn read(&mut self, token: u32) -> Option<(u64, Vec<u32>)> {
        let Some(ring) = &self.ring else {
            return Some(self.counters.as_ref().map_or((0, Vec::new()), Counters::read));
        };
        let slot = (token, size_of::<arch_a5::records::PmuRecord>());
        let task = |record: &arch_a5::records::PmuRecord| record.head.task_id;
        let record = ring.read(&mut self.unit, slot, task)?;
        Some((record.head.pmu_total_cycles, record.pmu_counters.to_vec()))
    }
}

/// A core's registers for counting.
#[derive(Debug)]
struct Counters {
    /// Control registers and what was in them.
    control: Vec<(Word, u32)>,
    selectors: Vec<Word>,
    counts: Vec<Word>,
    total: [Word; 2],
    /// When to start and when to stop.
    window: [[Word; 2]; 2],
}

impl Counters {
    fn of(block: &Block) -> Option<Self> {
        let numbered = |pattern: &str| {
            let name = |index: u32| pattern.replace('#', &index.to_string());
            (0..).map_while(|index| block.register(&name(index))).collect::<Vec<Word>>()
        };
        let pair = |first, second| Some([block.register(first)?, block.register(second)?]);
        Some(Self {
            control: numbered("PMU_CTRL_#").into_iter().map(|word| (word, 0)).collect(),
            selectors: numbered("PMU_CNT#_IDX"),
            counts: numbered("PMU_CNT#"),
            total: pair("PMU_CNT_TOTAL0", "PMU_CNT_TOTAL1")?,
            window: [pair("PMU_START_CYC0", "PMU_START_CYC1")?, pair("PMU_STOP_CYC0", "PMU_STOP_CYC1")?],
        })
    }

    fn arm(&mut self, events: &PmuEvents) {
        for (selector, counter) in self.selectors.iter().zip(events.counters) {
            selector.store(counter.event);
        }
        // Reading clears what was counted before.
        self.read();
        let [start, stop] = self.window;
        start.into_iter().for_each(|word| word.store(0));
        stop.into_iter().for_each(|word| word.store(u32::MAX));
        for ((control, before), enabled) in self.control.iter_mut().zip(ENABLED) {
            *before = control.load();
            control.store(enabled);
        }
    }

    fn read(&self) -> (u64, Vec<u32>) {
        let counts = self.counts.iter().map(|count| count.load()).collect();
        let [low, high] = self.total.map(Word::load);
        (u64::from(low) | u64::from(high) << 32, counts)
    }

    fn disarm(self) {
        self.control.into_iter().for_each(|(control, before)| control.store(before));
    }
}
