//! Scenes: task graphs that are run and checked as a whole.
//!
//! **Owns:** the kernels, orchestrations, arguments and expected results of every scene, and the few functions
//! that compile a scene and run one of its cases. A scene is a folder next to `src` with a `scene.rs` and its C++
//! files; adding one means adding a folder and a line below.
//!
//! **Must not know:** how results are shown, what is run in which order, and anything behind the public API of
//! `chip-worker` and `kernel-compiler`.
//!
//! ```no_run
//! use chip_worker::Platform;
//! use kernel_compiler::KernelCompiler;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let objects = scenes::Sources::of(scenes::all()).compile(&KernelCompiler::new()?);
//! for scene in scenes::all() {
//!     let built = objects.build(scene)?;
//!     for case in (scene.cases)(Platform::A2a3Sim) {
//!         let report = scenes::run_alone(Platform::A2a3Sim, &built, &case)?;
//!         println!("{}/{}: {} tasks", scene.name, case.name(), report.tasks);
//!     }
//! }
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

mod build;
mod case;
mod compare;
mod data;
mod random;
mod scene;

#[path = "../bgemm/scene.rs"]
mod bgemm;
#[path = "../blocking/scene.rs"]
mod blocking;
#[path = "../prepared_callable/scene.rs"]
mod prepared_callable;
#[path = "../random_dag/scene.rs"]
mod random_dag;
#[path = "../rust_graph/scene.rs"]
mod rust_graph;
#[path = "../vector_example/scene.rs"]
mod vector_example;

pub use build::{BuildError, BuiltScene, Objects, Sources, compile};
pub use case::{Case, CaseError, CaseReport, Stage, run_alone, run_case};
pub use compare::{Mismatch, Tolerance, WrongValue};
pub use data::{Data, Value};
pub use random::{Random, mix};
pub use scene::{Code, Graph, Kernel, Program, Scene};

static ALL: [Scene; 6] = [
    vector_example::SCENE,
    bgemm::SCENE,
    random_dag::SCENE,
    prepared_callable::SCENE,
    rust_graph::SCENE,
    blocking::SCENE,
];

/// Every scene, simple ones first.
#[must_use]
pub fn all() -> &'static [Scene] {
    &ALL
}

/// The scene of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Scene> {
    ALL.iter().find(|scene| scene.name == name)
}
