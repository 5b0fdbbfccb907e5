use std::sync::Arc;

use device_runner::Recorder;
use run_records::scope::{Border, RINGS, Record};
use task_interface::records::{ScopeMemory, ScopeRecord, flags};

use crate::collection::{Collector, Part, RecordPlaces};
use crate::queues::{Full, Group, Queues, Tally};
use crate::shared::{Content, Shared, SharedMemory, head_of};

/// Makes the memory of scope statistics (`spec/device-abi.md`, section 6.4).
pub(crate) fn open<M: SharedMemory>(
    memory: &M,
    layout: &'static ScopeMemory,
    recorder: &Arc<Recorder>,
    places: &mut RecordPlaces,
) -> Result<Part<M::Block>, M::Error> {
    let states = layout.queues.header_bytes;
    let content = Content::new(states + layout.borders.bytes).put(layout.num_instances, 1u32);
    let (block, ()) = content.block(memory, |_| Ok(()))?;
    places.flags |= flags::SCOPE_STATS;
    places.scopes = block.address();
    let group = Group::new(layout.borders, states, 1);
    let borders = Borders { layout, recorder: Arc::clone(recorder) };
    let queues = Queues::new(block, layout.queues, vec![group]);
    Ok(Part { queues, collector: Box::new(borders), is_sticky: false })
}

struct Borders {
    layout: &'static ScopeMemory,
    recorder: Arc<Recorder>,
}

impl<S: Shared> Collector<S> for Borders {
    fn take(&mut self, _: &mut S, full: &Full<'_>) -> Result<(), S::Error> {
        let Some(scopes) = self.recorder.scopes() else { return Ok(()) };
        let records = full.records.chunks_exact(self.layout.borders.buffer.record_bytes);
        records.filter_map(|record| Some(border(&head_of(record)?))).for_each(|record| scopes.keep(record));
        Ok(())
    }

    fn end(self: Box<Self>, shared: &mut S, tallies: &[Tally]) -> Result<(), S::Error> {
        let Some(scopes) = self.recorder.scopes() else { return Ok(()) };
        scopes.lose(tallies.iter().map(Tally::lost).sum());
        let (mut tasks, mut heap) = ([0; RINGS], [0; RINGS]);
        for ring in 0..RINGS {
            let place = self.layout.task_windows + ring * size_of::<u32>();
            tasks[ring] = shared.load_u32(place)?.cast_signed();
            heap[ring] = shared.load_u64(self.layout.heaps + ring * size_of::<u64>())?;
        }
        scopes.rooms(tasks, heap, shared.load_u32(self.layout.tensormap)?.cast_signed());
        if shared.load_u32(self.layout.fatal)? != 0 {
            scopes.fatal();
        }
        Ok(())
    }
}

fn border(record: &ScopeRecord) -> Record {
    Record {
        site: site(record),
        phase: if record.phase == 0 { Border::Begin } else { Border::End },
        depth: record.depth,
        ring: record.ring_id,
        task_window_start: record.task_start,
        task_window_end: record.task_end,
        heap_start: record.heap_start,
        heap_end: record.heap_end,
        tensormap: record.tensormap_used,
    }
}

/// File and line, or what stands for a scope that did not say.
fn site(record: &ScopeRecord) -> String {
    let name = record.site_file_basename.split(|&byte| byte == 0).next().unwrap_or_default();
    match String::from_utf8_lossy(name) {
        name if name.is_empty() => "(unknown):0".to_owned(),
        name => format!("{name}:{}", record.site_line),
    }
}
