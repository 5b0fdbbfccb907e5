//! Simulated chips of one machine as ranks of a job, in any number of processes.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use device_runner::{CommRank, CommWindows, DevPtr, DeviceError};
use rendezvous::{Options, RendezvousError, Seat, Session, Windows};

use crate::memory::AddressSpace;

/// The jobs that a device is in, for whoever watches its runs.
#[derive(Debug, Default)]
pub(crate) struct Jobs(Mutex<Vec<Weak<Session>>>);

impl Jobs {
    fn add(&self, session: &Arc<Session>) {
        self.living().push(Arc::downgrade(session));
    }

    /// Whether there are any.
    pub(crate) fn any(&self) -> bool {
        !self.living().is_empty()
    }

    /// Ranks that have ended unexpectedly, if there are such.
    pub(crate) fn lost(&self) -> Option<String> {
        let sessions: Vec<_> = self.living().iter().filter_map(Weak::upgrade).collect();
        sessions
            .iter()
            .map(|session| session.dead())
            .find(|dead| !dead.is_empty())
            .map(|dead| dead.to_string())
    }

    fn living(&self) -> MutexGuard<'_, Vec<Weak<Session>>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|session| session.strong_count() > 0);
        all
    }
}

/// A simulated device's part in a job.
pub(crate) struct SimRank {
    space: Arc<AddressSpace>,
    jobs: Arc<Jobs>,
    state: Mutex<State>,
}

enum State {
    /// Others may still have to come.
    Seated(Seat),
    Complete(Arc<Session>),
    /// They did not come; why.
    Failed(String),
}

/// A job that did not come together earlier.
#[derive(Debug, thiserror::Error)]
#[error("the job has not come together: {0}; destroy the communicator and join again")]
struct NotTogether(String);

impl fmt::Debug for SimRank {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimRank").finish_non_exhaustive()
    }
}

fn platform(call: &'static str) -> impl Fn(RendezvousError) -> DeviceError {
    move |error| DeviceError::Platform { call, source: error.into() }
}

impl SimRank {
    /// Joins a job, with `limit` for each wait, or that of `rendezvous`.
    pub(crate) fn join(
        space: &Arc<AddressSpace>,
        jobs: &Arc<Jobs>,
        limit: Option<Duration>,
        rank: u32,
        ranks: u32,
        path: &Path,
    ) -> Result<Self, DeviceError> {
        let options = limit.map_or_else(Options::default, |limit| Options::default().limit(limit));
        let seat = rendezvous::enter(path, rank, ranks, options).map_err(platform("join"))?;
        Ok(Self { space: Arc::clone(space), jobs: Arc::clone(jobs), state: Mutex::new(State::Seated(seat)) })
    }

    /// The job, once all ranks are there.
    fn session(&self, call: &'static str) -> Result<Arc<Session>, DeviceError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match &*state {
            State::Complete(session) => return Ok(Arc::clone(session)),
            State::Failed(text) => {
                return Err(DeviceError::Platform { call, source: NotTogether(text.clone()).into() });
            }
            State::Seated(_) => {}
        }
        // Others wait here with this thread; all of them need the same.
        let State::Seated(seat) =
            std::mem::replace(&mut *state, State::Failed("it was interrupted".to_owned()))
        else {
            return Err(DeviceError::Cancelled);
        };
        match seat.complete() {
            Ok(session) => {
                let session = Arc::new(session);
                self.jobs.add(&session);
                *state = State::Complete(Arc::clone(&session));
                Ok(session)
            }
            Err(error) => {
                *state = State::Failed(error.to_string());
                Err(platform(call)(error))
            }
        }
    }
}

impl CommRank for SimRank {
    fn windows(
        &self,
        id: Option<u64>,
        members: &[u32],
        bytes: u64,
    ) -> Result<Box<dyn CommWindows>, DeviceError> {
        const CALL: &str = "the windows of a job";
        let session = self.session(CALL)?;
        let windows = match id {
            None => session.windows(bytes),
            Some(id) => session.domain(id, members, bytes),
        };
        Ok(Box::new(SimWindows::new(&self.space, windows.map_err(platform(CALL))?)))
    }

    fn barrier(&self) -> Result<(), DeviceError> {
        const CALL: &str = "a barrier";
        self.session(CALL)?.barrier().map_err(platform(CALL))
    }
}

/// Windows that belong to the memory of a device as long as they live.
struct SimWindows {
    space: Arc<AddressSpace>,
    windows: Windows,
}

impl fmt::Debug for SimWindows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.windows.fmt(f)
    }
}

impl SimWindows {
    fn new(space: &Arc<AddressSpace>, windows: Windows) -> Self {
        for index in 0..windows.members().len() {
            space.adopt(windows.address(index), windows.bytes());
        }
        Self { space: Arc::clone(space), windows }
    }
}

impl CommWindows for SimWindows {
    fn window(&self, index: usize) -> DevPtr {
        DevPtr::new(self.windows.address(index))
    }

    fn bytes(&self) -> u64 {
        self.windows.bytes()
    }

    fn has_both_directions(&self) -> bool {
        true
    }
}

impl Drop for SimWindows {
    fn drop(&mut self) {
        // Before the memory goes: nobody may copy to it any more.
        for index in 0..self.windows.members().len() {
            self.space.disown(self.windows.address(index));
        }
        if self.space.has_loose_kernels() {
            self.windows.cut_off();
        }
    }
}
