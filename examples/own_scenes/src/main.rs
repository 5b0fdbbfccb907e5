//! Scenes of a project of one's own. Try:
//!
//! ```text
//! cargo run -p own-scenes -- --list
//! cargo run -p own-scenes -- --devices 4 --repeat 10 --seed 7
//! ```
#![forbid(unsafe_code)]

use std::process::ExitCode;

use scene_runner::Runner;
use scene_runner::chip_worker::{CallConfig, CoreType, NativeGraph, NativeKernel, Platform, RuntimeKind};
use scene_runner::scene::{Case, CaseError, Data, Graph, Kernel, Program, Random, Scene, Stage, Tolerance};

fn main() -> ExitCode {
    Runner::new("cargo run -p own-scenes --", &SCENES).main()
}

static SCENES: [Scene; 2] = [SAXPY, COUNTER];

/// A callable in C++: y += a * x, compiled when it is run, on both chips.
const SAXPY: Scene = Scene {
    name: "saxpy",
    summary: "y += a * x in blocks, kernel and orchestration in C++",
    folder: concat!(env!("CARGO_MANIFEST_DIR"), "/saxpy"),
    include_dirs: &[],
    runtime: RuntimeKind::HostBuildGraph,
    platforms: &[Platform::A2a3Sim, Platform::A5Sim],
    programs: &[Program {
        name: "main",
        graph: Graph::Cpp { path: "orchestration.cpp", entry: "build_saxpy" },
        kernels: &[Kernel::cpp(0, CoreType::Aiv, "kernels/saxpy.cpp")],
    }],
    cases: |platform| {
        let mut cases = vec![saxpy("small", 64, 1, 0), saxpy("one_cluster", 4096, 8, 1)];
        // A block for every vector core that this chip has.
        let cores = 2 * platform.max_block_dim().unwrap_or(1);
        cases.push(saxpy("all_cores", cores * 128, cores, 0));
        cases
    },
};

fn saxpy(name: &str, count: u32, blocks: u32, block_dim: i32) -> Case {
    let config = CallConfig { block_dim, ..CallConfig::default() };
    Case::golden(name, "main", config, move |random| saxpy_data(random, count, blocks))
}

/// Arguments, and what should come out.
fn saxpy_data(random: &mut Random, count: u32, blocks: u32) -> Data {
    let (a, x, y) =
        (random.next_f32(), random.f32s(count as usize, -1.0, 1.0), random.f32s(count as usize, -1.0, 1.0));
    let expected = x.iter().zip(&y).map(|(x, y)| y + a * x).collect();
    // The compiler may use one rounding for both operations.
    let tolerance = Tolerance { absolute: 1e-6, relative: 1e-6 };
    Data::new()
        .input("x", &[count], x)
        .inout("y", &[count], y, expected, tolerance)
        .scalar(u64::from(a.to_bits()))
        .scalar(u64::from(blocks))
}

/// A callable in Rust, and a case that does more than one run.
const COUNTER: Scene = Scene {
    name: "counter",
    summary: "a kernel in Rust that counts its runs in a tensor",
    folder: env!("CARGO_MANIFEST_DIR"),
    include_dirs: &[],
    runtime: RuntimeKind::HostBuildGraph,
    platforms: &[Platform::A2a3Sim],
    programs: &[Program {
        name: "main",
        graph: Graph::Rust(|| {
            NativeGraph::new(|graph| {
                let count = graph.stage_inout(0)?;
                graph.add_task(&[count.addr()], 0, CoreType::Aiv).map(drop)
            })
        }),
        kernels: &[Kernel::rust(0, CoreType::Aiv, || {
            NativeKernel::new("count", |kernel| {
                let count: Vec<i32> = kernel.read(kernel.ptr(0), 1)?;
                kernel.write(kernel.ptr(0), &[count[0] + 1])
            })
        })],
    }],
    cases: |_| vec![Case::new("ten_runs", ten_runs)],
};

fn ten_runs(stage: &mut Stage<'_>) -> Result<(), CaseError> {
    let handle = stage.register("main")?;
    for count in -5..5 {
        let data = Data::new().inout("count", &[1], vec![count], vec![count + 1], Tolerance::EXACT);
        stage.run(&handle, data, &CallConfig::default())?;
    }
    stage.expect_eq("callables", &stage.worker().report().callables, &1)
}
