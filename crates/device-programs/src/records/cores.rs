use device_runner::{CoreId, TaskId, Topology};
use task_interface::CoreType;

use super::lanes::Lanes;
use super::pmu::PmuRows;
use super::{RecordPlaces, now};
use crate::chip::{Block, Chip};
use crate::memory::DeviceMemory;

/// What the AICPU records about cores, in a launch that asks for it.
#[derive(Debug)]
pub(crate) struct CoreRecords {
    chip: &'static Chip,
    topology: Topology,
    /// By core: the task that it has got last.
    dispatched: Vec<Dispatched>,
    lanes: Option<Lanes>,
    rows: Option<PmuRows>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Dispatched {
    token: u32,
    func_id: u32,
    at: u64,
}

/// A task that has ended on a core.
#[derive(Debug)]
pub(crate) struct Finished<'a> {
    pub(crate) core: CoreId,
    pub(crate) task: TaskId,
    /// Tasks that wait for it.
    pub(crate) fanout: &'a [TaskId],
    /// AICPU thread that has seen it.
    pub(crate) thread: u32,
}

/// The same, with what is known of it. Times in ticks.
#[derive(Debug)]
pub(super) struct Ended<'a> {
    pub(super) core: CoreId,
    pub(super) core_type: CoreType,
    pub(super) task: TaskId,
    pub(super) func_id: u32,
    pub(super) token: u32,
    pub(super) dispatched: u64,
    pub(super) seen: u64,
    pub(super) fanout: &'a [TaskId],
    pub(super) thread: u32,
}

impl CoreRecords {
    /// Takes up what a launch asks for; `None` if that is nothing. To be done before any core is told to start.
    ///
    /// # Safety
    /// The places must be those of the launch, and stay accessible while the result is used.
    pub(crate) unsafe fn open(
        chip: &'static Chip,
        memory: DeviceMemory,
        places: &RecordPlaces,
        topology: Topology,
    ) -> Option<Self> {
        // SAFETY: as the caller promises.
        let (lanes, rows) = unsafe {
            (Lanes::open(chip, memory, places, topology), PmuRows::open(chip, memory, places, topology))
        };
        let dispatched = vec![Dispatched::default(); topology.cores() as usize];
        (lanes.is_some() || rows.is_some()).then_some(Self { chip, topology, dispatched, lanes, rows })
    }

    /// Makes a core count; `counters` are the registers for it, where they are known.
    pub(crate) fn arm(&mut self, core: CoreId, counters: Option<&Block>) {
        if let Some(rows) = &mut self.rows {
            rows.arm(core, counters);
        }
    }

    /// Makes cores what they were before they [counted](Self::arm).
    pub(crate) fn disarm(&mut self, cores: impl Iterator<Item = CoreId>) {
        if let Some(rows) = &mut self.rows {
            cores.for_each(|core| rows.disarm(core));
        }
    }

    /// Whether [`Finished`] is to say which tasks wait.
    pub(crate) fn wants_fanout(&self) -> bool {
        self.lanes.as_ref().is_some_and(Lanes::wants_fanout)
    }

    /// A core is about to get a task.
    pub(crate) fn dispatched(&mut self, core: CoreId, token: u32, func_id: u32) {
        let at = now(self.chip.arch);
        if let Some(place) = self.dispatched.get_mut(core.0 as usize) {
            *place = Dispatched { token, func_id, at };
        }
    }

    /// It was seen to have done it.
    pub(crate) fn finished(&mut self, finished: &Finished<'_>) {
        let seen = now(self.chip.arch);
        let &Finished { core, task, fanout, thread } = finished;
        let Some(&Dispatched { token, func_id, at }) = self.dispatched.get(core.0 as usize) else { return };
        let core_type = self.topology.core_type(core);
        let ended = Ended { core, core_type, task, func_id, token, dispatched: at, seen, fanout, thread };
        if let Some(rows) = &mut self.rows {
            rows.ended(&ended);
        }
        if let Some(lanes) = &mut self.lanes {
            lanes.ended(&ended);
        }
    }

    /// The end: hands over what there is, on behalf of an AICPU thread.
    pub(crate) fn flush(&mut self, thread: u32) {
        if let Some(lanes) = &mut self.lanes {
            lanes.flush(thread);
        }
        if let Some(rows) = &mut self.rows {
            rows.flush(thread);
        }
    }
}
