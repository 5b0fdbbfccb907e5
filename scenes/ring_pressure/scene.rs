//! A long stream of tasks through small rings.

use chip_worker::ArgDirection::{In, Inout, Out};
use chip_worker::{CallConfig, CoreType, Platform, RingOptions, RuntimeKind};
use scene::{Case, Data, Graph, Kernel, Program, Scene, Tolerance};

pub(crate) const SCENE: Scene = Scene {
    name: "ring_pressure",
    summary: "5000 tasks through rings that hold 16, or 4, and heaps that hold few outputs",
    folder: concat!(env!("CARGO_MANIFEST_DIR"), "/ring_pressure"),
    include_dirs: crate::INCLUDE_DIRS,
    runtime: RuntimeKind::TensormapAndRingbuffer,
    platforms: &Platform::ALL,
    programs: &[Program {
        name: "main",
        graph: Graph::Cpp { path: "orchestration.cpp", entry: "build_ring_pressure" },
        kernels: &[
            Kernel::cpp(0, CoreType::Aic, "kernels/step.cpp").signature(&[In, Out]),
            Kernel::cpp(1, CoreType::Aiv, "kernels/add.cpp").signature(&[Inout, In]),
            Kernel::cpp(2, CoreType::Aiv, "kernels/step.cpp").signature(&[In, Out]),
        ],
    }],
    cases,
};

fn cases(_: Platform) -> Vec<Case> {
    // An output takes 1024 bytes; in the smallest heap there is room for two.
    let rings = |window, heap| RingOptions::default().task_window(window).heap(heap).dep_pool(4);
    vec![
        case("window_16", 8).rings(rings(16, 16 * 1024)),
        case("window_4", 8).rings(rings(4, 16 * 1024)),
        case("heap_of_two", 8).rings(rings(16, 2048)),
        case("one_lane", 1).rings(rings(16, 16 * 1024)),
    ]
}

const ROUNDS: u64 = 1250;
const COUNT: u32 = 100;

fn case(name: &str, lanes: u32) -> Case {
    Case::golden(name, "main", CallConfig::default(), move |random| {
        let before = random.u64s((lanes * COUNT) as usize);
        let mut sums = before.clone();
        for (round, lane) in (0..ROUNDS).zip((0..lanes as usize).cycle()) {
            let step = |x: u64, addend: u64| x.wrapping_mul(3).wrapping_add(addend);
            for sum in &mut sums[lane * COUNT as usize..][..COUNT as usize] {
                *sum = sum.wrapping_add(step(step(step(*sum, round), round + 1), round + 2));
            }
        }
        Data::new().inout("sums", &[lanes, COUNT], before, sums, Tolerance::EXACT).scalar(ROUNDS)
    })
}
