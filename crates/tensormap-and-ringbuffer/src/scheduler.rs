//! The back of the device half: deals ready tasks to cores.

use std::any::Any;
use std::collections::VecDeque;
use std::sync::{Arc, MutexGuard};

use device_runner::{
    CoreId, Cores, DevPtr, DeviceOrchestration, DeviceProgram, DeviceTime, Dispatch, KernelArgs, KernelTable,
    TaskId, Topology, WaitingTask,
};
use run_records::dump::Stage;
use task_interface::CoreType;
use task_interface::trb::{
    AsyncCtx, CompletionType, DeferredCompletionEntry, DispatchPayload, GlobalContext, LocalContext,
    MAX_COMPLETIONS_PER_TASK, ResourceShape, SLOT_GLOBAL_CONTEXT, SLOT_LOCAL_CONTEXT, SdmaEventRecord,
    TaskToken, TrbErrorCode,
};

use crate::dump::dump_task;
use crate::frames::{Frame, Frames};
use crate::gm;
use crate::ready::SHAPES;
use crate::state::{Shared, State};
use crate::task::Task;

/// The program that a launch drives.
pub(crate) struct Scheduler {
    pub(crate) shared: Arc<Shared>,
    orchestration: Option<Box<dyn DeviceOrchestration>>,
    frames: Frames,
    topology: Topology,
    /// By core: the task it runs a part of.
    on_core: Vec<TaskToken>,
    /// Parts of tasks that are placed and wait to be fetched; they start together.
    outbox: VecDeque<Dispatch>,
    /// Tasks whose kernels have ended, and whose conditions in memory have not all come about.
    deferred: Vec<TaskToken>,
    kernels: Arc<KernelTable>,
    has_sdma_records: bool,
}

impl Scheduler {
    pub(crate) fn new(
        shared: Arc<Shared>,
        orchestration: Box<dyn DeviceOrchestration>,
        frames: Frames,
        topology: Topology,
        kernels: Arc<KernelTable>,
        has_sdma_records: bool,
    ) -> Self {
        Self {
            shared,
            orchestration: Some(orchestration),
            frames,
            topology,
            on_core: vec![TaskToken::INVALID; topology.cores() as usize],
            outbox: VecDeque::new(),
            deferred: Vec::new(),
            kernels,
            has_sdma_records,
        }
    }

