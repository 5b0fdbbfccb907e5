//! Dependencies that the orchestration names itself.

use chip_worker::ArgDirection::{In, Inout, Out};
use chip_worker::{CallConfig, CoreType, Platform, RuntimeKind};
use scene::{Case, Data, Graph, Kernel, Program, Random, Scene, Tolerance};

pub(crate) const SCENE: Scene = Scene {
    name: "trb_manual_scope",
    summary: "manual scopes, in which only named dependencies count, and a task behind them",
    folder: concat!(env!("CARGO_MANIFEST_DIR"), "/trb_manual_scope"),
    include_dirs: crate::INCLUDE_DIRS,
    runtime: RuntimeKind::TensormapAndRingbuffer,
    platforms: &Platform::ALL,
    programs: &[Program {
        name: "main",
        graph: Graph::Cpp { path: "orchestration.cpp", entry: "build_trb_manual_scope" },
        kernels: &[
            Kernel::cpp(0, CoreType::Aiv, "kernels/combine.cpp").signature(&[In, In, Out]),
            Kernel::cpp(1, CoreType::Aiv, "kernels/sum_up.cpp").signature(&[Inout, In]),
            Kernel::cpp(2, CoreType::Aic, "kernels/double.cpp").signature(&[Inout]),
            Kernel::cpp(3, CoreType::Aic, "kernels/combine.cpp").signature(&[In, In, Out]),
        ],
    }],
    cases,
};

fn cases(_: Platform) -> Vec<Case> {
    vec![
        case("diamond", 1, 0),
        case("30_diamonds", 30, 0),
        // The last task has more producers than it keeps inline.
        case("100_diamonds", 100, 0),
        case("block_dim_1", 10, 1),
        Case::new("auto_inside_of_manual", |stage| {
            let handle = stage.register("main")?;
            let untouched = Data::new().input("x", &[1], vec![1u64]);
            let untouched = untouched.inout("out", &[1], vec![3u64], vec![3], Tolerance::EXACT);
            let untouched = untouched.inout("total", &[1], vec![4u64], vec![4], Tolerance::EXACT);
            let (status, _) = stage.run_to_status(&handle, untouched.scalar(1), &CallConfig::default())?;
            stage.expect_eq("status", &status, &-5)?;
            stage.run(&handle, data(&mut stage.random(0), 1), &CallConfig::default()).map(drop)
        }),
    ]
}

fn case(name: &str, lanes: u32, block_dim: i32) -> Case {
    let config = CallConfig { block_dim, ..CallConfig::default() };
    Case::golden(name, "main", config, move |random| data(random, lanes))
}

fn data(random: &mut Random, lanes: u32) -> Data {
    let (x, total) = (random.u64s(lanes as usize), random.next_u64());
    // 2x at the top, twice and three times that at its sides, their sum at the bottom.
    let out: Vec<u64> = x.iter().map(|x| x.wrapping_mul(10)).collect();
    let sum = out.iter().copied().fold(total.wrapping_mul(2), u64::wrapping_add);
    Data::new()
        .input("x", &[lanes], x)
        .output("out", &[lanes], out, Tolerance::EXACT)
        .inout("total", &[1], vec![total], vec![sum], Tolerance::EXACT)
        .scalar(0)
}
