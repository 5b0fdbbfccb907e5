use std::mem::offset_of;

use device_runner::{Limits, Phases, SchedulerPass, SubmitPhase, TaskId};
use run_records::swimlane::{OrchestratorWork, SchedulerWork};
use task_interface::records::{PHASE_MAGIC, PhaseHeader, PhaseRecord};

use crate::shared::Shared;

/// Phases from this number on are the orchestrator's (`spec/device-abi.md`, section 6.1).
const FIRST_OF_ORCHESTRATOR: u32 = 16;

/// No phases of so many threads.
pub(crate) fn none(threads: usize) -> Phases {
    Phases {
        schedulers: vec![Vec::new(); threads],
        orchestrators: vec![Vec::new(); threads],
        core_to_thread: None,
    }
}

/// Adds what a thread did.
pub(crate) fn add(phases: &mut Phases, limits: &Limits, thread: u32, record: &PhaseRecord) {
    let (start, end) = (limits.time(record.start_time), limits.time(record.end_time));
    if record.phase_id < FIRST_OF_ORCHESTRATOR {
        let work = SchedulerWork::from(record.phase_id);
        let pops = (work == SchedulerWork::Dispatch).then_some((record.extra1, record.extra2));
        if let Some(lane) = phases.schedulers.get_mut(thread as usize) {
            lane.push(SchedulerPass {
                work,
                start,
                end,
                pass: record.loop_iter,
                tasks: record.task_id,
                pops,
            });
        }
    } else if let Some(lane) = phases.orchestrators.get_mut(thread as usize) {
        let work = OrchestratorWork::from(record.phase_id);
        lane.push(SubmitPhase { work, start, end, submit: record.loop_iter, task: TaskId(record.task_id) });
    }
}

/// Where fields are that do not depend on the chip's number of cores.
type Header = PhaseHeader<0>;

/// By core the thread that schedules it, as the header at this offset has it; `None` if it was not told.
pub(crate) fn core_map<S: Shared>(
    shared: &S,
    header: usize,
    cores: u32,
) -> Result<Option<Vec<i32>>, S::Error> {
    let told = shared.load_u32(header + offset_of!(Header, num_cores))?;
    if shared.load_u32(header + offset_of!(Header, magic))? != PHASE_MAGIC || told == 0 {
        return Ok(None);
    }
    let mut threads = Vec::new();
    for core in 0..told.min(cores) as usize {
        let offset = core % size_of::<u32>();
        let word =
            shared.load_u32(header + offset_of!(Header, core_to_thread) + core - offset)?.to_le_bytes();
        threads.push(i32::from(word[offset].cast_signed()));
    }
    Ok(Some(threads))
}
