//! What orchestrator and scheduler share: rings, tasks, and how tasks hold on to each other.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use device_runner::{DeviceTime, RunSinks, TaskId};
use task_interface::TensorArgType;
use task_interface::trb::{TaskToken, Tensor, TrbErrorCode};

use crate::derivation;
use crate::gm::Gm;
use crate::past::Past;
use crate::payload::PayloadPool;
use crate::ready::ReadyQueues;
use crate::rings::{ConfigError, Ring, RingConfig, Slot};
use crate::task::Task;
use crate::tensormap::TensorMap;

pub(crate) const RINGS: usize = 4;

/// An error that ends the run: the first one counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fatal {
    pub(crate) code: i32,
    pub(crate) message: String,
}

/// The state behind its lock, and what can be asked without it.
#[derive(Debug)]
pub(crate) struct Shared {
    state: Mutex<State>,
    is_fatal: AtomicBool,
    /// Whom to tell about the run, if anybody wants to know.
    sinks: Option<Arc<dyn RunSinks>>,
}

impl Shared {
    pub(crate) fn new(state: State, sinks: Option<Arc<dyn RunSinks>>) -> Arc<Self> {
        Arc::new(Self { state: Mutex::new(state), is_fatal: AtomicBool::new(false), sinks })
    }

    pub(crate) fn sinks(&self) -> Option<&Arc<dyn RunSinks>> {
        self.sinks.as_ref()
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state, if nobody else has it.
    pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, State>> {
        match self.state.try_lock() {
            Ok(state) => Some(state),
            Err(TryLockError::Poisoned(state)) => Some(state.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Whether the run is ending because of an error.
    pub(crate) fn is_fatal(&self) -> bool {
        self.is_fatal.load(Ordering::Acquire)
    }

    /// Ends the run for an error that the orchestrator has met; the first one counts.
    pub(crate) fn fail(&self, state: &mut State, code: i32, message: String) {
        log::error!("FATAL(code={code}): {message}");
        state.orchestrator_fatal.get_or_insert(Fatal { code, message });
        self.is_fatal.store(true, Ordering::Release);
    }

    /// Ends the run for an error that the scheduler has met.
    pub(crate) fn fail_scheduling(&self, state: &mut State, code: TrbErrorCode, message: String) {
        log::error!("FATAL(code={}): {message}", code.code());
        state.scheduler_fatal.get_or_insert(Fatal { code: code.code(), message });
        self.is_fatal.store(true, Ordering::Release);
    }

    /// The state, for another run; `None` while others hold it.
    fn into_state(self: Arc<Self>) -> Option<State> {
        Arc::into_inner(self).map(|shared| shared.state.into_inner().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The state of the last run, whose memory the next one takes over.
#[derive(Clone, Debug, Default)]
pub(crate) struct Spare(Arc<Mutex<Option<State>>>);

impl Spare {
    /// An empty state: that of the last run if it has the same sizes.
    pub(crate) fn state(
        &self,
        config: RingConfig,
        heap: Gm,
        payloads: PayloadPool,
    ) -> Result<State, ConfigError> {
        let spare = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut state) = spare.filter(|state| state.config == config) {
            state.renew(heap, payloads);
            return Ok(state);
        }
        let ring = || Ring::new(&config);
        Ok(State::new(config, [ring()?, ring()?, ring()?, ring()?], heap, payloads))
    }

    /// Keeps the state of a run that has ended, unless others still hold it.
    pub(crate) fn keep(&self, shared: Arc<Shared>) {
        if let Some(state) = shared.into_state() {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(state);
        }
    }
}

/// The graph as far as it exists.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) rings: [Ring; RINGS],
    /// By ring, then by slot; grows up to the window.
    tasks: [Vec<Task>; RINGS],
    pub(crate) config: RingConfig,
    pub(crate) map: TensorMap,
    pub(crate) past: Past,
    pub(crate) ready: ReadyQueues,
    pub(crate) payloads: PayloadPool,
    pub(crate) heap: Gm,
    /// Tasks that end now; empty between calls.
    ending: Vec<(TaskToken, DeviceTime)>,
    pub(crate) submitted: u64,
    pub(crate) completed: u64,
    /// Whether the orchestration has returned.
    pub(crate) orchestrated: bool,
    /// Tasks without kernels, if they are to be recorded.
    pub(crate) without_kernel: Option<Vec<TaskId>>,
    /// Set by the orchestrator, and by the scheduler.
    pub(crate) orchestrator_fatal: Option<Fatal>,
    pub(crate) scheduler_fatal: Option<Fatal>,
}

impl State {
    fn new(config: RingConfig, rings: [Ring; RINGS], heap: Gm, payloads: PayloadPool) -> Self {
        Self {
            rings,
            tasks: Default::default(),
            config,
            map: TensorMap::new(),
            past: Past::default(),
            ready: ReadyQueues::default(),
            payloads,
            heap,
            ending: Vec::new(),
            submitted: 0,
            completed: 0,
            orchestrated: false,
            without_kernel: None,
            orchestrator_fatal: None,
            scheduler_fatal: None,
        }
    }

    /// Makes the state of a run that has ended that of a new one, keeping its memory.
    fn renew(&mut self, heap: Gm, payloads: PayloadPool) {
        self.rings.iter_mut().for_each(Ring::clear);
        self.map.clear();
        self.past.clear();
        self.ready.clear();
        self.payloads = payloads;
        self.heap = heap;
        self.ending.clear();
        (self.submitted, self.completed, self.orchestrated) = (0, 0, false);
        self.without_kernel = None;
        (self.orchestrator_fatal, self.scheduler_fatal) = (None, None);
    }

    /// The error that the run ends with.
    pub(crate) fn fatal(&self) -> Option<&Fatal> {
        self.orchestrator_fatal.as_ref().or(self.scheduler_fatal.as_ref())
    }

    /// First byte of a ring's output memory.
    pub(crate) fn heap_address(&self, ring: usize, offset: u64) -> u64 {
        self.heap.address(ring as u64 * self.config.heap + offset)
    }

    /// The record of a new task.
    pub(crate) fn open_task(&mut self, ring: usize, slot: Slot, submitted: DeviceTime) -> TaskToken {
        let token = TaskToken::new(u8::try_from(ring).unwrap_or(0), slot.local_id);
        let tasks = &mut self.tasks[ring];
        let index = slot.slot as usize;
        if tasks.len() <= index {
            tasks.resize_with(index + 1, Task::default);
        }
        tasks[index].renew(token, submitted);
        self.submitted += 1;
        token
    }

    /// A task that is alive; the life of one ends when it has completed and nobody needs its memory.
    pub(crate) fn task(&self, token: TaskToken) -> Option<&Task> {
        let (ring, index) = self.locate(token)?;
        self.tasks[ring].get(index)
    }

    pub(crate) fn task_mut(&mut self, token: TaskToken) -> Option<&mut Task> {
        let (ring, index) = self.locate(token)?;
        self.tasks[ring].get_mut(index)
    }

    fn locate(&self, token: TaskToken) -> Option<(usize, usize)> {
        let ring = usize::from(token.ring());
        let alive = token.is_valid() && self.rings.get(ring)?.is_alive(token.local());
        alive.then(|| (ring, (token.local() & (self.config.window - 1)) as usize))
    }

    /// Makes `consumer` wait for `producer` and keep its memory. Nothing to do for a producer that is gone.
    pub(crate) fn link(&mut self, producer: TaskToken, consumer: TaskToken) {
        let Some(task) = self.task_mut(producer) else { return };
        task.consumers_left += 1;
        let waits = !task.completed;
        let ended = task.ended_at;
        if waits {
            task.consumers.push(consumer);
        }
        if let Some(task) = self.task_mut(consumer) {
            task.producers.push(producer);
            task.pending += u32::from(waits);
            task.ready_at = task.ready_at.max(ended);
        }
    }

    /// Lets a task start behind all that it would have waited for, had that not been retired before.
    pub(crate) fn start_behind_past<'a>(
        &mut self,
        token: TaskToken,
        explicit: &[TaskToken],
        tensors: impl Iterator<Item = (TensorArgType, &'a Tensor)>,
    ) {
        let mut ready = DeviceTime(0);
        let mut named = |state: &Self, producer: TaskToken| {
            if producer.is_valid() && state.task(producer).is_none() {
                ready = ready.max(state.past.tasks_of(usize::from(producer.ring())));
            }
        };
        explicit.iter().for_each(|&producer| named(self, producer));
        let mut read = DeviceTime(0);
        for (tag, tensor) in tensors {
            named(self, tensor.owner_task_id);
            if derivation::looks(tag, tensor) {
                read = read.max(self.past.writers_of(tensor.buffer_addr));
            }
        }
        let ready = ready.max(read);
        if let Some(task) = self.task_mut(token) {
            task.ready_at = task.ready_at.max(ready);
        }
    }

    /// Enters a task whose producers are known: it is queued at once if it waits for none.
    pub(crate) fn wire(&mut self, token: TaskToken) {
        if self.task(token).is_some_and(|task| task.pending == 0) {
            self.enqueue(token);
            self.end_tasks();
        }
    }

    /// A task that waits for nobody any more: to the cores, or, if it has no kernels, to the tasks that end now.
    fn enqueue(&mut self, token: TaskToken) {
        let Some(task) = self.task_mut(token) else { return };
        match task.shape {
            Some(shape) if task.subtasks_left > 0 => self.ready.push(shape, token),
            _ => {
                let at = task.ready_at;
                self.ending.push((token, at));
            }
        }
    }

    /// A task has ended at `at`: those that wait for it go on, and what it kept alive is released.
    pub(crate) fn complete(&mut self, token: TaskToken, at: DeviceTime) {
        self.ending.push((token, at));
        self.end_tasks();
    }

    /// A list instead of recursion: a chain of tasks without kernels may be of any length.
    fn end_tasks(&mut self) {
        while let Some((token, at)) = self.ending.pop() {
            self.end_one(token, at);
        }
    }

    fn end_one(&mut self, token: TaskToken, at: DeviceTime) {
        let Some(task) = self.task_mut(token) else { return };
        task.completed = true;
        task.ended_at = at;
        let mut consumers = std::mem::take(&mut task.consumers);
        let mut producers = std::mem::take(&mut task.producers);
        self.completed += 1;
        for consumer in consumers.drain(..) {
            let Some(task) = self.task_mut(consumer) else { continue };
            task.pending -= 1;
            task.ready_at = task.ready_at.max(at);
            if task.pending == 0 {
                self.enqueue(consumer);
            }
        }
        for producer in producers.drain(..) {
            if let Some(task) = self.task_mut(producer) {
                task.consumers_left -= 1;
                self.retire_if_consumed(producer);
            }
        }
        // The lists keep their memory for the next task in this slot.
        if let Some(task) = self.task_mut(token) {
            task.consumers = consumers;
            task.producers = producers;
        }
        self.retire_if_consumed(token);
    }

    /// The scope that a task was submitted in has closed.
    pub(crate) fn leave_scope(&mut self, token: TaskToken) {
        if let Some(task) = self.task_mut(token) {
            task.in_scope = false;
            self.retire_if_consumed(token);
        }
    }

    fn retire_if_consumed(&mut self, token: TaskToken) {
        if !self.task(token).is_some_and(Task::is_consumed) {
            return;
        }
        let ring = usize::from(token.ring());
        let Ok(freed) = self.rings[ring].retire(token.local()) else { return };
        for local in freed.tasks {
            let index = (local & (self.config.window - 1)) as usize;
            self.past.retire(ring, self.tasks[ring][index].ended_at);
            if let Some(payload) = self.tasks[ring][index].payload.take() {
                self.payloads.give_back(payload);
            }
        }
        let (tasks, past) = (&self.tasks[ring], &mut self.past);
        self.map.drop_retired(token.ring(), self.rings[ring].first_alive(), |buffer, writer| {
            // Its record is still there: no task has got its slot yet.
            let task = tasks.get((writer.local() & (self.config.window - 1)) as usize);
            past.wrote(buffer, task.map_or(DeviceTime(0), |task| task.ended_at));
        });
    }

    /// Tells the tensor map which producers still count.
    pub(crate) fn is_alive(rings: &[Ring; RINGS], producer: TaskToken) -> bool {
        rings.get(usize::from(producer.ring())).is_some_and(|ring| ring.is_alive(producer.local()))
    }

    /// All tasks that are alive and have not completed.
    pub(crate) fn unfinished(&self) -> impl Iterator<Item = &Task> {
        (0..RINGS)
            .flat_map(move |ring| {
                let alive = self.rings[ring].first_alive()..self.rings[ring].next_id();
                alive.filter_map(move |local| {
                    self.tasks[ring].get((local & (self.config.window - 1)) as usize)
                })
            })
            .filter(|task| !task.completed)
    }
}
