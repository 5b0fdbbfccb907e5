mod state;

pub(crate) use state::State;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use device_runner::{DeviceError, DeviceTime, Launch, Stall};

use crate::carrier;
use crate::comm::Jobs;
use crate::cores::CoreTable;
use crate::kernels::Kernel;
use crate::memory::AddressSpace;
use crate::pace::Typical;
use crate::placement::{self, ClientCpu};
use crate::record::Record;
use crate::run::{Done, Job, Orchestration, Run, RunShared, Work};
use crate::threads::WatchedThread;
use state::CarrierEntry;

/// Runs launches: one program at a time, whose tasks are carried out by threads under one lock.
///
/// The lock is held between kernels only. A carrier that has finished a task reports it and takes the next
/// in one go, so a task costs one lock operation.
#[derive(Debug)]
pub(crate) struct Engine {
    state: Mutex<State>,
    /// Carriers without work wait here.
    work: Condvar,
    /// Clients that wait for the end of a run wait here.
    ended: Condvar,
    /// An orchestration that waits for a task to end waits here.
    progressed: Condvar,
    /// How long the kernel that ended last typically takes.
    typical: Typical,
    client_cpu: ClientCpu,
    /// Changes at each launch, for carriers that look for work without the lock.
    launches: AtomicU64,
    /// Serial of the last run that ended, for clients that look for it without the lock.
    last_ended: AtomicU64,
    space: Arc<AddressSpace>,
    jobs: Arc<Jobs>,
    permits: usize,
}

/// Carriers that stay with the device while it is idle, even if it has fewer permits.
const KEPT_CARRIERS: usize = 3;

/// Tasks that an orchestration has run while it waited.
///
/// It goes on running some although it need not wait any more: to go back after each would take as long as the task.
#[derive(Default)]
struct TasksAhead {
    count: u32,
    time: Duration,
}

impl TasksAhead {
    fn add(&mut self, done: &Done) {
        self.count += 1;
        self.time += done.duration;
    }

    fn are_enough(&self) -> bool {
        const COUNT: u32 = 32;
        const TIME: Duration = Duration::from_micros(10);
        self.count >= COUNT || self.time >= TIME
    }
}

/// What a carrier does after its task.
pub(crate) enum Next {
    /// It looks for another one.
    Work,
    /// It waits until it is called, as the others are quicker without it.
    Rest,
    /// It ends: its run was given up, and it with it.
    Leave,
}

