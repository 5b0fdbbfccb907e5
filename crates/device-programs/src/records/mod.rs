//! What both programs record for the host, where a launch asks for it (`spec/device-abi.md`, section 6).

#[cfg(feature = "aicore")]
mod core;
#[cfg(feature = "aicore")]
mod core_times;
#[cfg(feature = "aicpu")]
mod cores;
#[cfg(feature = "aicpu")]
mod dump;
#[cfg(feature = "aicpu")]
mod lanes;
#[cfg(feature = "aicpu")]
mod phases;
#[cfg(feature = "aicpu")]
mod pmu;
#[cfg(feature = "aicpu")]
mod ring;
#[cfg(feature = "aicpu")]
mod scopes;
#[cfg(feature = "aicpu")]
mod sinks;
#[cfg(feature = "aicpu")]
mod submits;
#[cfg(feature = "aicpu")]
mod unit;

use device_runner::{Arch, CoreId, DeviceTime};

#[cfg(feature = "aicore")]
pub(crate) use self::core::Telling;
#[cfg(feature = "aicpu")]
pub(crate) use cores::{CoreRecords, Finished};
#[cfg(feature = "aicpu")]
pub(crate) use phases::Passes;
#[cfg(feature = "aicpu")]
pub(crate) use sinks::{SharedSinks, Threads};

use crate::word::load_u64;

/// Where a launch wants records, in device memory; 0 for what it does not want.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RecordPlaces {
    /// The swimlane's memory.
    pub(crate) swimlane: u64,
    /// By core: where it tells when its kernels ran.
    pub(crate) core_times: u64,
    /// The memory of hardware counters.
    pub(crate) pmu: u64,
    /// By core: where it tells what it counted, on a chip whose AICPU does not read counters.
    pub(crate) pmu_rings: u64,
    /// By physical core id: the registers with the counters.
    pub(crate) counters: u64,
    /// The memory of the tensor dump.
    pub(crate) dump: u64,
    /// The memory of scope statistics.
    pub(crate) scopes: u64,
    /// The memory of submits, on a chip that records them.
    pub(crate) submits: u64,
}

/// A core's address in a table that a launch has, or 0 if it has no table.
///
/// # Safety
/// The table must be 0, or have a place for the core and be accessible.
unsafe fn table_entry(table: u64, core: CoreId) -> u64 {
    if table == 0 {
        return 0;
    }
    // SAFETY: as the caller promises.
    unsafe { load_u64(table + u64::from(core.0) * size_of::<u64>() as u64) }
}

/// The counter that all programs of a chip read, in ticks.
pub(crate) fn now(arch: &dyn Arch) -> u64 {
    arch.limits().ticks(clock())
}

/// The same, before it is told in ticks.
fn clock() -> DeviceTime {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` lives during the call.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    let (seconds, nanos) =
        (u64::try_from(time.tv_sec).unwrap_or(0), u64::try_from(time.tv_nsec).unwrap_or(0));
    DeviceTime(seconds * 1_000_000_000 + nanos)
}
