use std::fmt;
use std::sync::Arc;

use bytemuck::Pod;
use device_runner::{DevPtr, OrchestrationSource, RunContext, TaskId};
use host_memory::HostRange;
use task_interface::{CORE_MAX_TENSOR_ARGS, ChipStorageTaskArgs, ContinuousTensor, CoreType, TensorInfo};

use crate::error::GraphError;
use crate::graph::Graph;
use crate::staging::Staging;

/// What an orchestration builds its graph with.
///
/// A C++ orchestration can overlook an error; its first one is remembered and fails the run all the same.
#[derive(Debug)]
pub struct GraphBuilder<'a> {
    context: RunContext<'a>,
    args: &'a ChipStorageTaskArgs,
    graph: Graph,
    staging: Staging,
    error: Option<GraphError>,
}

type GraphFn = dyn Fn(&mut GraphBuilder<'_>) -> Result<(), GraphError> + Send + Sync;

/// An orchestration written as a Rust function.
#[derive(Clone)]
pub struct NativeGraph(Arc<GraphFn>);

impl NativeGraph {
    /// Wraps a function that builds a graph; it is called once per run.
    pub fn new<F>(build: F) -> Self
    where
        F: Fn(&mut GraphBuilder<'_>) -> Result<(), GraphError> + Send + Sync + 'static,
    {
        Self(Arc::new(build))
    }

    pub(crate) fn build(&self, builder: &mut GraphBuilder<'_>) -> Result<(), GraphError> {
        (self.0)(builder)
    }
}

impl fmt::Debug for NativeGraph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NativeGraph").finish_non_exhaustive()
    }
}

impl From<NativeGraph> for OrchestrationSource {
    fn from(graph: NativeGraph) -> Self {
        Self::Native(Arc::new(graph))
    }
}

impl<'a> GraphBuilder<'a> {
    pub(crate) fn new(context: RunContext<'a>, args: &'a ChipStorageTaskArgs) -> Self {
        let staging = Staging::new(Arc::clone(context.memory));
        Self { context, args, graph: Graph::default(), staging, error: None }
    }

