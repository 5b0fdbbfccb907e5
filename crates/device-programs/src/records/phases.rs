use std::mem::offset_of;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytemuck::Zeroable as _;
use device_runner::{DevPtr, DeviceTime, GlobalMemory as _, PhaseSink, SubmitPhase};
use run_records::swimlane::SchedulerWork;
use task_interface::records::{CoreTimesMemory, PHASE_MAGIC, PhaseHeader, PhaseRecord, SwimlaneMemory};

use super::unit::{Ready, Unit};
use super::{RecordPlaces, SharedSinks, Threads, clock, now};
use crate::chip::Chip;
use crate::memory::DeviceMemory;
use crate::word::Word;

/// What AICPU threads do (`spec/device-abi.md`, section 6.1).
#[derive(Debug)]
pub(super) struct PhaseRecords {
    chip: &'static Chip,
    memory: DeviceMemory,
    header: u64,
    /// Whether steps of the orchestration count too.
    pub(super) has_submits: bool,
    /// By thread.
    lanes: Vec<Mutex<Lane>>,
}

#[derive(Debug)]
struct Lane {
    unit: Unit,
    thread: u32,
    pass: u32,
    /// Since the last record of dispatches: how often a task was found, and how often none.
    hits: u32,
    misses: u32,
}

/// The levels from which on schedulers and orchestrators tell what they do.
const SCHEDULERS: u32 = 3;
const ORCHESTRATORS: u32 = 4;

/// The header of phases follows the states of all cores.
fn header_offset(layout: &SwimlaneMemory, cores: u32) -> usize {
    let times = match &layout.core_times {
        CoreTimesMemory::Rotation(unit) => unit.bytes,
        CoreTimesMemory::Ring { .. } => 0,
    };
    layout.queues.header_bytes + cores as usize * (layout.tasks.bytes + times)
}

/// Fields that do not depend on the chip's number of cores.
type Header = PhaseHeader<0>;

impl PhaseRecords {
    /// `None` if a launch does not ask for them.
    ///
    /// # Safety
    /// The places must be those of the launch, and stay accessible while the result is used.
    pub(super) unsafe fn open(
        chip: &'static Chip,
        memory: DeviceMemory,
        places: &RecordPlaces,
        threads: &Threads,
    ) -> Option<Self> {
        let layout = &chip.records.swimlane;
        if places.swimlane == 0 {
            return None;
        }
        // SAFETY: fields of the header.
        let word = |offset: usize| unsafe { Word::at(places.swimlane + offset as u64) };
        let (level, cores) = (word(layout.level).load(), word(layout.num_cores).load());
        if level < SCHEDULERS {
            return None;
        }
        let header = places.swimlane + header_offset(layout, cores) as u64;
        let states = header + layout.phase_header_bytes as u64;
        let ready = Ready::new(places.swimlane, &layout.queues);
        let lanes = (0..threads.all).map(|thread| {
            let state = states + u64::from(thread) * layout.phases.bytes as u64;
            // SAFETY: the states follow the header of phases, one for each thread, as the caller promises.
            let unit = unsafe { Unit::open(memory, &ready, (state, &layout.phases), thread) };
            Mutex::new(Lane { unit, thread, pass: 0, hits: 0, misses: 0 })
        });
        let lanes = lanes.collect();
        let phases = Self { chip, memory, header, has_submits: level >= ORCHESTRATORS, lanes };
        phases.set(offset_of!(Header, num_sched_threads), threads.schedulers);
        let capacity = u32::try_from(layout.phases.buffer.capacity).unwrap_or(u32::MAX);
        phases.set(offset_of!(Header, records_per_thread), capacity);
        phases.set(offset_of!(Header, num_cores), 0);
        // The rest is valid by now.
        phases.set(offset_of!(Header, magic), PHASE_MAGIC);
        Some(phases)
    }

    fn set(&self, offset: usize, value: u32) {
        // SAFETY: a field of the header of phases, as whoever opened it has promised.
        unsafe { Word::at(self.header + offset as u64) }.store(value);
    }

    fn lane(&self, thread: u32) -> Option<MutexGuard<'_, Lane>> {
        let lane = self.lanes.get(thread as usize)?;
        Some(lane.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Says which thread schedules each core.
    pub(super) fn map_cores(&self, threads: &[u32]) {
        let cores = u32::try_from(threads.len()).unwrap_or(0);
        let map: Vec<u8> = threads.iter().map(|&thread| u8::try_from(thread).unwrap_or(u8::MAX)).collect();
        let place = self.header + offset_of!(Header, core_to_thread) as u64;
        if self.memory.copy_to_device(DevPtr::new(place), &map).is_ok() {
            self.set(offset_of!(Header, num_cores), cores);
        }
    }

    pub(super) fn flush(&self) {
        let at = now(self.chip.arch);
        for thread in (0..).take(self.lanes.len()) {
            let Some(mut lane) = self.lane(thread) else { continue };
            if lane.hits + lane.misses > 0 {
                lane.dispatches((at, at), 0);
            }
            lane.unit.flush(thread);
        }
    }
}

impl Lane {
    fn push(&mut self, record: &PhaseRecord) {
        self.unit.push(self.thread, bytemuck::bytes_of(record));
    }

