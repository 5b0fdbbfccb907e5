//! When the writers ended that the tensor map does not have any more.
//!
//! A task does not wait for a writer that has been retired before it was submitted. But on the device clock, which
//! knows nothing of how fast this machine runs what, it still starts after it.

use device_runner::DeviceTime;

use crate::state::RINGS;

/// Ends of retired tasks, as far as later ones may have to start behind them.
#[derive(Debug)]
pub(crate) struct Past {
    /// By a hash of the buffer: when the last of its retired writers ended. Buffers that share a place share the later
    /// end.
    writers: Box<[DeviceTime]>,
    /// By ring: when the last of its retired tasks ended.
    tasks: [DeviceTime; RINGS],
}

/// A power of two.
const PLACES: usize = 4096;

fn place(buffer: u64) -> usize {
    // Neighbouring buffers get places far apart.
    let spread = buffer.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (u64::BITS - PLACES.trailing_zeros());
    usize::try_from(spread).unwrap_or(0)
}

impl Default for Past {
    fn default() -> Self {
        Self { writers: vec![DeviceTime(0); PLACES].into(), tasks: Default::default() }
    }
}

impl Past {
    /// A task that has written to `buffer` is retired.
    pub(crate) fn wrote(&mut self, buffer: u64, ended: DeviceTime) {
        let end = &mut self.writers[place(buffer)];
        *end = ended.max(*end);
    }

    /// When the retired writers of a buffer had all ended.
    pub(crate) fn writers_of(&self, buffer: u64) -> DeviceTime {
        self.writers[place(buffer)]
    }

    /// A task of a ring is retired.
    pub(crate) fn retire(&mut self, ring: usize, ended: DeviceTime) {
        self.tasks[ring] = ended.max(self.tasks[ring]);
    }

    /// When the retired tasks of a ring had all ended.
    pub(crate) fn tasks_of(&self, ring: usize) -> DeviceTime {
        self.tasks.get(ring).copied().unwrap_or_default()
    }

    /// Forgets everything, for the next run.
    pub(crate) fn clear(&mut self) {
        self.writers.fill(DeviceTime(0));
        self.tasks = Default::default();
    }
}
