//! Orchestrations that give up, and what that does to the run and to the ones after it.

use chip_worker::ArgDirection::Inout;
use chip_worker::{CallConfig, CallableHandle, CoreType, Platform, RuntimeKind};
use scene::{Case, CaseError, Data, Graph, Kernel, Program, Scene, Stage, Tolerance};

pub(crate) const SCENE: Scene = Scene {
    name: "explicit_fatal",
    summary: "orchestrations that end their run with an error; the worker goes on",
    folder: concat!(env!("CARGO_MANIFEST_DIR"), "/explicit_fatal"),
    include_dirs: crate::INCLUDE_DIRS,
    runtime: RuntimeKind::TensormapAndRingbuffer,
    platforms: &Platform::ALL,
    programs: &[Program {
        name: "main",
        graph: Graph::Cpp { path: "orchestration.cpp", entry: "build_explicit_fatal" },
        kernels: &[Kernel::cpp(0, CoreType::Aiv, "kernels/add_one.cpp").signature(&[Inout])],
    }],
    cases,
};

fn cases(_: Platform) -> Vec<Case> {
    vec![
        Case::new("code_42", |stage| {
            let handle = stage.register("main")?;
            fail(stage, &handle, 42)?;
            succeed(stage, &handle)
        }),
        Case::new("codes_in_turn_with_success", |stage| {
            let handle = stage.register("main")?;
            for code in [9, 1, 100, -5, 123_456, i32::MAX] {
                fail(stage, &handle, code)?;
                succeed(stage, &handle)?;
                fail(stage, &handle, code)?;
            }
            Ok(())
        }),
    ]
}

fn fail(stage: &mut Stage<'_>, handle: &CallableHandle, code: i32) -> Result<(), CaseError> {
    let x = stage.random(1).u64s(10);
    let data = Data::new().inout("x", &[10], x.clone(), x, Tolerance::EXACT);
    let data = data.scalar(u64::from(code.cast_unsigned()));
    let (status, text) = stage.run_to_status(handle, data, &CallConfig::default())?;
    stage.expect_eq("status", &status, &-code.abs())?;
    crate::expect_message(stage, &format!("asked to end with {code}"), &text)
}

fn succeed(stage: &mut Stage<'_>, handle: &CallableHandle) -> Result<(), CaseError> {
    let x = stage.random(2).u64s(10);
    let expected = x.iter().map(|x| x.wrapping_add(2)).collect();
    let data = Data::new().inout("x", &[10], x, expected, Tolerance::EXACT).scalar(0);
    stage.run(handle, data, &CallConfig::default())?;
    Ok(())
}
