//! Orchestrations written in Rust.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use task_interface::trb::{
    MixedKernels, ScopeMode, TaskOutputTensors, TaskToken, Tensor, TensorCreateInfo, TensorError,
    TrbErrorCode,
};
use task_interface::{ChipStorageTaskArgs, DataType, TensorArgType};

use crate::gm;
use crate::orchestrator::{ArgTensor, Orchestrator, Submission};

type BuildFn = dyn Fn(&mut Graph<'_, '_>) -> Result<(), GraphStopped> + Send + Sync;

/// An orchestration written as a Rust function.
#[derive(Clone)]
pub struct NativeOrchestration(Arc<BuildFn>);

impl NativeOrchestration {
    /// Wraps a function that submits the tasks of a run; it is called once per run.
    pub fn new<F>(build: F) -> Self
    where
        F: Fn(&mut Graph<'_, '_>) -> Result<(), GraphStopped> + Send + Sync + 'static,
    {
        Self(Arc::new(build))
    }

    pub(crate) fn build(&self, graph: &mut Graph<'_, '_>) -> Result<(), GraphStopped> {
        (self.0)(graph)
    }
}

impl fmt::Debug for NativeOrchestration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NativeOrchestration").finish_non_exhaustive()
    }
}

impl From<NativeOrchestration> for device_runner::OrchestrationSource {
    fn from(native: NativeOrchestration) -> Self {
        Self::Native(Arc::new(native))
    }
}

/// The run is ending: nothing more can be submitted. What ended it is told by the run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct GraphStopped(String);

/// A tensor on the device. `'s` is the scope whose end may give its memory to others.
#[derive(Clone, Copy)]
pub struct View<'s> {
    tensor: Tensor,
    // Invariant: a view of one scope is never one of another.
    _scope: PhantomData<fn(&'s ()) -> &'s ()>,
}

impl fmt::Debug for View<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.tensor.fmt(f)
    }
}

impl View<'_> {
    fn new(tensor: Tensor) -> Self {
        Self { tensor, _scope: PhantomData }
    }

    fn derived(&self, made: Result<Tensor, TensorError>) -> Result<Self, GraphStopped> {
        match made {
            Ok(tensor) => Ok(Self::new(tensor)),
            Err(error) => Err(GraphStopped(format!("a view of {:?}: {error}", self.tensor))),
        }
    }

    /// A part of it: `shape` elements from `offsets` on, in each dimension.
    ///
    /// # Errors
    /// [`GraphStopped`] when the part is not inside of the view.
    pub fn part(&self, offsets: &[u32], shape: &[u32]) -> Result<Self, GraphStopped> {
        self.derived(self.tensor.part(offsets, shape))
    }

    /// Of dimension `dim` the elements `start`, `start + step`, … below `end`; of the others all.
    ///
    /// # Errors
    /// [`GraphStopped`] when the range is empty or not inside of the dimension, or the step is 0.
    pub fn slice(&self, dim: usize, start: u32, end: u32, step: u32) -> Result<Self, GraphStopped> {
        self.derived(self.tensor.slice(dim, start, end, step))
    }

    /// The same elements with dimension `order[i]` as dimension `i`.
    ///
    /// # Errors
    /// [`GraphStopped`] unless `order` names each dimension once.
    pub fn permuted(&self, order: &[usize]) -> Result<Self, GraphStopped> {
        self.derived(self.tensor.permuted(order))
    }

    /// The same elements with two dimensions exchanged.
    ///
    /// # Errors
    /// [`GraphStopped`] for a dimension that does not exist.
    pub fn transposed(&self, x: usize, y: usize) -> Result<Self, GraphStopped> {
        self.derived(self.tensor.transposed(x, y))
    }

    /// The same elements in row-major order under another shape of as many elements.
    ///
    /// # Errors
    /// [`GraphStopped`] when the view is not contiguous, or the number of elements differs.
    pub fn reshaped(&self, shape: &[u32]) -> Result<Self, GraphStopped> {
        self.derived(self.tensor.reshaped(shape))
    }

    /// The same elements, of which the tensor map is not asked: only the task that made them is waited for.
    #[must_use]
    pub fn by_creator_only(mut self) -> Self {
        self.tensor.manual_dep = 1;
        self
    }
}

/// A task to be submitted.
#[derive(Debug)]
#[must_use]
pub struct TaskSpec {
    kernels: Option<MixedKernels>,
    submission: Submission,
}

impl TaskSpec {
    fn new(kernels: Option<MixedKernels>) -> Self {
        let mut submission = Submission::default();
        submission.clear();
        Self { kernels, submission }
    }

    /// A task of one kernel on a matrix core.
    pub fn aic(kernel: i32) -> Self {
        Self::new(Some(MixedKernels { aic_kernel_id: kernel, ..MixedKernels::NONE }))
    }

    /// A task of one kernel on a vector core.
    pub fn aiv(kernel: i32) -> Self {
        Self::new(Some(MixedKernels { aiv0_kernel_id: kernel, ..MixedKernels::NONE }))
    }

