use std::mem::offset_of;

use bytemuck::Zeroable;
use device_runner::{CoreId, Topology};
use task_interface::records::{CoreTimesMemory, SwimlaneMemory, TaskRecordHead};

use super::RecordPlaces;
use super::cores::Ended;
use super::ring::Ring;
use super::unit::{Ready, Unit};
use crate::chip::Chip;
use crate::memory::DeviceMemory;
use crate::word::{Word, store_u64};

/// When tasks ran on cores.
#[derive(Debug)]
pub(super) struct Lanes {
    layout: &'static SwimlaneMemory,
    level: u32,
    /// By core.
    lanes: Vec<Lane>,
}

#[derive(Debug)]
struct Lane {
    tasks: Unit,
    times: Times,
}

/// How a core's own times come here.
#[derive(Debug)]
enum Times {
    /// In buffers that the core fills; the host puts both together.
    Rotation(Rotation),
    /// In a ring that is read here.
    Ring(Ring),
}

impl Lanes {
    /// Takes up what a launch asks for; `None` if that is nothing. To be done before any core is told to start.
    ///
    /// # Safety
    /// The places must be those of the launch, and stay accessible while the result is used.
    pub(super) unsafe fn open(
        chip: &'static Chip,
        memory: DeviceMemory,
        places: &RecordPlaces,
        topology: Topology,
    ) -> Option<Self> {
        if places.swimlane == 0 {
            return None;
        }
        let layout = &chip.records.swimlane;
        // SAFETY: a field of the header.
        let level = unsafe { Word::at(places.swimlane + layout.level as u64) }.load();
        let ready = Ready::new(places.swimlane, &layout.queues);
        let lanes = (0..topology.cores()).map(|core| {
            // SAFETY: as the caller promises.
            unsafe { Lane::open(layout, memory, (places, &ready), topology, CoreId(core)) }
        });
        Some(Self { layout, level, lanes: lanes.collect() })
    }

    /// Whether [`Ended`] is to say which tasks wait.
    pub(super) fn wants_fanout(&self) -> bool {
        self.level >= 2 && matches!(self.layout.core_times, CoreTimesMemory::Ring { .. })
    }

    /// A task was seen to have ended.
    pub(super) fn ended(&mut self, ended: &Ended<'_>) {
        let Some(lane) = self.lanes.get_mut(ended.core.0 as usize) else { return };
        let mut head = TaskRecordHead {
            task_id: ended.task.0,
            func_id: ended.func_id,
            core_type: ended.core_type.raw(),
            ..TaskRecordHead::zeroed()
        };
        if self.level >= 2 {
            (head.dispatch_time, head.finish_time) = (ended.dispatched, ended.seen);
        }
        lane.record(head, ended);
    }

    /// The end: hands over what there is, on behalf of an AICPU thread.
    pub(super) fn flush(&mut self, thread: u32) {
        for lane in &mut self.lanes {
            lane.tasks.flush(thread);
            if let Times::Rotation(rotation) = &mut lane.times {
                rotation.unit.flush_count(thread, rotation.written);
            }
        }
    }
}

impl Lane {
    /// # Safety
    /// As [`Lanes::open`].
    unsafe fn open(
        layout: &'static SwimlaneMemory,
        memory: DeviceMemory,
        (places, ready): (&RecordPlaces, &Ready),
        topology: Topology,
        core: CoreId,
    ) -> Self {
        let states = places.swimlane + layout.queues.header_bytes as u64;
        let state = states + u64::from(core.0) * layout.tasks.bytes as u64;
        // SAFETY: the header is followed by the states, as the caller promises.
        let tasks = unsafe { Unit::open(memory, ready, (state, &layout.tasks), core.0) };
        let times = match &layout.core_times {
            CoreTimesMemory::Rotation(times) => {
                let states = states + u64::from(topology.cores()) * layout.tasks.bytes as u64;
                let state = states + u64::from(core.0) * times.bytes as u64;
                // SAFETY: likewise.
                let unit = unsafe { Unit::open(memory, ready, (state, times), core.0) };
                // SAFETY: the core's place in the table, as the caller promises.
                Times::Rotation(unsafe { Rotation::open(unit, state, places.core_times, core) })
            }
            CoreTimesMemory::Ring { address, .. } => {
                // SAFETY: likewise, with the ring that the host has made for this core.
                Times::Ring(unsafe { Ring::open(memory, (state, &layout.tasks), *address) })
            }
        };
        Self { tasks, times }
    }

    fn record(&mut self, mut head: TaskRecordHead, ended: &Ended<'_>) {
        let token = ended.token;
        match &mut self.times {
            Times::Rotation(rotation) => {
                let record = arch_a2a3::records::TaskRecord { head, reg_task_id: token, tail: 0 };
                self.tasks.push(ended.thread, bytemuck::bytes_of(&record));
                rotation.count(ended.thread);
            }
            Times::Ring(ring) => {
                let slot = (token, size_of::<arch_a5::records::TaskRecord>());
                let told = ring.read(&mut self.tasks, slot, |told: &TaskRecordHead| told.task_id);
                let Some(told) = told else {
                    log::error!("{} has not told when it ran {}", ended.core, ended.task);
                    return;
                };
                (head.start_time, head.end_time) = (told.start_time, told.end_time);
                let mut record = arch_a5::records::TaskRecord { head, ..Zeroable::zeroed() };
                for (place, task) in record.fanout.iter_mut().zip(ended.fanout) {
                    *place = task.0;
                    record.fanout_count += 1;
                }
                self.tasks.push(ended.thread, bytemuck::bytes_of(&record));
            }
        }
    }
}

/// The buffers that a core fills with its times.
#[derive(Debug)]
struct Rotation {
    unit: Unit,
    /// Tells the core that there is another buffer.
    generation: Word,
    /// Records that the core has written into the buffer.
    written: u32,
}

impl Rotation {
    /// # Safety
    /// `state` must be that of the unit, and `table` have a place for the core.
    unsafe fn open(unit: Unit, state: u64, table: u64, core: CoreId) -> Self {
        let generation = offset_of!(arch_a2a3::records::Rotation, generation) as u64;
        // SAFETY: a field of the state.
        let generation = unsafe { Word::at(state + generation) };
        generation.store(1);
        if table != 0 {
            // SAFETY: as the caller promises. The rotation is the first field of the state.
            unsafe { store_u64(table + u64::from(core.0) * size_of::<u64>() as u64, state) };
        }
        Self { unit, generation, written: 0 }
    }

    /// The core has run a task, and told when if it has room.
    fn count(&mut self, thread: u32) {
        self.unit.tried();
        let capacity = u32::try_from(self.unit.buffer().capacity).unwrap_or(u32::MAX);
        if self.unit.current == 0 || self.written >= capacity {
            self.unit.lose(1);
        } else {
            self.written += 1;
        }
        let is_new = if self.unit.current == 0 {
            self.unit.take()
        } else {
            self.written >= capacity && self.unit.exchange(thread, self.written)
        };
        if is_new {
            self.written = 0;
            // The new buffer's address is there by now.
            self.generation.store(self.generation.load().wrapping_add(1));
        }
    }
}
