//! Callables are registered once and run often; they come, go and change places while the worker lives.

use chip_worker::{CallConfig, CallableHandle, CoreType, Platform, RuntimeKind};

use crate::{Case, CaseError, Data, Graph, Kernel, Program, Random, Scene, Stage, Tolerance};

const KERNELS: &[Kernel] =
    &[Kernel::cpp(0, CoreType::Aiv, "kernels/scale.cpp"), Kernel::cpp(1, CoreType::Aiv, "kernels/shift.cpp")];

pub(crate) const SCENE: Scene = Scene {
    name: "prepared_callable",
    summary: "two callables on one worker: run alternately, dropped, registered again, replaced",
    folder: concat!(env!("CARGO_MANIFEST_DIR"), "/prepared_callable"),
    runtime: RuntimeKind::HostBuildGraph,
    platforms: &[Platform::A2a3Sim, Platform::A5Sim],
    programs: &[
        Program {
            name: SCALE_FIRST,
            graph: Graph::Cpp { path: "orchestration_scale_first.cpp", entry: "build_scale_first" },
            kernels: KERNELS,
        },
        Program {
            name: SHIFT_FIRST,
            graph: Graph::Cpp { path: "orchestration_shift_first.cpp", entry: "build_shift_first" },
            kernels: KERNELS,
        },
    ],
    cases,
};

const SCALE_FIRST: &str = "scale_first";
const SHIFT_FIRST: &str = "shift_first";

fn cases(_: Platform) -> Vec<Case> {
    vec![
        Case::new("alternate_200", alternate),
        Case::new("drop_and_register_again", drop_and_register_again),
        Case::new("replace", replace),
    ]
}

/// What a program computes.
type Golden = fn(x: u64, factor: u64, offset: u64) -> u64;

fn scale_first(x: u64, factor: u64, offset: u64) -> u64 {
    x.wrapping_mul(factor).wrapping_add(offset)
}

fn shift_first(x: u64, factor: u64, offset: u64) -> u64 {
    x.wrapping_add(offset).wrapping_mul(factor)
}

/// One run on numbers of its own.
fn run(stage: &mut Stage<'_>, handle: &CallableHandle, seed: u64, golden: Golden) -> Result<(), CaseError> {
    let mut random = Random::new(seed);
    let (factor, offset, x) = (random.next_u64(), random.next_u64(), random.u64s(100));
    let expected = x.iter().map(|&x| golden(x, factor, offset)).collect();
    let data = Data::new().input("x", &[100], x).output("out", &[100], expected, Tolerance::EXACT);
    stage.run(handle, data.scalar(factor).scalar(offset), &CallConfig::default())?;
    Ok(())
}

/// Orchestrations loaded since `before`.
fn loads_since(stage: &Stage<'_>, before: usize) -> usize {
    stage.worker().dlopen_counts().host - before
}

fn alternate(stage: &mut Stage<'_>) -> Result<(), CaseError> {
    let before = stage.worker().dlopen_counts().host;
    let (first, second) = (stage.register(SCALE_FIRST)?, stage.register(SHIFT_FIRST)?);
    stage.expect_eq("ids that differ", &(first.id() != second.id()), &true)?;
    stage.expect_eq("orchestrations loaded by two registrations", &loads_since(stage, before), &2)?;
    for seed in 0..100 {
        run(stage, &first, seed, scale_first)?;
        run(stage, &second, seed, shift_first)?;
    }
    stage.expect_eq("orchestrations loaded after 200 runs", &loads_since(stage, before), &2)
}

fn drop_and_register_again(stage: &mut Stage<'_>) -> Result<(), CaseError> {
    let before = stage.worker().dlopen_counts().host;
    let stays = stage.register(SHIFT_FIRST)?;
    for round in 1..=10 {
        let goes = stage.register(SCALE_FIRST)?;
        stage.expect_eq("the lowest free id", &goes.id(), &(stays.id() + 1))?;
        stage.expect_eq("orchestrations loaded", &loads_since(stage, before), &(1 + round))?;
        let seed = round as u64;
        run(stage, &goes, seed, scale_first)?;
        drop(goes);
        run(stage, &stays, seed, shift_first)?;
    }
    stage.expect_eq("callables that are left", &stage.worker().report().callables, &1)
}

fn replace(stage: &mut Stage<'_>) -> Result<(), CaseError> {
    let before = stage.worker().dlopen_counts().host;
    let mut handle = stage.register(SCALE_FIRST)?;
    let id = handle.id();
    run(stage, &handle, 1, scale_first)?;
    let swaps =
        [(SHIFT_FIRST, shift_first as Golden), (SCALE_FIRST, scale_first), (SHIFT_FIRST, shift_first)];
    for (program, golden) in swaps {
        stage.worker().replace(&mut handle, stage.program(program)?)?;
        stage.expect_eq("the id of what was replaced", &handle.id(), &id)?;
        run(stage, &handle, 2, golden)?;
    }
    stage.expect_eq("orchestrations loaded", &loads_since(stage, before), &4)?;
    stage.expect_eq("callables that are left", &stage.worker().report().callables, &1)
}
