//! The scenes of this project.
//!
//! **Owns:** the kernels, orchestrations, arguments and expected results of every scene. A scene is a folder next to
//! `src` with a `scene.rs` and its C++ files; adding one means adding a folder and two lines below. One `scene.rs` may
//! serve both runtimes, with a folder for each. Headers that several scenes use are in `include`.
//!
//! **Must not know:** how scenes are compiled, run and reported: that is `scene` and `scene-runner`.
#![forbid(unsafe_code)]

use scene::{CaseError, Scene, Stage};

#[path = "../alternating_matmul_add/scene.rs"]
mod alternating_matmul_add;
#[path = "../bgemm/scene.rs"]
mod bgemm;
#[path = "../blocking/scene.rs"]
mod blocking;
#[path = "../comm_collectives/scene.rs"]
mod comm_collectives;
#[path = "../comm_domains/scene.rs"]
mod comm_domains;
#[path = "../comm_experts/scene.rs"]
mod comm_experts;
#[path = "../comm_ffn/scene.rs"]
mod comm_ffn;
#[path = "../deferred_notify/scene.rs"]
mod deferred_notify;
#[path = "../dummy_task/scene.rs"]
mod dummy_task;
#[path = "../explicit_fatal/scene.rs"]
mod explicit_fatal;
#[path = "../mixed_example/scene.rs"]
mod mixed_example;
#[path = "../paged_attention/scene.rs"]
mod paged_attention;
#[path = "../prepared_callable/scene.rs"]
mod prepared_callable;
#[path = "../random_dag/scene.rs"]
mod random_dag;
#[path = "../ring_pressure/scene.rs"]
mod ring_pressure;
#[path = "../rust_graph/scene.rs"]
mod rust_graph;
#[path = "../scalar_data/scene.rs"]
mod scalar_data;
#[path = "../spmd_basic/scene.rs"]
mod spmd_basic;
#[path = "../spmd_multiblock_aiv/scene.rs"]
mod spmd_multiblock_aiv;
#[path = "../spmd_multiblock_mix/scene.rs"]
mod spmd_multiblock_mix;
#[path = "../spmd_starvation/scene.rs"]
mod spmd_starvation;
#[path = "../spmd_sync_start/scene.rs"]
mod spmd_sync_start;
#[path = "../trb_manual_scope/scene.rs"]
mod trb_manual_scope;
#[path = "../vector_example/scene.rs"]
mod vector_example;

/// Headers that several scenes use.
const INCLUDE_DIRS: &[&str] = &[concat!(env!("CARGO_MANIFEST_DIR"), "/include")];

static ALL: [Scene; 26] = [
    vector_example::SCENE,
    bgemm::SCENE,
    random_dag::SCENE,
    prepared_callable::SCENE,
    rust_graph::SCENE,
    blocking::SCENE,
    vector_example::TRB_SCENE,
    dummy_task::SCENE,
    alternating_matmul_add::SCENE,
    mixed_example::SCENE,
    spmd_basic::SCENE,
    spmd_multiblock_aiv::SCENE,
    spmd_multiblock_mix::SCENE,
    spmd_sync_start::SCENE,
    spmd_starvation::SCENE,
    scalar_data::SCENE,
    ring_pressure::SCENE,
    deferred_notify::SCENE,
    explicit_fatal::SCENE,
    trb_manual_scope::SCENE,
    prepared_callable::TRB_SCENE,
    paged_attention::SCENE,
    comm_collectives::SCENE,
    comm_domains::SCENE,
    comm_ffn::SCENE,
    comm_experts::SCENE,
];

/// Demands that the text of a failed run has the message of its orchestration. On hardware that is in the device's
/// log, and the text says so.
fn expect_message(stage: &Stage<'_>, message: &str, text: &str) -> Result<(), CaseError> {
    let message = if stage.worker().platform().is_simulated() { message } else { "whose log says more" };
    stage.expect_eq(&format!("\"{message}\" in \"{text}\""), &text.contains(message), &true)
}

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
