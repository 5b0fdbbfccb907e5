//! More blocks than clusters, each on several cores.

use chip_worker::ArgDirection::{In, Inout};
use chip_worker::{CallConfig, CoreType, Platform, RuntimeKind};
use scene::{Case, Data, Graph, Kernel, Program, Scene, Tolerance};

pub(crate) const SCENE: Scene = Scene {
    name: "spmd_multiblock_mix",
    summary: "tasks of more blocks than there are clusters; the cores of each block meet",
    folder: concat!(env!("CARGO_MANIFEST_DIR"), "/spmd_multiblock_mix"),
    include_dirs: crate::INCLUDE_DIRS,
    runtime: RuntimeKind::TensormapAndRingbuffer,
    platforms: &Platform::ALL,
    programs: &[Program {
        name: "main",
        graph: Graph::Cpp { path: "orchestration.cpp", entry: "build_spmd_multiblock_mix" },
        kernels: &[
            // Both kernels use both tensors of a task; a dump is told once, by that of the cube core.
            Kernel::cpp(0, CoreType::Aic, "kernels/lead.cpp").signature(&[In, Inout]),
            Kernel::cpp(1, CoreType::Aiv, "kernels/follow.cpp"),
        ],
    }],
    cases,
};

fn cases(platform: Platform) -> Vec<Case> {
    let clusters = platform.max_block_dim().unwrap_or(1);
    vec![
        case("block_1", 1, 0),
        case("one_more_than_clusters", clusters + 1, 0),
        case("blocks_150", 150, 0),
        case("block_dim_2", 9, 2),
    ]
}

fn case(name: &str, blocks: u32, block_dim: i32) -> Case {
    let config = CallConfig { block_dim, ..CallConfig::default() };
    Case::golden(name, "main", config, move |random| {
        let shape = [blocks, 3];
        let x = random.u64s(blocks as usize);
        let mut data = Data::new().input("x", &shape[..1], x.clone());
        // What each core gives, 0 for one that takes no part.
        for (name, [cube, first, second]) in
            [("all", [100, 10, 1]), ("cube_and_one", [100, 10, 0]), ("vectors", [0, 10, 1])]
        {
            let row = |x: u64| {
                let sum = x.wrapping_mul(cube + first + second);
                let stored = |part: u64, value: u64| if part == 0 { UNTOUCHED } else { value };
                [
                    stored(cube, sum.wrapping_add(u64::from(blocks))),
                    stored(first, sum),
                    stored(second, sum.wrapping_add(1)),
                ]
            };
            let rows: Vec<u64> = x.iter().flat_map(|&x| row(x)).collect();
            data = data.inout(name, &shape, vec![UNTOUCHED; rows.len()], rows, Tolerance::EXACT);
        }
        data
    })
}

/// What the columns of cores without a kernel hold before and after.
const UNTOUCHED: u64 = 4711;
