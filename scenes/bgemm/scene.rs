//! A batch of matrix products on both kinds of cores.

use chip_worker::ArgDirection::{In, Inout, Out};
use chip_worker::{CallConfig, CoreType, Platform, RuntimeKind};
use scene::{Case, Data, Graph, Kernel, Program, Random, Scene, Tolerance};

pub(crate) const SCENE: Scene = Scene {
    name: "bgemm",
    summary: "batched C += A * B: tiles multiplied on cube cores, added up on vector cores",
    folder: concat!(env!("CARGO_MANIFEST_DIR"), "/bgemm"),
    include_dirs: crate::INCLUDE_DIRS,
    runtime: RuntimeKind::HostBuildGraph,
    platforms: &Platform::ALL,
    programs: &[Program {
        name: "main",
        graph: Graph::Cpp { path: "orchestration.cpp", entry: "build_bgemm" },
        kernels: &[
            Kernel::cpp(0, CoreType::Aic, "kernels/gemm_tile.cpp").signature(&[In, In, Out]),
            Kernel::cpp(1, CoreType::Aiv, "kernels/add_tile.cpp").signature(&[Inout, In]),
        ],
    }],
    cases,
};

/// Extents of a batch of products.
#[derive(Clone, Copy, Debug)]
struct Shape {
    batch: u32,
    m: u32,
    k: u32,
    n: u32,
    tile: u32,
}

fn cases(_: Platform) -> Vec<Case> {
    let shapes = [
        Shape { batch: 1, m: 1, k: 1, n: 1, tile: 1 },
        Shape { batch: 2, m: 32, k: 64, n: 48, tile: 16 },
        Shape { batch: 4, m: 256, k: 256, n: 256, tile: 64 },
        // Many small tasks: 8192, in 512 chains.
        Shape { batch: 2, m: 128, k: 64, n: 128, tile: 8 },
    ];
    let mut cases: Vec<Case> =
        shapes.into_iter().map(|shape| case(&shape.to_string(), shape, CallConfig::default())).collect();
    let config = CallConfig { block_dim: 1, ..CallConfig::default() };
    cases.push(case("block_dim_1", shapes[1], config));
    cases
}

impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}x{}x{}x{}_tile_{}", self.batch, self.m, self.k, self.n, self.tile)
    }
}

fn case(name: &str, shape: Shape, config: CallConfig) -> Case {
    Case::golden(name, "main", config, move |random| data(random, shape))
}

fn data(random: &mut Random, Shape { batch, m, k, n, tile }: Shape) -> Data {
    let mut tensor = |rows: u32, columns: u32| {
        let count = batch as usize * rows as usize * columns as usize;
        random.f32s(count, -1.0, 1.0)
    };
    let (a, b, before) = (tensor(m, k), tensor(k, n), tensor(m, n));
    let expected = golden(&a, &b, &before, [m as usize, k as usize, n as usize]);
    // Sums of up to 256 products of size 1 in single precision.
    let tolerance = Tolerance { absolute: 1e-4, relative: 1e-5 };
    Data::new()
        .input("a", &[batch, m, k], a)
        .input("b", &[batch, k, n], b)
        .inout("c", &[batch, m, n], before, expected, tolerance)
        .scalar(u64::from(tile))
}

/// `c + a * b` in double precision, row by row.
fn golden(a: &[f32], b: &[f32], c: &[f32], [m, k, n]: [usize; 3]) -> Vec<f32> {
    let mut result = Vec::with_capacity(c.len());
    for (row, c_row) in c.chunks_exact(n).enumerate() {
        let mut sums: Vec<f64> = c_row.iter().copied().map(f64::from).collect();
        let a_row = &a[row * k..][..k];
        let b_matrix = &b[row / m * k * n..][..k * n];
        for (&factor, b_row) in a_row.iter().zip(b_matrix.chunks_exact(n)) {
            for (sum, &value) in sums.iter_mut().zip(b_row) {
                *sum += f64::from(factor) * f64::from(value);
            }
        }
        #[expect(clippy::cast_possible_truncation, reason = "to the precision of the result")]
        result.extend(sums.into_iter().map(|sum| sum as f32));
    }
    result
}
