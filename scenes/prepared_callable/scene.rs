//! Callables are registered once and run often; they come, go and change places while the worker lives.

use chip_worker::ArgDirection::{In, Out};
use chip_worker::{CallConfig, CallableHandle, CoreType, DlopenCounts, Platform, RuntimeKind};
use scene::{Case, CaseError, Data, Graph, Kernel, Program, Scene, Stage, Tolerance};

const KERNELS: &[Kernel] = &[
    Kernel::cpp(0, CoreType::Aiv, "kernels/scale.cpp").signature(&[In, Out]),
    Kernel::cpp(1, CoreType::Aiv, "kernels/shift.cpp").signature(&[In, Out]),
];

pub(crate) const SCENE: Scene = Scene {
    name: "prepared_callable",
    summary: "two callables on one worker: run alternately, dropped, registered again, replaced",
    folder: concat!(env!("CARGO_MANIFEST_DIR"), "/prepared_callable"),
    include_dirs: crate::INCLUDE_DIRS,
    runtime: RuntimeKind::HostBuildGraph,
    platforms: &Platform::ALL,
    programs: PROGRAMS,
    cases: |_| cases(Loads::OnHost),
};

/// The same for the other runtime, in a folder of its own.
pub(crate) const TRB_SCENE: Scene = Scene {
    name: "trb_prepared_callable",
    folder: concat!(env!("CARGO_MANIFEST_DIR"), "/trb_prepared_callable"),
    runtime: RuntimeKind::TensormapAndRingbuffer,
    cases: |_| cases(Loads::OnDevice),
    ..SCENE
};

const PROGRAMS: &[Program] = &[
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
];

const SCALE_FIRST: &str = "scale_first";
const SHIFT_FIRST: &str = "shift_first";

fn cases(loads: Loads) -> Vec<Case> {
    vec![
        Case::new("alternate_200", move |stage| alternate(stage, loads)),
        Case::new("drop_and_register_again", move |stage| drop_and_register_again(stage, loads)),
        Case::new("replace", move |stage| replace(stage, loads)),
    ]
}

/// Where a runtime loads orchestrations: on the host when they are registered, or on the device when a registration
/// is first run.
#[derive(Clone, Copy)]
enum Loads {
    OnHost,
    OnDevice,
}

/// What was loaded before a case.
struct Before {
    loads: Loads,
    counts: DlopenCounts,
}

impl Before {
    fn now(stage: &Stage<'_>, loads: Loads) -> Self {
        Self { loads, counts: stage.worker().dlopen_counts() }
    }

    /// Demands as many loads since then as there were `registrations`, or `first_runs` of them.
    fn expect(
        &self,
        stage: &Stage<'_>,
        when: &str,
        registrations: usize,
        first_runs: usize,
    ) -> Result<(), CaseError> {
        let counts = stage.worker().dlopen_counts();
        let (host, aicpu) = match self.loads {
            Loads::OnHost => (registrations, 0),
            Loads::OnDevice => (0, first_runs),
        };
        stage.expect_eq(&format!("loads on the host {when}"), &(counts.host - self.counts.host), &host)?;
        stage.expect_eq(&format!("loads on the device {when}"), &(counts.aicpu - self.counts.aicpu), &aicpu)
    }
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
    let mut random = stage.random(seed);
    let (factor, offset, x) = (random.next_u64(), random.next_u64(), random.u64s(100));
    let expected = x.iter().map(|&x| golden(x, factor, offset)).collect();
    let data = Data::new().input("x", &[100], x).output("out", &[100], expected, Tolerance::EXACT);
    stage.run(handle, data.scalar(factor).scalar(offset), &CallConfig::default())?;
    Ok(())
}

fn alternate(stage: &mut Stage<'_>, loads: Loads) -> Result<(), CaseError> {
    let before = Before::now(stage, loads);
    let (first, second) = (stage.register(SCALE_FIRST)?, stage.register(SHIFT_FIRST)?);
    stage.expect_eq("ids that differ", &(first.id() != second.id()), &true)?;
    before.expect(stage, "before any run", 2, 0)?;
    run(stage, &first, 0, scale_first)?;
    before.expect(stage, "by the first run", 2, 1)?;
    for seed in 0..100 {
        run(stage, &first, seed, scale_first)?;
        run(stage, &second, seed, shift_first)?;
    }
    before.expect(stage, "by 201 runs of two callables", 2, 2)
}

fn drop_and_register_again(stage: &mut Stage<'_>, loads: Loads) -> Result<(), CaseError> {
    let before = Before::now(stage, loads);
    let stays = stage.register(SHIFT_FIRST)?;
    run(stage, &stays, 0, shift_first)?;
    for round in 1..=10 {
        drop(stage.register(SCALE_FIRST)?);
        before.expect(stage, "by a registration without a run", 2 * round, round)?;
        let goes = stage.register(SCALE_FIRST)?;
        stage.expect_eq("the lowest free id", &goes.id(), &(stays.id() + 1))?;
        let seed = round as u64;
        run(stage, &goes, seed, scale_first)?;
        run(stage, &goes, seed + 100, scale_first)?;
        drop(goes);
        run(stage, &stays, seed, shift_first)?;
        before.expect(stage, "by registrations with runs", 1 + 2 * round, 1 + round)?;
    }
    stage.expect_eq("callables that are left", &stage.worker().report().callables, &1)
}

fn replace(stage: &mut Stage<'_>, loads: Loads) -> Result<(), CaseError> {
    let before = Before::now(stage, loads);
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
    before.expect(stage, "by four registrations under one id", 4, 4)?;
    stage.expect_eq("callables that are left", &stage.worker().report().callables, &1)
}
