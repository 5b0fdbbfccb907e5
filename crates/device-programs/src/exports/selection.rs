//! What this program is built for.

#[cfg(feature = "aicore")]
use crate::aicore::TaskSource;
#[cfg(feature = "aicpu")]
use crate::aicpu::{self, Open};
use crate::chip::{self, Chip};

/// The chip. In a build of the whole workspace every feature may be on, or none; then it is the first.
pub(super) static CHIP: &Chip =
    if cfg!(feature = "a5") && !cfg!(feature = "a2a3") { &chip::A5 } else { &chip::A2A3 };

/// The device half of the runtime.
#[cfg(feature = "aicpu")]
pub(super) const OPEN: Open = aicpu::open_host_build_graph;

/// Where cores of the runtime find their tasks.
#[cfg(feature = "aicore")]
pub(super) const TASKS: TaskSource = TaskSource::HostBuildGraph;