    /// A program that has nothing to do.
    pub(crate) fn ended(shared: Arc<Shared>) -> Self {
        let topology = Topology::new(0);
        let frames = Frames::for_device(Frames::device_memory(0), 0);
        Self {
            shared,
            orchestration: None,
            frames,
            topology,
            on_core: Vec::new(),
            outbox: VecDeque::new(),
            deferred: Vec::new(),
            kernels: Arc::default(),
            has_sdma_records: false,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.lock()
    }

    /// The block that can start now: its task and cores. Nothing while the run is ending.
    ///
    /// A task whose blocks start together, and then one that needs a whole cluster, hold back all others until
    /// there are cores for them, as they would never find any otherwise.
    fn pick(state: &State, cores: &dyn Cores) -> Option<Placement> {
        let front =
            |shape| state.ready.front(shape).and_then(|token| Some((shape, token, state.task(token)?)));
        let fronts = SHAPES.map(front);
        if let Some((shape, token, task)) = fronts.iter().flatten().find(|(_, _, task)| task.sync_start) {
            let places = Places::All(places_for_all(*shape, task, cores)?);
            return Some(Placement { shape: *shape, token: *token, places });
        }
        let offer = |&(shape, token, task): &(ResourceShape, TaskToken, &Task)| {
            let (start, place) = place_for_one(shape, task, cores)?;
            Some((start.max(task.ready_at), Placement { shape, token, places: Places::One(place) }))
        };
        if let [Some(mix), ..] = &fronts {
            return offer(mix).map(|(_, placement)| placement);
        }
        fronts
            .iter()
            .flatten()
            .filter_map(offer)
            .min_by_key(|(start, _)| *start)
            .map(|(_, placement)| placement)
    }

    /// The next dispatch, if its kernel is wanted.
    fn next_of(&mut self, cores: &dyn Cores, wanted: impl Fn(u32) -> bool) -> Option<Dispatch> {
        if let Some(dispatch) = self.outbox.front() {
            return if wanted(dispatch.kernel) { self.outbox.pop_front() } else { None };
        }
        if self.shared.is_fatal() {
            return None;
        }
        let shared = Arc::clone(&self.shared);
        let mut state = shared.lock();
        let placement = Self::pick(&state, cores)?;
        let (_, kernel) = state.task(placement.token)?.active().next()?;
        if !wanted(kernel) {
            return None;
        }
        self.start(&mut state, &placement);
        self.outbox.pop_front()
    }

    fn start(&mut self, state: &mut State, placement: &Placement) {
        for cores in placement.places.blocks() {
            let Some(task) = state.task_mut(placement.token) else { return };
            let block = task.next_block;
            task.next_block += 1;
            let Some(task) = state.task(placement.token) else { return };
            for (slot, kernel) in task.active() {
                let Some(core) = cores[slot] else { continue };
                self.frames.advance(core);
                let args = self.write_frame(state, task, kernel, block, core);
                self.on_core[core.0 as usize] = placement.token;
                self.outbox.push_back(Dispatch {
                    task: TaskId(placement.token.raw),
                    kernel,
                    core,
                    ready_at: task.ready_at,
                    args,
                    followers: 0,
                });
            }
            self.dump(state, task, Stage::BeforeDispatch);
        }
        if state.task(placement.token).is_some_and(|task| task.next_block >= task.blocks) {
            state.ready.pop(placement.shape);
        }
        let followers = u32::try_from(self.outbox.len().saturating_sub(1)).unwrap_or(0);
        if let Some(first) = self.outbox.front_mut() {
            first.followers = followers;
        }
    }

    fn dump(&self, state: &State, task: &Task, stage: Stage) {
        if let Some(tensors) = self.shared.sinks().and_then(|sinks| sinks.tensors()) {
            dump_task(tensors, &self.kernels, state, task, stage);
        }
    }

    /// Writes what the kernel on `core` is called with (`spec/public-abi.md`, section E.3).
    fn write_frame(&self, state: &State, task: &Task, kernel: u32, block: u32, core: CoreId) -> KernelArgs {
        let Frame { payload, slab } = self.frames.current(core);
        let frames = self.frames.memory;
        let args = payload + DispatchPayload::ARGS_OFFSET;
        let entry = self.kernels.kernels().get(kernel as usize).map_or(0, |kernel| kernel.handle.0);
        frames.write(payload, &entry);
        let place = task.payload.unwrap_or(0);
        let tensors = task.tensor_count as usize;
        for index in 0..tensors {
            frames.write(args + 8 * index as u64, &state.payloads.tensor_address(place, index));
        }
        for index in 0..task.scalar_count as usize {
            let scalar = state.payloads.read_scalar(place, index);
            frames.write(args + 8 * (tensors + index) as u64, &scalar);
        }
        let (local, global) = (
            payload + DispatchPayload::LOCAL_CONTEXT_OFFSET,
            payload + DispatchPayload::GLOBAL_CONTEXT_OFFSET,
        );
        frames.write(args + 8 * SLOT_LOCAL_CONTEXT as u64, &local);
        frames.write(args + 8 * SLOT_GLOBAL_CONTEXT as u64, &global);
        let context = LocalContext {
            block_idx: i32::try_from(block).unwrap_or(i32::MAX),
            block_num: i32::try_from(task.blocks).unwrap_or(i32::MAX),
            async_ctx: AsyncCtx::for_slab(slab, task.token),
        };
        frames.write(local, &context);
        frames.write(global, &GlobalContext { sub_block_id: i32::from(self.topology.lane(core) == 1) });
        frames.write(slab, &0u64);
        KernelArgs::Device(DevPtr::new(args))
    }

    /// Takes over the conditions that the kernel on `core` has registered.
    fn collect_conditions(&self, state: &mut State, token: TaskToken, core: CoreId) {
        let Frame { slab, .. } = self.frames.current(core);
        let word: u64 = self.frames.memory.read(slab);
        if word == 0 {
            return;
        }
        let (count, error) = (word & 0xFFFF_FFFF, i32::try_from(word >> 32).unwrap_or(-1));
        if error != 0 || count > MAX_COMPLETIONS_PER_TASK as u64 {
            let code = TrbErrorCode::from_code(error).unwrap_or(TrbErrorCode::AsyncRegistrationFailed);
            return self.shared.fail_scheduling(
                state,
                code,
                format!("{token}: its kernel reports {error} with {count} conditions"),
            );
        }
        for index in 0..count {
            let entry: DeferredCompletionEntry = self.frames.memory.read(slab + 8 + 24 * index);
            if let Err(message) = self.check_condition(&entry) {
                let message = format!("{token}: {message}");
                return self.shared.fail_scheduling(state, TrbErrorCode::AsyncCompletionInvalid, message);
            }
            let Some(task) = state.task_mut(token) else { return };
            task.conditions.push(entry);
            if task.conditions.len() > MAX_COMPLETIONS_PER_TASK {
                let message = format!("{token} waits for more than {MAX_COMPLETIONS_PER_TASK} conditions");
                return self.shared.fail_scheduling(state, TrbErrorCode::AsyncWaitOverflow, message);
            }
        }
    }

    fn check_condition(&self, entry: &DeferredCompletionEntry) -> Result<(), String> {
        let align = if self.is_record(entry) { 8 } else { 4 };
        if entry.addr == 0 || !entry.addr.is_multiple_of(align) {
            return Err(format!("a condition at address {:#x} cannot be looked at", entry.addr));
        }
        if self.has_sdma_records && entry.completion_type().is_err() {
            return Err(format!("condition type {} does not exist", entry.completion_type));
        }
        Ok(())
    }

    /// Chips without event records take every condition for a counter.
    fn is_record(&self, entry: &DeferredCompletionEntry) -> bool {
        self.has_sdma_records && entry.completion_type() == Ok(CompletionType::SdmaEventRecord)
    }

    fn has_come(&self, entry: &DeferredCompletionEntry) -> bool {
        if !self.is_record(entry) {
            // SAFETY: the kernel vouches for the counter, whose address was checked to be aligned and not null.
            return unsafe { gm::read_counter(entry.addr) } >= entry.expected_value;
        }
        // SAFETY: the kernel vouches for the record.
        let record: SdmaEventRecord = unsafe { gm::read_foreign(entry.addr) };
        if record.is_done() {
            // SAFETY: as above; the record is retired by clearing its first word, as its contract says.
            unsafe { gm::write_element(entry.addr, 8, 0) };
            if let Some((channel, value)) = record.channel_update() {
                // SAFETY: the record names a word of its channel.
                unsafe { gm::write_element(channel, 8, value) };
            }
        }
        record.is_done()
    }

    fn name(&self, task: &Task) -> String {
        let names: Vec<&str> = task
            .active()
            .filter_map(|(_, kernel)| self.kernels.kernels().get(kernel as usize))
            .map(|kernel| &*kernel.name)
            .collect();
        if names.is_empty() { "no kernel".to_owned() } else { names.join(" + ") }
    }
}

/// A task that can start, and the cores of each block to start.
struct Placement {
    shape: ResourceShape,
    token: TaskToken,
    places: Places,
}

/// Cores of a block, by sub-task slot.
type Block = [Option<CoreId>; 3];

enum Places {
    One(Block),
    /// Of all blocks, which start together.
    All(Vec<Block>),
}

impl Places {
    fn blocks(&self) -> &[Block] {
        match self {
            Self::One(block) => std::slice::from_ref(block),
            Self::All(blocks) => blocks,
        }
    }
}

/// The cores that suit one block best, and since when all of them are idle.
fn place_for_one(shape: ResourceShape, task: &Task, cores: &dyn Cores) -> Option<(DeviceTime, Block)> {
    match shape {
        ResourceShape::Aic => {
            cores.earliest_idle(CoreType::Aic).map(|idle| (idle.free_at, [Some(idle.core), None, None]))
        }
        ResourceShape::Aiv => {
            cores.earliest_idle(CoreType::Aiv).map(|idle| (idle.free_at, [None, Some(idle.core), None]))
        }
        ResourceShape::Mix => (0..cores.topology().block_dim())
            .filter_map(|cluster| idle_cluster(cluster, task, cores))
            .min_by_key(|(since, _)| *since),
        ResourceShape::Dummy => None,
    }
}

/// A cluster of which all cores are idle; the task uses those it has kernels for.
fn idle_cluster(cluster: u32, task: &Task, cores: &dyn Cores) -> Option<(DeviceTime, Block)> {
    let first_aiv = cores.topology().block_dim() + Topology::AIV_PER_CLUSTER * cluster;
    let all = [cluster, first_aiv, first_aiv + 1].map(CoreId);
    let mut since = DeviceTime(0);
    let mut used = [None; 3];
    for (slot, core) in all.into_iter().enumerate() {
        since = since.max(cores.idle_since(core)?);
        used[slot] = task.kernels[slot].map(|_| core);
    }
    Some((since, used))
}

/// Cores for all blocks at once, or none.
fn places_for_all(shape: ResourceShape, task: &Task, cores: &dyn Cores) -> Option<Vec<Block>> {
    let topology = cores.topology();
    let blocks = task.blocks as usize;
    let idle =
        |core_type| topology.ids_of(core_type).map(CoreId).filter(|&core| cores.idle_since(core).is_some());
    let places: Vec<Block> = match shape {
        ResourceShape::Aic => idle(CoreType::Aic).take(blocks).map(|core| [Some(core), None, None]).collect(),
        ResourceShape::Aiv => idle(CoreType::Aiv).take(blocks).map(|core| [None, Some(core), None]).collect(),
        ResourceShape::Mix => (0..topology.block_dim())
            .filter_map(|cluster| idle_cluster(cluster, task, cores))
            .take(blocks)
            .map(|(_, place)| place)
            .collect(),
        ResourceShape::Dummy => Vec::new(),
    };
    (places.len() == blocks).then_some(places)
}

impl DeviceProgram for Scheduler {
    fn take_orchestration(&mut self) -> Option<Box<dyn DeviceOrchestration>> {
        self.orchestration.take()
    }

