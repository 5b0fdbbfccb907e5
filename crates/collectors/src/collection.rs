use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use device_runner::Recorder;

use crate::queues::{Full, Queues, Tally};
use crate::shared::{Shared, SharedMemory};
use crate::{dump, pmu, scopes, submits, swimlane};

/// What is made of a collector's records: the recorder gets them, one by one or at the end.
pub(crate) trait Collector<S: Shared>: Send {
    /// Keeps those of a buffer.
    fn take(&mut self, shared: &mut S, full: &Full<'_>) -> Result<(), S::Error>;

    /// The run has ended, and all is there that will be; what the block holds has been brought up to date.
    fn end(self: Box<Self>, shared: &mut S, tallies: &[Tally]) -> Result<(), S::Error>;
}

/// One collector.
pub(crate) struct Part<S> {
    pub(crate) queues: Queues<S>,
    pub(crate) collector: Box<dyn Collector<S>>,
    /// Programs may hold on to its memory when their launch is over.
    pub(crate) is_sticky: bool,
}

impl<S: Shared> Part<S> {
    fn poll(&mut self) -> Result<bool, S::Error> {
        let Self { queues, collector, .. } = self;
        queues.poll(&mut |shared, full| collector.take(shared, full))
    }

    fn finish(self) -> Result<(), S::Error> {
        let Self { mut queues, mut collector, is_sticky } = self;
        let tallies = queues.finish(&mut |shared, full| collector.take(shared, full));
        let mut shared = queues.into_shared();
        let ended = tallies.and_then(|tallies| collector.end(&mut shared, &tallies));
        let_go(shared, is_sticky);
        ended
    }
}

/// Where the collectors of a launch are. Device addresses; 0 for those that are off, or that the chip does not have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordPlaces {
    /// Collectors that are on, a bit each (`spec/device-abi.md`, section 1.1).
    pub flags: u32,
    /// The swimlane's memory.
    pub swimlane: u64,
    /// A `u64` by core: where it tells when its kernels ran. Of rotations the device fills it.
    pub core_times: u64,
    /// The memory of the tensor dump.
    pub dump: u64,
    /// The memory of hardware counters.
    pub pmu: u64,
    /// A `u64` by core: where it tells its counters, on a chip where it does.
    pub pmu_rings: u64,
    /// The memory of scope statistics.
    pub scopes: u64,
    /// The memory of submits.
    pub submits: u64,
}

/// Why collectors cannot do their work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CollectorError<E: Error + 'static> {
    /// Device memory; what it says is all there is to say.
    #[error(transparent)]
    Memory(#[from] E),
    /// A thread that takes records over could not be started.
    #[error(
        "the thread that takes records over cannot be started: {source}; end other threads or raise limits"
    )]
    Thread {
        /// Why.
        source: std::io::Error,
    },
}

/// The collectors of one launch, from before it starts until it has ended. Dropping it loses their records, and gives
/// everything back; the launch must be over then.
pub struct Collection<M: SharedMemory> {
    memory: M,
    places: RecordPlaces,
    idle: Parts<M::Block>,
    workers: Vec<Worker<M::Block>>,
}

/// They give their memory back.
struct Parts<S: Shared>(Vec<Part<S>>);

impl<S: Shared> Drop for Parts<S> {
    fn drop(&mut self) {
        self.0.drain(..).for_each(|part| let_go(part.queues.into_shared(), part.is_sticky));
    }
}

fn let_go<S: Shared>(shared: S, is_sticky: bool) {
    if is_sticky { shared.retire() } else { shared.release() }
}

/// The thread that keeps the queues of a collector moving. Each has one of its own, so that none waits while another
/// copies a large tensor.
struct Worker<S: Shared> {
    stop: Sender<()>,
    thread: JoinHandle<Parts<S>>,
}

/// How long the thread sleeps when there was nothing for it to do: longer each time.
const NAPS: [Duration; 2] = [Duration::from_micros(10), Duration::from_millis(1)];

/// Longest nap for each record that a unit has room for: records of one come every microsecond at the most.
const NAP_PER_RECORD: Duration = Duration::from_nanos(100);

