//! Five vector tasks: the first thing to run, and the one to copy from.

use chip_worker::{CallConfig, CoreType, Platform, RuntimeKind};
use scene::{Case, Data, Graph, Kernel, Program, Random, Scene, Tolerance};

pub(crate) const SCENE: Scene = Scene {
    name: "vector_example",
    summary: "f = (a + b + 1) * (a + b + 2) + (a + b) in five vector tasks",
    folder: concat!(env!("CARGO_MANIFEST_DIR"), "/vector_example"),
    include_dirs: crate::INCLUDE_DIRS,
    runtime: RuntimeKind::HostBuildGraph,
    platforms: &Platform::ALL,
    programs: &[Program {
        name: "main",
        graph: Graph::Cpp { path: "orchestration.cpp", entry: "build_vector_example" },
        kernels: KERNELS,
    }],
    cases,
};

/// The same for the other runtime, with files of its own: it finds the dependencies by itself.
pub(crate) const TRB_SCENE: Scene = Scene {
    name: "trb_vector_example",
    summary: "f = (a + b + 1) * (a + b + 2) + (a + b) with tensors created in nested scopes",
    folder: concat!(env!("CARGO_MANIFEST_DIR"), "/trb_vector_example"),
    runtime: RuntimeKind::TensormapAndRingbuffer,
    programs: &[Program {
        name: "main",
        graph: Graph::Cpp { path: "orchestration.cpp", entry: "build_trb_vector_example" },
        kernels: KERNELS,
    }],
    cases: trb_cases,
    ..SCENE
};

const KERNELS: &[Kernel] = &[
    Kernel::cpp(0, CoreType::Aiv, "kernels/add.cpp"),
    Kernel::cpp(1, CoreType::Aiv, "kernels/add_scalar.cpp"),
    Kernel::cpp(2, CoreType::Aiv, "kernels/mul.cpp"),
];

fn shapes_and_blocks() -> Vec<Case> {
    let shapes: [(&str, &[u32]); 6] = [
        ("128x128", &[128, 128]),
        ("1", &[1]),
        ("33x7", &[33, 7]),
        ("2x3x4x5x7", &[2, 3, 4, 5, 7]),
        ("1000003", &[1_000_003]),
        ("1024x1024", &[1024, 1024]),
    ];
    let mut cases: Vec<Case> =
        shapes.into_iter().map(|(name, shape)| case(name.to_owned(), shape, CallConfig::default())).collect();
    for block_dim in [1, 3] {
        let config = CallConfig { block_dim, ..CallConfig::default() };
        cases.push(case(format!("block_dim_{block_dim}"), &[128, 128], config));
    }
    cases
}

fn cases(_: Platform) -> Vec<Case> {
    let threads = (1..=4).map(|count| threads(count, 0));
    shapes_and_blocks().into_iter().chain(threads).collect()
}

/// On hardware one AICPU thread builds the graph, and each of the others serves up to 21 clusters.
fn trb_cases(platform: Platform) -> Vec<Case> {
    let of_two = if platform.is_simulated() { 0 } else { 21 };
    let alone =
        threads(1, 0).simulated_only("one AICPU thread cannot both build the graph and deal its tasks");
    shapes_and_blocks().into_iter().chain([alone, threads(2, of_two), threads(3, 0), threads(4, 0)]).collect()
}

fn threads(aicpu_thread_num: i32, block_dim: i32) -> Case {
    let config = CallConfig { aicpu_thread_num, block_dim, ..CallConfig::default() };
    case(format!("aicpu_threads_{aicpu_thread_num}"), &[128, 128], config)
}

fn case(name: String, shape: &[u32], config: CallConfig) -> Case {
    let shape = shape.to_vec();
    Case::golden(name, "main", config, move |random| data(random, &shape))
}

fn data(random: &mut Random, shape: &[u32]) -> Data {
    let count = shape.iter().map(|&extent| extent as usize).product();
    let (a, b) = (random.f32s(count, -2.0, 2.0), random.f32s(count, -2.0, 2.0));
    let f = a.iter().zip(&b).map(|(&a, &b)| golden(a, b)).collect();
    // Single precision, and a sum that may cancel.
    let tolerance = Tolerance { absolute: 1e-5, relative: 1e-5 };
    Data::new().input("a", shape, a).input("b", shape, b).output("f", shape, f, tolerance)
}

fn golden(a: f32, b: f32) -> f32 {
    (a + b + 1.0) * (a + b + 2.0) + (a + b)
}
