use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use device_runner::{
    CoreId, Cores, DeviceError, DeviceProgram, DeviceTime, Dispatch, KernelArgs, LaunchKernel, RunningTask,
    Stall, TaskId, Topology,
};

use crate::carrier;
use crate::cores::CoreTable;
use crate::identity::PipeStates;
use crate::kernels::Kernel;
use crate::memory::AddressSpace;
use crate::monitor::Ending;

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
    /// Changes at each launch, for carriers that look for work without the lock.
    launches: AtomicU64,
    /// Serial of the last run that ended, for clients that look for it without the lock.
    last_ended: AtomicU64,
    space: Arc<AddressSpace>,
    permits: usize,
}

#[derive(Debug)]
pub(crate) struct State {
    run: Option<Run>,
    next_serial: u64,
    /// By carrier; `None` for one that has ended.
    carriers: Vec<Option<CarrierEntry>>,
    /// Carriers that have ended or are about to, to be joined.
    leaving: Vec<JoinHandle<()>>,
    /// Carriers that look for work without the lock.
    looking: usize,
    /// Carriers that wait on the condition variable.
    parked: usize,
    /// Clients that wait on the condition variable.
    clients_parked: usize,
    /// Kernels inside a carrier that was given up.
    abandoned: usize,
    /// Whether the last kernel took so long that a second carrier pays.
    slow_kernels: bool,
    unusable: Option<String>,
    shutdown: bool,
}

#[derive(Debug)]
struct CarrierEntry {
    /// `None` until the thread has said who it is.
    thread_id: Option<u64>,
    handle: Option<JoinHandle<()>>,
}

/// A launch under way.
struct Run {
    serial: u64,
    program: Box<dyn DeviceProgram>,
    cores: CoreTable,
    shared: Arc<RunShared>,
    /// By carrier.
    in_flight: Vec<Option<InFlight>>,
    running: usize,
    /// Kernels that may run at once now.
    allowed: usize,
    /// Tasks that may still start although the run is being stopped, to free kernels that wait for them.
    rescues: usize,
    /// Tasks that have ended, for whoever watches progress.
    progress: u64,
    end: DeviceTime,
    stop: Option<DeviceError>,
    ended: bool,
}

/// What carriers keep of a run while they work for it.
#[derive(Debug)]
pub(crate) struct RunShared {
    pub(crate) serial: u64,
    pub(crate) topology: Topology,
    pub(crate) kernels: Vec<Arc<Kernel>>,
    pub(crate) names: Vec<LaunchKernel>,
    pub(crate) pipes: Arc<PipeStates>,
}

/// A task inside its kernel.
#[derive(Debug)]
struct InFlight {
    task: TaskId,
    kernel: u32,
    core: CoreId,
    start: DeviceTime,
    since: Instant,
}

/// A task for a carrier.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) run: Arc<RunShared>,
    pub(crate) dispatch: Dispatch,
}

/// How a task ended.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) duration: Duration,
    pub(crate) result: Result<(), Box<dyn std::error::Error + Send + Sync>>,
}

/// Carriers that stay with the device while it is idle, even if it has fewer permits.
const KEPT_CARRIERS: usize = 3;

/// A kernel of this length is worth waking a second carrier, which costs 5 to 50 us.
const SLOW_KERNEL: Duration = Duration::from_micros(10);

impl std::fmt::Debug for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Run")
            .field("serial", &self.serial)
            .field("running", &self.running)
            .finish_non_exhaustive()
    }
}

