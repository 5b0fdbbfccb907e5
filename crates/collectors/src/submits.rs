use std::sync::Arc;

use device_runner::{Recorder, Submit};
use task_interface::TensorArgType;
use task_interface::records::{SubmitMemory, SubmitOverflowRecord, SubmitRecord, flags, submit_flags};
use task_interface::trb::{TaskToken, Tensor};

use crate::collection::{Collector, Part, RecordPlaces};
use crate::queues::{Full, Group, Queues, Tally};
use crate::shared::{Content, Shared, SharedMemory, head_of};

/// Makes the memory of submits (`spec/device-abi.md`, section 6.5).
pub(crate) fn open<M: SharedMemory>(
    memory: &M,
    layout: &'static SubmitMemory,
    recorder: &Arc<Recorder>,
    places: &mut RecordPlaces,
) -> Result<Part<M::Block>, M::Error> {
    let states = layout.queues.header_bytes;
    let content = Content::new(states + layout.submits.bytes).put(layout.num_instances, 1u32);
    let (block, ()) = content.block(memory, |_| Ok(()))?;
    places.flags |= flags::DEP_GEN;
    places.submits = block.address();
    let group = Group::new(layout.submits, states, 1);
    let submits = Submits { layout, recorder: Arc::clone(recorder), open: None, more: 0, strange: 0 };
    let queues = Queues::new(block, layout.queues, vec![group]);
    Ok(Part { queues, collector: Box::new(submits), is_sticky: false })
}

struct Submits {
    layout: &'static SubmitMemory,
    recorder: Arc<Recorder>,
    /// A submit of which more records are to come.
    open: Option<Chain>,
    /// Records that continued one.
    more: u64,
    /// Submits that cannot be.
    strange: u64,
}

/// A submit as far as it has come.
struct Chain {
    task: TaskToken,
    manual: bool,
    tensors: Vec<(TensorArgType, Option<Tensor>)>,
    explicit: Vec<TaskToken>,
}

impl Chain {
    /// What its first record tells; `None` if that cannot be.
    fn new(record: &SubmitRecord) -> Option<Self> {
        let count = usize::from(record.tensor_count);
        let (types, tensors) = (record.arg_types.get(..count)?, record.tensors.get(..count)?);
        let tensors = types.iter().zip(tensors).map(|(&raw, bytes)| {
            let tag = TensorArgType::try_from(i32::from(raw)).ok()?;
            // Nothing is known yet of one that the submit makes.
            let is_known = tag != TensorArgType::Output;
            Some((tag, is_known.then(|| bytemuck::pod_read_unaligned(bytes))))
        });
        let count = usize::from(record.explicit_dep_count).min(record.explicit_deps.len());
        Some(Self {
            task: TaskToken { raw: record.task_id },
            manual: record.flags & submit_flags::MANUAL != 0,
            tensors: tensors.collect::<Option<_>>()?,
            explicit: tokens(&record.explicit_deps[..count]).collect(),
        })
    }
}

fn tokens(raw: &[u64]) -> impl Iterator<Item = TaskToken> + '_ {
    raw.iter().map(|&raw| TaskToken { raw })
}

impl Submits {
    fn first(&mut self, record: &SubmitRecord) {
        // What another one was waiting for has been cut off.
        self.close();
        match Chain::new(record) {
            None => self.strange += 1,
            chain => self.open = chain,
        }
        if record.flags & submit_flags::CONTINUED == 0 {
            self.close();
        }
    }

    fn further(&mut self, record: &SubmitOverflowRecord) {
        self.more += 1;
        let count = usize::from(record.dep_count).min(record.deps.len());
        if let Some(chain) = self.open.as_mut().filter(|chain| chain.task.raw == record.task_id) {
            chain.explicit.extend(tokens(&record.deps[..count]));
        }
        if record.flags & submit_flags::LAST != 0 {
            self.close();
        }
    }

    fn close(&mut self) {
        if let (Some(submits), Some(chain)) = (self.recorder.submits(), self.open.take()) {
            submits.submit(&Submit {
                task: chain.task,
                manual: chain.manual,
                tensors: &chain.tensors,
                explicit: &chain.explicit,
                producers: &[],
            });
        }
    }
}

impl<S: Shared> Collector<S> for Submits {
    fn take(&mut self, _: &mut S, full: &Full<'_>) -> Result<(), S::Error> {
        for record in full.records.chunks_exact(self.layout.submits.buffer.record_bytes) {
            let Some(head) = head_of::<SubmitRecord>(record) else { continue };
            match head_of::<SubmitOverflowRecord>(record) {
                Some(more) if head.flags & submit_flags::CONTINUES != 0 => self.further(&more),
                _ => self.first(&head),
            }
        }
        Ok(())
    }

    fn end(mut self: Box<Self>, shared: &mut S, tallies: &[Tally]) -> Result<(), S::Error> {
        self.close();
        let state = self.layout.queues.header_bytes;
        let continued = u64::from(shared.load_u32(state + self.layout.overflows)?);
        if continued != self.more {
            log::warn!("dep_gen: {} of {continued} records that continue a submit have come", self.more);
        }
        for tally in tallies {
            // The device counts submits, and records that continue one apart from them.
            let submits = Tally { collected: tally.collected.saturating_sub(self.more), ..*tally };
            let lost = submits.lost() + self.strange;
            if let Some(submits) = self.recorder.submits() {
                submits.lose(lost);
            }
            self.recorder.lose("dep_gen", lost);
        }
        Ok(())
    }
}
