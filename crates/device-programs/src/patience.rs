use std::time::{Duration, Instant};

/// A wait that lets others run and comes to an end.
///
/// A launch has dozens of threads that wait for each other, on machines with few CPUs: so waiting gets slower the
/// longer it lasts.
#[derive(Debug)]
pub(crate) struct Patience {
    limit: Duration,
    since: Instant,
    rounds: u32,
}

const SPINS: u32 = 16;
const YIELDS: u32 = 64;
const LONGEST_NAP_US: u64 = 500;

impl Patience {
    pub(crate) fn new(limit: Duration) -> Self {
        Self { limit, since: Instant::now(), rounds: 0 }
    }

    /// Something has happened: starts anew.
    pub(crate) fn renew(&mut self) {
        self.since = Instant::now();
        self.rounds = 0;
    }

    /// Waits a little; `false` once the limit is reached.
    pub(crate) fn wait(&mut self) -> bool {
        self.rounds = self.rounds.saturating_add(1);
        match self.rounds {
            0..=SPINS => std::hint::spin_loop(),
            round if round <= SPINS + YIELDS => std::thread::yield_now(),
            round => {
                let nap = u64::from(round - SPINS - YIELDS).saturating_mul(10).min(LONGEST_NAP_US);
                std::thread::sleep(Duration::from_micros(nap));
            }
        }
        self.since.elapsed() < self.limit
    }

    /// Waits until something is so; `false` once the limit is reached.
    pub(crate) fn until(&mut self, mut so: impl FnMut() -> bool) -> bool {
        loop {
            if so() {
                return true;
            }
            if !self.wait() {
                return so();
            }
        }
    }
}
