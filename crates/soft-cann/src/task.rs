//! One launch: the threads that device programs run on, all at the same time, and what ends them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::codes;
use crate::device::Device;
use crate::sync::{lock, wait_until};

/// How long the threads of a killed launch have until they count as given up.
const GRACE: Duration = Duration::from_millis(200);

/// A launch from the call to the end of its last thread. While it exists the device counts it as running.
#[derive(Debug)]
pub(crate) struct Task {
    device: Arc<Device>,
    serial: u64,
    /// The words of its arguments: some are addresses of buffers that it may use.
    roots: Vec<u64>,
    killed: AtomicBool,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    gate: Gate,
    /// Threads that have not returned.
    left: usize,
    /// The stream has gone on.
    over: bool,
    /// What the first failing thread returned.
    failed: Option<i32>,
    killed: Option<i32>,
}

/// Threads begin together, when the last one exists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Gate {
    #[default]
    Closed,
    Open,
    GivenUp,
}

/// What a thread of a launch does, given its number. Anything but 0 is a failure.
pub(crate) type Body = dyn Fn(usize) -> i32 + Send + Sync;

impl Task {
    pub(crate) fn new(device: &Arc<Device>, args: &[u8]) -> Arc<Self> {
        let roots = args
            .chunks_exact(8)
            .map(|word| u64::from_ne_bytes(word.try_into().unwrap_or_default()))
            .collect();
        Arc::new_cyclic(|task| Self {
            device: Arc::clone(device),
            serial: device.begin(task.clone()),
            roots,
            killed: AtomicBool::new(false),
            state: Mutex::default(),
            changed: Condvar::new(),
        })
    }

    pub(crate) fn device(&self) -> &Arc<Device> {
        &self.device
    }

    pub(crate) fn roots(&self) -> &[u64] {
        &self.roots
    }

    /// Ends the launch with a code. Threads cannot be stopped: they see [`Task::is_killed`] and should
    /// return.
    pub(crate) fn kill(&self, code: i32) {
        lock(&self.state).killed.get_or_insert(code);
        self.killed.store(true, Ordering::SeqCst);
        self.changed.notify_all();
    }

    pub(crate) fn is_killed(&self) -> bool {
        self.killed.load(Ordering::SeqCst)
    }

    pub(crate) fn killed_with(&self) -> Option<i32> {
        lock(&self.state).killed
    }

    /// Waits that long, or until the launch is killed.
    pub(crate) fn pause(&self, time: Option<Duration>) {
        let deadline = time.map(|time| Instant::now() + time);
        drop(wait_until(&self.changed, lock(&self.state), deadline, |state| state.killed.is_some()));
    }

    /// Runs `count` threads and waits for them, at the most for `limit`, after which the launch is killed
    /// with `late`. The result of the first thread that failed is the `Ok`; a code of a killed launch is the
    /// `Err`.
    pub(crate) fn run(
        self: &Arc<Self>,
        name: &str,
        count: usize,
        limit: Option<(Duration, i32)>,
        body: &Arc<Body>,
    ) -> Result<i32, i32> {
        lock(&self.state).left = count;
        for number in 0..count {
            let (task, body) = (Arc::clone(self), Arc::clone(body));
            let started =
                thread::Builder::new().name(name.to_owned()).spawn(move || task.work(number, &*body));
            if let Err(error) = started {
                log::error!("no thread {number} of {count} for {name}: {error}");
                lock(&self.state).left -= count - number;
                self.open(Gate::GivenUp);
                self.kill(codes::INTERNAL_ERROR);
                break;
            }
        }
        self.open(Gate::Open);
        let deadline = limit.map(|(time, _)| Instant::now() + time);
        let over = |state: &State| state.left == 0 || state.killed.is_some();
        let (state, ended) = wait_until(&self.changed, lock(&self.state), deadline, over);
        drop(state);
        if let (false, Some((_, late))) = (ended, limit) {
            self.kill(late);
        }
        let state = lock(&self.state);
        match state.killed {
            None => Ok(state.failed.unwrap_or(0)),
            Some(code) => {
                let grace = Some(Instant::now() + GRACE);
                let (state, gone) = wait_until(&self.changed, state, grace, |state| state.left == 0);
                if !gone {
                    log::warn!("{} threads of {name} were given up", state.left);
                }
                Err(code)
            }
        }
    }

    fn open(&self, to: Gate) {
        let mut state = lock(&self.state);
        if state.gate == Gate::Closed {
            state.gate = to;
        }
        drop(state);
        self.changed.notify_all();
    }

    fn work(&self, number: usize, body: &Body) {
        let (state, _) =
            wait_until(&self.changed, lock(&self.state), None, |state| state.gate != Gate::Closed);
        let gate = state.gate;
        drop(state);
        let result = if gate == Gate::Open { body(number) } else { 0 };
        let mut state = lock(&self.state);
        if result != 0 {
            state.failed.get_or_insert(result);
        }
        state.left -= 1;
        self.end_if_gone(&state);
        drop(state);
        self.changed.notify_all();
    }

    /// The stream goes on. The task is over as soon as no thread of it runs any more.
    pub(crate) fn leave(&self) {
        let mut state = lock(&self.state);
        state.over = true;
        self.end_if_gone(&state);
    }

    fn end_if_gone(&self, state: &State) {
        if state.over && state.left == 0 {
            self.device.end(self.serial);
        }
    }
}

impl Drop for Task {
    /// For a task that never ran.
    fn drop(&mut self) {
        self.device.end(self.serial);
    }
}
