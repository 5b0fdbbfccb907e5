use std::sync::{Arc, Mutex};

use crate::error::{DeviceError, RunnerError};
use crate::sync::lock;

/// Whether a runner takes work, and how much is under way.
///
/// One lock guards both, so that no work can slip in behind a check that nothing is under way.
#[derive(Debug, Default)]
pub(crate) struct Life {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    phase: Phase,
    runs: usize,
    calls: usize,
}

#[derive(Debug, Default)]
enum Phase {
    #[default]
    Open,
    Unusable(String),
    Closed,
}

/// What keeps a runner from being closed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Work {
    /// A run, from prepare to finish.
    Run,
    /// A call that takes resources, such as a registration.
    Call,
}

impl State {
    fn count_of(&mut self, work: Work) -> &mut usize {
        match work {
            Work::Run => &mut self.runs,
            Work::Call => &mut self.calls,
        }
    }
}

impl Life {
    /// Begins a piece of work, which lasts until the ticket is dropped.
    pub(crate) fn enter(self: &Arc<Self>, work: Work) -> Result<Ticket, RunnerError> {
        let mut state = lock(&self.state);
        if matches!(state.phase, Phase::Closed) {
            return Err(RunnerError::Closed);
        }
        *state.count_of(work) += 1;
        Ok(Ticket { life: Arc::clone(self), work })
    }

    /// Whether it is not closed.
    pub(crate) fn check_open(&self) -> Result<(), RunnerError> {
        match lock(&self.state).phase {
            Phase::Closed => Err(RunnerError::Closed),
            _ => Ok(()),
        }
    }

    /// Whether launches may be started.
    pub(crate) fn check_usable(&self) -> Result<(), RunnerError> {
        match &lock(&self.state).phase {
            Phase::Open => Ok(()),
            Phase::Unusable(reason) => Err(DeviceError::Unusable { reason: reason.clone() }.into()),
            Phase::Closed => Err(RunnerError::Closed),
        }
    }

    /// Notes that the device cannot be launched on again; the first reason counts.
    pub(crate) fn make_unusable(&self, reason: String) {
        let mut state = lock(&self.state);
        if matches!(state.phase, Phase::Open) {
            state.phase = Phase::Unusable(reason);
        }
    }

    /// Takes that back, for a device that has recovered.
    pub(crate) fn make_usable(&self) {
        let mut state = lock(&self.state);
        if matches!(state.phase, Phase::Unusable(_)) {
            state.phase = Phase::Open;
        }
    }

    /// Ends it for good, unless work is under way.
    pub(crate) fn close(&self) -> Result<(), DeviceError> {
        let mut state = lock(&self.state);
        if state.runs + state.calls > 0 {
            return Err(DeviceError::Busy);
        }
        state.phase = Phase::Closed;
        Ok(())
    }

    /// Runs under way.
    pub(crate) fn runs(&self) -> usize {
        lock(&self.state).runs
    }
}

/// A piece of work under way.
pub(crate) struct Ticket {
    life: Arc<Life>,
    work: Work,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        *lock(&self.life.state).count_of(self.work) -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_waits_for_no_work_and_is_final() {
        for work in [Work::Run, Work::Call] {
            let life = Arc::new(Life::default());
            let ticket = life.enter(work).unwrap();
            assert_eq!(life.runs(), usize::from(matches!(work, Work::Run)));
            assert!(matches!(life.close(), Err(DeviceError::Busy)));
            life.check_open().unwrap();
            drop(ticket);
            assert_eq!(life.runs(), 0);
            life.close().unwrap();
            life.close().unwrap();
            assert!(matches!(life.enter(work), Err(RunnerError::Closed)));
            assert!(matches!(life.check_open(), Err(RunnerError::Closed)));
            life.make_unusable("too late".to_owned());
            assert!(matches!(life.check_usable(), Err(RunnerError::Closed)));
        }
    }

    #[test]
    fn the_first_reason_counts() {
        let life = Arc::new(Life::default());
        life.check_usable().unwrap();
        life.make_unusable("first".to_owned());
        life.make_unusable("second".to_owned());
        let error = life.check_usable().unwrap_err();
        assert!(matches!(&error, RunnerError::Device(DeviceError::Unusable { reason }) if reason == "first"));
        life.check_open().unwrap();
        drop(life.enter(Work::Call).unwrap());
        life.make_usable();
        life.check_usable().unwrap();
        life.close().unwrap();
        life.make_usable();
        assert!(matches!(life.check_usable(), Err(RunnerError::Closed)));
    }
}
