//! Which CPU an idle carrier is on, and that nobody else needs it.
//!
//! Carriers, and the client that waits for them, look for each other's news for some 50 us before they park. On one CPU they
//! do so in vain, one after the other. A system that sees no neighbours in its CPUs, as in many virtual machines, leaves
//! threads that wake each other on one of them for 100 ms, although another has nothing to do: a run of one task takes 170 us
//! then, not 3, and a run of many short ones twice as long.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The CPU of the client that has waited last.
#[derive(Debug)]
pub(crate) struct ClientCpu(AtomicUsize);

impl Default for ClientCpu {
    fn default() -> Self {
        Self(AtomicUsize::new(usize::MAX))
    }
}

impl ClientCpu {
    /// The calling thread is the client.
    pub(crate) fn is_here(&self) {
        self.0.store(here().unwrap_or(usize::MAX), Ordering::Relaxed);
    }

    pub(crate) fn is(&self, cpu: usize) -> bool {
        self.0.load(Ordering::Relaxed) == cpu
    }
}

/// The CPU of the calling thread, if the system tells. Costs a nanosecond.
pub(crate) fn here() -> Option<usize> {
    // SAFETY: it has no preconditions. That of rustix reads the vDSO by itself, which valgrind does not show.
    let cpu = unsafe { libc::sched_getcpu() };
    usize::try_from(cpu).ok()
}

/// Moves a carrier.
#[derive(Debug, Default)]
pub(crate) struct Placement {
    moved: Option<Instant>,
}

/// A move takes 20 to 35 us. Where there are more threads than CPUs none is for long.
const PAUSE: Duration = Duration::from_millis(2);

impl Placement {
    /// Whether the last move is long enough ago.
    pub(crate) fn may_move(&self, now: Instant) -> bool {
        self.moved.is_none_or(|moved| now.duration_since(moved) >= PAUSE)
    }

    /// Takes the calling thread to another CPU, if it may run on one.
    pub(crate) fn leave_cpu(&mut self) {
        self.moved = Some(Instant::now());
        let Ok(allowed) = sched_getaffinity(None) else { return };
        let Some(cpu) = here().filter(|&cpu| cpu < CpuSet::MAX_CPU) else { return };
        let mut others = allowed;
        others.unset(cpu);
        if others.count() > 0
            && sched_setaffinity(None, &others).is_ok()
            && let Err(error) = sched_setaffinity(None, &allowed)
        {
            log::warn!("a simulated core may not use CPU {cpu} any more: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_carrier_goes_elsewhere_and_may_come_back() {
        let allowed = sched_getaffinity(None).unwrap();
        // The system may bring it back at once.
        let moves = (0..100).filter(|_| {
            let before = here();
            Placement::default().leave_cpu();
            assert!(sched_getaffinity(None).unwrap() == allowed);
            here() != before
        });
        assert_eq!(moves.count() > 0, allowed.count() > 1);
    }

    #[test]
    fn a_carrier_moves_now_and_then_only() {
        let now = Instant::now();
        assert!(Placement::default().may_move(now));
        let moved = Placement { moved: Some(now) };
        assert!(!moved.may_move(now + PAUSE / 2) && moved.may_move(now + PAUSE));
    }
}
