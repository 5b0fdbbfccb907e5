//! The orchestration reads what tasks computed and goes on accordingly.

use chip_worker::ArgDirection::{In, Inout, Out};
use chip_worker::{CallConfig, CoreType, Platform, RuntimeKind};
use scene::{Case, Data, Graph, Kernel, Program, Random, Scene, Tolerance};

const COLLATZ: &str = "collatz";
const REWRITE: &str = "rewrite";

pub(crate) const SCENE: Scene = Scene {
    name: "scalar_data",
    summary: "the orchestration reads and writes elements of tensors while tasks run",
    folder: concat!(env!("CARGO_MANIFEST_DIR"), "/scalar_data"),
    include_dirs: crate::INCLUDE_DIRS,
    runtime: RuntimeKind::TensormapAndRingbuffer,
    platforms: &Platform::ALL,
    programs: &[
        Program {
            name: COLLATZ,
            graph: Graph::Cpp { path: "orchestration_collatz.cpp", entry: "build_collatz" },
            kernels: &[
                Kernel::cpp(0, CoreType::Aiv, "kernels/collatz.cpp").signature(&[Inout]),
                Kernel::cpp(1, CoreType::Aic, "kernels/axpy.cpp").signature(&[In, In, Out]),
            ],
        },
        Program {
            name: REWRITE,
            graph: Graph::Cpp { path: "orchestration_rewrite.cpp", entry: "build_rewrite" },
            kernels: &[
                Kernel::cpp(0, CoreType::Aiv, "kernels/add_one.cpp").signature(&[Inout]),
                Kernel::cpp(1, CoreType::Aic, "kernels/copy_late.cpp").signature(&[In, Out]),
            ],
        },
    ],
    cases,
};

fn cases(_: Platform) -> Vec<Case> {
    let mut cases: Vec<Case> = [1, 2, 27, 837_799].map(collatz).into();
    cases.push(Case::golden(REWRITE, REWRITE, CallConfig::default(), rewritten));
    cases
}

/// 27 takes 111 steps, 837799 takes 524.
fn collatz(start: u64) -> Case {
    Case::golden(format!("collatz_{start}"), COLLATZ, CallConfig::default(), move |_| {
        let (mut value, mut steps) = (start, 0u64);
        while value != 1 {
            value = if value % 2 == 0 { value / 2 } else { 3 * value + 1 };
            steps += 1;
        }
        Data::new()
            .inout("value", &[1], vec![start], vec![1u64], Tolerance::EXACT)
            .output("steps", &[1], vec![steps], Tolerance::EXACT)
            .output("doubled", &[1], vec![2 * steps], Tolerance::EXACT)
    })
}

fn rewritten(random: &mut Random) -> Data {
    const COLUMNS: usize = 4;
    let shape = [3, 4];
    let t = random.f32s(3 * COLUMNS, -1.0, 1.0);
    let before: Vec<f32> = t.iter().map(|value| value + 1.0).collect();
    let mut after = before.clone();
    after[2 * COLUMNS + 3] = 2.0 * before[COLUMNS + 2];
    let mut end = after.clone();
    end[0] = after[COLUMNS + 3];
    Data::new()
        .inout("t", &shape, t, end, Tolerance::EXACT)
        .output("before", &shape, before, Tolerance::EXACT)
        .output("after", &shape, after, Tolerance::EXACT)
}
