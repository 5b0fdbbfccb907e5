use std::fmt;

use crate::arena::ArenaSizes;
use crate::device::DeviceUsage;

/// Everything a runner holds at one moment; all zero after it is closed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResourceReport {
    /// Live allocations, arenas and callable images included.
    pub allocations: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Committed arenas.
    pub arenas: ArenaSizes,
    /// Registered callables.
    pub callables: usize,
    /// Kernels registered on the device, by content.
    pub kernels: usize,
    /// Callable images in device memory, by content.
    pub images: usize,
    /// Orchestration objects, by content.
    pub orchestrations: usize,
    /// Communicators that were not destroyed.
    pub communicators: usize,
    /// Sets of windows that they have.
    pub windows: usize,
    /// Runs between prepare and finish.
    pub runs: usize,
    /// Errors of clean-ups that nobody has been told yet.
    pub deferred_errors: usize,
    /// The device's own count.
    pub device: DeviceUsage,
}

impl ResourceReport {
    /// Whether nothing is held at all.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Display for ResourceReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} allocation(s) of {} bytes, arenas {}/{}/{}, {} callable(s), {} kernel(s), {} image(s), \
             {} orchestration(s), {} communicator(s) with {} set(s) of windows, {} run(s), {} deferred error(s); device: {} allocation(s) of {} bytes, \
             {} kernel(s), {} thread(s), {} abandoned",
            self.allocations,
            self.bytes,
            self.arenas.gm_heap,
            self.arenas.gm_sm,
            self.arenas.runtime_arena,
            self.callables,
            self.kernels,
            self.images,
            self.orchestrations,
            self.communicators,
            self.windows,
            self.runs,
            self.deferred_errors,
            self.device.allocations,
            self.device.bytes,
            self.device.kernels,
            self.device.threads,
            self.device.abandoned_threads,
        )
    }
}