    fn did(&mut self, work: SchedulerWork, (start, end): (u64, u64), tasks: u32) {
        if work == SchedulerWork::Dispatch {
            self.hits += tasks;
            // Looking ends with the first time that there is none.
            self.misses = self.misses.saturating_add(1);
        }
        match work {
            _ if tasks == 0 => {}
            SchedulerWork::Dispatch => self.dispatches((start, end), tasks),
            _ => self.push(&phase(work, self.pass, (start, end), tasks)),
        }
    }

    fn dispatches(&mut self, times: (u64, u64), tasks: u32) {
        let (extra1, extra2) = (std::mem::take(&mut self.hits), std::mem::take(&mut self.misses));
        let dispatch = phase(SchedulerWork::Dispatch, self.pass, times, tasks);
        self.push(&PhaseRecord { extra1, extra2, ..dispatch });
    }
}

fn phase(work: SchedulerWork, pass: u32, (start_time, end_time): (u64, u64), tasks: u32) -> PhaseRecord {
    PhaseRecord {
        start_time,
        end_time,
        loop_iter: pass,
        phase_id: work.number(),
        task_id: tasks.into(),
        ..PhaseRecord::zeroed()
    }
}

/// The passes of a scheduler's loop, as long as one comes right after the other.
#[derive(Debug)]
pub(crate) struct Passes<'a> {
    /// What is recorded of them, if anything is, and their thread.
    phases: Option<(&'a PhaseRecords, u32)>,
    /// When the pass that is under way began, and what it does at the moment.
    began: u64,
    begun: u64,
    idle: Option<Idle>,
}

/// Nothing was to be done since this pass began.
#[derive(Clone, Copy, Debug)]
struct Idle {
    since: u64,
    pass: u32,
}

impl<'a> Passes<'a> {
    /// Those of a thread, until the result is dropped.
    pub(crate) fn new(sinks: Option<&'a SharedSinks>, thread: u32) -> Self {
        let phases = sinks.and_then(|sinks| sinks.phases.as_ref());
        Self { phases: phases.map(|phases| (phases, thread)), began: 0, begun: 0, idle: None }
    }

    /// A pass begins.
    pub(crate) fn begin(&mut self) {
        let Some((phases, thread)) = self.phases else { return };
        self.began = now(phases.chip.arch);
        self.begun = self.began;
        let Some(mut lane) = phases.lane(thread) else { return };
        lane.pass = lane.pass.saturating_add(1);
        if phases.chip.arch.diagnostics().has_idle_phases {
            // Until it turns out that there is something.
            self.idle.get_or_insert(Idle { since: self.began, pass: lane.pass });
        }
    }

    /// Something was done, to so many tasks.
    pub(crate) fn did(&mut self, work: SchedulerWork, tasks: usize) {
        let Some((phases, thread)) = self.phases else { return };
        let end = now(phases.chip.arch);
        if tasks > 0 {
            self.end_idle(self.began);
        }
        if let Some(mut lane) = phases.lane(thread) {
            lane.did(work, (self.begun, end), u32::try_from(tasks).unwrap_or(u32::MAX));
        }
        self.begun = end;
    }

    /// One record tells of all idle passes that followed each other, with the waits between them: a thread that looks
    /// for work all the time would fill buffers faster than the host can empty them.
    fn end_idle(&mut self, at: u64) {
        let (Some((phases, thread)), Some(Idle { since, pass })) = (self.phases, self.idle.take()) else {
            return;
        };
        if let Some(mut lane) = phases.lane(thread).filter(|_| since < at) {
            lane.push(&phase(SchedulerWork::Idle, pass, (since, at), 0));
        }
    }
}

impl Drop for Passes<'_> {
    fn drop(&mut self) {
        if let Some((phases, _)) = self.phases {
            self.end_idle(now(phases.chip.arch));
        }
    }
}

/// The phases of the orchestrator.
#[derive(Debug)]
pub(super) struct OrchestratorPhases {
    pub(super) sinks: Arc<SharedSinks>,
    pub(super) thread: u32,
}

impl PhaseSink for OrchestratorPhases {
    fn now(&self) -> Option<DeviceTime> {
        Some(clock())
    }

    fn push(&mut self, phase: SubmitPhase) {
        let Some(phases) = &self.sinks.phases else { return };
        let ticks = |time| phases.chip.arch.limits().ticks(time);
        let record = PhaseRecord {
            start_time: ticks(phase.start),
            end_time: ticks(phase.end),
            loop_iter: phase.submit,
            phase_id: phase.work.number(),
            task_id: phase.task.0,
            ..PhaseRecord::zeroed()
        };
        if let Some(mut lane) = phases.lane(self.thread) {
            lane.push(&record);
        }
    }
}
