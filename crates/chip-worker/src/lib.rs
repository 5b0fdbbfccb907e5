//! Runs task graphs on a2a3 and a5 chips.
//!
//! **Owns:** the composition of one chip, one device and one runtime variant into a [`ChipWorker`], or that of a
//! loaded host library into one ([`ChipWorker::load`]), and the Rust API around it: typed arguments, handles, phases
//! of a run.
//!
//! **Must not know:** how any of the three does its work.
//!
//! ```
//! use chip_worker::{Args, CallConfig, CallableSource, ChipWorker, NativeGraph, NativeKernel, Platform};
//! use chip_worker::{CoreType, RuntimeKind};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # if !Platform::A2a3Sim.is_available() { return Ok(()) }
//! let double = NativeKernel::new("double", |kernel| {
//!     let values: Vec<f32> = kernel.read(kernel.ptr(0), 4)?;
//!     let doubled: Vec<f32> = values.iter().map(|value| value * 2.0).collect();
//!     kernel.write(kernel.ptr(1), &doubled)
//! });
//! let graph = NativeGraph::new(|graph| {
//!     let (input, output) = (graph.stage_in(0)?, graph.stage_out(1)?);
//!     graph.add_task(&[input.addr(), output.addr()], 0, CoreType::Aiv)?;
//!     Ok(())
//! });
//!
//! let worker =
//!     ChipWorker::builder().platform(Platform::A2a3Sim).runtime(RuntimeKind::HostBuildGraph).device(0).build()?;
//! let callable = worker.register_source(&CallableSource::new(graph.into(), vec![(0, double.into())]))?;
//!
//! let (input, mut output) = ([1.0f32, 2.0, 3.0, 4.0], [0.0f32; 4]);
//! let args = Args::new().input(&input, &[4])?.output(&mut output, &[4])?;
//! let outcome = worker.run(&callable, &args, &CallConfig::default())?;
//! drop(args);
//! assert_eq!(output, [2.0, 4.0, 6.0, 8.0]);
//! assert_eq!(outcome.tasks, 1);
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

mod args;
mod builder;
mod error;
#[cfg(feature = "onboard")]
mod hardware;
mod loaded;
mod platform;
mod purpose;
mod worker;

pub use args::{Args, ArgsError, Element};
pub use builder::ChipWorkerBuilder;
pub use device_runner::{
    ActiveRun, CallableSource, DevPtr, DeviceError, DlopenCounts, HostStages, KernelContext, KernelFault,
    KernelSource, NativeKernel, OrchestrationSource, PreparedRun, Recorded, ResourceReport, RunOutcome,
    RunnerError, Stall, TaskId, VariantError,
};
pub use error::WorkerError;
#[cfg(feature = "onboard")]
pub use hal_sys::Hal;
pub use host_build_graph::{GraphBuilder, GraphError, NativeGraph};
pub use host_library::{Companions, ErrorKind, Explanation, HostLibraryError, LibraryFiles};
#[cfg(feature = "onboard")]
pub use onboard::Programs;
pub use platform::{Platform, RuntimeKind};
pub use task_interface::trb::{
    GlobalContext, LocalContext, MixedKernels, ScopeMode, TaskToken, Tensor, TrbErrorCode,
};
pub use task_interface::{
    ArgDirection, CallConfig, CallConfigError, CallableError, ChipCallable, ChipStorageTaskArgs,
    ContinuousTensor, CoreCallable, CoreType, DataType, TaskArgsError, TensorError, TensorInfo,
};
pub use tensormap_and_ringbuffer::{
    Graph, GraphStopped, NativeOrchestration, OptionError, RingOptions, Submitted, TaskSpec, TensorKernel,
    TensormapAndRingbuffer, View,
};
pub use worker::{CallableHandle, ChipWorker};
