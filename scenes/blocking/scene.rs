//! Kernels that wait for each other while they run, though no edge says so: on a chip they meet because every
//! core is there, and a simulator has to bring them together on however few CPUs it has.

use chip_worker::ArgDirection::{In, Out};
use chip_worker::{CallConfig, CoreType, Platform, RuntimeKind};
use scene::{Case, Data, Graph, Kernel, Program, Random, Scene, Tolerance};

const FLAGS: &str = "flags";
const PIPE: &str = "pipe";

pub(crate) const SCENE: Scene = Scene {
    name: "blocking",
    summary: "cube and vector tasks that wait for each other while they run",
    folder: concat!(env!("CARGO_MANIFEST_DIR"), "/blocking"),
    include_dirs: crate::INCLUDE_DIRS,
    runtime: RuntimeKind::HostBuildGraph,
    platforms: &Platform::ALL,
    programs: &[
        Program {
            name: FLAGS,
            graph: Graph::Cpp { path: "orchestration_flags.cpp", entry: "build_flags" },
            kernels: &[
                Kernel::cpp(0, CoreType::Aic, "kernels/answer.cpp"),
                Kernel::cpp(1, CoreType::Aiv, "kernels/ask.cpp"),
            ],
        },
        Program {
            name: PIPE,
            graph: Graph::Cpp { path: "orchestration_pipe.cpp", entry: "build_pipe" },
            kernels: &[
                Kernel::cpp(0, CoreType::Aic, "kernels/produce.cpp").signature(&[In]),
                Kernel::cpp(1, CoreType::Aiv, "kernels/consume.cpp").signature(&[Out]),
            ],
        },
    ],
    cases,
};

fn cases(_: Platform) -> Vec<Case> {
    // As many clusters as pairs, so that all of them have their cores.
    let flags = |pairs: u16| {
        let config = CallConfig { block_dim: i32::from(pairs), ..CallConfig::default() };
        Case::golden(format!("flags_{pairs}"), FLAGS, config, move |random| {
            data(random, pairs, |question| question.wrapping_mul(question).wrapping_add(1))
        })
    };
    let config = CallConfig { block_dim: 1, ..CallConfig::default() };
    let pipe =
        Case::golden("pipe_1000", PIPE, config, |random| data(random, 1000, |value| value.wrapping_mul(3)));
    vec![flags(1), flags(6), pipe]
}

fn data(random: &mut Random, count: u16, golden: fn(u64) -> u64) -> Data {
    let shape = [u32::from(count)];
    // 0 is what flags hold before anything is sent.
    let values: Vec<u64> = random.u64s(usize::from(count)).into_iter().map(|value| value | 1).collect();
    let expected = values.iter().map(|&value| golden(value)).collect();
    Data::new().input("values", &shape, values).output("out", &shape, expected, Tolerance::EXACT)
}
