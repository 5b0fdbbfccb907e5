use std::collections::HashMap;
use std::mem::offset_of;
use std::sync::Arc;

use bytemuck::{Pod, Zeroable};
use device_runner::{CoreId, DeviceTime, Phases, Recorder, Swimlane, TaskId, TaskRun};
use task_interface::records::{
    CoreTimesMemory, KIND_CORE_TIMES, KIND_PHASES, KIND_TASKS, PhaseRecord, SwimlaneMemory, TaskRecordHead,
    flags,
};

use crate::collection::{Collector, Part, RecordPlaces};
use crate::phases;
use crate::queues::{Full, Group, Queues, Tally};
use crate::shared::{Content, Shared, SharedMemory, head_of, rings, upload};

/// Lowest level that has phases.
const PHASES_LEVEL: u32 = 3;

/// As many free buffers for phases are at hand as it takes to exchange a full one; they are large.
const PHASES_AHEAD: u32 = 2;

/// Makes the memory of a swimlane (`spec/device-abi.md`, section 6.1).
pub(crate) fn open<M: SharedMemory>(
    memory: &M,
    layout: &'static SwimlaneMemory,
    recorder: &Arc<Recorder>,
    places: &mut RecordPlaces,
) -> Result<Part<M::Block>, M::Error> {
    let level = recorder.swimlane().map_or(0, Swimlane::level);
    let (cores, threads) = (recorder.topology().cores(), layout.queues.threads);
    let mut offset = layout.queues.header_bytes;
    let mut groups = vec![Group::new(layout.tasks, offset, cores)];
    offset += cores as usize * layout.tasks.bytes;
    if let CoreTimesMemory::Rotation(times) = layout.core_times {
        // Cores do not count their records, and what they do not write is told by zeros.
        groups.push(Group { clean: true, ..Group::new(times, offset, cores) });
        offset += cores as usize * times.bytes;
    }
    let phase_header = offset;
    offset += layout.phase_header_bytes;
    if level >= PHASES_LEVEL {
        groups.push(Group { ahead: PHASES_AHEAD, ..Group::new(layout.phases, offset, threads) });
    }
    let content = Content::new(offset + threads as usize * layout.phases.bytes)
        .put(layout.num_cores, cores)
        .put(layout.level, level);
    let (block, table) = content.block(memory, |block| core_times(block, layout, cores))?;
    places.flags |= flags::SWIMLANE;
    (places.swimlane, places.core_times) = (block.address(), table);
    let kinds = groups.iter().map(|group| group.layout.kind).collect();
    let records = Records {
        layout,
        recorder: Arc::clone(recorder),
        kinds,
        phase_header,
        tasks: Vec::new(),
        times: HashMap::new(),
        phases: phases::none(threads as usize),
    };
    let queues = Queues::new(block, layout.queues, groups);
    Ok(Part { queues, collector: Box::new(records), is_sticky: true })
}

/// The table by which cores find where to tell their times. With rings, it is the host that makes them.
fn core_times<S: Shared>(block: &mut S, layout: &SwimlaneMemory, cores: u32) -> Result<u64, S::Error> {
    let CoreTimesMemory::Ring { bytes, address } = layout.core_times else {
        return upload(block, &vec![0; cores as usize * size_of::<u64>()]);
    };
    rings(block, cores, bytes, layout.queues.header_bytes + address, layout.tasks.bytes)
}

/// Records of a run, until it has ended.
struct Records {
    layout: &'static SwimlaneMemory,
    recorder: Arc<Recorder>,
    /// What the groups of units are.
    kinds: Vec<u32>,
    /// Where it is in the block.
    phase_header: usize,
    tasks: Vec<Task>,
    /// By core and what the core knew the task by.
    times: HashMap<(u32, u32), (u64, u64)>,
    phases: Phases,
}

struct Task {
    core: u32,
    head: TaskRecordHead,
    /// What the core knew it by, where it tells its times itself.
    token: Option<u32>,
    fanout: Vec<TaskId>,
}

/// Record of a core's times (`spec/device-abi.md`, appendix A).
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct CoreTimes {
    start: u64,
    end: u64,
    token: u32,
    pad: u32,
}

