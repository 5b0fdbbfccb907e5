use std::sync::MutexGuard;
use std::time::{Duration, Instant};

use device_runner::DeviceTime;

use crate::state::{Shared, State};

/// Device time of the orchestrator: it stands still while it waits, and goes on when what it waited for has come.
pub(crate) struct Clock {
    started: Instant,
    waited: Duration,
    /// How far it was put forward to what it waited for.
    ahead: u64,
}

impl Clock {
    /// Starts now.
    pub(crate) fn start() -> Self {
        Self { started: Instant::now(), waited: Duration::ZERO, ahead: 0 }
    }

    pub(crate) fn now(&self) -> DeviceTime {
        let busy = self.started.elapsed().saturating_sub(self.waited);
        let busy = u64::try_from(busy.as_nanos()).unwrap_or(u64::MAX);
        DeviceTime(busy.saturating_add(self.ahead))
    }

    /// The state, without the time that the scheduler holds it: on a device that would not stand in the way.
    pub(crate) fn lock<'a>(&mut self, shared: &'a Shared) -> MutexGuard<'a, State> {
        if let Some(state) = shared.try_lock() {
            return state;
        }
        let started = Instant::now();
        let state = shared.lock();
        self.waited += started.elapsed();
        state
    }

    /// Something was waited for that happened at this time.
    pub(crate) fn advance_to(&mut self, time: DeviceTime) {
        self.ahead += time.0.saturating_sub(self.now().0);
    }

    /// So long it has stood still.
    pub(crate) fn stood_still(&mut self, time: Duration) {
        self.waited += time;
    }
}
