//! Watches a run on behalf of the client that waits for it.
//!
//! A kernel cannot be looked into. What can be seen from outside is whether tasks end, and what its thread
//! does. From that the monitor tells four cases apart: work that another carrier could do; kernels that may
//! be waiting for tasks not yet started, so more are admitted; kernels that wait for each other for ever; and
//! kernels that run for longer than anybody should wait.

use std::sync::Arc;
use std::time::{Duration, Instant};

use device_runner::{DeviceError, DeviceProgram, DeviceTime};

use crate::engine::{Engine, State};
use crate::threads::Activity;

/// How often a run is looked at while it lasts.
const TICK: Duration = Duration::from_millis(1);

/// A kernel whose thread runs for this long without any task ending may be waiting in a loop.
const SPINNING_AFTER: Duration = Duration::from_millis(5);

/// Kernels that all wait for another thread, unchanged for this long, will wait for ever.
const DEADLOCK_AFTER: Duration = Duration::from_millis(250);

/// For this long no task may end once a rank of the job has: kernels that wait for it will wait for ever.
pub(crate) const LOST_AFTER: Duration = Duration::from_millis(500);

/// How a run ended: its program and end time, or why it was stopped.
pub(crate) type Ending = Result<(Box<dyn DeviceProgram>, DeviceTime), DeviceError>;

/// One client's watch over one run.
#[derive(Debug)]
pub(crate) struct Monitor {
    engine: Arc<Engine>,
    serial: u64,
    watchdog: Option<Duration>,
    /// At the last look.
    tasks_ended: u64,
    progress: u64,
    /// When `progress` was last seen to change.
    since: Instant,
    /// When the run was last looked at.
    looked: Option<Instant>,
    /// When the last rescue was, and how many it admitted.
    rescue: Option<(Instant, usize)>,
    /// Since when all kernels are seen to wait for threads, and how they were seen then.
    deadlock: Option<(Instant, Vec<Activity>)>,
    /// Why the run was given up.
    given_up: Option<DeviceError>,
}

impl Monitor {
    pub(crate) fn new(engine: Arc<Engine>, serial: u64, watchdog: Option<Duration>) -> Self {
        Self {
            engine,
            serial,
            watchdog,
            tasks_ended: 0,
            progress: 0,
            since: Instant::now(),
            looked: None,
            rescue: None,
            deadlock: None,
            given_up: None,
        }
    }

    /// Whether the run has ended; looks after it if not.
    pub(crate) fn poll(&mut self) -> bool {
        let due = self.looked.is_none_or(|looked| looked.elapsed() >= TICK);
        if due && !self.has_ended() {
            let engine = Arc::clone(&self.engine);
            self.look(&mut engine.lock());
        }
        self.has_ended()
    }

    /// Blocks until the run has ended.
    pub(crate) fn wait(&mut self) {
        let engine = Arc::clone(&self.engine);
        engine.client_cpu().is_here();
        crate::spin::spin_until(|| engine.has_ended(self.serial));
        let mut state = engine.lock();
        while !self.has_ended() {
            self.look(&mut state);
            if !self.has_ended() {
                state = engine.park_client(state, TICK);
            }
        }
    }

    /// Starts nothing more and blocks until the run has ended.
    pub(crate) fn cancel(&mut self) {
        self.engine.lock().stop(self.serial, DeviceError::Cancelled);
        self.wait();
        let _ = self.take_ending();
    }

    /// How the run ended; once, after it has.
    pub(crate) fn take_ending(&mut self) -> Option<Ending> {
        match self.given_up.take() {
            Some(error) => Some(Err(error)),
            None => self.engine.lock().take_ended(self.serial),
        }
    }

    fn has_ended(&self) -> bool {
        self.given_up.is_some() || self.engine.has_ended(self.serial)
    }

    fn look(&mut self, state: &mut State) {
        // The run may have been stopped while no carrier was in a kernel to notice.
        self.engine.settle(state);
        if self.has_ended() {
            return;
        }
        let ended = state.tasks_ended();
        if (ended == self.tasks_ended || self.engine.pays_another()) && state.can_start_more() {
            // Without another carrier those that exist go on alone.
            let _ = self.engine.wake_carrier(state);
        }
        self.tasks_ended = ended;
        self.engine.poll_memory(state);
        let (progress, pending) = state.progress();
        let now = Instant::now();
        self.looked = Some(now);
        if progress != self.progress || !pending {
            self.progress = progress;
            self.since = now;
            self.rescue = None;
            self.deadlock = None;
            return;
        }
        let stuck_for = now.duration_since(self.since);
        if let Some(limit) = self.watchdog.filter(|&limit| stuck_for >= limit) {
            self.end_overdue(state, limit);
        } else if let Some(ranks) = (stuck_for >= LOST_AFTER).then(|| self.engine.jobs().lost()).flatten() {
            self.end_lost(state, ranks);
        } else if state.has_startable() {
            self.rescue(state, now);
        } else if state.is_running() && !self.engine.jobs().any() {
            // Kernels of other ranks could end the wait of ours.
            self.look_for_deadlock(state, now);
        }
    }

    /// The watchdog's limit is over.
    fn end_overdue(&mut self, state: &mut State, limit: Duration) {
        let stall = state.stall();
        if state.is_running() {
            self.give_up(state, DeviceError::Watchdog { limit, stall: Box::new(stall) });
        } else if self.engine.end_wait(state) {
            self.since = Instant::now();
        } else {
            // What tasks wait for in memory has not come; nothing of ours is stuck.
            state.stop(self.serial, DeviceError::Stalled(Box::new(stall)));
            self.engine.settle(state);
        }
    }

    /// Others of the job are gone, and so is what they would have written.
    fn end_lost(&mut self, state: &mut State, ranks: String) {
        let error = DeviceError::RanksLost { ranks, stall: Box::new(state.stall()) };
        if state.is_running() {
            return self.give_up(state, error);
        }
        state.stop(self.serial, error);
        self.engine.end_wait(state);
        self.engine.settle(state);
    }

    /// Admits more kernels if those that run seem to wait: at once when all of their threads sleep, later when
    /// some are busy, as they may just be computing.
    fn rescue(&mut self, state: &mut State, now: Instant) {
        let (last, before) = self.rescue.unwrap_or((self.since, 0));
        let asleep = || state.activities().is_some_and(|seen| seen.iter().all(|&a| a != Activity::Runnable));
        let pause = now.duration_since(last);
        if pause < TICK || (pause < SPINNING_AFTER && !asleep()) {
            return;
        }
        // Twice as many each time, so that even all cores of a chip meet within some ticks.
        let count = (before * 2).clamp(1, state.idle_cores());
        state.admit(count);
        for _ in 0..count {
            let _ = self.engine.wake_carrier(state);
        }
        self.rescue = Some((now, count));
    }

    fn look_for_deadlock(&mut self, state: &mut State, now: Instant) {
        let seen = state.activities().filter(|seen| seen.iter().all(Activity::waits_for_thread));
        match (&self.deadlock, seen) {
            (_, None) => self.deadlock = None,
            (Some((since, before)), Some(seen)) if *before == seen => {
                if now.duration_since(*since) >= DEADLOCK_AFTER {
                    let stall = state.stall();
                    self.give_up(state, DeviceError::Stalled(Box::new(stall)));
                }
            }
            (_, Some(seen)) => self.deadlock = Some((now, seen)),
        }
    }

    fn give_up(&mut self, state: &mut State, error: DeviceError) {
        log::error!("{error}");
        self.engine.give_up(state, &error);
        self.given_up = Some(error);
    }
}
