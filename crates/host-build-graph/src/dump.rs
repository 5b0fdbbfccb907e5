//! Tensors of tasks, for dumps: what `set_tensor_info` said about the addresses among their arguments.

use std::sync::Arc;

use device_runner::{DevPtr, DumpedArg, RunContext, RunSinks, TaskId, TensorSink, TensorView, tensor_roles};
use run_records::dump::Stage;
use task_interface::{
    ArgDirection, CONTINUOUS_TENSOR_MAX_DIMS, ChipStorageTaskArgs, TensorAllocationInfo, TensorInfo,
};

use crate::graph::Graph;
use crate::staging::Staging;

/// What is to be known of a kernel whose tasks are dumped.
#[derive(Debug)]
pub(crate) struct DumpedKernel {
    pub(crate) func_id: u32,
    pub(crate) signature: Arc<[ArgDirection]>,
}

/// Dumps tensors of tasks.
#[derive(Debug)]
pub(crate) struct TaskDump {
    sinks: Arc<dyn RunSinks>,
    /// By the graph's indices.
    kernels: Vec<Option<DumpedKernel>>,
    ranges: Ranges,
}

impl TaskDump {
    /// Nothing if tensors are not to be dumped.
    pub(crate) fn new(
        context: &RunContext<'_>,
        args: &ChipStorageTaskArgs,
        staging: &Staging,
    ) -> Option<Self> {
        let recorder = context.recorder.filter(|recorder| recorder.dump().is_some())?;
        let kernels = context.kernels.kernels().iter().map(|kernel| {
            Some(DumpedKernel { func_id: kernel.func_id, signature: Arc::clone(&kernel.signature) })
        });
        let sinks = Arc::clone(recorder) as Arc<dyn RunSinks>;
        Some(Self::with_ranges(sinks, kernels.collect(), &memory_of_tensors(context, args, staging)))
    }

    /// The same, where it is known already which memory arguments may point into.
    pub(crate) fn with_ranges(
        sinks: Arc<dyn RunSinks>,
        kernels: Vec<Option<DumpedKernel>>,
        memory: &[TensorAllocationInfo],
    ) -> Self {
        Self { sinks, kernels, ranges: Ranges::of(memory) }
    }

    /// Dumps those tensors of a task that count at this stage.
    pub(crate) fn task(&self, graph: &Graph, task: u32, stage: Stage) {
        let Some(dump) = self.sinks.tensors() else { return };
        let kernel = self.kernels.get(graph.kernels[task as usize] as usize);
        let Some(kernel) = kernel.and_then(Option::as_ref) else { return };
        let infos = graph.tensor_infos(task);
        let addresses: Vec<Place> =
            graph.args(task).iter().filter_map(|&arg| self.ranges.place(arg)).collect();
        let expected = tensor_roles(&kernel.signature).count();
        let id = TaskId(u64::from(task));
        if infos.len() != expected || addresses.len() != expected {
            let is = if infos.len() == expected { addresses.len() } else { infos.len() };
            dump.skip(id, expected, is);
            return;
        }
        for (index, ((role, info), place)) in
            (0u32..).zip(tensor_roles(&kernel.signature).zip(infos).zip(&addresses))
        {
            let arg = DumpedArg { task: id, subtask: 0, func_id: kernel.func_id, index, role, chosen: None };
            dump_window(dump, &arg, stage, info, place);
        }
    }
}

/// Memory that arguments may point into: begin and length, ascending and apart.
#[derive(Debug)]
struct Ranges(Vec<(u64, u64)>);

impl Ranges {
    fn of(memory: &[TensorAllocationInfo]) -> Self {
        let mut parts: Vec<_> = memory.iter().map(|part| (part.base_addr, part.size_bytes)).collect();
        parts.sort_unstable();
        let mut ranges: Vec<(u64, u64)> = Vec::with_capacity(parts.len());
        for (begin, len) in parts {
            match ranges.last_mut() {
                // A client may pass parts of the same memory. What only touches stays apart: a tensor ends there.
                Some((first, size)) if begin - *first < *size => {
                    *size = (begin - *first).saturating_add(len).max(*size);
                }
                _ => ranges.push((begin, len)),
            }
        }
        Self(ranges)
    }