impl<S: Shared> Collector<S> for Records {
    fn take(&mut self, _: &mut S, full: &Full<'_>) -> Result<(), S::Error> {
        match self.kinds.get(full.group) {
            Some(&KIND_TASKS) => {
                let records = full.records.chunks_exact(self.layout.tasks.buffer.record_bytes);
                self.tasks.extend(records.filter_map(|record| task(self.layout, full.unit, record)));
            }
            Some(&KIND_CORE_TIMES) => {
                let CoreTimesMemory::Rotation(unit) = &self.layout.core_times else { return Ok(()) };
                let records = full.records.chunks_exact(unit.buffer.record_bytes);
                let times = records.filter_map(head_of::<CoreTimes>).filter(|times| times.start != 0);
                let times = times.map(|times| ((full.unit, times.token), (times.start, times.end)));
                self.times.extend(times);
            }
            Some(&KIND_PHASES) => {
                let limits = self.recorder.limits();
                for record in full.records.chunks_exact(size_of::<PhaseRecord>()).filter_map(head_of) {
                    phases::add(&mut self.phases, limits, full.unit, &record);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn end(mut self: Box<Self>, shared: &mut S, tallies: &[Tally]) -> Result<(), S::Error> {
        let recorder = Arc::clone(&self.recorder);
        let Some(swimlane) = recorder.swimlane() else { return Ok(()) };
        if swimlane.level() >= PHASES_LEVEL {
            let cores = recorder.topology().cores();
            self.phases.core_to_thread = phases::core_map(shared, self.phase_header, cores)?;
            swimlane.keep_phases(std::mem::take(&mut self.phases));
        }
        let mut log = swimlane.task_log();
        let mut lost = 0;
        for task in &self.tasks {
            match self.run(task) {
                Some(run) => log.push(run, &task.fanout),
                None => lost += 1,
            }
        }
        swimlane.keep_tasks(log);
        for (&kind, tally) in self.kinds.iter().zip(tallies) {
            match kind {
                // A time that is missing is that of a task.
                KIND_CORE_TIMES => {}
                KIND_PHASES => recorder.lose("swimlane (phases)", tally.lost()),
                _ => recorder.lose("swimlane", lost + tally.lost()),
            }
        }
        Ok(())
    }
}

impl Records {
    /// What is told of a task; `None` if its core has not told when it ran.
    fn run(&self, task: &Task) -> Option<TaskRun> {
        let limits = self.recorder.limits();
        let Task { core, head, token, .. } = task;
        let (start, end) = match token {
            Some(token) => *self.times.get(&(*core, *token))?,
            None => (head.start_time, head.end_time),
        };
        let (start, end) = (limits.time(start), limits.time(end));
        // Below level 2 only cores tell times.
        let known =
            |ticks: u64, otherwise: DeviceTime| if ticks == 0 { otherwise } else { limits.time(ticks) };
        Some(TaskRun {
            task: TaskId(head.task_id),
            func_id: head.func_id,
            core: CoreId(*core),
            dispatch: known(head.dispatch_time, start),
            start,
            end,
            finish: known(head.finish_time, end),
        })
    }
}

/// The record of a task, whatever the chip.
fn task(layout: &SwimlaneMemory, core: u32, record: &[u8]) -> Option<Task> {
    let head = head_of::<TaskRecordHead>(record)?;
    let rest = record.get(size_of::<TaskRecordHead>()..)?;
    let (token, fanout) = match layout.core_times {
        CoreTimesMemory::Rotation(_) => (Some(head_of::<u32>(rest)?), Vec::new()),
        CoreTimesMemory::Ring { .. } => (None, fanout(rest)?),
    };
    Some(Task { core, head, token, fanout })
}

/// Tasks that a record names may wait for its own.
const FANOUT: usize = 128;

fn fanout(rest: &[u8]) -> Option<Vec<TaskId>> {
    let count = head_of::<i32>(rest.get(FANOUT * size_of::<u64>()..)?)?;
    let count = usize::try_from(count).unwrap_or(0).min(FANOUT);
    let (words, _) = rest.as_chunks::<8>();
    Some(words.iter().take(count).map(|word| TaskId(u64::from_le_bytes(*word))).collect())
}

const _: () = assert!(offset_of!(CoreTimes, token) == 16);