    /// A task of up to three kernels that run together on one cluster.
    pub fn mix(kernels: MixedKernels) -> Self {
        Self::new(Some(kernels))
    }

    /// A task without kernels, which only carries dependencies.
    pub fn dummy() -> Self {
        Self::new(None)
    }

    fn existing(mut self, tag: TensorArgType, view: &View<'_>) -> Self {
        self.submission.tensors.push(ArgTensor::Existing(tag, view.tensor));
        self
    }

    /// Adds a tensor that it reads.
    pub fn input(self, view: &View<'_>) -> Self {
        self.existing(TensorArgType::Input, view)
    }

    /// Adds a tensor that it reads and writes.
    pub fn inout(self, view: &View<'_>) -> Self {
        self.existing(TensorArgType::Inout, view)
    }

    /// Adds a tensor that exists and that it writes without reading.
    pub fn output_existing(self, view: &View<'_>) -> Self {
        self.existing(TensorArgType::OutputExisting, view)
    }

    /// Adds a tensor that carries no dependency but on its creator.
    pub fn no_dep(self, view: &View<'_>) -> Self {
        self.existing(TensorArgType::NoDep, view)
    }

    /// Adds a new tensor that it writes; see [`Submitted::outputs`].
    ///
    /// # Errors
    /// [`GraphStopped`] for a shape that is none.
    pub fn output(self, shape: &[u32], dtype: DataType) -> Result<Self, GraphStopped> {
        self.create(TensorCreateInfo::new(shape, dtype))
    }

    fn create(mut self, info: Result<TensorCreateInfo, TensorError>) -> Result<Self, GraphStopped> {
        self.submission
            .tensors
            .push(ArgTensor::Create(info.map_err(|error| GraphStopped(error.to_string()))?));
        Ok(self)
    }

    /// Adds a new tensor that holds `bits` in every element when the task starts: the element's bits, from the lowest
    /// on.
    ///
    /// # Errors
    /// [`GraphStopped`] for a shape that is none.
    pub fn output_filled(self, shape: &[u32], dtype: DataType, bits: u64) -> Result<Self, GraphStopped> {
        self.create(TensorCreateInfo::new(shape, dtype).map(|info| info.with_initial_value(bits)))
    }

    /// Adds a scalar; scalars follow the tensors in a kernel's arguments.
    pub fn scalar(mut self, value: u64) -> Self {
        self.submission.scalars.push(value);
        self
    }

    /// Makes it wait for another task.
    pub fn after(mut self, task: TaskToken) -> Self {
        self.submission.deps.push(task);
        self
    }

    /// Runs it as often, with block numbers from 0 on.
    pub fn blocks(mut self, blocks: u32) -> Self {
        self.submission.blocks = blocks;
        self
    }

    /// Chooses tensors for the dump, bit i for tensor i: once a task of the run does that, only those count.
    pub fn dump_tensors(mut self, tensors: u64) -> Self {
        self.submission.chosen = Some(tensors);
        self
    }

    /// Starts all blocks together.
    pub fn starting_together(mut self) -> Self {
        self.submission.sync_start = true;
        self
    }
}

/// A task that was submitted.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Submitted<'s> {
    /// Its id, for explicit dependencies.
    pub id: TaskToken,
    /// Its new tensors, in the order in which they were added.
    pub outputs: Vec<View<'s>>,
}

/// What an orchestration submits its tasks with.
///
/// `'s` stands for the scope: outputs carry it, and so cannot be used after their scope has closed.
///
/// ```compile_fail
/// use tensormap_and_ringbuffer::{Graph, GraphStopped, TaskSpec};
/// use task_interface::{DataType, trb::ScopeMode};
/// fn leak(graph: &mut Graph<'_, '_>) -> Result<(), GraphStopped> {
///     // The outputs of the scope would be used after its memory was given to others.
///     let escaped = graph.scope(ScopeMode::Auto, |graph| {
///         graph.submit(TaskSpec::aiv(0).output(&[4], DataType::Float32)?)
///     })?;
///     graph.submit(TaskSpec::aiv(1).input(&escaped.outputs[0])).map(drop)
/// }
/// ```
pub struct Graph<'s, 'o> {
    orchestrator: &'s mut Orchestrator<'o>,
    args: &'s ChipStorageTaskArgs,
    _scope: PhantomData<fn(&'s ()) -> &'s ()>,
}

impl fmt::Debug for Graph<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Graph").finish_non_exhaustive()
    }
}

impl<'s, 'o> Graph<'s, 'o> {
    pub(crate) fn new(orchestrator: &'s mut Orchestrator<'o>, args: &'s ChipStorageTaskArgs) -> Self {
        Self { orchestrator, args, _scope: PhantomData }
    }

    fn stopped(&self) -> GraphStopped {
        GraphStopped(self.orchestrator.fatal_text().unwrap_or_else(|| "the run was stopped".to_owned()))
    }

