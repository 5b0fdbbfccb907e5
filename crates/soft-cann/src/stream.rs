//! Streams: a queue of tasks each, and a thread that runs them in order.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::codes;
use crate::device::Device;
use crate::report::ViolationKind;
use crate::rule::Effect;
use crate::sync::{lock, wait_until};
use crate::task::Task;

/// How long the destruction of a stream waits for its tasks. A chip waits for ever.
const DESTROY_LIMIT: Duration = Duration::from_secs(5);

/// What a task does on the stream's thread, until it has ended.
pub(crate) type Job = Box<dyn FnOnce(&Arc<Task>) -> Result<(), i32> + Send>;

pub(crate) struct Stream {
    device: Arc<Device>,
    /// The context it was created in.
    context: u64,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    queue: VecDeque<(Arc<Task>, Job)>,
    running: Option<Arc<Task>>,
    /// The first error of a task; it stays.
    error: Option<i32>,
    /// A synchronisation has returned the error.
    told: bool,
    closed: bool,
}

impl State {
    fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.running.is_none()
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").field("context", &self.context).finish_non_exhaustive()
    }
}

impl Stream {
    pub(crate) fn create(device: &Arc<Device>, context: u64) -> Result<Arc<Self>, i32> {
        let device = Arc::clone(device);
        let stream = Arc::new(Self { device, context, state: Mutex::default(), changed: Condvar::new() });
        let worker = Arc::clone(&stream);
        thread::Builder::new()
            .name("soft-cann stream".to_owned())
            .spawn(move || worker.work())
            .map_err(|_| codes::DRV_INTERNAL_ERROR)?;
        Ok(stream)
    }

    pub(crate) fn device(&self) -> &Arc<Device> {
        &self.device
    }

    pub(crate) fn context(&self) -> u64 {
        self.context
    }

    /// Appends a task. `args` is the copy of its arguments that the launch made.
    pub(crate) fn push(&self, args: &[u8], job: Job) {
        let task = Task::new(&self.device, args);
        lock(&self.state).queue.push_back((task, job));
        self.changed.notify_all();
    }

    /// Waits until everything that was queued has ended, and returns the first error of any task so far.
    pub(crate) fn synchronize(&self, limit: Option<Duration>) -> Result<(), i32> {
        let deadline = limit.map(|limit| Instant::now() + limit);
        let (mut state, idle) = wait_until(&self.changed, lock(&self.state), deadline, State::is_idle);
        if !idle {
            return Err(codes::STREAM_SYNC_TIMEOUT);
        }
        let Some(error) = state.error else { return Ok(()) };
        if std::mem::replace(&mut state.told, true) {
            drop(state);
            let text = format!("a stream that has failed with {error} was synchronised once more");
            self.device.report(ViolationKind::WouldWedge, text);
        }
        Err(error)
    }

    /// Lets the queue run empty and ends the thread. What does not end in time is killed.
    pub(crate) fn close(&self) {
        let deadline = Some(Instant::now() + DESTROY_LIMIT);
        let (state, idle) = wait_until(&self.changed, lock(&self.state), deadline, State::is_idle);
        drop(state);
        if !idle {
            let text = format!("a stream was destroyed and its tasks did not end within {DESTROY_LIMIT:?}");
            self.device.report(ViolationKind::DestroyedBusy, text);
        }
        self.abandon();
    }

    /// Drops what is queued, kills what runs, and ends the thread as soon as that has returned.
    pub(crate) fn abandon(&self) {
        let mut state = lock(&self.state);
        state.closed = true;
        let dropped = std::mem::take(&mut state.queue);
        let running = state.running.clone();
        drop(state);
        drop(dropped);
        if let Some(task) = running {
            task.kill(codes::LOST_HEARTBEAT);
        }
        self.changed.notify_all();
    }

    fn work(&self) {
        loop {
            let due = |state: &State| state.closed || !state.queue.is_empty();
            let (mut state, _) = wait_until(&self.changed, lock(&self.state), None, due);
            let Some((task, job)) = state.queue.pop_front() else { return };
            state.running = Some(Arc::clone(&task));
            drop(state);
            let result = self.execute(&task, job);
            // Before anybody hears of the end: memory of a task that is over may be freed.
            task.leave();
            let mut state = lock(&self.state);
            if let Err(code) = result {
                state.error.get_or_insert(code);
            }
            state.running = None;
            drop(state);
            self.changed.notify_all();
        }
    }

    fn execute(&self, task: &Arc<Task>, job: Job) -> Result<(), i32> {
        if self.device.is_lost() {
            return Err(codes::LOST_HEARTBEAT);
        }
        let result = job(task);
        let late = self.device.rules.on_event(|effect| match effect {
            Effect::Late(by) => Some(*by),
            _ => None,
        });
        if let Some(by) = late {
            task.pause(Some(by));
        }
        match task.killed_with() {
            Some(code) => Err(code),
            None => result,
        }
    }
}