impl Engine {
    pub(crate) fn new(space: Arc<AddressSpace>, permits: usize) -> Arc<Self> {
        let state = State {
            run: None,
            next_serial: 1,
            carriers: Vec::new(),
            leaving: Vec::new(),
            looking: 0,
            parked: 0,
            clients_parked: 0,
            abandoned: 0,
            slow_kernels: false,
            unusable: None,
            shutdown: false,
        };
        Arc::new(Self {
            state: Mutex::new(state),
            work: Condvar::new(),
            ended: Condvar::new(),
            launches: AtomicU64::new(0),
            last_ended: AtomicU64::new(0),
            space,
            permits: permits.max(1),
        })
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn space(&self) -> &Arc<AddressSpace> {
        &self.space
    }

    /// Starts a launch; its serial.
    pub(crate) fn launch(
        self: &Arc<Self>,
        topology: Topology,
        program: Box<dyn DeviceProgram>,
        kernels: Vec<Arc<Kernel>>,
        names: Vec<LaunchKernel>,
    ) -> Result<u64, DeviceError> {
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
        state.run = Some(Run {
            serial,
            program,
            cores: CoreTable::new(topology),
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
            self.work.notify_one();
            return Ok(());
        }
        let index = state.carriers.iter().position(Option::is_none).unwrap_or(state.carriers.len());
        let handle = carrier::spawn(Arc::clone(self), index)?;
        let entry = CarrierEntry { thread_id: None, handle: Some(handle) };
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

    /// Ends the run if nothing is left to do, or if nothing can be done.
    pub(crate) fn settle(&self, state: &mut State) {
        let Some(run) = &mut state.run else { return };
        if run.running > 0 || run.ended {
            return;
        }
        if run.stop.is_none() && !run.program.is_done() {
            if run.program.has_startable(&run.cores) {
                return;
            }
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

    /// Next work for a carrier; wakes another one if there is more and it pays.
    pub(crate) fn take_job(self: &Arc<Self>, state: &mut State, carrier: usize) -> Option<Job> {
        let job = state.run.as_mut()?.start_task(carrier)?;
        if state.slow_kernels && state.can_start_more() {
            // Without a second carrier the run is only slower.
            let _ = self.wake_carrier(state);
        }
        Some(job)
    }

    /// A carrier has ended its task. `false` when the run was given up meanwhile: the carrier has to go.
    pub(crate) fn finish_job(&self, state: &mut State, carrier: usize, job: &Job, done: Done) -> bool {
        let current = state.run.as_mut().filter(|run| run.serial == job.run.serial);
        let Some(run) = current else {
            state.abandoned -= 1;
            self.space.kernel_returned();
            return false;
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
        state.slow_kernels = done.duration > SLOW_KERNEL;
        self.settle(state);
        true
    }

    /// Waits for work without holding the lock; `None` when the carrier has to end.
    pub(crate) fn await_work<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
    ) -> Option<MutexGuard<'a, State>> {
        if state.shutdown {
            return None;
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
        state.parked += 1;
        let mut state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
        state.parked -= 1;
        Some(state)
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
        let stuck = run.in_flight.iter().enumerate().filter(|(_, flight)| flight.is_some());
        for (carrier, _) in stuck {
            state.carriers[carrier] = None;
        }
        state.abandoned += run.running;
        self.space.kernels_given_up(run.running);
        state.unusable = Some(error.to_string());
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

impl State {
    pub(crate) fn register_thread(&mut self, carrier: usize, thread_id: u64) {
        if let Some(Some(entry)) = self.carriers.get_mut(carrier) {
            entry.thread_id = Some(thread_id);
        }
    }

    /// Takes a carrier off the list; its thread must end then.
    pub(crate) fn leave(&mut self, carrier: usize) {
        let entry = self.carriers.get_mut(carrier).and_then(Option::take);
        self.leaving.extend(entry.and_then(|entry| entry.handle));
        while self.carriers.last().is_some_and(Option::is_none) {
            self.carriers.pop();
        }
    }

    /// Whether a run is under way that has not ended.
    pub(crate) fn has_run(&self) -> bool {
        self.run.as_ref().is_some_and(|run| !run.ended)
    }

    pub(crate) fn is_current(&self, serial: u64) -> bool {
        self.run.as_ref().is_some_and(|run| run.serial == serial && !run.ended)
    }

    /// Whether another carrier would find work now.
    pub(crate) fn can_start_more(&self) -> bool {
        self.run.as_ref().is_some_and(|run| run.may_start() && run.program.has_startable(&run.cores))
    }

    /// Whether more could start if more kernels were allowed to run.
    pub(crate) fn has_startable(&self) -> bool {
        self.run.as_ref().is_some_and(|run| !run.ended && run.program.has_startable(&run.cores))
    }

    /// Tasks ended so far and kernels running now.
    pub(crate) fn progress(&self) -> (u64, usize) {
        self.run.as_ref().map_or((0, 0), |run| (run.progress, run.running))
    }

    /// Cores without a task; at least 1.
    pub(crate) fn idle_cores(&self) -> usize {
        self.run.as_ref().map_or(1, |run| run.cores.idle_count()).max(1)
    }

    /// Admits `count` kernels beyond those that run now.
    pub(crate) fn admit(&mut self, count: usize) {
        if let Some(run) = &mut self.run {
            run.allowed = run.running + count;
            run.rescues = count;
        }
    }

    /// Starts no further task of this run.
    pub(crate) fn stop(&mut self, serial: u64, error: DeviceError) {
        if let Some(run) = self.run.as_mut().filter(|run| run.serial == serial) {
            run.stop.get_or_insert(error);
        }
    }

    /// Threads that are inside a kernel.
    pub(crate) fn threads_in_kernels(&self) -> Vec<Option<u64>> {
        let Some(run) = &self.run else { return Vec::new() };
        let carriers = run.in_flight.iter().zip(&self.carriers).filter(|(flight, _)| flight.is_some());
        carriers.map(|(_, entry)| entry.as_ref().and_then(|entry| entry.thread_id)).collect()
    }

    /// What runs and what waits.
    pub(crate) fn stall(&self) -> Stall {
        self.run.as_ref().map_or_else(Stall::default, |run| {
            Stall::new(run.running_tasks(), run.program.waiting(), run.program.completed())
        })
    }

    /// Takes the ended run: the program with its end time, or why it was stopped.
    pub(crate) fn take_ended(&mut self, serial: u64) -> Option<Ending> {
        let run = self.run.take_if(|run| run.serial == serial && run.ended)?;
        Some(match run.stop {
            Some(error) => Err(error),
            None => Ok((run.program, run.end)),
        })
    }

    pub(crate) fn threads(&self) -> (usize, usize) {
        (self.carriers.iter().flatten().count(), self.abandoned)
    }
}

impl Run {
    /// Whether the permits allow another task.
    fn may_start(&self) -> bool {
        !self.ended && self.running < self.allowed && (self.stop.is_none() || self.rescues > 0)
    }

    fn start_task(&mut self, carrier: usize) -> Option<Job> {
        if !self.may_start() {
            return None;
        }
        let dispatch = self.program.next(&self.cores)?;
        self.rescues = self.rescues.saturating_sub(1);
        self.running += 1;
        self.in_flight[carrier] = Some(InFlight {
            task: dispatch.task,
            kernel: dispatch.kernel,
            core: dispatch.core,
            start: self.cores.occupy(dispatch.core, dispatch.ready_at),
            since: Instant::now(),
        });
        Some(Job { run: Arc::clone(&self.shared), dispatch })
    }

    fn end_task(&mut self, carrier: usize, job: &Job, duration: Duration, permits: usize) {
        let start = self.in_flight[carrier].take().map_or(DeviceTime(0), |flight| flight.start);
        let end = self.cores.release(job.dispatch.core, start, duration);
        self.program.complete(job.dispatch.task, end);
        self.end = self.end.max(end);
        self.running -= 1;
        self.progress += 1;
        // Kernels that were admitted beyond the permits leave one by one.
        self.allowed = self.running.max(permits);
    }

    fn running_tasks(&self) -> Vec<RunningTask> {
        let flights = self.in_flight.iter().flatten();
        let mut tasks: Vec<_> = flights
            .map(|flight| RunningTask {
                task: flight.task,
                kernel: self.shared.names[flight.kernel as usize].name.to_string(),
                core: flight.core,
                core_type: self.cores.topology().core_type(flight.core),
                elapsed: flight.since.elapsed(),
            })
            .collect();
        tasks.sort_unstable_by_key(|running| running.task);
        tasks
    }
}

impl Job {
    /// The argument array: by value where the task has its own, else where it lies.
    pub(crate) fn args(&mut self) -> *mut i64 {
        match &mut self.dispatch.args {
            KernelArgs::Inline(slots) => slots.as_mut_ptr().cast(),
            KernelArgs::Device(array) => {
                std::ptr::with_exposed_provenance_mut(usize::try_from(array.addr()).unwrap_or(0))
            }
        }
    }
}
