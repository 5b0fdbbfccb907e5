//! What both programs record for the host, where a launch asks for it (`spec/device-abi.md`, section 6).

#[cfg(feature = "aicore")]
mod core;
#[cfg(feature = "aicpu")]
mod cores;
#[cfg(feature = "aicpu")]
mod unit;

use device_runner::{Arch, DeviceTime};

#[cfg(feature = "aicore")]
pub(crate) use self::core::CoreTimes;
#[cfg(feature = "aicpu")]
pub(crate) use cores::{CoreRecords, Finished};

/// Where a launch wants records, in device memory; 0 for what it does not want.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RecordPlaces {
    /// The swimlane's memory.
    pub(crate) swimlane: u64,
    /// By core: where it tells when its kernels ran.
    pub(crate) core_times: u64,
}

/// The counter that all programs of a chip read, in ticks.
pub(crate) fn now(arch: &dyn Arch) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` lives during the call.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    let (seconds, nanos) =
        (u64::try_from(time.tv_sec).unwrap_or(0), u64::try_from(time.tv_nsec).unwrap_or(0));
    arch.limits().ticks(DeviceTime(seconds * 1_000_000_000 + nanos))
}
