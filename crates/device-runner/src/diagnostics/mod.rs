//! What a run records about itself (`spec/device-abi.md`, section 6): five collectors, each on or off.
//!
//! A run with any of them on has a [`Recorder`], which whoever has something to tell gets: the device about cores,
//! the variant about its graph. It lives as long as the run, is written to files when the run has ended well, and
//! leaves nothing behind otherwise. A run with all of them off has none.
//!
//! Records are kept until the end of the run, so none is lost however long the run is quiet or busy; dumped tensors go
//! to their file at once. What cannot be kept all the same is counted and told.

mod chip;
mod dump;
mod gather;
mod log;
mod phases;
mod pmu;
mod recorder;
mod request;
mod scopes;
mod sinks;
mod submits;
mod swimlane;

pub use chip::{Diagnostics, PmuCounter, PmuEvents, SubmitRecords};
pub use dump::{DumpedArg, TensorDump, tensor_roles};
pub use gather::{GatherError, TensorView};
pub use phases::{Phases, SchedulerPass};
pub use pmu::{MAX_COUNTERS, Pmu, PmuSample};
pub use recorder::{Recorded, Recorder, Roles};
pub(crate) use request::Request;
pub use scopes::{ScopeBorder, ScopeStats, site_name};
pub use sinks::{PhaseSink, RunSinks, ScopeSink, SubmitSink, TensorSink};
pub use submits::{Submit, Submits};
pub(crate) use swimlane::Spare;
pub use swimlane::{SubmitLog, SubmitPhase, Swimlane, TaskLog, TaskRun};
