//! The front of the device half: what an orchestration calls (`spec/public-abi.md`, section D.5).

mod clock;
mod elements;
mod submission;

use std::sync::{Arc, MutexGuard};
use std::time::{Duration, Instant};

use device_runner::{Chip, KernelTable, TaskId, Topology};
use run_records::scope::Border;
use run_records::swimlane::OrchestratorWork;
use task_interface::TensorArgType;
use task_interface::trb::{
    FANIN_INLINE_CAP, MAX_SCOPE_DEPTH, MAX_SUBTASKS_PER_TASK, MixedKernels, ResourceShape, SCOPE_TASKS_CAP,
    ScopeMode, TaskOutputTensors, TaskToken, Tensor, TensorCreateInfo, TensorError, TrbErrorCode,
};

use crate::derivation;
use crate::image::shared_memory::TaskDescriptor;
use crate::rings::{Full, Packed, Slot};
use crate::state::{RINGS, Shared, State};
use crate::tensormap::Handle;
use crate::trace::{Site, Trace};
use clock::Clock;
pub(crate) use submission::{ArgTensor, Submission};

#[derive(Debug)]
struct Scope {
    tasks: Vec<TaskToken>,
    manual: bool,
    site: Option<Site>,
}

/// Kernels of a task, looked up.
struct Kernels {
    /// By sub-task slot, as the client calls them; -1 for none.
    ids: [i32; 3],
    index: [Option<u32>; 3],
    shape: ResourceShape,
}

/// Submits tasks while others run. One per run; used by one thread.
pub(crate) struct Orchestrator<'a> {
    shared: Arc<Shared>,
    chip: &'a dyn Chip,
    kernels: Arc<KernelTable>,
    topology: Topology,
    scopes: Vec<Scope>,
    /// Tasks in all of them.
    open_tasks: usize,
    /// Slots of each ring.
    window: usize,
    /// Lists of closed scopes, for the next ones.
    spare_lists: Vec<Vec<TaskToken>>,
    clock: Clock,
    trace: Trace,
    producers: Vec<TaskToken>,
    covered: Vec<Handle>,
}

