use std::sync::{Mutex, PoisonError};

use bytemuck::Zeroable as _;
use device_runner::{Submit, SubmitSink};
use task_interface::records::{SubmitMemory, SubmitOverflowRecord, SubmitRecord, submit_flags};
use task_interface::trb::TaskToken;

use super::unit::{Ready, Unit};
use crate::memory::DeviceMemory;
use crate::word::Word;

/// What the graph is built from (`spec/device-abi.md`, section 6.5).
#[derive(Debug)]
pub(super) struct SubmitRecords {
    state: Mutex<State>,
    /// The orchestrator's.
    thread: u32,
}

#[derive(Debug)]
struct State {
    unit: Unit,
    /// Counts records that continue another.
    overflows: Word,
}

impl SubmitRecords {
    /// # Safety
    /// `header` must be of such memory, which stays accessible while the result is used.
    pub(super) unsafe fn open(
        layout: &'static SubmitMemory,
        memory: DeviceMemory,
        header: u64,
        thread: u32,
    ) -> Self {
        let state = header + layout.queues.header_bytes as u64;
        // SAFETY: the state follows the header, as the caller promises.
        let (unit, overflows) = unsafe {
            (
                Unit::open(memory, &Ready::new(header, &layout.queues), (state, &layout.submits), 0),
                Word::at(state + layout.overflows as u64),
            )
        };
        overflows.store(0);
        Self { state: Mutex::new(State { unit, overflows }), thread }
    }

    pub(super) fn flush(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).unit.flush(self.thread);
    }
}

/// Dependencies that a record of a submit has room for, and one that continues it.
const OWN: usize = 64;
const MORE: usize = 326;

impl SubmitSink for SubmitRecords {
    fn submit(&self, submit: &Submit<'_>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let State { unit, overflows } = &mut *state;
        unit.tried();
        let (own, more) = submit.explicit.split_at(submit.explicit.len().min(OWN));
        // All records of a submit are in one buffer.
        let room = unit.buffer().capacity - 1;
        let wanted = more.len().div_ceil(MORE);
        if wanted > room {
            log::warn!(
                "dep_gen: {} names too many dependencies; {} are kept",
                submit.task,
                OWN + room * MORE
            );
        }
        let records = wanted.min(room);
        if !unit.make_room(self.thread, records + 1) {
            return unit.lose(1);
        }
        unit.append(bytemuck::bytes_of(&base(submit, own, records > 0)));
        for (index, deps) in more.chunks(MORE).take(records).enumerate() {
            let is_last = index + 1 == records;
            unit.append(bytemuck::bytes_of(&overflow(submit.task, deps, is_last)));
        }
        overflows.store(overflows.load().wrapping_add(u32::try_from(records).unwrap_or(u32::MAX)));
    }
}

fn base(submit: &Submit<'_>, deps: &[TaskToken], is_continued: bool) -> SubmitRecord {
    let mut record = SubmitRecord {
        task_id: submit.task.raw,
        tensor_count: count(submit.tensors.len()),
        explicit_dep_count: count(deps.len()),
        ..SubmitRecord::zeroed()
    };
    let flags = [(submit.manual, submit_flags::MANUAL), (is_continued, submit_flags::CONTINUED)];
    record.flags = flags.iter().filter(|(on, _)| *on).fold(0, |flags, (_, flag)| flags | flag);
    record.explicit_deps.iter_mut().zip(deps).for_each(|(place, dep)| *place = dep.raw);
    let places = record.arg_types.iter_mut().zip(&mut record.tensors);
    for ((arg_type, place), (tag, tensor)) in places.zip(submit.tensors) {
        *arg_type = u8::try_from(tag.raw()).unwrap_or(u8::MAX);
        if let Some(tensor) = tensor {
            place.copy_from_slice(bytemuck::bytes_of(tensor));
        }
    }
    record
}

fn overflow(task: TaskToken, deps: &[TaskToken], is_last: bool) -> SubmitOverflowRecord {
    let last = if is_last { submit_flags::LAST } else { 0 };
    let mut record = SubmitOverflowRecord {
        task_id: task.raw,
        flags: submit_flags::CONTINUES | last,
        dep_count: count(deps.len()),
        ..SubmitOverflowRecord::zeroed()
    };
    record.deps.iter_mut().zip(deps).for_each(|(place, dep)| *place = dep.raw);
    record
}

/// At most a few hundred.
fn count(items: usize) -> u16 {
    u16::try_from(items).unwrap_or(u16::MAX)
}
