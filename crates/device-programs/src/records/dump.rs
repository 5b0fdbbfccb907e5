use std::mem::offset_of;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use bytemuck::Zeroable as _;
use device_runner::{DevPtr, DeviceError, DumpedArg, GlobalMemory as _, TaskId, TensorView};
use run_records::dump::{Role, Stage};
use task_interface::records::{DumpMemory, DumpRecord, DumpState, SELECTIVE};

use super::unit::{Ready, Unit};
use crate::memory::DeviceMemory;
use crate::word::{Word, load_u64, store_u64};

/// Tensors before and after tasks (`spec/device-abi.md`, section 6.2).
#[derive(Debug)]
pub(super) struct Dump {
    memory: DeviceMemory,
    /// By AICPU thread.
    lanes: Vec<Mutex<Lane>>,
    /// Only chosen tensors count.
    selective: AtomicBool,
    /// Where the host finds that.
    selective_place: u64,
    /// A task that cannot be dumped has been told of.
    told: AtomicBool,
}

#[derive(Debug)]
struct Lane {
    unit: Unit,
    thread: u32,
    arena: Arena,
}

/// Where a thread puts tensors, beginning anew at its end.
#[derive(Debug)]
struct Arena {
    base: u64,
    size: u64,
    /// Bytes that were ever put there, and where the host finds that number.
    written: u64,
    offset: u64,
}

impl Dump {
    /// # Safety
    /// `header` must be of such memory, which stays accessible while the result is used.
    pub(super) unsafe fn open(layout: &'static DumpMemory, memory: DeviceMemory, header: u64) -> Self {
        // SAFETY: a field of the header.
        let threads = unsafe { Word::at(header + layout.num_threads as u64) }.load();
        let ready = Ready::new(header, &layout.queues);
        let lanes = (0..threads.min(layout.queues.threads)).map(|thread| {
            let states = header + layout.queues.header_bytes as u64;
            let state = states + u64::from(thread) * layout.tensors.bytes as u64;
            // SAFETY: the states follow the header, one for each thread, as the caller promises.
            let (unit, arena) =
                unsafe { (Unit::open(memory, &ready, (state, &layout.tensors), thread), Arena::open(state)) };
            Mutex::new(Lane { unit, thread, arena })
        });
        let lanes = lanes.collect();
        Self {
            memory,
            lanes,
            selective: AtomicBool::new(false),
            selective_place: header + layout.selective as u64,
            told: AtomicBool::new(false),
        }
    }

    pub(super) fn select(&self) {
        if !self.selective.swap(true, Ordering::AcqRel) {
            // SAFETY: a field of the header, as whoever opened it has promised.
            unsafe { Word::at(self.selective_place) }.store(SELECTIVE);
        }
    }

    pub(super) fn skip(&self, task: TaskId, expected: usize, is: usize) {
        if !self.told.swap(true, Ordering::AcqRel) {
            log::warn!(
                "tensor dump: {task} is left out, and others like it: its kernels' signatures have {expected} \
                 tensors, but it has {is}"
            );
        }
    }

    /// On behalf of an AICPU thread.
    pub(super) fn tensor(&self, thread: u32, arg: &DumpedArg, stage: Stage, view: &TensorView<'_>) {
        if !arg.counts(stage, self.selective.load(Ordering::Acquire)) {
            return;
        }
        let Some(lane) = self.lanes.get(thread as usize) else { return };
        let mut lane = lane.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(reason) = lane.tensor(self.memory, arg, stage, view) {
            log::warn!("tensor dump: tensor {} of {} is lost: {reason}", arg.index, arg.task);
            lane.unit.lose(1);
        }
    }

    pub(super) fn flush(&self) {
        for lane in &self.lanes {
            let mut lane = lane.lock().unwrap_or_else(PoisonError::into_inner);
            let thread = lane.thread;
            lane.unit.flush(thread);
        }
    }
}

impl Lane {
    fn tensor(
        &mut self,
        memory: DeviceMemory,
        arg: &DumpedArg,
        stage: Stage,
        view: &TensorView<'_>,
    ) -> Result<(), String> {
        let gathered = view.gather_into(&memory, self.arena.size);
        let (bytes, truncated) = gathered.map_err(|error| error.to_string())?;
        let mut record = record(arg, stage, view);
        record.truncated = truncated.into();
        record.payload_size = bytes.len() as u64;
        record.payload_offset = self.arena.put(memory, &bytes).map_err(|error| error.to_string())?;
        self.unit.push(self.thread, bytemuck::bytes_of(&record));
        Ok(())
    }
}

fn record(arg: &DumpedArg, stage: Stage, view: &TensorView<'_>) -> DumpRecord {
    let mut record = DumpRecord {
        task_id: arg.task.0,
        subtask_id: arg.subtask,
        role: match arg.role {
            Role::Input => 0,
            Role::Output => 1,
            Role::Inout => 2,
        },
        stage: match stage {
            Stage::BeforeDispatch => 0,
            Stage::AfterCompletion => 1,
        },
        ndims: u8::try_from(view.shape.len()).unwrap_or(u8::MAX),
        func_id: arg.func_id,
        arg_index: arg.index,
        dtype: view.dtype,
        is_contiguous: view.is_contiguous().into(),
        start_offset: view.start_offset,
        chosen: arg.chosen.is_some().into(),
        ..DumpRecord::zeroed()
    };
    record.shapes.iter_mut().zip(view.shape).for_each(|(place, &extent)| *place = extent);
    record.strides.iter_mut().zip(view.strides).for_each(|(place, &stride)| *place = stride);
    record
}

impl Arena {
    /// # Safety
    /// `state` must be that of a thread's dump.
    unsafe fn open(state: u64) -> Self {
        let field = |offset: usize| state + offset as u64;
        let offset = field(offset_of!(DumpState, arena_write_offset));
        // SAFETY: fields of the state.
        unsafe {
            store_u64(offset, 0);
            Self {
                base: load_u64(field(offset_of!(DumpState, arena_base))),
                size: load_u64(field(offset_of!(DumpState, arena_size))),
                written: 0,
                offset,
            }
        }
    }

    /// Puts bytes behind those that are there, and over the oldest; how many were ever there before. There are not more
    /// than there is room for.
    fn put(&mut self, memory: DeviceMemory, bytes: &[u8]) -> Result<u64, DeviceError> {
        let begin = self.written;
        self.written += bytes.len() as u64;
        // Told first: the host sees by it what is overwritten.
        // SAFETY: a field of the state, as whoever opened it has promised.
        unsafe { store_u64(self.offset, self.written) };
        let place = begin.checked_rem(self.size).unwrap_or(0);
        let until_end = usize::try_from(self.size - place).unwrap_or(usize::MAX);
        let (front, rest) = bytes.split_at(bytes.len().min(until_end));
        memory.copy_to_device(DevPtr::new(self.base + place), front)?;
        if !rest.is_empty() {
            memory.copy_to_device(DevPtr::new(self.base), rest)?;
        }
        Ok(begin)
    }
}