    /// Tensor argument `index` of the run, on the device.
    ///
    /// # Errors
    /// [`GraphStopped`] when there is none.
    pub fn tensor(&self, index: usize) -> Result<View<'static>, GraphStopped> {
        let stopped = |error: String| GraphStopped(format!("tensor argument {index}: {error}"));
        let arg = self.args.tensor(index).map_err(|error| stopped(error.to_string()))?;
        let shape = arg.shape().map_err(|error| stopped(error.to_string()))?;
        let dtype = arg.dtype().map_err(|error| stopped(error.to_string()))?;
        let bytes = arg.nbytes().map_err(|error| stopped(error.to_string()))?;
        let tensor =
            Tensor::contiguous(arg.data, bytes, shape, dtype).map_err(|error| stopped(error.to_string()))?;
        Ok(View::new(tensor))
    }

    /// Scalar argument `index` of the run.
    ///
    /// # Errors
    /// [`GraphStopped`] when there is none.
    pub fn scalar(&self, index: usize) -> Result<u64, GraphStopped> {
        self.args.scalar(index).map_err(|error| GraphStopped(format!("scalar argument {index}: {error}")))
    }

    /// Submits a task. May wait for earlier ones to make room.
    ///
    /// # Errors
    /// [`GraphStopped`] when the task cannot be, which ends the run.
    pub fn submit(&mut self, task: TaskSpec) -> Result<Submitted<'s>, GraphStopped> {
        let TaskSpec { kernels, submission } = task;
        let outputs = match kernels {
            Some(kernels) => self.orchestrator.submit(kernels, &submission),
            None => self.orchestrator.submit_dummy(&submission),
        };
        self.submitted(&outputs)
    }

    /// Allocates tensors without running anything.
    ///
    /// # Errors
    /// [`GraphStopped`], which ends the run.
    pub fn alloc(&mut self, shapes: &[(&[u32], DataType)]) -> Result<Submitted<'s>, GraphStopped> {
        let mut task = TaskSpec::dummy();
        for (shape, dtype) in shapes {
            task = task.output(shape, *dtype)?;
        }
        let outputs = self.orchestrator.alloc_tensors(&task.submission);
        self.submitted(&outputs)
    }

    fn submitted(&self, outputs: &TaskOutputTensors) -> Result<Submitted<'s>, GraphStopped> {
        if self.orchestrator.is_fatal() {
            return Err(self.stopped());
        }
        let addresses = outputs.outputs().map_err(|error| GraphStopped(error.to_string()))?;
        // SAFETY: the addresses are those of the new task's tensors, which live as long as its scope is open.
        let read = |&address: &u64| View::new(unsafe { gm::read_foreign::<Tensor>(address) });
        Ok(Submitted { id: outputs.task_id, outputs: addresses.iter().map(read).collect() })
    }

    /// Runs `body` in a scope of its own: its tasks may be retired, and their outputs reused, when it returns.
    ///
    /// In a [`ScopeMode::Manual`] scope tasks wait for those alone that [`TaskSpec::after`] names. That includes the
    /// tasks whose outputs they use: an output may be reused once its task and all that name it have ended.
    #[track_caller]
    pub fn scope<R>(&mut self, mode: ScopeMode, body: impl for<'i> FnOnce(&mut Graph<'i, 'o>) -> R) -> R {
        let caller = std::panic::Location::caller();
        let site = (Cow::Borrowed(caller.file()), i32::try_from(caller.line()).unwrap_or(0));
        let opened = self.orchestrator.begin_scope(mode, Some(site));
        let result = body(&mut Graph::new(self.orchestrator, self.args));
        if opened {
            self.orchestrator.end_scope();
        }
        result
    }

    /// Reads one element once all its writers have ended, extended with zeros.
    ///
    /// # Errors
    /// [`GraphStopped`], which ends the run.
    pub fn read(&mut self, view: &View<'_>, indices: &[u32]) -> Result<u64, GraphStopped> {
        let value = self.orchestrator.get_tensor_data(&view.tensor, indices);
        if self.orchestrator.is_fatal() { Err(self.stopped()) } else { Ok(value) }
    }

    /// Writes one element once its writers, and the tasks that wait for those, have ended.
    ///
    /// Of memory from outside only the writers in this run are known: a task that reads what no task of the run has
    /// written is not waited for. Nor is one that was submitted after the writer had been retired.
    ///
    /// # Errors
    /// [`GraphStopped`], which ends the run.
    pub fn write(&mut self, view: &View<'_>, indices: &[u32], value: u64) -> Result<(), GraphStopped> {
        self.orchestrator.set_tensor_data(&view.tensor, indices, value);
        if self.orchestrator.is_fatal() { Err(self.stopped()) } else { Ok(()) }
    }

    /// Ends the run with a code of one's own; 0, which would say that all is well, becomes 9.
    pub fn fail(&mut self, code: i32, message: &str) -> GraphStopped {
        self.orchestrator.fail_with(code, message.to_owned());
        GraphStopped(message.to_owned())
    }
}

/// Code of a run whose Rust orchestration returned an error of its own.
pub(crate) const STOPPED: TrbErrorCode = TrbErrorCode::ExplicitOrchFatal;
