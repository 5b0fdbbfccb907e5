//! Tasks that hang unless all their blocks run at the same time.

use chip_worker::ArgDirection::Inout;
use chip_worker::{CallConfig, CoreType, Platform, RuntimeKind};
use scene::{Case, Data, Graph, Kernel, Program, Scene, Tolerance};

pub(crate) const SCENE: Scene = Scene {
    name: "spmd_sync_start",
    summary: "tasks whose blocks start together and wait for each other, up to all cores of the chip",
    folder: concat!(env!("CARGO_MANIFEST_DIR"), "/spmd_sync_start"),
    include_dirs: crate::INCLUDE_DIRS,
    runtime: RuntimeKind::TensormapAndRingbuffer,
    platforms: &Platform::ALL,
    programs: &[Program {
        name: "main",
        graph: Graph::Cpp { path: "orchestration.cpp", entry: "build_spmd_sync_start" },
        kernels: &[
            Kernel::cpp(0, CoreType::Aic, "kernels/meet.cpp").signature(&[Inout, Inout]),
            Kernel::cpp(1, CoreType::Aiv, "kernels/meet.cpp").signature(&[Inout, Inout]),
            Kernel::cpp(2, CoreType::Aic, "kernels/add.cpp").signature(&[Inout]),
            Kernel::cpp(3, CoreType::Aiv, "kernels/add.cpp").signature(&[Inout]),
        ],
    }],
    cases,
};

#[derive(Clone, Copy, Debug)]
enum Shape {
    Cube = 0,
    Vector = 1,
    Cluster = 2,
    InTurn = 3,
}

fn cases(platform: Platform) -> Vec<Case> {
    let clusters = platform.max_block_dim().unwrap_or(1);
    let mut cases = Vec::new();
    for (name, shape, most) in [
        ("cube", Shape::Cube, clusters),
        ("vector", Shape::Vector, 2 * clusters),
        ("cluster", Shape::Cluster, clusters),
    ] {
        for blocks in [1, 2, 7, most] {
            cases.push(case(&format!("{name}_{blocks}"), shape, blocks, 0, 1, 0));
        }
    }
    // Few enough clusters that two such tasks would each hold what the other needs.
    cases.push(case("stress_50", Shape::InTurn, 5, 6, 50, 20));
    cases.push(case("stress_widest", Shape::InTurn, clusters, 0, 6, 20));
    cases
}

fn case(name: &str, shape: Shape, blocks: u32, block_dim: i32, tasks: u32, between: u64) -> Case {
    let config = CallConfig { block_dim, ..CallConfig::default() };
    Case::golden(name, "main", config, move |_| {
        // All that come, in the arrivals as in the stamps.
        let cores = |task: u32| {
            let cluster = matches!((shape, task % 3), (Shape::Cluster, _) | (Shape::InTurn, 2));
            u64::from(blocks) * if cluster { 3 } else { 1 }
        };
        let counts: Vec<u64> = (0..tasks).map(cores).collect();
        let mut plain = vec![0u64; PLAIN as usize];
        for (number, place) in (0..u64::from(tasks) * between).zip((0..PLAIN as usize).cycle()) {
            plain[place] += number;
        }
        let zeros = vec![0; counts.len()];
        Data::new()
            .inout("arrived", &[tasks], zeros.clone(), counts.clone(), Tolerance::EXACT)
            .inout("stamps", &[tasks], zeros, counts, Tolerance::EXACT)
            .inout("plain", &[PLAIN], vec![0; PLAIN as usize], plain, Tolerance::EXACT)
            .scalar(shape as u64)
            .scalar(u64::from(blocks))
            .scalar(between)
    })
}

/// Elements that plain tasks add to.
const PLAIN: u32 = 37;