impl<'a> Orchestrator<'a> {
    pub(crate) fn new(
        shared: Arc<Shared>,
        chip: &'a dyn Chip,
        kernels: Arc<KernelTable>,
        topology: Topology,
    ) -> Self {
        let (window, trace) = {
            let state = shared.lock();
            (state.config.window as usize, Trace::new(shared.sinks(), &state))
        };
        Self {
            shared,
            chip,
            kernels,
            topology,
            scopes: Vec::new(),
            open_tasks: 0,
            window,
            spare_lists: Vec::new(),
            clock: Clock::start(),
            trace,
            producers: Vec::new(),
            covered: Vec::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.lock()
    }

    pub(crate) fn is_fatal(&self) -> bool {
        self.shared.is_fatal()
    }

    pub(crate) fn fail(&self, code: TrbErrorCode, message: impl Into<String>) {
        self.fail_with(code.code(), message.into());
    }

    /// Ends the run with a code of the client, which may be any but 0: that would say that all is well.
    pub(crate) fn fail_with(&self, code: i32, message: String) {
        let code = if code == 0 { TrbErrorCode::ExplicitOrchFatal.code() } else { code };
        self.shared.fail(&mut self.lock(), code, message);
    }

    /// The error that ended the run.
    pub(crate) fn fatal_text(&self) -> Option<String> {
        self.lock().fatal().map(|fatal| fatal.message.clone())
    }

    /// Whether anybody wants to know where scopes are in their source.
    pub(crate) fn wants_sites(&self) -> bool {
        self.trace.has_scopes()
    }

    /// Opens a scope, if that is possible; whether it was.
    pub(crate) fn begin_scope(&mut self, mode: ScopeMode, site: Option<Site>) -> bool {
        if self.is_fatal() {
            return false;
        }
        let in_manual = self.scopes.last().is_some_and(|scope| scope.manual);
        if self.scopes.len() >= MAX_SCOPE_DEPTH {
            self.fail(TrbErrorCode::InvalidArgs, format!("scopes are nested deeper than {MAX_SCOPE_DEPTH}"));
            return false;
        }
        if in_manual && mode == ScopeMode::Auto {
            self.fail(TrbErrorCode::InvalidArgs, "an AUTO scope cannot be opened inside of a MANUAL one");
            return false;
        }
        let tasks = self.spare_lists.pop().unwrap_or_default();
        self.record_border(Border::Begin, self.scopes.len(), site.as_ref());
        self.scopes.push(Scope { tasks, manual: mode == ScopeMode::Manual, site });
        true
    }

    /// Closes the innermost scope: its tasks may be retired from now on.
    pub(crate) fn end_scope(&mut self) {
        let Some(mut scope) = self.scopes.pop() else { return };
        self.record_border(Border::End, self.scopes.len(), scope.site.as_ref());
        let shared = Arc::clone(&self.shared);
        let mut state = self.clock.lock(&shared);
        for &task in &scope.tasks {
            state.leave_scope(task);
        }
        drop(state);
        self.open_tasks -= scope.tasks.len();
        scope.tasks.clear();
        self.spare_lists.push(scope.tasks);
    }

    /// An error ends the recording: what is closed because of it tells nothing of the scopes.
    fn record_border(&mut self, border: Border, depth: usize, site: Option<&Site>) {
        if self.trace.has_scopes() && !self.is_fatal() {
            let shared = Arc::clone(&self.shared);
            self.trace.border(&self.clock.lock(&shared), border, depth, site);
        }
    }

    /// Closes what is open; nothing is submitted any more.
    pub(crate) fn finish(&mut self) {
        while !self.scopes.is_empty() {
            self.end_scope();
        }
        self.lock().orchestrated = true;
    }

    /// Submits a task with kernels.
    pub(crate) fn submit(&mut self, kernels: MixedKernels, submission: &Submission) -> TaskOutputTensors {
        let looked_up = self.look_up(kernels).and_then(|kernels| {
            let blocks = submission.blocks;
            let parts = u64::from(blocks) * kernels.index.iter().flatten().count() as u64;
            if blocks == 0 || parts > MAX_SUBTASKS_PER_TASK as u64 {
                let message = format!("a task has 1 to {MAX_SUBTASKS_PER_TASK} sub-tasks, this one {parts}");
                return Err((TrbErrorCode::InvalidArgs, message));
            }
            self.check_sync_start(&kernels, submission)?;
            Ok(kernels)
        });
        match looked_up {
            Ok(kernels) => self.submit_any(Some(&kernels), submission),
            Err((code, message)) => {
                self.fail(code, message);
                TaskOutputTensors::default()
            }
        }
    }

    /// Submits a task without kernels, which only carries dependencies.
    pub(crate) fn submit_dummy(&mut self, submission: &Submission) -> TaskOutputTensors {
        self.submit_any(None, submission)
    }

    /// Allocates outputs without running anything.
    pub(crate) fn alloc_tensors(&mut self, submission: &Submission) -> TaskOutputTensors {
        let only_outputs = submission.tensors.iter().all(|tensor| matches!(tensor, ArgTensor::Create(_)));
        if submission.tensors.is_empty() || !only_outputs || !submission.scalars.is_empty() {
            self.fail(
                TrbErrorCode::InvalidArgs,
                "alloc_tensors takes at least one TensorCreateInfo, and nothing else",
            );
            return TaskOutputTensors::default();
        }
        let Some((token, outputs)) = self.place(submission, None) else {
            return TaskOutputTensors::default();
        };
        let now = self.clock.now();
        let shared = Arc::clone(&self.shared);
        self.clock.lock(&shared).complete(token, now);
        outputs
    }

    fn look_up(&self, kernels: MixedKernels) -> Result<Kernels, (TrbErrorCode, String)> {
        let kernels = kernels.normalized();
        let active = kernels.active();
        let ids = [kernels.aic_kernel_id, kernels.aiv0_kernel_id, kernels.aiv1_kernel_id];
        let ids = ids.map(|id| id.max(-1));
        let mut index = [None; 3];
        for (slot, id) in ids.into_iter().enumerate() {
            if id < 0 {
                continue;
            }
            index[slot] = Some(self.kernels.index_of(id).ok_or_else(|| {
                let known: Vec<_> = self.kernels.kernels().iter().map(|k| k.func_id.to_string()).collect();
                let message = format!("kernel id {id} is not in the callable (it has {})", known.join(", "));
                (TrbErrorCode::InvalidArgs, message)
            })?);
        }
        if active.count() == 0 {
            return Err((TrbErrorCode::InvalidArgs, "a task needs at least one kernel".to_owned()));
        }
        Ok(Kernels { ids, index, shape: active.shape() })
    }

    fn check_sync_start(
        &self,
        kernels: &Kernels,
        submission: &Submission,
    ) -> Result<(), (TrbErrorCode, String)> {
        if !submission.sync_start || submission.blocks <= 1 {
            return Ok(());
        }
        let limit = match kernels.shape {
            ResourceShape::Aiv => self.topology.cores_of(task_interface::CoreType::Aiv),
            _ => self.topology.block_dim(),
        };
        if submission.blocks > limit {
            let message = format!("{} blocks shall start together, {limit} can", submission.blocks);
            return Err((TrbErrorCode::RequireSyncStartInvalid, message));
        }
        Ok(())
    }

    fn submit_any(&mut self, kernels: Option<&Kernels>, submission: &Submission) -> TaskOutputTensors {
        if submission.chosen.is_some() {
            self.trace.select_tensors();
        }
        let Some((token, outputs)) = self.place(submission, kernels) else {
            return TaskOutputTensors::default();
        };
        if submission.deps.iter().any(|dep| !dep.is_valid()) {
            self.fail(TrbErrorCode::InvalidArgs, "an explicit dependency names no task");
            return TaskOutputTensors::new(token);
        }
        self.trace.step(OrchestratorWork::OrchAlloc, token, true, || self.clock.now());
        let manual = self.scopes.last().is_some_and(|scope| scope.manual);
        let shared = Arc::clone(&self.shared);
        let mut state = self.clock.lock(&shared);
        self.gather_producers(&state, submission, manual);
        let names_tasks = !submission.tensors.is_empty() || !submission.deps.is_empty();
        self.trace.step(OrchestratorWork::OrchLookup, token, names_tasks, || self.clock.now());
        self.trace.submit(token, manual, submission, &self.producers);
        if self.producers.len() > FANIN_INLINE_CAP {
            drop(state);
            if !self.take_spill(token) {
                return outputs;
            }
            state = shared.lock();
        }
        for &producer in &self.producers {
            state.link(producer, token);
        }
        let derived = submission.tensors.iter().filter(|_| !manual).filter_map(ArgTensor::existing);
        state.start_behind_past(token, &submission.deps, derived);
        let waits = !self.producers.is_empty();
        self.trace.step(OrchestratorWork::OrchFanin, token, waits, || self.clock.now());
        if !manual {
            let written = submission.tensors.iter().filter_map(ArgTensor::existing);
            derivation::register(&mut state.map, written, &self.covered, token);
        }
        let writes = !manual && !submission.tensors.is_empty();
        self.trace.step(OrchestratorWork::OrchInsert, token, writes, || self.clock.now());
        state.wire(token);
        drop(state);
        self.trace.step(OrchestratorWork::OrchFinalize, token, true, || self.clock.now());
        self.trace.end(token, || self.clock.now());
        self.call_chip(|chip| chip.tasks_added());
        outputs
    }

    /// Slot, memory and payload of a new task.
    fn place(
        &mut self,
        submission: &Submission,
        kernels: Option<&Kernels>,
    ) -> Option<(TaskToken, TaskOutputTensors)> {
        if self.is_fatal() {
            return None;
        }
        let depth = self.scopes.len().checked_sub(1).or_else(|| {
            self.fail(TrbErrorCode::InvalidArgs, "a task was submitted outside of any scope");
            None
        })?;
        let ring = depth.min(RINGS - 1);
        self.check_scope(ring)?;
        let packed = match submission.pack() {
            Ok(packed) => packed,
            Err(message) => {
                self.fail(TrbErrorCode::InvalidArgs, message);
                return None;
            }
        };
        let mut now = self.clock.now();
        self.trace.begin(now);
        let shared = Arc::clone(&self.shared);
        let mut state = self.clock.lock(&shared);
        let slot = match state.rings[ring].try_alloc(packed.total) {
            Ok(slot) => slot,
            Err(_) => {
                drop(state);
                let slot = self.wait_for_room(ring, packed.total)?;
                state = shared.lock();
                self.clock.advance_to(state.past.tasks_of(ring));
                now = self.clock.now();
                slot
            }
        };
        let token = state.open_task(ring, slot, now);
        let base = state.heap_address(ring, slot.heap_offset);
        let place = state.payloads.take(ring, slot.slot);
        let filled = fill_task(&mut state, (token, place), submission, kernels, base, &packed);
        let ids = kernels.map_or([-1; 3], |kernels| kernels.ids);
        let memory = base..base + packed.total;
        state.payloads.describe(ring, slot.slot, || TaskDescriptor::new(token, ids, memory));
        if kernels.is_none()
            && let Some(tasks) = &mut state.without_kernel
        {
            tasks.push(TaskId(token.raw));
        }
        drop(state);
        if let Some(scope) = self.scopes.last_mut() {
            scope.tasks.push(token);
        }
        self.open_tasks += 1;
        match filled {
            Ok(outputs) => Some((token, outputs)),
            Err(message) => {
                self.fail(TrbErrorCode::InvalidArgs, message);
                None
            }
        }
    }

    fn check_scope(&self, ring: usize) -> Option<()> {
        let scope = self.scopes.last()?;
        if scope.tasks.len() + 1 >= self.window {
            let message = format!(
                "the scope at depth {} holds {} tasks, all that the window of {} of ring {ring} allows",
                self.scopes.len() - 1,
                scope.tasks.len(),
                self.window
            );
            self.fail(TrbErrorCode::ScopeDeadlock, message);
            return None;
        }
        if self.open_tasks >= SCOPE_TASKS_CAP {
            let message = format!("the open scopes hold {} tasks", self.open_tasks);
            self.fail(TrbErrorCode::ScopeTasksOverflow, message);
            return None;
        }
        Some(())
    }

    /// A slot with output memory, as soon as tasks have retired.
    fn wait_for_room(&mut self, ring: usize, bytes: u64) -> Option<Slot> {
        loop {
            let seen = self.call_chip(|chip| chip.progress());
            let tried = self.lock().rings[ring].try_alloc(bytes);
            let full = match tried {
                Ok(slot) => return Some(slot),
                Err(full) => full,
            };
            let progressed = !full.is_permanent() && self.wait_beyond(seen);
            if self.is_fatal() {
                return None;
            }
            if !progressed {
                self.fail_full(ring, &full);
                return None;
            }
        }
    }

    fn fail_full(&self, ring: usize, full: &Full) {
        let code = match full {
            Full::Heap { .. } => TrbErrorCode::HeapRingDeadlock,
            _ => TrbErrorCode::FlowControlDeadlock,
        };
        let open: Vec<String> = self.scopes.iter().map(|scope| scope.tasks.len().to_string()).collect();
        let (depth, open) = (self.scopes.len().saturating_sub(1), open.join(", "));
        let why = if full.is_permanent() { "waiting is in vain" } else { "nothing that runs can free any" };
        let message = format!(
            "ring {ring}, scope depth {depth}: {full}; {why}; tasks in the open scopes, outermost first: {open}"
        );
        self.fail(code, message);
    }

    /// While tensors are dumped, whoever deals tasks to cores is busy with that, and stands in the way as it would not on
    /// a device: the time does not count.
    fn call_chip<T>(&mut self, call: impl FnOnce(&dyn Chip) -> T) -> T {
        let start = self.trace.has_tensors().then(Instant::now);
        let result = call(self.chip);
        self.clock.stood_still(start.map_or(Duration::ZERO, |start| start.elapsed()));
        result
    }

    fn wait_beyond(&mut self, seen: u64) -> bool {
        let start = Instant::now();
        let progressed = self.chip.wait_beyond(seen);
        self.clock.stood_still(start.elapsed());
        progressed
    }

    /// Whom the new task depends on, each once, and which writers it supersedes.
    fn gather_producers(&mut self, state: &State, submission: &Submission, manual: bool) {
        self.producers.clear();
        self.covered.clear();
        self.producers.extend_from_slice(&submission.deps);
        if !manual {
            for tensor in &submission.tensors {
                if let ArgTensor::Existing(tag, tensor) = tensor {
                    derive(state, *tag, tensor, &mut self.producers, &mut self.covered);
                }
            }
        }
        if self.producers.len() > 1 {
            self.producers.sort_unstable();
            self.producers.dedup();
        }
    }

    /// Entries of the dependency pool for the producers beyond those a task has room for.
    fn take_spill(&mut self, token: TaskToken) -> bool {
        let spill = u32::try_from(self.producers.len().saturating_sub(FANIN_INLINE_CAP)).unwrap_or(u32::MAX);
        let ring = usize::from(token.ring());
        loop {
            let seen = self.call_chip(|chip| chip.progress());
            let taken = self.lock().rings[ring].take_deps(token.local(), spill);
            let error = match taken {
                Ok(()) => break,
                Err(error) => error,
            };
            if error.is_permanent() || !self.wait_beyond(seen) {
                self.fail(TrbErrorCode::DepPoolOverflow, format!("ring {ring}: {error}"));
                return false;
            }
            if self.is_fatal() {
                return false;
            }
        }
        true
    }
}

/// Dependencies of one tensor argument (`spec/public-abi.md`, section D.5, the table of tags).
fn derive(
    state: &State,
    tag: TensorArgType,
    tensor: &Tensor,
    producers: &mut Vec<TaskToken>,
    covered: &mut Vec<Handle>,
) {
    // A creator that is gone, or whose slot has another task by now, is none.
    if state.task(tensor.owner_task_id).is_some() {
        producers.push(tensor.owner_task_id);
    }
    let alive = |producer| State::is_alive(&state.rings, producer);
    derivation::writers(&state.map, tag, tensor, alive, |producer, status, handle| {
        producers.push(producer);
        if derivation::supersedes(tag, status) {
            covered.push(handle);
        }
    });
}

/// Writes a task's tensors and scalars where its kernels will find them; its outputs.
fn fill_task(
    state: &mut State,
    (token, place): (TaskToken, u64),
    submission: &Submission,
    kernels: Option<&Kernels>,
    base: u64,
    packed: &Packed,
) -> Result<TaskOutputTensors, String> {
    if let Some(task) = state.task_mut(token) {
        task.payload = Some(place);
        task.tensor_count = u32::try_from(submission.tensors.len()).unwrap_or(0);
        task.scalar_count = u32::try_from(submission.scalars.len()).unwrap_or(0);
        if let Some(kernels) = kernels {
            task.kernels = kernels.index;
            task.shape = Some(kernels.shape);
            task.blocks = submission.blocks;
            task.chosen = submission.chosen;
            task.sync_start = submission.sync_start && submission.blocks > 1;
            task.subtasks_left = submission.blocks * u32::try_from(task.active().count()).unwrap_or(0);
        }
    }
    let mut outputs = TaskOutputTensors::new(token);
    let mut offsets = packed.offsets().iter();
    for (index, tensor) in submission.tensors.iter().enumerate() {
        match tensor {
            ArgTensor::Existing(_, tensor) => {
                let copy =
                    tensor.payload_copy().map_err(|error| format!("tensor argument {index}: {error}"))?;
                state.payloads.write_tensor(place, index, &copy);
            }
            ArgTensor::Create(info) => {
                let address = base + offsets.next().copied().unwrap_or(0);
                let tensor = create_output(state, token, info, address)
                    .map_err(|error| format!("output {index}: {error}"))?;
                let address = state.payloads.write_tensor(place, index, &tensor);
                let pointer = std::ptr::with_exposed_provenance(usize::try_from(address).unwrap_or(0));
                outputs.push(pointer).map_err(|error| error.to_string())?;
            }
        }
    }
    state.payloads.write_scalars(place, &submission.scalars);
    Ok(outputs)
}

fn create_output(
    state: &State,
    token: TaskToken,
    info: &TensorCreateInfo,
    address: u64,
) -> Result<Tensor, TensorError> {
    let bytes = info.padded_nbytes()?;
    if let Some(pattern) = info.fill_pattern()? {
        state.heap.fill(address, bytes, pattern);
    }
    info.output_tensor(address, bytes, token)
}
