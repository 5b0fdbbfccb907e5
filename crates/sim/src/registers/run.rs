use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use collectors::Collection;
use device_runner::{DeviceError, DeviceOutcome, DeviceProgram, DeviceRun, Stall};

use super::device::Inner;
use super::flight::Flight;
use super::records::{self, RecordSpace};
use crate::comm::Jobs;
use crate::monitor::LOST_AFTER;

/// A launch under way.
pub(super) struct RegisterRun {
    /// `None` once its end was waited for.
    program: Option<Box<dyn DeviceProgram>>,
    flight: Arc<Flight>,
    /// `None` once the launch has ended.
    collection: Option<Collection<RecordSpace>>,
    watch: Watch,
    inner: Arc<Inner>,
}

/// How often a launch is looked at while nothing comes back.
const TICK: Duration = Duration::from_millis(20);

impl RegisterRun {
    pub(super) fn new(
        inner: Arc<Inner>,
        flight: Arc<Flight>,
        program: Box<dyn DeviceProgram>,
        collection: Collection<RecordSpace>,
    ) -> Self {
        let watch = Watch::new(inner.watchdog(), Arc::clone(inner.jobs()));
        Self { program: Some(program), flight, collection: Some(collection), watch, inner }
    }

    /// Waits for the end, or until it is clear that there is none; what the launch had is given back.
    fn end(&mut self) -> Result<Duration, DeviceError> {
        while self.watch.look(&self.flight) == Sight::GoesOn {
            self.flight.wait(TICK);
        }
        let ending = self.flight.ending();
        let result = match (self.watch.fired.take(), ending.failure) {
            (Some(error), _) => Err(error),
            (None, Some(failure)) => Err(failure.into_error()),
            (None, None) => Ok(ending.wall),
        };
        // Also of a failed run: it may have told why.
        let ended = self.flight.has_ended().then(|| self.collection.take()).flatten();
        let recorded = ended.map_or(Ok(()), Collection::finish).map_err(records::device_error);
        let result = result.and_then(|wall| recorded.map(|()| wall));
        self.inner.land(&self.flight, result.as_ref().err());
        // Of a launch that is stuck only now: what it may still write is kept since then.
        self.collection = None;
        result
    }
}

impl DeviceRun for RegisterRun {
    fn poll(&mut self) -> bool {
        self.watch.look(&self.flight) != Sight::GoesOn
    }

    fn wait(mut self: Box<Self>) -> Result<DeviceOutcome, DeviceError> {
        // Only a drop leaves none.
        let program = self.program.take();
        let wall = self.end()?;
        let program = program.ok_or(DeviceError::Cancelled)?;
        let device_wall_ns = u64::try_from(wall.as_nanos()).unwrap_or(u64::MAX);
        Ok(DeviceOutcome { device_wall_ns, program })
    }
}

impl fmt::Debug for RegisterRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegisterRun").field("flight", &self.flight).finish_non_exhaustive()
    }
}

/// Programs cannot be stopped: the launch is waited for, within its limits.
impl Drop for RegisterRun {
    fn drop(&mut self) {
        if self.program.take().is_some()
            && let Err(error) = self.end()
        {
            log::warn!("a run that was dropped: {error}");
        }
    }
}

/// How long a core may take to leave that was told to; that of the programs themselves
/// (`spec/device-abi.md`, section 1.1).
const EXIT_LIMIT: Duration = Duration::from_secs(10);

/// What is seen of a launch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sight {
    GoesOn,
    Ended,
    /// It does not end.
    Stuck,
}

/// Looks whether a launch gets on.
#[derive(Debug)]
struct Watch {
    limit: Option<Duration>,
    /// Whose ranks kernels may wait for.
    jobs: Arc<Jobs>,
    seen: (u32, Vec<u32>),
    since: Instant,
    /// What is wrong, once nothing has happened for too long.
    fired: Option<DeviceError>,
}

impl Watch {
    fn new(limit: Option<Duration>, jobs: Arc<Jobs>) -> Self {
        Self { limit, jobs, seen: Default::default(), since: Instant::now(), fired: None }
    }

    fn look(&mut self, flight: &Flight) -> Sight {
        if flight.has_ended() {
            return Sight::Ended;
        }
        let activity = flight.activity();
        if activity != self.seen {
            self.seen = activity;
            self.since = Instant::now();
            return Sight::GoesOn;
        }
        let quiet = self.since.elapsed();
        let running = || Box::new(Stall::new(flight.running(quiet), Vec::new(), 0));
        if self.fired.is_some() || flight.aicpu_has_ended() {
            let limit = self.exit_limit();
            if quiet <= limit {
                return Sight::GoesOn;
            }
            self.fired.get_or_insert_with(|| DeviceError::Watchdog { limit, stall: running() });
            return Sight::Stuck;
        }
        if let Some(limit) = self.limit.filter(|&limit| quiet > limit) {
            self.fired = Some(DeviceError::Watchdog { limit, stall: running() });
        } else if let Some(ranks) = (quiet >= LOST_AFTER).then(|| self.jobs.lost()).flatten() {
            self.fired = Some(DeviceError::RanksLost { ranks, stall: running() });
        }
        if self.fired.is_some() {
            // Cores get a last chance to leave, and with them the AICPU program.
            flight.release_cores();
            self.since = Instant::now();
        }
        Sight::GoesOn
    }

    /// How long cores may take to leave that were told to.
    fn exit_limit(&self) -> Duration {
        match self.fired {
            // Those that wait for a rank that is lost never do.
            Some(DeviceError::RanksLost { .. }) => LOST_AFTER,
            _ => self.limit.map_or(EXIT_LIMIT, |limit| limit.min(EXIT_LIMIT)),
        }
    }
}
