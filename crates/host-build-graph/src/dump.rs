//! Tensors of tasks, for dumps: what `set_tensor_info` said about the addresses among their arguments.

use std::sync::Arc;

use device_runner::{DevPtr, DumpedArg, RunContext, RunSinks, TaskId, TensorSink, TensorView, tensor_roles};
use run_records::dump::Stage;
use task_interface::{ArgDirection, CONTINUOUS_TENSOR_MAX_DIMS, ChipStorageTaskArgs, TensorInfo};

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
    /// Memory that arguments may point into: begin and length, ascending.
    ranges: Vec<(u64, u64)>,
}

impl TaskDump {
    /// Nothing if tensors are not to be dumped.
    pub(crate) fn new(
        context: &RunContext<'_>,
        args: &ChipStorageTaskArgs,
        staging: &Staging,
    ) -> Option<Self> {
        let recorder = context.recorder.filter(|recorder| recorder.dump().is_some())?;
        let on_device = args.used_tensors().unwrap_or_default().iter();
        let on_device = on_device.filter(|tensor| tensor.is_child_memory());
        let on_device = on_device.filter_map(|tensor| Some((tensor.data, tensor.nbytes().ok()?)));
        let own = staging.allocations().into_iter().map(|own| (own.base_addr, own.size_bytes));
        let kernels = context.kernels.kernels().iter().map(|kernel| {
            Some(DumpedKernel { func_id: kernel.func_id, signature: Arc::clone(&kernel.signature) })
        });
        let sinks = Arc::clone(recorder) as Arc<dyn RunSinks>;
        Some(Self::with_ranges(sinks, kernels.collect(), own.chain(on_device).collect()))
    }

    /// The same, where it is known already which memory arguments may point into.
    pub(crate) fn with_ranges(
        sinks: Arc<dyn RunSinks>,
        kernels: Vec<Option<DumpedKernel>>,
        mut ranges: Vec<(u64, u64)>,
    ) -> Self {
        ranges.sort_unstable();
        Self { sinks, kernels, ranges }
    }

    /// Dumps those tensors of a task that count at this stage.
    pub(crate) fn task(&self, graph: &Graph, task: u32, stage: Stage) {
        let Some(dump) = self.sinks.tensors() else { return };
        let kernel = self.kernels.get(graph.kernels[task as usize] as usize);
        let Some(kernel) = kernel.and_then(Option::as_ref) else { return };
        let infos = graph.tensor_infos(task);
        let addresses: Vec<u64> =
            graph.args(task).iter().copied().filter(|&arg| self.is_address(arg)).collect();
        let expected = tensor_roles(&kernel.signature).count();
        let id = TaskId(u64::from(task));
        if infos.len() != expected || addresses.len() != expected {
            dump.skip(id, expected, infos.len().min(addresses.len()));
            return;
        }
        for (index, ((role, info), &address)) in
            (0u32..).zip(tensor_roles(&kernel.signature).zip(infos).zip(&addresses))
        {
            let arg = DumpedArg { task: id, subtask: 0, func_id: kernel.func_id, index, role, chosen: None };
            dump_window(dump, &arg, stage, info, address);
        }
    }

    fn is_address(&self, arg: u64) -> bool {
        let below = self.ranges.partition_point(|&(begin, _)| begin <= arg);
        self.ranges[..below].last().is_some_and(|&(begin, len)| arg - begin < len)
    }
}

/// A window starts where its offsets say, in a row-major tensor of the raw shape.
fn dump_window(dump: &dyn TensorSink, arg: &DumpedArg, stage: Stage, info: &TensorInfo, address: u64) {
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
        buffer: DevPtr::new(address),
        dtype: info.dtype,
        start_offset,
        shape,
        strides: &strides[..shape.len()],
    };
    dump.tensor(arg, stage, &view);
}
