//! Scenes: task graphs that are run and checked as a whole.
//!
//! **Owns:** what a [`Scene`] is made of (callables in C++ or Rust, cases, generated arguments, golden results,
//! tolerances), compiling it, and running one [`Case`] of it on a worker.
//!
//! **Must not know:** which scenes there are, what is run in which order or process, how results are shown, and
//! anything behind the public API of `chip-worker` and `kernel-compiler`.
//!
//! ```no_run
//! use chip_worker::{CallConfig, CoreType, Platform, RuntimeKind};
//! use kernel_compiler::KernelCompiler;
//! use scene::{Case, Data, Graph, Kernel, Program, Scene, Setup, Sources, Tolerance};
//!
//! static DOUBLE: Scene = Scene {
//!     name: "double",
//!     summary: "doubles a vector",
//!     folder: concat!(env!("CARGO_MANIFEST_DIR"), "/double"),
//!     include_dirs: &[],
//!     runtime: RuntimeKind::HostBuildGraph,
//!     platforms: &[Platform::A2a3Sim, Platform::A5Sim],
//!     programs: &[Program {
//!         name: "main",
//!         graph: Graph::Cpp { path: "orchestration.cpp", entry: "build_double" },
//!         kernels: &[Kernel::cpp(0, CoreType::Aiv, "kernels/double.cpp")],
//!     }],
//!     cases: |_platform| {
//!         vec![Case::golden("random", "main", CallConfig::default(), |random| {
//!             let x = random.f32s(1024, -1.0, 1.0);
//!             let y = x.iter().map(|x| 2.0 * x).collect();
//!             Data::new().input("x", &[1024], x).output("y", &[1024], y, Tolerance::EXACT)
//!         })]
//!     },
//! };
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let platform = Platform::A2a3Sim;
//! let objects = Sources::of([(&DOUBLE, platform)]).compile(&KernelCompiler::new()?);
//! let built = objects.build(&DOUBLE, platform)?;
//! for case in (DOUBLE.cases)(platform) {
//!     let report = scene::run_alone(&built, &case, &Setup::default())?;
//!     println!("{}: {} tasks", case.name(), report.tasks);
//! }
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

mod build;
mod case;
mod compare;
mod data;
mod describe;
mod diagnostics;
mod error;
mod random;
mod ranks;
mod smallest;

pub use build::{BuildError, BuiltScene, Objects, Sources, compile};
pub use case::{Case, CaseReport, Setup, Stage, run_alone, run_case, run_in_tree};
pub use compare::{Mismatch, Tolerance, WrongValue};
pub use data::{Data, Value};
pub use describe::{Code, Graph, Kernel, Program, Scene};
pub use error::CaseError;
pub use random::{Random, mix};
pub use ranks::run_as_rank;
pub use smallest::{RingSizes, run_with_smallest_rings};
