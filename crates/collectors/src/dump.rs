use std::mem::offset_of;
use std::sync::Arc;

use device_runner::Recorder;
use run_records::Dtype;
use run_records::dump::{DumpedTensor, Role, Stage};
use task_interface::records::{DUMP_MAGIC, DumpMemory, DumpRecord, DumpState, SELECTIVE, flags};

use crate::collection::{Collector, Part, RecordPlaces};
use crate::queues::{Full, Group, Queues, Tally};
use crate::shared::{Content, Shared, SharedMemory, head_of};

/// Makes the memory of a tensor dump, with an arena for each AICPU thread (`spec/device-abi.md`, section 6.2).
pub(crate) fn open<M: SharedMemory>(
    memory: &M,
    layout: &'static DumpMemory,
    recorder: &Arc<Recorder>,
    places: &mut RecordPlaces,
) -> Result<Part<M::Block>, M::Error> {
    let threads = recorder.aicpu_threads().min(layout.queues.threads);
    let records = u32::try_from(layout.tensors.buffer.capacity).unwrap_or(u32::MAX);
    let states = layout.queues.header_bytes;
    let state = |thread: usize| states + thread * layout.tensors.bytes;
    let content = Content::new(state(threads as usize))
        .put(layout.num_threads, threads)
        .put(layout.records_per_buffer, records)
        .put(layout.arena_size, layout.arena_bytes)
        .put(layout.magic, DUMP_MAGIC);
    let (block, arenas) = content.block(memory, |block| {
        (0..threads as usize).map(|thread| arena(block, state(thread), layout.arena_bytes)).collect()
    })?;
    places.flags |= flags::DUMP;
    places.dump = block.address();
    let group = Group::new(layout.tensors, states, threads);
    let tensors = Tensors { layout, recorder: Arc::clone(recorder), arenas, lost: 0 };
    let queues = Queues::new(block, layout.queues, vec![group]);
    Ok(Part { queues, collector: Box::new(tensors), is_sticky: false })
}

/// A thread's arena, which its state tells of.
fn arena<S: Shared>(block: &mut S, state: usize, bytes: u64) -> Result<u64, S::Error> {
    let arena = block.allocate(usize::try_from(bytes).unwrap_or(usize::MAX))?;
    block.store_u64(state + offset_of!(DumpState, arena_base), arena)?;
    block.store_u64(state + offset_of!(DumpState, arena_size), bytes)?;
    Ok(arena)
}

struct Tensors {
    layout: &'static DumpMemory,
    recorder: Arc<Recorder>,
    /// Device addresses by thread.
    arenas: Vec<u64>,
    /// Records that cannot be.
    lost: u64,
}

/// What came of a tensor's elements.
enum Elements {
    There(Vec<u8>),
    Overwritten,
    /// No arena has room for as many.
    Impossible,
}

impl Tensors {
    /// Copies what a record says out of the arena of its thread, where it may go on at the start.
    fn elements<S: Shared>(
        &self,
        shared: &mut S,
        thread: u32,
        record: &DumpRecord,
    ) -> Result<Elements, S::Error> {
        let room = self.layout.arena_bytes;
        let mut bytes = Vec::new();
        let size = usize::try_from(record.payload_size).ok().filter(|&size| size as u64 <= room);
        let size = size.filter(|&size| bytes.try_reserve_exact(size).is_ok());
        let (Some(size), Some(&arena)) = (size, self.arenas.get(thread as usize)) else {
            return Ok(Elements::Impossible);
        };
        if self.is_overwritten(shared, thread, record)? {
            return Ok(Elements::Overwritten);
        }
        bytes.resize(size, 0);
        let place = record.payload_offset % room;
        let before_end = usize::try_from(room - place).unwrap_or(usize::MAX).min(size);
        let (first, rest) = bytes.split_at_mut(before_end);
        shared.read(arena + place, first)?;
        shared.read(arena, rest)?;
        // The device may have come round while they were copied.
        let overwritten = self.is_overwritten(shared, thread, record)?;
        Ok(if overwritten { Elements::Overwritten } else { Elements::There(bytes) })
    }

    fn is_overwritten<S: Shared>(
        &self,
        shared: &mut S,
        thread: u32,
        record: &DumpRecord,
    ) -> Result<bool, S::Error> {
        let state = self.layout.queues.header_bytes + thread as usize * self.layout.tensors.bytes;
        let place = state + offset_of!(DumpState, arena_write_offset);
        shared.refresh_part(place, size_of::<u64>())?;
        let written = shared.load_u64(place)?;
        Ok(written.saturating_sub(record.payload_offset) > self.layout.arena_bytes)
    }
}

impl<S: Shared> Collector<S> for Tensors {
    fn take(&mut self, shared: &mut S, full: &Full<'_>) -> Result<(), S::Error> {
        for record in full.records.chunks_exact(self.layout.tensors.buffer.record_bytes) {
            let Some((record, tensor)) = head_of(record).and_then(|record| Some((record, tensor(&record)?)))
            else {
                self.lost += 1;
                continue;
            };
            let elements = self.elements(shared, full.unit, &record)?;
            let Some(dump) = self.recorder.dump() else { return Ok(()) };
            let is_chosen = record.chosen == 1;
            match elements {
                Elements::There(elements) => dump.gathered(tensor, is_chosen, Some(&elements)),
                Elements::Overwritten => dump.gathered(tensor, is_chosen, None),
                Elements::Impossible => self.lost += 1,
            }
        }
        Ok(())
    }

    fn end(self: Box<Self>, shared: &mut S, tallies: &[Tally]) -> Result<(), S::Error> {
        let Some(dump) = self.recorder.dump() else { return Ok(()) };
        dump.lose(self.lost + tallies.iter().map(Tally::lost).sum::<u64>());
        // Programs of others do not say so: of theirs, all that is there stays.
        if shared.load_u32(self.layout.selective)? == SELECTIVE {
            dump.select();
        }
        Ok(())
    }
}

/// What a record says of a tensor; `None` if it cannot be one.
fn tensor(record: &DumpRecord) -> Option<DumpedTensor> {
    let shape = record.shapes.get(..usize::from(record.ndims))?.to_vec();
    let strides = record.strides.get(..usize::from(record.ndims))?.to_vec();
    Some(DumpedTensor {
        task_id: record.task_id,
        subtask_id: record.subtask_id,
        func_id: record.func_id,
        role: match record.role {
            0 => Role::Input,
            1 => Role::Output,
            2 => Role::Inout,
            _ => return None,
        },
        stage: match record.stage {
            0 => Stage::BeforeDispatch,
            1 => Stage::AfterCompletion,
            _ => return None,
        },
        arg_index: record.arg_index,
        dtype: Dtype::from(record.dtype),
        is_contiguous: record.is_contiguous != 0,
        numel: shape.iter().fold(1, |product: u64, &extent| product.saturating_mul(extent.into())),
        shape,
        strides,
        start_offset: record.start_offset,
        bin_offset: 0,
        bin_size: 0,
        truncated: record.truncated != 0,
        overwritten: false,
    })
}
