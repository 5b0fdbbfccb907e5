use std::collections::HashMap;
use std::mem::offset_of;
use std::sync::Arc;

use bytemuck::{Pod, Zeroable};
use device_runner::{CoreId, DeviceTime, Limits, Recorder, TaskId, TaskRun, Topology};
use task_interface::records::{CoreTimesMemory, SwimlaneMemory, TaskRecordHead, flags};

use super::queues::{Full, Group, Queues, Tally};
use super::shared::{DeviceBlock, Shared as _};
use super::{Collector, Part};
use crate::chip::RecordPlaces;
use crate::error::OnboardError;
use crate::inner::Inner;

/// Group of the records of tasks.
const TASKS: usize = 0;
/// Group of what cores tell themselves, where they do.
const TIMES: usize = 1;

/// Makes the memory of a swimlane (`spec/device-abi.md`, section 6.1).
pub(super) fn open(
    inner: &Arc<Inner>,
    level: u32,
    topology: Topology,
    places: &mut RecordPlaces,
) -> Result<Part, OnboardError> {
    let layout = &inner.chip.records().swimlane;
    let cores = topology.cores();
    let mut offset = layout.queues.header_bytes;
    let tasks = Group { layout: layout.tasks, offset, units: cores, clean: false };
    offset += cores as usize * layout.tasks.bytes;
    let mut groups = vec![tasks];
    if let CoreTimesMemory::Rotation(times) = layout.core_times {
        // Cores do not count their records, and what they do not write is told by zeros.
        groups.push(Group { layout: times, offset, units: cores, clean: true });
        offset += cores as usize * times.bytes;
    }
    let threads = layout.queues.threads as usize;
    let bytes = offset + layout.phase_header_bytes + threads * layout.phases.bytes;
    let mut content = vec![0; bytes];
    for (place, value) in [(layout.num_cores, cores), (layout.level, level)] {
        content[place..place + size_of::<u32>()].copy_from_slice(&value.to_le_bytes());
    }
    let mut block = DeviceBlock::new(inner, content)?;
    let table = match core_times(&mut block, layout, cores) {
        Ok(table) => table,
        Err(error) => {
            block.release();
            return Err(error);
        }
    };
    places.flags |= flags::SWIMLANE;
    (places.swimlane, places.core_times) = (block.address(), table);
    let queues = Queues::new(block, layout.queues, groups);
    let records = Records { layout, limits: inner.chip.limits(), tasks: Vec::new(), times: HashMap::new() };
    Ok(Part { queues, collector: Box::new(records) })
}

/// The table by which cores find where to tell their times. With rings, it is the host that makes them.
fn core_times(block: &mut DeviceBlock, layout: &SwimlaneMemory, cores: u32) -> Result<u64, OnboardError> {
    let CoreTimesMemory::Ring { bytes, address } = layout.core_times else {
        return block.upload(&vec![0; cores as usize * size_of::<u64>()]);
    };
    let rings = block.upload(&vec![0; cores as usize * bytes])?;
    let ring = |core: usize| rings + (core * bytes) as u64;
    for core in 0..cores as usize {
        block.store_u64(layout.queues.header_bytes + core * layout.tasks.bytes + address, ring(core))?;
    }
    let table: Vec<u8> = (0..cores as usize).flat_map(|core| ring(core).to_le_bytes()).collect();
    block.upload(&table)
}

/// Records of a run, until it has ended.
struct Records {
    layout: &'static SwimlaneMemory,
    limits: &'static Limits,
    tasks: Vec<Task>,
    /// By core and what the core knew the task by.
    times: HashMap<(u32, u32), (u64, u64)>,
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

impl Collector for Records {
    fn take(&mut self, full: &Full<'_>) {
        match full.group {
            TASKS => {
                let records = full.records.chunks_exact(self.layout.tasks.buffer.record_bytes);
                self.tasks.extend(records.filter_map(|record| task(self.layout, full.unit, record)));
            }
            TIMES => {
                let CoreTimesMemory::Rotation(unit) = &self.layout.core_times else { return };
                for record in full.records.chunks_exact(unit.buffer.record_bytes) {
                    let Some(times) = head_of::<CoreTimes>(record).filter(|times| times.start != 0) else {
                        continue;
                    };
                    self.times.insert((full.unit, times.token), (times.start, times.end));
                }
            }
            _ => {}
        }
    }

    fn end(self: Box<Self>, recorder: &Recorder, tallies: &[Tally]) {
        let Some(swimlane) = recorder.swimlane() else { return };
        let mut log = swimlane.task_log();
        let mut lost = tallies.first().map_or(0, Tally::lost);
        for Task { core, mut head, token, fanout } in self.tasks {
            if let Some(token) = token {
                let Some(&(start, end)) = self.times.get(&(core, token)) else {
                    lost += 1;
                    continue;
                };
                (head.start_time, head.end_time) = (start, end);
            }
            let time = |ticks: u64| time_of(self.limits, ticks);
            let (start, end) = (time(head.start_time), time(head.end_time));
            // Below level 2 only cores tell times.
            let known = |ticks: u64, otherwise: DeviceTime| if ticks == 0 { otherwise } else { time(ticks) };
            let run = TaskRun {
                task: TaskId(head.task_id),
                func_id: head.func_id,
                core: CoreId(core),
                dispatch: known(head.dispatch_time, start),
                start,
                end,
                finish: known(head.finish_time, end),
            };
            log.push(run, &fanout);
        }
        swimlane.keep_tasks(log);
        recorder.lose("swimlane", lost);
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

fn head_of<T: Pod>(bytes: &[u8]) -> Option<T> {
    bytemuck::try_pod_read_unaligned(bytes.get(..size_of::<T>())?).ok()
}

/// A time of the chip's counter on the clock of records, such that it is the same number of ticks there.
fn time_of(limits: &Limits, ticks: u64) -> DeviceTime {
    let nanos = u128::from(ticks) * 1_000_000_000 / u128::from(limits.clock_hz.max(1));
    DeviceTime(u64::try_from(nanos).unwrap_or(u64::MAX))
}

const _: () = assert!(offset_of!(CoreTimes, token) == 16);
