//! Big graphs drawn from a seed. Every task folds the results of its predecessors, so one that starts too
//! early, runs twice or not at all changes the results of all that come after it.
//!
//! The graph has `layers * width` tasks; task `t` is in layer `t / width`. `draw(t, i)` is the output function
//! of splitmix64 of `seed + (8 t + i + 1) * 0x9e3779b97f4a7c15`.
//!
//! - Task `t` runs on a cube core if `draw(t, 0)` is divisible by 3, else on a vector core.
//! - A task of the first layer has no predecessor, every other `1 + draw(t, 1) % most`. The i-th of them, from
//!   0, is `e - 1 - draw(t, 2 + i) % min(window, e)`, where `e` is the first task of the layer. The same one
//!   may come more than once and then counts as often.
//! - Its value begins as `t ^ start`, `start` being a constant of its kind of core. For each predecessor in
//!   order it is rotated left by 23 and the predecessor's result is added. The result is the output function
//!   of splitmix64 of the value.

use chip_worker::{CallConfig, CoreType, Platform, RuntimeKind};
use scene::{Case, Data, Graph, Kernel, Program, Scene, Tolerance, mix};

pub(crate) const SCENE: Scene = Scene {
    name: "random_dag",
    summary: "up to 131072 tasks on both kinds of cores, with dependencies drawn from a seed",
    folder: concat!(env!("CARGO_MANIFEST_DIR"), "/random_dag"),
    include_dirs: crate::INCLUDE_DIRS,
    runtime: RuntimeKind::HostBuildGraph,
    platforms: &Platform::ALL,
    programs: &[Program {
        name: "main",
        graph: Graph::Cpp { path: "orchestration.cpp", entry: "build_random_dag" },
        kernels: &[
            // Without signatures: every task would dump the results of all.
            Kernel::cpp(0, CoreType::Aic, "kernels/fold.cpp"),
            Kernel::cpp(1, CoreType::Aiv, "kernels/fold.cpp"),
        ],
    }],
    cases,
};

/// Parameters of a graph.
#[derive(Clone, Copy, Debug)]
struct Dag {
    seed: u64,
    layers: u64,
    width: u64,
    /// How many tasks before its layer a task picks its predecessors from.
    window: u64,
    /// Most predecessors of a task.
    most: u64,
}

fn cases(_: Platform) -> Vec<Case> {
    let layered = |seed, layers, width| Dag { seed, layers, width, window: u64::MAX, most: 4 };
    let block_dim = |block_dim| CallConfig { block_dim, ..CallConfig::default() };
    vec![
        case("layered_10000", layered(1, 100, 100), block_dim(0)),
        case("layered_10000_other_seed", layered(2, 1000, 10), block_dim(0)),
        case("layered_10000_block_dim_1", layered(1, 100, 100), block_dim(1)),
        case("layered_131072", layered(3, 512, 256), block_dim(0)),
        // Both task 999 and task 1999 have 1000 successors.
        case("fanout_1000", Dag { seed: 4, layers: 3, width: 1000, window: 1, most: 1 }, block_dim(0))
            .simulated_only("a task of a device image has at most 128 successors"),
        case("chain_10000", Dag { seed: 5, layers: 10_000, width: 1, window: 1, most: 1 }, block_dim(0)),
        case(
            "chain_1000_double_edges",
            Dag { seed: 6, layers: 1000, width: 1, window: 1, most: 4 },
            block_dim(0),
        ),
        case("independent_10000", layered(7, 1, 10_000), block_dim(0)),
    ]
}

fn case(name: &str, dag: Dag, config: CallConfig) -> Case {
    Case::golden(name, "main", config, move |random| {
        let expected = golden(dag);
        let shape = [u32::try_from(expected.len()).unwrap_or(u32::MAX)];
        // What a task finds that starts before its predecessor differs from run to run of the scene.
        let before = random.u64s(expected.len());
        let data = Data::new().inout("results", &shape, before, expected, Tolerance::EXACT);
        [dag.seed, dag.layers, dag.width, dag.window, dag.most].into_iter().fold(data, Data::scalar)
    })
}

const START_AIC: u64 = 0xa24b_aed4_963e_e407;
const START_AIV: u64 = 0x9fb2_1c65_1e98_df25;

impl Dag {
    fn draw(&self, task: u64, index: u64) -> u64 {
        mix(self.seed.wrapping_add((8 * task + index + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)))
    }

    fn predecessors(&self, task: u64) -> Vec<u64> {
        let first_of_layer = task - task % self.width;
        if first_of_layer == 0 {
            return Vec::new();
        }
        let count = 1 + self.draw(task, 1) % self.most;
        let reach = self.window.min(first_of_layer);
        (0..count).map(|i| first_of_layer - 1 - self.draw(task, 2 + i) % reach).collect()
    }
}

/// The results, task after task in the order of their ids, which is one of the orders the graph allows.
fn golden(dag: Dag) -> Vec<u64> {
    let mut results: Vec<u64> = Vec::new();
    for task in 0..dag.layers * dag.width {
        let start = if dag.draw(task, 0).is_multiple_of(3) { START_AIC } else { START_AIV };
        let folded = dag.predecessors(task).into_iter().fold(task ^ start, |value, predecessor| {
            let before = usize::try_from(predecessor).ok().and_then(|index| results.get(index));
            value.rotate_left(23).wrapping_add(before.copied().unwrap_or(0))
        });
        results.push(mix(folded));
    }
    results
}