    fn next(&mut self, cores: &dyn Cores) -> Option<Dispatch> {
        self.next_of(cores, |_| true)
    }

    fn next_if(&mut self, cores: &dyn Cores, wanted: &dyn Fn(u32) -> bool) -> Option<Dispatch> {
        self.next_of(cores, wanted)
    }

    fn has_startable(&self, cores: &dyn Cores) -> bool {
        !self.outbox.is_empty() || (!self.shared.is_fatal() && Self::pick(&self.lock(), cores).is_some())
    }

    fn fanout(&self, task: TaskId, visit: &mut dyn FnMut(TaskId)) {
        let state = self.lock();
        if let Some(task) = state.task(TaskToken { raw: task.0 }) {
            task.consumers.iter().for_each(|consumer| visit(TaskId(consumer.raw)));
        }
    }

    fn complete(&mut self, task: TaskId, core: CoreId, at: DeviceTime) {
        let shared = Arc::clone(&self.shared);
        let mut state = shared.lock();
        let token = TaskToken { raw: task.0 };
        self.on_core[core.0 as usize] = TaskToken::INVALID;
        self.collect_conditions(&mut state, token, core);
        let Some(record) = state.task_mut(token) else { return };
        record.subtasks_left -= 1;
        // The sub-task that is told of last need not be that which ends last on the device clock.
        record.ended_at = record.ended_at.max(at);
        let ended = record.ended_at;
        if record.subtasks_left > 0 {
            return;
        }
        if record.conditions.is_empty() {
            if let Some(task) = state.task(token) {
                self.dump(&state, task, Stage::AfterCompletion);
            }
            state.complete(token, ended);
        } else {
            self.deferred.push(token);
        }
    }

