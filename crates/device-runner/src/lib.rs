//! What all platforms share between a client's call and a chip.
//!
//! **Owns:** device addresses ([`DevPtr`]), tracked memory ([`Memory`]), the three arenas
//! ([`StaticArenas`]), content-keyed caches ([`ContentCache`]), the callable registry, the typed phases
//! of a run ([`PreparedRun`], [`ActiveRun`], [`RunOutcome`]), what it records about itself ([`Recorder`]), the thread
//! binding, and the [`ResourceReport`]. It defines the three seams everything else plugs into: [`Arch`] (which chip),
//! [`Device`] (what executes) and [`RuntimeVariant`] (how graphs are made).
//!
//! **Must not know:** which chip, which device, or which variant it is driving.
//!
//! Who checks what: this crate checks ids, ranges and life-cycle order before a device sees them; a
//! [`Device`] checks addresses and sizes; a [`RuntimeVariant`] checks graphs.
#![forbid(unsafe_code)]

mod arch;
mod arena;
mod args;
mod binding;
mod cache;
mod callable;
mod comm;
mod dev_ptr;
mod device;
mod diagnostics;
mod error;
mod guarded;
pub mod host_api;
mod image;
mod kernel;
mod life;
mod memory;
mod phases;
mod program;
mod programs;
mod registry;
mod report;
mod runner;
mod stall;
mod sync;
#[cfg(feature = "testing")]
pub mod testing;
mod variant;

pub use arch::{AicoreRings, Arch, CoreId, Limits, RecordPlace, Register, SimPrograms, Topology};
pub use arena::{ArenaLease, ArenaSizes, StaticArenas};
pub use args::{ReadOnly, RunArgs};
pub use binding::{BindGuard, current_runner};
pub use cache::{CacheRef, Content, ContentCache};
pub use callable::{CallableSource, KernelTable, OrchestrationSource};
pub use comm::{CommDomain, CommRank, CommWindows, Communicator};
pub use dev_ptr::DevPtr;
pub use device::{Device, DeviceOutcome, DeviceRun, DeviceUsage, GlobalMemory, Launch};
pub use diagnostics::{
    Diagnostics, DumpedArg, GatherError, MAX_COUNTERS, PhaseSink, Phases, Pmu, PmuCounter, PmuEvents,
    PmuSample, Recorded, Recorder, Roles, RunSinks, SchedulerPass, ScopeBorder, ScopeSink, ScopeStats,
    Submit, SubmitLog, SubmitPhase, SubmitRecords, SubmitSink, Submits, Swimlane, TaskLog, TaskRun,
    TensorDump, TensorSink, TensorView, site_name, tensor_roles,
};
pub use error::{DeviceError, RunnerError, VariantError};
pub use image::{DeviceImage, ImageProgram};
pub use kernel::{KernelContext, KernelFault, KernelHandle, KernelSource, LaunchKernel, NativeKernel};
pub use memory::{DevBuffer, Memory};
pub use phases::{ActiveRun, HostStages, PreparedRun, RunOutcome};
pub use program::{
    Chip, Cores, DeviceOrchestration, DeviceProgram, DeviceTime, Dispatch, IdleCore, KernelArgs, TaskId,
};
pub use programs::Programs;
pub use registry::{CallableId, DlopenCounts};
pub use report::ResourceReport;
pub use runner::DeviceRunner;
pub use stall::{RunningTask, Stall, WaitingTask};
pub use variant::{BoundRun, ImageTarget, Orchestration, RunContext, RuntimeVariant, Target};
