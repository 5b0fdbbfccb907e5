//! Tasks on one, two and three cores of a cluster.

use chip_worker::ArgDirection::{In, Out};
use chip_worker::{CallConfig, CoreType, Platform, RuntimeKind};
use scene::{Case, Data, Graph, Kernel, Program, Scene, Tolerance};

pub(crate) const SCENE: Scene = Scene {
    name: "mixed_example",
    summary: "tasks of every shape: kernels of one task run together and exchange values",
    folder: concat!(env!("CARGO_MANIFEST_DIR"), "/mixed_example"),
    include_dirs: crate::INCLUDE_DIRS,
    runtime: RuntimeKind::TensormapAndRingbuffer,
    platforms: &Platform::ALL,
    programs: &[Program {
        name: "main",
        graph: Graph::Cpp { path: "orchestration.cpp", entry: "build_mixed" },
        kernels: &[
            Kernel::cpp(0, CoreType::Aic, "kernels/plain.cpp").signature(&[In, Out]),
            Kernel::cpp(1, CoreType::Aiv, "kernels/plain.cpp").signature(&[In, Out]),
            Kernel::cpp(2, CoreType::Aic, "kernels/feed_one.cpp").signature(&[In]),
            Kernel::cpp(3, CoreType::Aiv, "kernels/eat_one.cpp").signature(&[Out]),
            // A task of two kernels of a kind has more tensors by their signatures than it is given, so these have none.
            Kernel::cpp(4, CoreType::Aic, "kernels/feed_two.cpp"),
            Kernel::cpp(5, CoreType::Aiv, "kernels/eat_half.cpp"),
            Kernel::cpp(6, CoreType::Aiv, "kernels/ping_pong.cpp"),
        ],
    }],
    cases,
};

fn cases(_: Platform) -> Vec<Case> {
    let block_dim = |block_dim| CallConfig { block_dim, ..CallConfig::default() };
    vec![
        case("1_round", 1, 10, CallConfig::default()),
        case("100_rounds", 100, 9, CallConfig::default()),
        case("block_dim_1", 10, 10, block_dim(1)),
        case("block_dim_2", 10, 10, block_dim(2)),
    ]
}

fn case(name: &str, rounds: u32, count: u32, config: CallConfig) -> Case {
    Case::golden(name, "main", config, move |random| {
        let shape = [rounds, SHAPES, count];
        let x = random.u64s((rounds * SHAPES * count) as usize);
        let places = (0..rounds * SHAPES * count).map(|index| (index / count % SHAPES, index % count));
        let out = x.iter().zip(places).map(|(&x, (shape, element))| golden(shape, element, x)).collect();
        Data::new().input("x", &shape, x).output("out", &shape, out, Tolerance::EXACT)
    })
}

const SHAPES: u32 = 5;

/// What a task of this shape makes of element number `element`, in the order of the orchestration.
fn golden(shape: u32, element: u32, x: u64) -> u64 {
    match shape {
        0 => x.wrapping_add(1),
        1 => x.wrapping_add(2),
        2 => x.wrapping_mul(3),
        3 => x.wrapping_mul(5).wrapping_add(u64::from(element % 2)),
        _ => x.wrapping_add(7).wrapping_mul(2),
    }
}
