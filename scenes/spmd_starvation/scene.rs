//! A wide task gets its cores although small ones could always take them.

use chip_worker::ArgDirection::Inout;
use chip_worker::{CallConfig, CoreType, Platform, RuntimeKind};
use scene::{Case, Data, Graph, Kernel, Program, Scene, Tolerance};

pub(crate) const SCENE: Scene = Scene {
    name: "spmd_starvation",
    summary: "one task that needs all cores at once in a stream of small ones",
    folder: concat!(env!("CARGO_MANIFEST_DIR"), "/spmd_starvation"),
    include_dirs: crate::INCLUDE_DIRS,
    runtime: RuntimeKind::TensormapAndRingbuffer,
    platforms: &Platform::ALL,
    programs: &[Program {
        name: "main",
        graph: Graph::Cpp { path: "orchestration.cpp", entry: "build_spmd_starvation" },
        kernels: &[
            Kernel::cpp(0, CoreType::Aic, "kernels/small.cpp").signature(&[Inout]),
            Kernel::cpp(1, CoreType::Aiv, "kernels/small.cpp").signature(&[Inout]),
            Kernel::cpp(2, CoreType::Aic, "kernels/wide.cpp"),
            Kernel::cpp(3, CoreType::Aiv, "kernels/wide.cpp"),
        ],
    }],
    cases,
};

fn cases(platform: Platform) -> Vec<Case> {
    let clusters = platform.max_block_dim().unwrap_or(1);
    vec![
        case("vectors", 4000, 2 * clusters, VECTOR, 0),
        case("clusters", 4000, clusters, CLUSTER, 0),
        case("block_dim_4", 1000, 4, CLUSTER, 4),
    ]
}

const VECTOR: u64 = 1;
const CLUSTER: u64 = 2;

fn case(name: &str, small_tasks: u32, blocks: u32, shape: u64, block_dim: i32) -> Case {
    let config = CallConfig { block_dim, ..CallConfig::default() };
    Case::golden(name, "main", config, move |_| {
        let lanes = (0..LANES).map(|lane| u64::from((small_tasks - lane).div_ceil(LANES))).collect();
        let cores = u64::from(blocks) * if shape == CLUSTER { 3 } else { 1 };
        Data::new()
            .inout("lanes", &[LANES], vec![0; LANES as usize], lanes, Tolerance::EXACT)
            .inout("seen", &[1], vec![0], vec![cores], Tolerance::EXACT)
            .scalar(u64::from(small_tasks))
            .scalar(u64::from(blocks))
            .scalar(shape)
    })
}

/// Chains that the small tasks form.
const LANES: u32 = 100;
