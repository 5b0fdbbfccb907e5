//! What a kernel of a task of several blocks is told.

use chip_worker::ArgDirection::{In, Out};
use chip_worker::{CallConfig, CoreType, Platform, RuntimeKind};
use scene::{Case, Data, Graph, Kernel, Program, Scene, Tolerance};

pub(crate) const SCENE: Scene = Scene {
    name: "spmd_basic",
    summary: "every block of a task knows its number, how many there are, and its core",
    folder: concat!(env!("CARGO_MANIFEST_DIR"), "/spmd_basic"),
    include_dirs: crate::INCLUDE_DIRS,
    runtime: RuntimeKind::TensormapAndRingbuffer,
    platforms: &Platform::ALL,
    programs: &[Program {
        name: "main",
        graph: Graph::Cpp { path: "orchestration.cpp", entry: "build_spmd_basic" },
        kernels: &[
            Kernel::cpp(0, CoreType::Aic, "kernels/describe.cpp").signature(&[In, Out]),
            Kernel::cpp(1, CoreType::Aiv, "kernels/describe.cpp").signature(&[In, Out]),
        ],
    }],
    cases,
};

fn cases(platform: Platform) -> Vec<Case> {
    let clusters = platform.max_block_dim().unwrap_or(1);
    let mut cases: Vec<Case> =
        [1, 2, 7, clusters].map(|blocks| case(&format!("blocks_{blocks}"), blocks, 0)).into();
    cases.push(case("block_dim_3", 3, 3));
    cases
}

fn case(name: &str, blocks: u32, block_dim: i32) -> Case {
    let config = CallConfig { block_dim, ..CallConfig::default() };
    Case::golden(name, "main", config, move |random| {
        let x = random.u64s(blocks as usize);
        let rows = x.iter().zip(0..).flat_map(|(x, block)| [block, u64::from(blocks), 1, x.wrapping_mul(3)]);
        let rows: Vec<u64> = rows.collect();
        Data::new()
            .input("x", &[blocks], x)
            .output("cube", &[blocks, 4], rows.clone(), Tolerance::EXACT)
            .output("vector", &[blocks, 4], rows, Tolerance::EXACT)
    })
}