impl Engine {
    pub(crate) fn new(space: Arc<AddressSpace>, jobs: Arc<Jobs>, permits: usize) -> Arc<Self> {
        let state = State {
            run: None,
            next_serial: 1,
            carriers: Vec::new(),
            leaving: Vec::new(),
            looking: 0,
            parked: 0,
            called: 0,
            clients_parked: 0,
            orchestration_parked: false,
            abandoned: 0,
            unusable: None,
            shutdown: false,
        };
        Arc::new(Self {
            state: Mutex::new(state),
            work: Condvar::new(),
            ended: Condvar::new(),
            progressed: Condvar::new(),
            typical: Typical::default(),
            client_cpu: ClientCpu::default(),
            launches: AtomicU64::new(0),
            last_ended: AtomicU64::new(0),
            space,
            jobs,
            permits: permits.max(1),
        })
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn space(&self) -> &Arc<AddressSpace> {
        &self.space
    }

    /// The jobs that the device is in.
    pub(crate) fn jobs(&self) -> &Jobs {
        &self.jobs
    }

    /// Starts a launch; its serial.
    pub(crate) fn launch(
        self: &Arc<Self>,
        launch: Launch,
        kernels: Vec<Arc<Kernel>>,
    ) -> Result<u64, DeviceError> {
        let Launch { topology, kernels: names, mut program, recorder, .. } = launch;
        self.join_leaving();
        let mut state = self.lock();
        if let Some(reason) = &state.unusable {
            return Err(DeviceError::Unusable { reason: reason.clone() });
        }
        if state.run.is_some() {
            return Err(DeviceError::Busy);
        }
        let serial = state.next_serial;
        state.next_serial += 1;
        let shared = RunShared { serial, topology, kernels, names, pipes: Arc::default() };
        let orchestration = program.take_orchestration().map_or(Orchestration::None, Orchestration::Ready);
        state.run = Some(Run {
            orchestration,
            followers: 0,
            serial,
            program,
            cores: CoreTable::new(topology),
            record: recorder.map(Record::new),
            shared: Arc::new(shared),
            in_flight: (0..state.carriers.len()).map(|_| None).collect(),
            running: 0,
            allowed: self.permits,
            rescues: 0,
            progress: 0,
            end: DeviceTime(0),
            stop: None,
            ended: false,
        });
        self.settle(&mut state);
        if state.run.as_ref().is_some_and(|run| !run.ended) {
            self.launches.fetch_add(1, Ordering::Release);
            if let Err(error) = self.wake_carrier(&mut state) {
                state.run = None;
                return Err(error);
            }
        }
        Ok(serial)
    }

    /// Makes sure that one more carrier will look for work.
    pub(crate) fn wake_carrier(self: &Arc<Self>, state: &mut State) -> Result<(), DeviceError> {
        if state.looking > 0 {
            // It takes the lock before it parks, and then finds the work.
            return Ok(());
        }
        if state.parked > 0 {
            state.parked -= 1;
            state.called += 1;
            self.work.notify_one();
            return Ok(());
        }
        // A task takes a core, so that of this many one at least is not inside of a task or the orchestration: it has
        // been started and has yet to get a CPU.
        let enough = state.run.as_ref().map_or(1, |run| 1 + run.shared.topology.cores() as usize);
        if state.carriers.iter().flatten().count() >= enough {
            return Ok(());
        }
        let index = state.carriers.iter().position(Option::is_none).unwrap_or(state.carriers.len());
        let thread = Arc::new(WatchedThread::default());
        let handle = carrier::spawn(Arc::clone(self), index, Arc::clone(&thread))?;
        let entry = CarrierEntry { thread, handle: Some(handle) };
        if index == state.carriers.len() {
            state.carriers.push(Some(entry));
        } else {
            state.carriers[index] = Some(entry);
        }
        if let Some(run) = &mut state.run {
            run.in_flight.resize_with(state.carriers.len(), || None);
        }
        Ok(())
    }

    /// Gets another carrier for what can be started, unless one is coming, or would only take the CPU of one that works: a
    /// client that looks for the end needs its own no longer than 50 us, and then sees to the run itself. Without another
    /// carrier the run is only slower, so failures to make one do not matter.
    fn call_carrier(self: &Arc<Self>, state: &mut State) {
        let busy = state.running() + crate::spin::spinning();
        let has_cpu = state.looking > 0 || busy < self.permits.max(crate::spin::cpus());
        if state.called == 0 && has_cpu && state.can_start_more() {
            let _ = self.wake_carrier(state);
        }
    }

    /// Ends the run if nothing is left to do, or if nothing can be done.
    pub(crate) fn settle(&self, state: &mut State) {
        let Some(run) = &mut state.run else { return };
        if run.running > 0 || run.ended || matches!(run.orchestration, Orchestration::Ready(_)) {
            return;
        }
        let seen = run.progress;
        if run.stop.is_none() && run.may_go_on() {
            if run.progress != seen {
                self.wake_orchestration(state);
            }
            return;
        }
        if let Orchestration::Waiting { stuck, .. } = &mut run.orchestration {
            // It has to return before the run can end, and its program says what that means.
            *stuck = true;
            self.wake_orchestration(state);
            return;
        }
        if run.stop.is_none() && !run.program.is_done() {
            let stall = Stall::new(Vec::new(), run.program.waiting(), run.program.completed());
            run.stop = Some(DeviceError::Stalled(Box::new(stall)));
        }
        run.ended = true;
        self.last_ended.store(run.serial, Ordering::Release);
        if state.clients_parked > 0 {
            self.ended.notify_all();
        }
        if state.carriers.len() > self.permits.max(KEPT_CARRIERS) {
            // Those that are not kept have to see that the run has ended.
            self.work.notify_all();
        }
    }

    /// Next work for a carrier; wakes others if there is more and it pays.
    pub(crate) fn take_work(
        self: &Arc<Self>,
        state: &mut State,
        carrier: usize,
        now: Instant,
    ) -> Option<Work> {
        if let Some(work) = state.run.as_mut()?.start_orchestration(carrier) {
            return Some(work);
        }
        let job = state.run.as_mut()?.start_task(carrier, now)?;
        self.call_others(state, &job);
        Some(Work::Task(job))
    }

    fn call_others(self: &Arc<Self>, state: &mut State, job: &Job) {
        let followers = state.run.as_ref().map_or(0, |run| run.followers);
        let pace = job.kernel().pace();
        if followers > 0 && !pace.is_short() {
            for _ in 0..followers {
                let _ = self.wake_carrier(state);
            }
        } else if pace.typical().is_worth_waking() {
            self.call_carrier(state);
        }
    }

    /// A carrier has ended its task.
    pub(crate) fn finish_job(&self, state: &mut State, carrier: usize, job: &Job, done: Done) -> Next {
        let next = self.end_job(state, carrier, job, done);
        self.wake_orchestration(state);
        self.settle(state);
        next
    }

    /// Enters that a task has ended, and nothing that follows from it for the run.
    fn end_job(&self, state: &mut State, carrier: usize, job: &Job, done: Done) -> Next {
        let Some(run) = state.current(job.run.serial) else {
            return self.note_return(state);
        };
        run.end_task(carrier, job, done.duration, self.permits);
        if let Err(source) = done.result {
            run.stop.get_or_insert_with(|| DeviceError::KernelFailed {
                task: job.dispatch.task,
                kernel: job.run.names[job.dispatch.kernel as usize].name.to_string(),
                core: job.dispatch.core,
                source,
            });
        }
        let pace = job.kernel().pace();
        pace.note(done.duration);
        self.typical.set(pace.typical());
        let rest = run.running > 0 && !run.leaves_room_for_another(pace.typical());
        if rest { Next::Rest } else { Next::Work }
    }

    /// The orchestration has returned.
    pub(crate) fn finish_orchestration(&self, state: &mut State, serial: u64) -> Next {
        let Some(run) = state.current(serial) else {
            return self.note_return(state);
        };
        run.orchestration = Orchestration::None;
        run.running -= 1;
        run.progress += 1;
        self.settle(state);
        Next::Work
    }

    /// Something that was given up has returned after all.
    fn note_return(&self, state: &mut State) -> Next {
        state.abandoned -= 1;
        self.space.kernel_returned();
        Next::Leave
    }

    /// Blocks an orchestration until more than `seen` tasks have ended, see [`Chip::wait_beyond`].
    pub(crate) fn wait_beyond(
        self: &Arc<Self>,
        shared: &Arc<RunShared>,
        carrier: usize,
        seen: u64,
        mut execute: impl FnMut(&mut Job) -> Done,
    ) -> bool {
        let mut state = self.lock();
        let Some(run) = state.current(shared.serial) else { return false };
        run.orchestration = Orchestration::Waiting { carrier, stuck: false };
        run.running -= 1;
        let mut now = Instant::now();
        let mut ahead = TasksAhead::default();
        let progressed = loop {
            let Some(run) = state.current(shared.serial) else { return false };
            let progressed = run.progress > seen;
            if (progressed && ahead.are_enough()) || run.stop.is_some() || run.is_stuck() {
                break progressed;
            }
            if let Some(mut job) = run.start_short_task(carrier, now) {
                drop(state);
                let done = execute(&mut job);
                now = done.at;
                ahead.add(&done);
                state = self.lock();
                let _ = self.end_job(&mut state, carrier, &job, done);
                continue;
            }
            if progressed {
                break true;
            }
            self.settle(&mut state);
            if state.current(shared.serial).is_some_and(|run| run.is_stuck()) {
                continue;
            }
            self.call_carrier(&mut state);
            state.orchestration_parked = true;
            state = self.progressed.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.orchestration_parked = false;
            now = Instant::now();
        };
        if let Some(run) = state.current(shared.serial) {
            run.orchestration = Orchestration::Running { carrier, cpu: placement::here() };
            run.running += 1;
        }
        progressed
    }

    /// Looks at what tasks wait for in memory.
    pub(crate) fn poll_memory(&self, state: &mut State) {
        if state.poll_memory() {
            self.wake_orchestration(state);
        }
    }

    /// Lets an orchestration that waits look again. One that runs a task meanwhile looks by itself.
    fn wake_orchestration(&self, state: &State) {
        if state.orchestration_parked {
            self.progressed.notify_all();
        }
    }

    /// Tells an orchestration that waits that it waits in vain; whether there is one.
    pub(crate) fn end_wait(&self, state: &mut State) -> bool {
        let Some(Run { orchestration: Orchestration::Waiting { stuck, .. }, .. }) = &mut state.run else {
            return false;
        };
        *stuck = true;
        self.wake_orchestration(state);
        true
    }

    /// An orchestration has added tasks.
    pub(crate) fn tasks_added(self: &Arc<Self>) {
        if self.typical.is_worth_waking() {
            self.call_carrier(&mut self.lock());
        }
    }

    /// Tasks of a run that have ended.
    pub(crate) fn progress_of(&self, serial: u64) -> u64 {
        self.lock().current(serial).map_or(u64::MAX, |run| run.progress)
    }

    /// Waits for work, without holding the lock, and looks for it a while first if it may; `None` when the carrier has to
    /// end.
    pub(crate) fn await_work<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        may_look: bool,
    ) -> Option<MutexGuard<'a, State>> {
        if state.shutdown {
            return None;
        }
        if !may_look {
            return Some(self.park(state));
        }
        let seen = self.launches.load(Ordering::Acquire);
        let during_run = state.has_run();
        state.looking += 1;
        drop(state);
        let found = crate::spin::spin_until(|| self.launches.load(Ordering::Acquire) != seen);
        let mut state = self.lock();
        state.looking -= 1;
        // A run that has ended meanwhile has notified those that were parked then.
        let run_ended = during_run && !state.has_run();
        if found || run_ended || state.shutdown || state.can_start_more() {
            return Some(state);
        }
        Some(self.park(state))
    }

    /// Blocks a carrier until it is called.
    pub(crate) fn park<'a>(&'a self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        if state.shutdown {
            return state;
        }
        state.parked += 1;
        let mut state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
        if state.called > 0 {
            state.called -= 1;
        } else {
            // All were woken, or the system has done so by itself.
            state.parked -= 1;
        }
        state
    }

    /// Where the client is that waits for the run.
    pub(crate) fn client_cpu(&self) -> &ClientCpu {
        &self.client_cpu
    }

    /// Whether an idle carrier is in the way on this CPU: of those that work for the run, or, without one, of the client.
    pub(crate) fn needs_cpu(&self, state: &State, cpu: usize) -> bool {
        match &state.run {
            Some(run) if !run.ended => run.has_work_on(cpu),
            _ => self.client_cpu.is(cpu),
        }
    }

    /// Whether it pays that a run which gets on has another carrier.
    pub(crate) fn pays_another(&self) -> bool {
        self.typical.leaves_room_for(1)
    }

    /// Whether the run of this serial has ended; needs no lock.
    pub(crate) fn has_ended(&self, serial: u64) -> bool {
        self.last_ended.load(Ordering::Acquire) >= serial
    }

    /// Blocks a client until a run ends or the time is over.
    pub(crate) fn park_client<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        limit: Duration,
    ) -> MutexGuard<'a, State> {
        state.clients_parked += 1;
        let (mut state, _) = self.ended.wait_timeout(state, limit).unwrap_or_else(PoisonError::into_inner);
        state.clients_parked -= 1;
        state
    }

    /// Gives up on kernels that do not return: their carriers are let go, and the device with them.
    pub(crate) fn give_up(&self, state: &mut State, error: &DeviceError) {
        let Some(run) = state.run.take() else { return };
        let mut stuck: Vec<usize> = run
            .in_flight
            .iter()
            .enumerate()
            .filter_map(|(carrier, flight)| flight.as_ref().map(|_| carrier))
            .collect();
        stuck.extend(run.orchestration.carrier());
        for &carrier in &stuck {
            state.carriers[carrier] = None;
        }
        state.abandoned += stuck.len();
        self.space.kernels_given_up(stuck.len());
        state.unusable = Some(error.to_string());
        self.wake_orchestration(state);
    }

    /// Whether an idle carrier should end: those that a run needed for kernels that block on each other are
    /// not kept, but for as many as a cluster needs.
    pub(crate) fn is_surplus(&self, carrier: usize) -> bool {
        carrier >= self.permits.max(KEPT_CARRIERS)
    }

    /// Joins carriers that were not kept; they are past their last use of the lock.
    fn join_leaving(&self) {
        let leaving = std::mem::take(&mut self.lock().leaving);
        for handle in leaving {
            let _ = handle.join();
        }
    }

    /// Ends all carriers and waits for them, except for those inside a kernel that was given up.
    pub(crate) fn stop_carriers(&self) {
        let handles: Vec<_> = {
            let mut state = self.lock();
            state.shutdown = true;
            state.carriers.iter_mut().flatten().filter_map(|entry| entry.handle.take()).collect()
        };
        self.launches.fetch_add(1, Ordering::Release);
        self.work.notify_all();
        self.join_leaving();
        for handle in handles {
            // A carrier catches what kernels throw, so there is nothing to learn from the result.
            let _ = handle.join();
        }
        let mut state = self.lock();
        state.carriers.clear();
        state.shutdown = false;
    }
}
