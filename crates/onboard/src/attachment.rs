use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use hal_sys::{Hal, HalError};

use crate::error::OnboardError;
use crate::sync::lock;

thread_local! {
    /// The period that this thread is attached for; a thread has one device at a time.
    static CURRENT: Cell<u64> = const { Cell::new(0) };
}

static PERIODS: AtomicU64 = AtomicU64::new(1);

/// How often each device was taken down by force, which ends what all its users in this process have on it.
static TAKEN_DOWN: Mutex<BTreeMap<i32, u64>> = Mutex::new(BTreeMap::new());

/// Which threads are attached to the device, and how many calls have to be undone for that.
///
/// The driver counts attaching per call, not per thread, and takes the device down when as many calls have undone
/// it. So a thread attaches once only, as long as it has not turned to another device meanwhile, and all calls are
/// undone at the end.
#[derive(Debug)]
pub(crate) struct Attachment {
    device: i32,
    state: Mutex<Attached>,
}

#[derive(Debug, Default)]
struct Attached {
    /// From the first attaching to the last release; its number is never used again.
    period: u64,
    /// Calls to be undone.
    calls: u64,
    /// How often the device had been taken down before.
    taken_down: u64,
}

impl Attachment {
    pub(crate) fn new(device: i32) -> Self {
        Self { device, state: Mutex::default() }
    }

    /// Makes the calling thread one that may talk to the device; whether it is the first one.
    pub(crate) fn attach(&self, hal: &Hal) -> Result<bool, OnboardError> {
        let mut state = lock(&self.state);
        let taken_down = self.taken_down();
        if state.calls > 0 && state.taken_down != taken_down {
            return Err(OnboardError::TakenDown { device: self.device });
        }
        if state.calls > 0 && CURRENT.get() == state.period {
            return Ok(false);
        }
        hal.set_device(self.device)?;
        let is_first = state.calls == 0;
        if is_first {
            *state = Attached { period: PERIODS.fetch_add(1, Ordering::Relaxed), calls: 0, taken_down };
        }
        state.calls += 1;
        CURRENT.set(state.period);
        Ok(is_first)
    }

    fn taken_down(&self) -> u64 {
        lock(&TAKEN_DOWN).get(&self.device).copied().unwrap_or(0)
    }

    /// Attaches the calling thread anew if something else has taken it to another device meanwhile, as HCCL may.
    pub(crate) fn attach_again(&self, hal: &Hal) -> Result<(), OnboardError> {
        if hal.acl_get_device().is_ok_and(|device| device == self.device) {
            return Ok(());
        }
        CURRENT.set(0);
        self.attach(hal).map(drop)
    }

    /// Whether any thread is attached.
    pub(crate) fn is_held(&self) -> bool {
        lock(&self.state).calls > 0
    }

    /// Whether the device was taken down since, and everything that was on it is gone.
    pub(crate) fn is_gone(&self) -> bool {
        let state = lock(&self.state);
        state.calls > 0 && state.taken_down != self.taken_down()
    }

    /// Nothing is left to undo.
    pub(crate) fn forget(&self) {
        lock(&self.state).calls = 0;
    }

    /// Undoes all attaching; after an error, the rest can be undone later.
    pub(crate) fn release(&self, hal: &Hal) -> Result<(), HalError> {
        let mut state = lock(&self.state);
        while state.calls > 0 {
            hal.reset_device(self.device)?;
            state.calls -= 1;
        }
        Ok(())
    }

    /// Takes the device down whoever is attached to it.
    pub(crate) fn force(&self, hal: &Hal) -> Result<(), HalError> {
        let mut state = lock(&self.state);
        let mut taken_down = lock(&TAKEN_DOWN);
        hal.reset_device_force(self.device)?;
        *taken_down.entry(self.device).or_default() += 1;
        state.calls = 0;
        Ok(())
    }
}
