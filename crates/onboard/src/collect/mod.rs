//! What device programs record, on its way to the run's [`Recorder`] (`spec/device-abi.md`, section 6).

mod queues;
mod shared;
mod swimlane;

use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use device_runner::{Recorder, Topology};
use queues::{Full, Queues, Tally};
use shared::DeviceBlock;

use crate::chip::RecordPlaces;
use crate::error::OnboardError;
use crate::inner::Inner;

/// What is made of a collector's records.
trait Collector: Send {
    /// Keeps those of a buffer.
    fn take(&mut self, full: &Full<'_>);

    /// The run has ended, and all is there that will be.
    fn end(self: Box<Self>, recorder: &Recorder, tallies: &[Tally]);
}

/// One collector.
struct Part {
    queues: Queues<DeviceBlock>,
    collector: Box<dyn Collector>,
}

impl Part {
    fn poll(&mut self) -> Result<bool, OnboardError> {
        let Self { queues, collector } = self;
        queues.poll(&mut |full| collector.take(full))
    }
}

/// The collectors of one launch, from before it starts until it has ended. Dropping it loses their records, and gives
/// everything back; the launch must be over then.
#[derive(Default)]
pub(crate) struct Collection {
    places: RecordPlaces,
    recorder: Option<Arc<Recorder>>,
    idle: Parts,
    worker: Option<Worker>,
}

/// They give their memory back.
#[derive(Default)]
struct Parts(Vec<Part>);

impl Drop for Parts {
    fn drop(&mut self) {
        self.0.drain(..).for_each(|part| part.queues.into_shared().release());
    }
}

/// The thread that keeps queues moving.
struct Worker {
    stop: Sender<()>,
    thread: JoinHandle<Parts>,
}

/// How long the thread sleeps when there was nothing for it to do: longer each time.
const NAPS: [Duration; 2] = [Duration::from_micros(10), Duration::from_millis(1)];

impl Collection {
    /// Makes the memory of all collectors that are on. Of a failed try nothing is left.
    pub(crate) fn open(
        inner: &Arc<Inner>,
        recorder: Option<Arc<Recorder>>,
        topology: Topology,
    ) -> Result<Self, OnboardError> {
        let mut collection = Self::default();
        let Some(recorder) = recorder else { return Ok(collection) };
        if let Some(swimlane) = recorder.swimlane() {
            let part = swimlane::open(inner, swimlane.level(), topology, &mut collection.places)?;
            collection.idle.0.push(part);
        }
        for part in &mut collection.idle.0 {
            part.queues.prime()?;
        }
        collection.recorder = Some(recorder);
        Ok(collection)
    }

    /// Where the device finds it.
    pub(crate) fn places(&self) -> &RecordPlaces {
        &self.places
    }

    /// From now on records are taken over; the device may start.
    pub(crate) fn start(&mut self, inner: &Arc<Inner>) -> Result<(), OnboardError> {
        if self.idle.0.is_empty() {
            return Ok(());
        }
        let mut parts = std::mem::take(&mut self.idle);
        let (stop, stopped) = channel();
        let inner = Arc::clone(inner);
        let work = move || {
            if let Err(error) = inner.attach().and_then(|()| keep_moving(&mut parts.0, &stopped)) {
                log::error!("records of a run are not taken over any more: {error}");
            }
            parts
        };
        let thread = std::thread::Builder::new().name("collector".to_owned()).spawn(work);
        let thread = thread.map_err(|source| OnboardError::Thread { source })?;
        self.worker = Some(Worker { stop, thread });
        Ok(())
    }

    /// The launch has ended: takes what is left and tells the recorder. Losses are told, and are no error.
    pub(crate) fn finish(mut self) -> Result<(), OnboardError> {
        self.stop();
        let Some(recorder) = self.recorder.take() else { return Ok(()) };
        for Part { mut queues, mut collector } in self.idle.0.drain(..) {
            let tallies = queues.finish(&mut |full| collector.take(full));
            queues.into_shared().release();
            collector.end(&recorder, &tallies?);
        }
        Ok(())
    }

    fn stop(&mut self) {
        let Some(Worker { stop, thread }) = self.worker.take() else { return };
        // It is gone already if it has failed.
        let _ = stop.send(());
        match thread.join() {
            Ok(parts) => self.idle = parts,
            Err(_) => log::error!("the thread of a collector has a bug; please report it"),
        }
    }
}

impl Drop for Collection {
    fn drop(&mut self) {
        self.stop();
    }
}

impl fmt::Debug for Collection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collection").field("places", &self.places).finish_non_exhaustive()
    }
}

/// Polls until told to stop, however long nothing comes.
fn keep_moving(parts: &mut [Part], stopped: &Receiver<()>) -> Result<(), OnboardError> {
    let [shortest, longest] = NAPS;
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