impl<M: SharedMemory> Collection<M> {
    /// Makes the memory of all collectors that a run has; none without a recorder. The calling thread must be one that
    /// may use the memory.
    ///
    /// # Errors
    /// [`CollectorError::Memory`]. Of a failed try nothing is left.
    pub fn open(memory: M, recorder: Option<&Arc<Recorder>>) -> Result<Self, CollectorError<M::Error>> {
        let mut places = RecordPlaces::default();
        let mut idle = Parts(Vec::new());
        if let Some(recorder) = recorder {
            open(&memory, recorder, &mut places, &mut idle.0)?;
        }
        for part in &mut idle.0 {
            part.queues.prime()?;
        }
        Ok(Self { memory, places, idle, workers: Vec::new() })
    }

    /// Where the device finds it.
    pub fn places(&self) -> &RecordPlaces {
        &self.places
    }

    /// From now on records are taken over; the device may start.
    ///
    /// # Errors
    /// [`CollectorError::Thread`].
    pub fn start(&mut self) -> Result<(), CollectorError<M::Error>> {
        while !self.idle.0.is_empty() {
            let mut parts = Parts(vec![self.idle.0.remove(0)]);
            let (stop, stopped) = channel();
            let memory = self.memory.clone();
            let work = move || {
                if let Err(error) = memory.attach().and_then(|()| keep_moving(&mut parts.0, &stopped)) {
                    log::error!("records of a run are not taken over any more: {error}");
                }
                parts
            };
            let thread = std::thread::Builder::new().name("collector".to_owned()).spawn(work);
            let thread = thread.map_err(|source| CollectorError::Thread { source })?;
            self.workers.push(Worker { stop, thread });
        }
        Ok(())
    }

    /// The launch has ended: takes what is left and tells the recorder. Losses are told, and are no error.
    ///
    /// # Errors
    /// [`CollectorError::Memory`]: the first; the other collectors tell the recorder all the same.
    pub fn finish(mut self) -> Result<(), CollectorError<M::Error>> {
        self.stop();
        let mut result = Ok(());
        for part in self.idle.0.drain(..) {
            result = result.and(part.finish());
        }
        Ok(result?)
    }

    fn stop(&mut self) {
        for worker in &self.workers {
            // It is gone already if it has failed.
            let _ = worker.stop.send(());
        }
        for worker in self.workers.drain(..) {
            match worker.thread.join() {
                Ok(mut parts) => self.idle.0.append(&mut parts.0),
                Err(_) => log::error!("the thread of a collector has a bug; please report it"),
            }
        }
    }
}

impl<M: SharedMemory> Drop for Collection<M> {
    fn drop(&mut self) {
        self.stop();
    }
}

impl<M: SharedMemory> fmt::Debug for Collection<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collection").field("places", &self.places).finish_non_exhaustive()
    }
}

/// Opens what is on.
fn open<M: SharedMemory>(
    memory: &M,
    recorder: &Arc<Recorder>,
    places: &mut RecordPlaces,
    parts: &mut Vec<Part<M::Block>>,
) -> Result<(), M::Error> {
    let layouts = recorder.layouts();
    if recorder.swimlane().is_some() {
        parts.push(swimlane::open(memory, &layouts.swimlane, recorder, places)?);
    }
    if recorder.pmu().is_some() {
        parts.push(pmu::open(memory, &layouts.pmu, recorder, places)?);
    }
    if recorder.dump().is_some() {
        parts.push(dump::open(memory, &layouts.dump, recorder, places)?);
    }
    if recorder.scopes().is_some() {
        parts.push(scopes::open(memory, &layouts.scopes, recorder, places)?);
    }
    if let (Some(layout), true) = (&layouts.submits, recorder.submits().is_some()) {
        parts.push(submits::open(memory, layout, recorder, places)?);
    }
    Ok(())
}

/// Polls until told to stop, however long nothing comes.
fn keep_moving<S: Shared>(parts: &mut [Part<S>], stopped: &Receiver<()>) -> Result<(), S::Error> {
    let [shortest, longest] = NAPS;
    let room = parts.iter().map(|part| part.queues.room()).min().unwrap_or(u32::MAX);
    let longest = NAP_PER_RECORD.saturating_mul(room).clamp(shortest, longest);
    let mut nap = shortest;
    loop {
        let mut found = false;
        for part in &mut *parts {
            found |= part.poll()?;
        }
        nap = if found { shortest } else { longest.min(nap * 2) };
        match stopped.recv_timeout(nap) {
            Err(RecvTimeoutError::Timeout) => {}
            Ok(()) | Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
    }
}
