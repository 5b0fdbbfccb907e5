use std::sync::Arc;

use device_runner::{CoreId, MAX_COUNTERS, PmuSample, Recorder, TaskId};
use task_interface::records::{PmuMemory, PmuRecordHead, flags};

use crate::collection::{Collector, Part, RecordPlaces};
use crate::queues::{Full, Group, Queues, Tally};
use crate::shared::{Content, Shared, SharedMemory, head_of, rings};

/// Makes the memory of hardware counters (`spec/device-abi.md`, section 6.3).
pub(crate) fn open<M: SharedMemory>(
    memory: &M,
    layout: &'static PmuMemory,
    recorder: &Arc<Recorder>,
    places: &mut RecordPlaces,
) -> Result<Part<M::Block>, M::Error> {
    let event_type = recorder.pmu().map_or(0, |pmu| pmu.events().event_type);
    let cores = recorder.topology().cores();
    let states = layout.queues.header_bytes;
    let content = Content::new(states + cores as usize * layout.rows.bytes)
        .put(layout.num_cores, cores)
        .put(layout.event_type, event_type);
    let (block, table) = content.block(memory, |block| match layout.ring {
        Some((bytes, address)) => rings(block, cores, bytes, states + address, layout.rows.bytes),
        None => Ok(0),
    })?;
    places.flags |= flags::PMU;
    (places.pmu, places.pmu_rings) = (block.address(), table);
    let group = Group::new(layout.rows, states, cores);
    let rows = Rows { layout, recorder: Arc::clone(recorder) };
    let queues = Queues::new(block, layout.queues, vec![group]);
    Ok(Part { queues, collector: Box::new(rows), is_sticky: false })
}

struct Rows {
    layout: &'static PmuMemory,
    recorder: Arc<Recorder>,
}

impl<S: Shared> Collector<S> for Rows {
    fn take(&mut self, _: &mut S, full: &Full<'_>) -> Result<(), S::Error> {
        let Some(pmu) = self.recorder.pmu() else { return Ok(()) };
        let records = full.records.chunks_exact(self.layout.rows.buffer.record_bytes);
        records.filter_map(|record| sample(self.layout, full.unit, record)).for_each(|row| pmu.sample(row));
        Ok(())
    }

    fn end(self: Box<Self>, _: &mut S, tallies: &[Tally]) -> Result<(), S::Error> {
        self.recorder.lose("PMU", tallies.iter().map(Tally::lost).sum());
        Ok(())
    }
}

fn sample(layout: &PmuMemory, core: u32, record: &[u8]) -> Option<PmuSample> {
    let head: PmuRecordHead = head_of(record)?;
    let (words, _) = record.get(size_of::<PmuRecordHead>()..)?.as_chunks::<4>();
    let mut counters = [0; MAX_COUNTERS];
    for (counter, word) in counters.iter_mut().zip(words).take(layout.counters) {
        *counter = u32::from_le_bytes(*word);
    }
    Some(PmuSample {
        task: TaskId(head.task_id),
        func_id: head.func_id,
        core: CoreId(core),
        total_cycles: head.pmu_total_cycles,
        counters,
    })
}
