//! Callables of the runtime that loads orchestrations on the device: at the first run of each registration.

use chip_worker::{CallConfig, CallableHandle, CoreType, Platform, RuntimeKind};

use crate::{Case, CaseError, Data, Graph, Kernel, Program, Random, Scene, Stage, Tolerance};

const KERNELS: &[Kernel] =
    &[Kernel::cpp(0, CoreType::Aiv, "kernels/scale.cpp"), Kernel::cpp(1, CoreType::Aiv, "kernels/shift.cpp")];

pub(crate) const SCENE: Scene = Scene {
    name: "trb_prepared_callable",
    summary: "two callables on one worker: run alternately, dropped, registered again, replaced",
    folder: concat!(env!("CARGO_MANIFEST_DIR"), "/trb_prepared_callable"),
    runtime: RuntimeKind::TensormapAndRingbuffer,
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

/// Demands that this many orchestrations have been loaded on the device since `before`, and none on the host.
fn expect_loads(stage: &Stage<'_>, when: &str, before: usize, expected: usize) -> Result<(), CaseError> {
    let counts = stage.worker().dlopen_counts();
    stage.expect_eq("orchestrations loaded on the host", &counts.host, &0)?;
    stage.expect_eq(&format!("orchestrations loaded {when}"), &(counts.aicpu - before), &expected)
}

fn alternate(stage: &mut Stage<'_>) -> Result<(), CaseError> {
    let before = stage.worker().dlopen_counts().aicpu;
    let (first, second) = (stage.register(SCALE_FIRST)?, stage.register(SHIFT_FIRST)?);
    stage.expect_eq("ids that differ", &(first.id() != second.id()), &true)?;
    expect_loads(stage, "before any run", before, 0)?;
    run(stage, &first, 0, scale_first)?;
    expect_loads(stage, "by the first run", before, 1)?;
    for seed in 0..100 {
        run(stage, &first, seed, scale_first)?;
        run(stage, &second, seed, shift_first)?;
    }
    expect_loads(stage, "by 201 runs of two callables", before, 2)
}

fn drop_and_register_again(stage: &mut Stage<'_>) -> Result<(), CaseError> {
    let before = stage.worker().dlopen_counts().aicpu;
    let stays = stage.register(SHIFT_FIRST)?;
    run(stage, &stays, 0, shift_first)?;
    for round in 1..=10 {
        drop(stage.register(SCALE_FIRST)?);
        expect_loads(stage, "by a registration without a run", before, round)?;
        let goes = stage.register(SCALE_FIRST)?;
        stage.expect_eq("the lowest free id", &goes.id(), &(stays.id() + 1))?;
        let seed = round as u64;
        run(stage, &goes, seed, scale_first)?;
        run(stage, &goes, seed + 100, scale_first)?;
        drop(goes);
        run(stage, &stays, seed, shift_first)?;
        expect_loads(stage, "by registrations with runs", before, 1 + round)?;
    }
    stage.expect_eq("callables that are left", &stage.worker().report().callables, &1)
}

fn replace(stage: &mut Stage<'_>) -> Result<(), CaseError> {
    let before = stage.worker().dlopen_counts().aicpu;
    let mut handle = stage.register(SCALE_FIRST)?;
    let id = handle.id();
    run(stage, &handle, 1, scale_first)?;
    let swaps =
        [(SHIFT_FIRST, shift_first as Golden), (SCALE_FIRST, scale_first), (SHIFT_FIRST, shift_first)];
    for (program, golden) in swaps {
        stage.worker().replace(&mut handle, stage.program(program)?)?;
        stage.expect_eq("the id of what was replaced", &handle.id(), &id)?;
        run(stage, &handle, 2, golden)?;
        run(stage, &handle, 3, golden)?;
    }
    expect_loads(stage, "by four registrations under one id", before, 4)?;
    stage.expect_eq("callables that are left", &stage.worker().report().callables, &1)
}
