//! How quick kernels are, and what that means for the threads that carry them out.
//!
//! What is between two kernels is done under one lock. With empty kernels a second thread makes a run slower:
//! the two fight for the lock, and what it guards moves from CPU to CPU. With long kernels it is twice as quick.

use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};
use std::time::Duration;

/// A kernel that sometimes waits for others must not be taken for one that never does.
const CALLS_TO_REGAIN_TRUST: i32 = 64;

/// A call of this length has waited for others, if the kernel is one that does: those are started when the run is looked
/// at, each millisecond.
const WAITED: Duration = Duration::from_micros(500);

/// A kernel of this length is worth waking a carrier, which costs 5 to 50 us.
const WORTH_WAKING: Duration = Duration::from_micros(10);

/// Kernels have to take so much longer for each further carrier that works, or all of them are slower for it. Two paid from
/// 150 to 300 ns on, where it was measured.
const SHARE: Duration = Duration::from_nanos(250);

/// A longer call counts as this long, so that a first one during which the system ran something else is soon forgotten.
const LONGEST_COUNTED: Duration = Duration::from_micros(64);

/// What is typical changes by one part in this many with a call: so it is near the median, which interrupted calls do not
/// change.
const STEPS: u64 = 8;

/// How long calls of a kernel take.
///
/// Carriers that end calls at the same time may lose one of them.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// Positive after calls that did not wait for others.
    trust: AtomicI32,
    typical: Typical,
}

/// A length of time that threads share.
#[derive(Debug, Default)]
pub(crate) struct Typical(AtomicU64);

impl Pace {
    /// Whether it can be expected to return quickly, and so waits for nobody: it does so typically, and did not have to
    /// wait at its last calls, of which there must be many once it had.
    pub(crate) fn is_short(&self) -> bool {
        self.trust.load(Ordering::Relaxed) > 0 && !self.typical.is_worth_waking()
    }

    /// How long its calls take lately; zero before the first.
    pub(crate) fn typical(&self) -> &Typical {
        &self.typical
    }

    /// Notes how long its last call took.
    pub(crate) fn note(&self, call: Duration) {
        let trust = if call > WAITED {
            -CALLS_TO_REGAIN_TRUST
        } else {
            (self.trust.load(Ordering::Relaxed) + 1).min(1)
        };
        self.trust.store(trust, Ordering::Relaxed);
        let call = nanos(call.min(LONGEST_COUNTED)).max(1);
        let typical = match self.typical.nanos() {
            0 => call,
            // A step towards it, however far it is.
            typical if call > typical => call.min(typical + typical.div_ceil(STEPS)),
            typical => call.max(typical - typical / STEPS),
        };
        self.typical.0.store(typical, Ordering::Relaxed);
    }
}

impl Typical {
    /// Whether it pays to wake another carrier for kernels of this length.
    pub(crate) fn is_worth_waking(&self) -> bool {
        self.nanos() > nanos(WORTH_WAKING)
    }

    /// Whether kernels of this length leave room for `carriers` that work besides one that has them.
    pub(crate) fn leaves_room_for(&self, carriers: usize) -> bool {
        let carriers = u64::try_from(carriers).unwrap_or(u64::MAX);
        self.nanos() >= nanos(SHARE).saturating_mul(carriers)
    }

    pub(crate) fn set(&self, other: &Self) {
        self.0.store(other.nanos(), Ordering::Relaxed);
    }

    fn nanos(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUICK: Duration = Duration::from_nanos(200);

    fn after(calls: &[Duration]) -> Pace {
        let pace = Pace::default();
        calls.iter().for_each(|&call| pace.note(call));
        pace
    }

    #[test]
    fn a_kernel_is_not_short_before_it_was_seen_to_be() {
        assert!(!after(&[]).is_short());
        assert!(after(&[QUICK]).is_short());
        assert!(!after(&[Duration::from_micros(30)]).is_short());
    }

    #[test]
    fn calls_that_were_interrupted_change_nothing_and_a_slow_kernel_does() {
        let slow = Duration::from_micros(400);
        let pace = after(&[QUICK]);
        for _ in 0..50 {
            [slow, QUICK, QUICK].iter().for_each(|&call| pace.note(call));
            assert!(pace.is_short() && !pace.typical().leaves_room_for(1));
        }
        (0..50).for_each(|_| pace.note(slow));
        assert!(!pace.is_short() && pace.typical().is_worth_waking());
        (0..50).for_each(|_| pace.note(QUICK));
        assert!(pace.is_short() && !pace.typical().leaves_room_for(1));
    }

    #[test]
    fn a_kernel_that_has_waited_for_others_is_not_trusted_for_long() {
        let pace = after(&[QUICK, Duration::from_millis(1)]);
        for _ in 0..CALLS_TO_REGAIN_TRUST {
            assert!(!pace.is_short());
            pace.note(QUICK);
        }
        pace.note(QUICK);
        assert!(pace.is_short());
    }

    #[test]
    fn the_longer_kernels_are_the_more_carriers_pay() {
        let pace = after(&[Duration::from_nanos(600)]);
        assert!(pace.typical().leaves_room_for(2) && !pace.typical().leaves_room_for(3));
    }
}