    /// Where an argument points to, if it is an address.
    fn place(&self, arg: u64) -> Option<Place> {
        let below = self.0.partition_point(|&(begin, _)| begin <= arg);
        let &(begin, len) = self.0[..below].last()?;
        let bytes = len.checked_sub(arg - begin).filter(|&bytes| bytes > 0)?;
        Some(Place { address: DevPtr::new(arg), bytes })
    }
}

/// An address of tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    address: DevPtr,
    /// From there to the end of the memory.
    bytes: u64,
}

/// The memory that tensors of tasks may be in: what the orchestration has taken, and if tensors are to be dumped behind
/// it what the client has on the device. The run has checked that this is there.
pub(crate) fn memory_of_tensors(
    context: &RunContext<'_>,
    args: &ChipStorageTaskArgs,
    staging: &Staging,
) -> Vec<TensorAllocationInfo> {
    let mut memory = staging.allocations();
    if context.recorder.is_some_and(|recorder| recorder.dump().is_some()) {
        let tensors = args.used_tensors().unwrap_or_default().iter();
        let on_device = tensors.filter(|tensor| tensor.is_child_memory());
        memory.extend(on_device.filter_map(|tensor| {
            Some(TensorAllocationInfo { base_addr: tensor.data, size_bytes: tensor.nbytes().ok()? })
        }));
    }
    memory
}

/// A window starts where its offsets say, in a row-major tensor of the raw shape.
fn dump_window(dump: &dyn TensorSink, arg: &DumpedArg, stage: Stage, info: &TensorInfo, place: &Place) {
    let (Ok(shape), Ok(raw_shape), Ok(offsets)) = (info.shape(), info.raw_shape(), info.offsets()) else {
        return;
    };
    let mut strides = [0; CONTINUOUS_TENSOR_MAX_DIMS];
    let (mut step, mut start_offset) = (1u64, 0u64);
    for dim in (0..shape.len()).rev() {
        strides[dim] = u32::try_from(step).unwrap_or(u32::MAX);
        start_offset = start_offset.saturating_add(step.saturating_mul(u64::from(offsets[dim])));
        step = step.saturating_mul(u64::from(raw_shape[dim]));
    }
    let view = TensorView {
        buffer: place.address,
        bytes: place.bytes,
        dtype: info.dtype,
        start_offset,
        shape,
        strides: &strides[..shape.len()],
    };
    dump.tensor(arg, stage, &view);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ranges(parts: &[(u64, u64)]) -> Ranges {
        let parts =
            parts.iter().map(|&(base_addr, size_bytes)| TensorAllocationInfo { base_addr, size_bytes });
        Ranges::of(&parts.collect::<Vec<_>>())
    }

    #[test]
    fn memory_that_only_touches_stays_apart() {
        let ranges = ranges(&[(164, 36), (100, 64), (u64::MAX - 1, u64::MAX)]);
        let bytes = |arg| ranges.place(arg).map(|place| place.bytes);
        assert_eq!(
            [99, 100, 163, 164, 199, 200].map(bytes),
            [None, Some(64), Some(1), Some(36), Some(1), None]
        );
        assert_eq!(bytes(u64::MAX), Some(u64::MAX - 1), "a range that cannot be is no reason to stop");
    }

    proptest! {
        /// What is in any of them is an address, and the memory goes on from there at least as far as in that one.
        #[test]
        fn parts_of_the_same_memory_hide_nothing(
            parts in prop::collection::vec((0u64..60, 0u64..20), 0..8),
            arg in 0u64..90,
        ) {
            let before = parts.iter().filter(|&&(begin, _)| begin <= arg);
            let most = before.map(|&(begin, len)| (begin + len).saturating_sub(arg)).max().unwrap_or(0);
            let told = ranges(&parts).place(arg);
            prop_assert_eq!(told.is_some(), most > 0);
            let is_memory = |byte| parts.iter().any(|&(begin, len)| begin <= byte && byte < begin + len);
            if let Some(place) = told {
                let goes_on = place.bytes >= most && (arg..arg + place.bytes).all(is_memory);
                prop_assert!(goes_on);
            }
        }
    }
}
