//! Cube and vector tasks take turns on the same memory.

use chip_worker::ArgDirection::{In, Inout};
use chip_worker::{CallConfig, CoreType, Platform, RuntimeKind};
use scene::{Case, Data, Graph, Kernel, Program, Random, Scene, Tolerance};

pub(crate) const SCENE: Scene = Scene {
    name: "alternating_matmul_add",
    summary: "s = s * w + b over and over: cube and vector tasks take turns on each tile of s",
    folder: concat!(env!("CARGO_MANIFEST_DIR"), "/alternating_matmul_add"),
    include_dirs: crate::INCLUDE_DIRS,
    runtime: RuntimeKind::TensormapAndRingbuffer,
    platforms: &Platform::ALL,
    programs: &[Program {
        name: "main",
        graph: Graph::Cpp { path: "orchestration.cpp", entry: "build_alternating" },
        kernels: &[
            Kernel::cpp(0, CoreType::Aic, "kernels/matmul.cpp").signature(&[Inout, In]),
            Kernel::cpp(1, CoreType::Aiv, "kernels/add.cpp").signature(&[Inout, In]),
        ],
    }],
    cases,
};

fn cases(_: Platform) -> Vec<Case> {
    let one_cluster = CallConfig { block_dim: 1, ..CallConfig::default() };
    vec![
        case("1_tile_1_step", 1, 1, 16, CallConfig::default()),
        case("1_tile_100_steps", 1, 100, 16, CallConfig::default()),
        case("64_tiles_20_steps", 64, 20, 8, CallConfig::default()),
        case("block_dim_1", 8, 10, 8, one_cluster),
    ]
}

fn case(name: &str, tiles: u32, steps: u64, tile: u32, config: CallConfig) -> Case {
    Case::golden(name, "main", config, move |random| data(random, tiles, steps, tile))
}

fn data(random: &mut Random, tiles: u32, steps: u64, tile: u32) -> Data {
    let size = tile as usize * tile as usize;
    // Small enough that products of any length stay so.
    let bound = 0.9 / tile as f32;
    let (w, b) = (random.f32s(size, -bound, bound), random.f32s(size, -1.0, 1.0));
    let before = random.f32s(tiles as usize * size, -1.0, 1.0);
    let expected = before.chunks_exact(size).flat_map(|s| golden(s, &w, &b, steps, tile as usize)).collect();
    let tolerance = Tolerance { absolute: 1e-5, relative: 1e-5 };
    Data::new()
        .input("w", &[tile, tile], w)
        .input("b", &[tile, tile], b)
        .inout("s", &[tiles, tile, tile], before, expected, tolerance)
        .scalar(steps)
}

/// One tile after all steps, in double precision.
fn golden(s: &[f32], w: &[f32], b: &[f32], steps: u64, tile: usize) -> Vec<f32> {
    let mut s: Vec<f64> = s.iter().copied().map(f64::from).collect();
    for _ in 0..steps {
        let mut next: Vec<f64> = b.iter().copied().map(f64::from).collect();
        for (index, sum) in next.iter_mut().enumerate() {
            let (row, column) = (index / tile, index % tile);
            *sum += (0..tile).map(|k| s[row * tile + k] * f64::from(w[k * tile + column])).sum::<f64>();
        }
        s = next;
    }
    #[expect(clippy::cast_possible_truncation, reason = "to the precision of the result")]
    s.into_iter().map(|value| value as f32).collect()
}
