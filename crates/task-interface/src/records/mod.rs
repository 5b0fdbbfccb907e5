//! Memory in which device programs leave records of a run for the host (`spec/device-abi.md`, section 6).
//!
//! Each collector has one block, of a header and a state per unit (a core, an AICPU thread, or the run), and buffers of
//! records. Free buffers go from host to device in a queue per unit, full ones come back in a queue per AICPU thread.
//! Records and states are values. Headers and buffers are too large for that and are never made: they are there for
//! the places of their fields.
//!
//! Here is what both chips share; sizes that differ are parameters, and what only one chip has is in its own crate.

mod dump;
mod layout;
mod pmu;
mod queue;
mod scopes;
mod submits;
mod swimlane;

pub use dump::{DUMP_MAGIC, DumpBuffer, DumpHeader, DumpRecord, DumpState, SELECTIVE};
pub use layout::{
    BufferLayout, CoreTimesMemory, DumpMemory, PmuMemory, ReadyQueues, RecordMemory, ScopeMemory,
    SubmitMemory, SwimlaneMemory, UnitLayout,
};
pub use pmu::{PmuHeader, PmuRecordHead};
pub use queue::{Buffer, FreeQueue, HeadedBuffer, ReadyEntry, ScopeFreeQueue};
pub use scopes::{ScopeBuffer, ScopeHeader, ScopeRecord, ScopeState};
pub use submits::{SubmitOverflowRecord, SubmitRecord, submit_flags};
pub use swimlane::{
    BufferState, KIND_CORE_TIMES, KIND_PHASES, KIND_TASKS, PHASE_MAGIC, PhaseHeader, PhaseRecord,
    SwimlaneHeader, TaskRecordHead,
};

/// Bits of `KernelArgs::enable_profiling_flag` (`spec/device-abi.md`, section 1.1).
pub mod flags {
    /// Tensor dump.
    pub const DUMP: u32 = 1;
    /// Swimlane.
    pub const SWIMLANE: u32 = 1 << 1;
    /// Hardware counters.
    pub const PMU: u32 = 1 << 2;
    /// Submits, on a chip that records them.
    pub const DEP_GEN: u32 = 1 << 3;
    /// Scope statistics.
    pub const SCOPE_STATS: u32 = 1 << 4;
}
