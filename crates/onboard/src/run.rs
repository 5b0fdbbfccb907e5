use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use collectors::Collection;
use device_runner::{DeviceError, DeviceOutcome, DeviceProgram, DeviceRun};
use hal_sys::HalError;

use crate::error::OnboardError;
use crate::inner::Inner;
use crate::lane::is_timeout;
use crate::records::RecordsMemory;
use crate::session::Turn;

/// A launch under way.
pub(crate) struct OnboardRun {
    /// `None` once the end was waited for.
    program: Option<Box<dyn DeviceProgram>>,
    block_dim: u32,
    /// Device address of the run time.
    wall: u64,
    started: Instant,
    /// The first error that a stream has reported.
    failure: Option<OnboardError>,
    /// To be let go of when nothing of the launch runs any more.
    collection: Option<Collection<RecordsMemory>>,
    // Given back before the device may go.
    turn: Turn,
    inner: Arc<Inner>,
}

/// As short as a wait can be: streams cannot be asked whether they are idle.
const GLANCE: Duration = Duration::from_millis(1);

impl OnboardRun {
    pub(crate) fn new(
        inner: Arc<Inner>,
        turn: Turn,
        program: Box<dyn DeviceProgram>,
        collection: Collection<RecordsMemory>,
        block_dim: u32,
        wall: u64,
    ) -> Self {
        let (program, collection) = (Some(program), Some(collection));
        Self { program, block_dim, wall, started: Instant::now(), failure: None, collection, turn, inner }
    }

    fn keep(&mut self, stream: &'static str, limit: Duration, source: HalError) {
        let block_dim = self.block_dim;
        let error = OnboardError::Run { stream, block_dim, limit, source };
        match &self.failure {
            Some(_) => log::error!("{error}"),
            None => self.failure = Some(error),
        }
    }

    /// Waits for both streams, also when the first one fails, so that nothing of this run is left on the device.
    fn drain(&mut self) -> Result<(), OnboardError> {
        let limit = self.inner.stream_timeout();
        if let Err(error) = self.inner.attach() {
            self.failure.get_or_insert(error);
        } else {
            let lanes = self.turn.session().lanes();
            let results = lanes.map(|(name, lane)| (name, lane.drain(&self.inner.hal, limit)));
            for (stream, result) in results {
                if let Err(source) = result {
                    self.keep(stream, limit, source);
                }
            }
        }
        self.failure.take().map_or(Ok(()), Err)
    }

    /// What a launch has recorded that its program has ended with an error may tell why.
    fn take_records_or_log(&mut self) {
        let finished = self.collection.take().map_or(Ok(()), Collection::finish);
        if let Err(error) = finished {
            log::warn!("what the failed run has recorded is lost: {error}");
        }
    }

    fn wall_ns(&self) -> Result<u64, OnboardError> {
        let mut bytes = [0; 8];
        self.inner.memory.read(&mut bytes, self.wall)?;
        Ok(u64::from_le_bytes(bytes))
    }
}

impl DeviceRun for OnboardRun {
    fn poll(&mut self) -> bool {
        if let Err(error) = self.inner.attach() {
            self.failure.get_or_insert(error);
            return true;
        }
        let lanes = self.turn.session().lanes();
        for (stream, result) in lanes.map(|(name, lane)| (name, lane.drain(&self.inner.hal, GLANCE))) {
            match result {
                Err(source) if !is_timeout(&source) => self.keep(stream, self.started.elapsed(), source),
                _ => {}
            }
        }
        // Whoever waits is told of the time limit.
        !self.turn.session().is_busy() || self.started.elapsed() > 2 * self.inner.stream_timeout()
    }

    fn wait(mut self: Box<Self>) -> Result<DeviceOutcome, DeviceError> {
        let program = self.program.take();
        if let Err(error) = self.drain() {
            if self.turn.session().has_ended_by_itself() {
                self.take_records_or_log();
            }
            return Err(self.inner.lose(error));
        }
        let device_wall_ns =
            self.wall_ns().map_err(|error| self.inner.fail("reading the run time", error))?;
        if let Some(collection) = self.collection.take() {
            collection.finish().map_err(|error| self.inner.fail("taking records over", error.into()))?;
        }
        // Only a drop leaves none.
        let program = program.ok_or(DeviceError::Cancelled)?;
        Ok(DeviceOutcome { device_wall_ns, program })
    }
}

impl fmt::Debug for OnboardRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnboardRun").field("block_dim", &self.block_dim).finish_non_exhaustive()
    }
}

impl Drop for OnboardRun {
    fn drop(&mut self) {
        // A run on the device cannot be stopped: it is waited for, within its limits.
        if self.program.is_some()
            && let Err(error) = self.drain()
        {
            let error = self.inner.lose(error);
            log::error!("a run that was dropped: {error}");
        }
    }
}
