//! Tasks that are over long after their kernels.

use chip_worker::ArgDirection::{In, Inout, Out};
use chip_worker::{CallConfig, CoreType, Platform, RuntimeKind};
use scene::{Case, Data, Graph, Kernel, Program, Scene, Tolerance};

pub(crate) const SCENE: Scene = Scene {
    name: "deferred_notify",
    summary: "tasks that complete when kernels of other tasks have counted up in memory",
    folder: concat!(env!("CARGO_MANIFEST_DIR"), "/deferred_notify"),
    include_dirs: crate::INCLUDE_DIRS,
    runtime: RuntimeKind::TensormapAndRingbuffer,
    platforms: &Platform::ALL,
    programs: &[Program {
        name: "main",
        graph: Graph::Cpp { path: "orchestration.cpp", entry: "build_deferred_notify" },
        kernels: &[
            Kernel::cpp(0, CoreType::Aiv, "kernels/defer.cpp").signature(&[Inout, In]),
            Kernel::cpp(1, CoreType::Aiv, "kernels/notify.cpp").signature(&[Inout, Inout]),
            Kernel::cpp(2, CoreType::Aic, "kernels/collect.cpp").signature(&[In, Out]),
        ],
    }],
    cases,
};

fn cases(_: Platform) -> Vec<Case> {
    vec![
        case("one_by_one", 1, 1, 1, 0),
        case("5_notifiers", 1, 5, 1, 0),
        case("8_blocks", 1, 3, 8, 0),
        case("30_rounds", 30, 3, 2, 0),
        case("block_dim_1", 5, 3, 3, 1),
    ]
}

fn case(name: &str, rounds: u32, notifiers: u32, blocks: u64, block_dim: i32) -> Case {
    let config = CallConfig { block_dim, ..CallConfig::default() };
    Case::golden(name, "main", config, move |_| {
        let (mut boxes, mut out) = (Vec::new(), Vec::new());
        for round in 0..u64::from(rounds) {
            let row = (1..=u64::from(notifiers)).map(|number| 1000 * round + number);
            boxes.push(blocks);
            boxes.extend(row.clone());
            out.extend(row);
        }
        let (before, shape) = (vec![0; boxes.len()], [rounds, 1 + notifiers]);
        Data::new()
            .inout("boxes", &shape, before, boxes, Tolerance::EXACT)
            .output("out", &[rounds, notifiers], out, Tolerance::EXACT)
            .scalar(blocks)
    })
}
