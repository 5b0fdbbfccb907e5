//! Short waits without sleeping.
//!
//! Waking a parked thread costs 5 to 50 us, far more than a small run. So a thread that expects news within
//! that time looks for it a little before it parks. At most one CPU less than there are is spent that way in
//! the whole process. On a machine with one CPU the thread lets others run instead, which is cheaper than parking.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// About the cost of one wake-up: spinning for longer costs more than it can save.
const LIMIT: Duration = Duration::from_micros(50);

/// At the end of a run the carrier begins to wait just before the client has noticed and stops.
const HAND_OVER: Duration = Duration::from_micros(3);

/// Some 100 ns between two looks.
const SPINS_PER_LOOK: u32 = 8;

/// On one CPU: a few, as the system may not hand over at the first.
const YIELDS: u32 = 4;

static SPINNING: AtomicUsize = AtomicUsize::new(0);

/// CPUs that this process may use.
pub(crate) fn cpus() -> usize {
    static CPUS: OnceLock<usize> = OnceLock::new();
    *CPUS.get_or_init(|| std::thread::available_parallelism().map_or(1, usize::from))
}

/// Whether `news` came before it was time to park.
pub(crate) fn spin_until(news: impl Fn() -> bool) -> bool {
    if news() {
        return true;
    }
    if cpus() < 2 {
        // The other thread can only bring the news while this one does not run.
        return (0..YIELDS).any(|_| {
            std::thread::yield_now();
            news()
        });
    }
    let start = Instant::now();
    let mut place = Place::take();
    loop {
        for _ in 0..SPINS_PER_LOOK {
            std::hint::spin_loop();
        }
        if news() {
            return true;
        }
        let limit = if place.is_some() { LIMIT } else { HAND_OVER };
        if start.elapsed() >= limit {
            return false;
        }
        place = place.or_else(Place::take);
    }
}

/// Threads of this process that spin now.
pub(crate) fn spinning() -> usize {
    SPINNING.load(Ordering::Relaxed)
}

/// The right to spin, of which there are as many as CPUs but one.
struct Place;

impl Place {
    fn take() -> Option<Self> {
        let taken = SPINNING.fetch_add(1, Ordering::Relaxed);
        // Dropped, and so given back, if it was one too many.
        Some(Self).filter(|_| taken + 1 < cpus())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        SPINNING.fetch_sub(1, Ordering::Relaxed);
    }
}
