use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use device_runner::{Chip as ChipView, CoreId, DeviceOrchestration, DeviceTime, Dispatch, TaskId, Topology};

use run_records::swimlane::SchedulerWork;

use super::program::{Closed, Program};
use super::start::Links;
use super::table::CoreTable;
use super::{Budgets, FAILED};
use crate::chip::ImageHead;
use crate::patience::Patience;
use crate::protocol::{LEFT, ended};
use crate::records::{CoreRecords, Finished, Passes, SharedSinks};

/// A run whose cores are ready: its threads deal tasks to them until all is done.
pub(super) struct Session {
    head: ImageHead,
    links: Links,
    budgets: Budgets,
    /// The start of the device's clock.
    started: Instant,
    /// By core: the token of the task that it has, or [`NO_TOKEN`].
    tokens: Vec<AtomicU32>,
    state: Mutex<State>,
    orchestration: Mutex<Option<Box<dyn DeviceOrchestration>>>,
    has_orchestration: bool,
    /// Until it has returned.
    orchestrates: AtomicBool,
    /// Grows whenever something ends.
    progress: AtomicU64,
    over: AtomicBool,
    /// Whom threads tell what they do, if anybody wants to know.
    sinks: Option<Arc<SharedSinks>>,
}

struct State {
    program: Box<dyn Program>,
    table: CoreTable,
    records: Option<CoreRecords>,
    /// Grows whenever anything happens.
    activity: u64,
    failed: bool,
    /// Threads that have not left.
    threads: u32,
}

/// No token has the highest bit.
const NO_TOKEN: u32 = u32::MAX;