    /// Remembers the first error.
    pub(crate) fn note<T>(&mut self, result: Result<T, GraphError>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                log::error!("{error}");
                self.error.get_or_insert(error);
                None
            }
        }
    }

    pub(crate) fn finish(self) -> Result<(Graph, Staging), GraphError> {
        match self.error {
            Some(error) => Err(error),
            None => Ok((self.graph, self.staging)),
        }
    }

    /// The run's arguments.
    #[must_use]
    pub fn args(&self) -> &'a ChipStorageTaskArgs {
        self.args
    }

    /// Tensor argument `index`.
    ///
    /// # Errors
    /// [`GraphError::Argument`] when there is none.
    pub fn tensor(&self, index: usize) -> Result<&'a ContinuousTensor, GraphError> {
        self.args.tensor(index).map_err(|error| GraphError::Argument { index, reason: error.to_string() })
    }

    /// Scalar argument `index`.
    ///
    /// # Errors
    /// [`GraphError::Argument`] when there is none.
    pub fn scalar(&self, index: usize) -> Result<u64, GraphError> {
        self.args.scalar(index).map_err(|error| GraphError::Argument { index, reason: error.to_string() })
    }

    /// Tasks added so far.
    #[must_use]
    pub fn task_count(&self) -> usize {
        self.graph.len()
    }

    /// Clusters that the run will have.
    #[must_use]
    pub fn block_dim(&self) -> u32 {
        self.context.topology.block_dim()
    }

    /// Adds a task that calls kernel `func_id` with up to 16 arguments on a core of the given type.
    ///
    /// # Errors
    /// [`GraphError`] for a kernel that the callable does not have, too many arguments, or too many tasks.
    pub fn add_task(
        &mut self,
        args: &[u64],
        func_id: i32,
        core_type: CoreType,
    ) -> Result<TaskId, GraphError> {
        let Some(kernel) = self.context.kernels.index_of(func_id) else {
            let task = TaskId(self.graph.len() as u64);
            return Err(GraphError::UnknownKernel { task, func_id, known: self.known_kernels() });
        };
        self.graph.add_task(args, kernel, core_type).map(|id| TaskId(u64::from(id)))
    }

    fn known_kernels(&self) -> String {
        let ids: Vec<String> = self.context.kernels.kernels().iter().map(|k| k.func_id.to_string()).collect();
        if ids.is_empty() { "none".to_owned() } else { ids.join(", ") }
    }

    /// Makes `to` wait for `from`. A task may have any number of successors, and an edge may be added twice.
    ///
    /// # Errors
    /// [`GraphError::NoSuchTask`]. Cycles are found at the end of the orchestration.
    pub fn add_successor(&mut self, from: TaskId, to: TaskId) -> Result<(), GraphError> {
        let from = self.existing("add_successor", from)?;
        let to = self.existing("add_successor", to)?;
        self.graph.add_edge(from, to);
        Ok(())
    }

    fn existing(&self, call: &'static str, task: TaskId) -> Result<u32, GraphError> {
        let count = self.graph.len();
        let known = u32::try_from(task.0).ok().filter(|&task| (task as usize) < count);
        known.ok_or(GraphError::NoSuchTask { call, task: i64::try_from(task.0).unwrap_or(i64::MAX), count })
    }

    /// Says what a task's tensors are, for diagnostics; replaces what was said before.
    ///
    /// # Errors
    /// [`GraphError`] for an unknown task or more than 16 tensors.
    pub fn set_tensor_info(&mut self, task: TaskId, infos: &[TensorInfo]) -> Result<(), GraphError> {
        let id = self.existing("set_tensor_info_to_task", task)?;
        if infos.len() > CORE_MAX_TENSOR_ARGS {
            let reason = format!("{} tensors; a task has at most {CORE_MAX_TENSOR_ARGS}", infos.len());
            return Err(GraphError::TensorInfo { task, reason });
        }
        if !infos.is_empty() {
            self.graph.set_tensor_infos(id, infos.to_vec());
        }
        Ok(())
    }

    /// Allocates device memory for this run, with undefined contents; freed at its end.
    ///
    /// # Errors
    /// The device's.
    pub fn device_malloc(&mut self, bytes: usize) -> Result<DevPtr, GraphError> {
        self.staging.alloc(bytes).map_err(GraphError::device("device_malloc"))
    }

    /// Frees memory of this run before its end.
    ///
    /// # Errors
    /// [`GraphError::NotAllocatedHere`], or the device's.
    pub fn device_free(&mut self, ptr: DevPtr) -> Result<(), GraphError> {
        self.staging.free(ptr)
    }

    /// Copies values into device memory.
    ///
    /// # Errors
    /// The device's.
    pub fn copy_to_device<T: Pod>(&mut self, to: DevPtr, from: &[T]) -> Result<(), GraphError> {
        let bytes = bytemuck::must_cast_slice(from);
        self.staging.memory().copy_to_device(to, bytes).map_err(GraphError::device("copy_to_device"))
    }

    pub(crate) fn copy_host_range(&mut self, to: DevPtr, from: HostRange) -> Result<(), GraphError> {
        from.copy_to(self.staging.memory(), to).map_err(GraphError::device("copy_to_device"))
    }

    /// Copies `dev` to the host after a run that went well, unless the client lent that memory for reading only.
    pub(crate) fn record(&mut self, host: HostRange, dev: DevPtr) {
        let (start, end) = host.addresses();
        let lent = self.context.read_only.overlaps(self.args, start, end);
        self.staging.record((!lent).then_some(host), dev);
    }

    /// Device memory with the contents of tensor argument `index`. A tensor that is on the device already
    /// is used where it is.
    ///
    /// # Errors
    /// [`GraphError::Argument`], or the device's.
    pub fn stage_in(&mut self, index: usize) -> Result<DevPtr, GraphError> {
        self.stage(index, true, false)
    }

    /// Device memory for tensor argument `index`, copied back to it after the run.
    ///
    /// # Errors
    /// [`GraphError::Argument`], or the device's.
    pub fn stage_out(&mut self, index: usize) -> Result<DevPtr, GraphError> {
        self.stage(index, false, true)
    }

    /// Device memory with the contents of tensor argument `index`, copied back to it after the run.
    ///
    /// # Errors
    /// [`GraphError::Argument`], or the device's.
    pub fn stage_inout(&mut self, index: usize) -> Result<DevPtr, GraphError> {
        self.stage(index, true, true)
    }

    fn stage(&mut self, index: usize, copy_in: bool, copy_back: bool) -> Result<DevPtr, GraphError> {
        let tensor = *self.tensor(index)?;
        if tensor.is_child_memory() {
            return Ok(DevPtr::new(tensor.data));
        }
        let bytes =
            tensor.nbytes().map_err(|error| GraphError::Argument { index, reason: error.to_string() })?;
        let host = HostRange::of_argument(tensor.data, bytes)
            .ok_or_else(|| GraphError::Argument { index, reason: "its host address is null".to_owned() })?;
        let dev = self.device_malloc(host.bytes())?;
        if copy_in {
            self.copy_host_range(dev, host)?;
        }
        if copy_back {
            self.record(host, dev);
        }
        Ok(dev)
    }
}
