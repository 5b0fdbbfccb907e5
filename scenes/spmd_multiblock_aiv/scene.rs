//! More blocks than cores.

use chip_worker::{CallConfig, CoreType, Platform, RuntimeKind};
use scene::{Case, Data, Graph, Kernel, Program, Scene, Tolerance};

pub(crate) const SCENE: Scene = Scene {
    name: "spmd_multiblock_aiv",
    summary: "tasks of more blocks than there are vector cores, one after the other",
    folder: concat!(env!("CARGO_MANIFEST_DIR"), "/spmd_multiblock_aiv"),
    include_dirs: crate::INCLUDE_DIRS,
    runtime: RuntimeKind::TensormapAndRingbuffer,
    platforms: &Platform::ALL,
    programs: &[Program {
        name: "main",
        graph: Graph::Cpp { path: "orchestration.cpp", entry: "build_spmd_multiblock_aiv" },
        kernels: &[
            // Without signatures: every block would dump all of its task.
            Kernel::cpp(0, CoreType::Aiv, "kernels/reverse.cpp"),
            Kernel::cpp(1, CoreType::Aiv, "kernels/copy.cpp"),
        ],
    }],
    cases,
};

fn cases(platform: Platform) -> Vec<Case> {
    let cores = 2 * platform.max_block_dim().unwrap_or(1);
    vec![
        case("one_more_than_cores", 1000, cores + 1, 3, 0),
        case("blocks_1000", 3001, 1000, 2, 0),
        case("more_blocks_than_elements", 50, 200, 3, 0),
        case("block_dim_1", 1000, 20, 5, 1),
    ]
}

fn case(name: &str, count: u32, blocks: u32, steps: u32, block_dim: i32) -> Case {
    let config = CallConfig { block_dim, ..CallConfig::default() };
    Case::golden(name, "main", config, move |random| {
        let x = random.u64s(count as usize);
        let mut expected = x.clone();
        for _ in 0..steps {
            expected = expected.iter().rev().map(|value| value.wrapping_add(1)).collect();
        }
        let runs = (steps * blocks) as usize;
        Data::new()
            .inout("x", &[count], x, expected, Tolerance::EXACT)
            .inout("runs", &[steps, blocks], vec![0; runs], vec![1u64; runs], Tolerance::EXACT)
            .scalar(u64::from(blocks))
    })
}