impl Session {
    pub(super) fn new(
        head: ImageHead,
        links: Links,
        mut program: Box<dyn Program>,
        (records, sinks): (Option<CoreRecords>, Option<Arc<SharedSinks>>),
        started: Instant,
        budgets: Budgets,
    ) -> Self {
        let orchestration = program.machine().take_orchestration();
        Self {
            links,
            budgets,
            started,
            tokens: (0..head.topology.cores()).map(|_| AtomicU32::new(NO_TOKEN)).collect(),
            has_orchestration: orchestration.is_some(),
            orchestrates: AtomicBool::new(orchestration.is_some()),
            orchestration: Mutex::new(orchestration),
            progress: AtomicU64::new(0),
            over: AtomicBool::new(false),
            sinks,
            state: Mutex::new(State {
                program,
                table: CoreTable::new(head.topology),
                records,
                activity: 0,
                failed: false,
                threads: head.aicpu_threads,
            }),
            head,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> DeviceTime {
        DeviceTime(u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    /// Ends the run for what a thread has met; the first failure counts.
    fn fail(&self, state: &mut State, thread: u32, reason: &str) {
        self.over.store(true, Ordering::Release);
        if !state.failed {
            log::error!("{reason}");
            state.failed = true;
            state.program.fail(thread, reason);
        }
    }

    /// One thread's part, from its start to the stop of its cores; 0 when the run went well.
    ///
    /// The last thread runs the orchestration, where there is one, and the others share the clusters.
    pub(super) fn take_part(&self, thread: u32) -> i32 {
        let last = self.head.aicpu_threads - 1;
        let orchestration = if thread == last { self.take_orchestration() } else { None };
        let dealers = if self.has_orchestration { last.max(1) } else { self.head.aicpu_threads };
        let own = OwnCores { topology: self.head.topology, thread, dealers };
        let part = AssertUnwindSafe(|| {
            if let Some(orchestration) = orchestration {
                orchestration.run(&Orchestrating { session: self, own });
                if let Some(sinks) = &self.sinks {
                    sinks.map_cores(&own.threads());
                }
                self.orchestrates.store(false, Ordering::Release);
            }
            self.deal(own);
        });
        if catch_unwind(part).is_err() {
            self.fail(&mut self.lock(), thread, "the AICPU program has a bug; please report it");
        }
        self.leave(own)
    }

    fn take_orchestration(&self) -> Option<Box<dyn DeviceOrchestration>> {
        self.orchestration.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn deal(&self, own: OwnCores) {
        let mut patience = Patience::new(self.budgets.idle);
        let mut passes = self.passes(own);
        let mut seen = 0;
        while !self.is_over() {
            let activity = self.step(own, &mut passes);
            if activity != seen {
                seen = activity;
                patience.renew();
            } else if !patience.wait() {
                let mut state = self.lock();
                let busy = state.table.any_busy();
                let what =
                    busy.map_or("nothing runs".to_owned(), |(core, task)| format!("{core} has {task}"));
                let idle = self.budgets.idle;
                self.fail(&mut state, own.thread, &format!("nothing has happened for {idle:?}; {what}"));
            }
        }
    }

    /// The passes of a loop that the thread begins.
    fn passes(&self, own: OwnCores) -> Passes<'_> {
        Passes::new(self.sinks.as_deref(), own.thread)
    }

    /// Looks after the thread's own cores and gives all idle ones something to do; the count of what has happened.
    fn step(&self, own: OwnCores, passes: &mut Passes<'_>) -> u64 {
        passes.begin();
        let finished: Vec<CoreId> = own.iter().filter(|&core| self.has_ended(own, core)).collect();
        let mut state = self.lock();
        if let Some(sinks) = &self.sinks {
            sinks.act_for(own.thread);
        }
        for &core in &finished {
            self.complete(&mut state, own.thread, core);
        }
        passes.did(SchedulerWork::Complete, finished.len());
        self.poll_memory(&mut state);
        let dispatched = self.dispatch(own, &mut state);
        passes.did(SchedulerWork::Dispatch, dispatched);
        self.check_end(own, &mut state);
        state.activity + state.program.machine().activity()
    }

    fn poll_memory(&self, state: &mut State) {
        let machine = state.program.machine();
        if machine.awaits_memory() {
            let before = machine.completed();
            machine.poll_memory(self.now());
            if machine.completed() > before {
                self.progress.fetch_add(1, Ordering::AcqRel);
            }
        }
    }

    /// The polling rule (`spec/device-abi.md`, section 2.6), with one task per core at a time.
    fn has_ended(&self, own: OwnCores, core: CoreId) -> bool {
        let index = core.0 as usize;
        let token = self.tokens[index].load(Ordering::Acquire);
        let Some(registers) = self.links.get(core).filter(|_| token != NO_TOKEN) else { return false };
        let cond = registers.cond.load();
        if cond == LEFT && !self.is_over() {
            let reason = format!("{core} has left with a task; its kernel has failed");
            self.fail(&mut self.lock(), own.thread, &reason);
        }
        cond == ended(token)
    }

    fn complete(&self, state: &mut State, thread: u32, core: CoreId) {
        let at = self.now();
        self.tokens[core.0 as usize].store(NO_TOKEN, Ordering::Release);
        if let Some(task) = state.table.release(core, at) {
            state.record(thread, task, core);
            state.program.machine().complete(task, core, at);
            state.activity += 1;
            self.progress.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// How many tasks were started.
    fn dispatch(&self, own: OwnCores, state: &mut State) -> usize {
        let mut started = 0;
        while !self.is_over() {
            let State { program, table, .. } = &mut *state;
            let Some(dispatch) = program.machine().next(&*table) else { break };
            state.activity += 1;
            match self.start(state, &dispatch) {
                Ok(()) => started += 1,
                Err(reason) => self.fail(state, own.thread, &reason),
            }
        }
        started
    }

    fn start(&self, state: &mut State, dispatch: &Dispatch) -> Result<(), String> {
        let Dispatch { task, core, .. } = *dispatch;
        let registers =
            self.links.get(core).ok_or_else(|| format!("{task} is for {core}, which is not there"))?;
        let token = state.program.token(dispatch).ok_or_else(|| format!("{task} has no token"))?;
        if !state.table.occupy(core, task) {
            return Err(format!("{task} is for {core}, which is not idle"));
        }
        self.tokens[core.0 as usize].store(token, Ordering::Release);
        if let Some(records) = &mut state.records {
            records.dispatched(core, token, state.program.func_id(dispatch.kernel));
        }
        registers.data_main_base.store(token);
        Ok(())
    }

    fn check_end(&self, own: OwnCores, state: &mut State) {
        if self.orchestrates.load(Ordering::Acquire) || !self.is_quiet(state) {
            return;
        }
        if state.program.machine().is_done() {
            self.over.store(true, Ordering::Release);
        } else {
            let waiting = state.program.machine().waiting().len();
            let reason = format!("{waiting} task(s) wait, but nothing runs that they could wait for");
            self.fail(state, own.thread, &reason);
        }
    }

    /// Whether nothing runs, nothing can start, and nothing is awaited from outside.
    fn is_quiet(&self, state: &mut State) -> bool {
        let State { program, table, .. } = state;
        table.any_busy().is_none()
            && !program.machine().has_startable(&*table)
            && !program.machine().awaits_memory()
    }

    /// Stops cores; the last thread also ends the program.
    fn leave(&self, own: OwnCores) -> i32 {
        let failed = {
            let mut state = self.lock();
            if let Some(records) = &mut state.records {
                records.disarm(own.iter());
            }
            state.failed
        };
        let stopped = if failed {
            // A thread that never came has cores too.
            self.links.stop((0..self.head.topology.cores()).map(CoreId), &self.budgets)
        } else {
            self.links.stop(own.iter(), &self.budgets)
        };
        let mut state = self.lock();
        if !stopped {
            self.fail(&mut state, own.thread, "cores do not leave");
        }
        let rc = if state.failed { FAILED } else { 0 };
        state.threads = state.threads.saturating_sub(1);
        if state.threads > 0 {
            return rc;
        }
        if let Some(records) = &mut state.records {
            records.flush(own.thread);
        }
        let program = std::mem::replace(&mut state.program, Box::new(Closed::new()));
        let rc = program.close(rc);
        if let Some(sinks) = &self.sinks {
            sinks.flush();
        }
        rc
    }
}

impl State {
    /// A core has run a task, of which its program is not told yet.
    fn record(&mut self, thread: u32, task: TaskId, core: CoreId) {
        let Some(records) = &mut self.records else { return };
        let mut fanout = Vec::new();
        if records.wants_fanout() {
            self.program.machine().fanout(task, &mut |waiting| fanout.push(waiting));
        }
        records.finished(&Finished { core, task, fanout: &fanout, thread });
    }
}

/// The cores that a thread polls and stops: those of every `dealers`-th cluster.
#[derive(Clone, Copy)]
struct OwnCores {
    topology: Topology,
    thread: u32,
    dealers: u32,
}

impl OwnCores {
    fn iter(self) -> impl Iterator<Item = CoreId> + Clone {
        let cores = (0..self.topology.cores()).map(CoreId);
        cores.filter(move |&core| self.thread_of(core) == self.thread)
    }

    fn thread_of(self, core: CoreId) -> u32 {
        self.topology.cluster(core) % self.dealers
    }

    /// By core: whose it is.
    fn threads(self) -> Vec<u32> {
        (0..self.topology.cores()).map(|core| self.thread_of(CoreId(core))).collect()
    }
}

/// What an orchestration sees of the run.
struct Orchestrating<'a> {
    session: &'a Session,
    own: OwnCores,
}

impl ChipView for Orchestrating<'_> {
    fn tasks_added(&self) {
        // Without other threads, cores only get tasks here.
        if self.own.iter().next().is_some() {
            self.session.step(self.own, &mut self.session.passes(self.own));
        }
    }

    fn progress(&self) -> u64 {
        self.session.progress.load(Ordering::Acquire)
    }

    fn wait_beyond(&self, seen: u64) -> bool {
        let mut patience = Patience::new(self.session.budgets.idle);
        let mut passes = self.session.passes(self.own);
        let mut last = 0;
        loop {
            let activity = self.session.step(self.own, &mut passes);
            if self.progress() > seen {
                return true;
            }
            if self.session.is_over() || self.session.is_quiet(&mut self.session.lock()) {
                // What ended between the two looks counts.
                return self.progress() > seen;
            }
            if activity != last {
                last = activity;
                patience.renew();
            } else if !patience.wait() {
                let reason = "nothing has happened that the orchestration could wait for";
                self.session.fail(&mut self.session.lock(), self.own.thread, reason);
            }
        }
    }
}
