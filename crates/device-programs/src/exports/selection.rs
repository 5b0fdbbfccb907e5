//! What this program is built for.

#[cfg(feature = "aicore")]
use crate::aicore::TaskSource;
#[cfg(feature = "aicpu")]
use crate::aicpu::{HostBuildGraph, Runtime, TensormapAndRingbuffer};
use crate::chip::{self, Chip};

/// Whether the chip is a5. In a build of the whole workspace every feature may be on, or none; then it is the first.
pub(super) const IS_A5: bool = cfg!(feature = "a5") && !cfg!(feature = "a2a3");

/// The chip.
pub(super) static CHIP: &Chip = if IS_A5 { &chip::A5 } else { &chip::A2A3 };

/// Whether the runtime is that, by the same rule.
pub(super) const IS_TRB: bool =
    cfg!(feature = "tensormap_and_ringbuffer") && !cfg!(feature = "host_build_graph");

/// The device half of the runtime.
#[cfg(feature = "aicpu")]
pub(super) static RUNTIME: &dyn Runtime = {
    static RINGS: TensormapAndRingbuffer = TensormapAndRingbuffer::new();
    if IS_TRB { &RINGS } else { &HostBuildGraph }
};

/// Where cores of the runtime find their tasks.
#[cfg(feature = "aicore")]
pub(super) const TASKS: TaskSource =
    if IS_TRB { TaskSource::TensormapAndRingbuffer } else { TaskSource::HostBuildGraph };