    fn poll_memory(&mut self, now: DeviceTime) {
        let shared = Arc::clone(&self.shared);
        let mut state = shared.lock();
        let mut waiting = std::mem::take(&mut self.deferred);
        waiting.retain(|&token| {
            let Some(task) = state.task_mut(token) else { return false };
            task.conditions.retain(|entry| !self.has_come(entry));
            let done = task.conditions.is_empty();
            if done {
                let ended = task.ended_at.max(now);
                state.complete(token, ended);
            }
            !done
        });
        self.deferred = waiting;
    }

    fn awaits_memory(&self) -> bool {
        !self.deferred.is_empty() && !self.shared.is_fatal()
    }

    fn is_done(&self) -> bool {
        let state = self.lock();
        state.orchestrated && (self.shared.is_fatal() || state.completed == state.submitted)
    }

    fn completed(&self) -> u64 {
        self.lock().completed
    }

    fn activity(&self) -> u64 {
        let state = self.lock();
        state.submitted + state.completed
    }

    fn waiting(&self) -> Vec<WaitingTask> {
        let state = self.lock();
        let not_started = state.unfinished().filter(|task| task.next_block < task.blocks);
        not_started
            .map(|task| WaitingTask {
                task: TaskId(task.token.raw),
                kernel: self.name(task),
                core_type: if task.shape == Some(ResourceShape::Aiv) { CoreType::Aiv } else { CoreType::Aic },
                unmet: task
                    .producers
                    .iter()
                    .filter(|&&producer| state.task(producer).is_some_and(|task| !task.completed))
                    .map(|producer| TaskId(producer.raw))
                    .collect(),
            })
            .collect()
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}
