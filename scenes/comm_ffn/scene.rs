//! A feed-forward layer whose weights are spread over the ranks.

use chip_worker::ArgDirection::{In, Inout, Out};
use chip_worker::{CallConfig, CoreType, Platform, RuntimeKind};
use scene::{Case, CaseError, Data, Graph, Kernel, Program, Random, Scene, Stage, Tolerance};

pub(crate) const SCENE: Scene = Scene {
    name: "comm_ffn",
    summary: "y = relu(x W1) W2 with the weights spread over 2, 4 and 8 ranks (tensor parallel)",
    folder: concat!(env!("CARGO_MANIFEST_DIR"), "/comm_ffn"),
    include_dirs: crate::INCLUDE_DIRS,
    runtime: RuntimeKind::HostBuildGraph,
    platforms: &Platform::ALL,
    programs: &[Program {
        name: "main",
        graph: Graph::Cpp { path: "orchestration.cpp", entry: "build_comm_ffn" },
        kernels: &[
            Kernel::cpp(0, CoreType::Aic, "kernels/matmul.cpp").signature(&[In, In, Out]),
            Kernel::cpp(1, CoreType::Aiv, "kernels/relu.cpp").signature(&[Inout]),
            Kernel::cpp(2, CoreType::Aiv, "kernels/allreduce.cpp").signature(&[In, Out]),
        ],
    }],
    cases,
};

const ROWS: u32 = 16;
const INPUTS: u32 = 24;
const HIDDEN: u32 = 64;
const OUTPUTS: u32 = 20;

fn cases(_: Platform) -> Vec<Case> {
    [2, 4, 8].map(|ranks| Case::new(format!("{ranks}_ranks"), tensor_parallel).ranks(ranks)).into()
}

/// Small whole numbers: their sums are exact in any order.
fn matrix(random: &mut Random, rows: u32, columns: u32) -> Vec<f32> {
    (0..rows * columns).map(|_| (random.next_u64() % 9) as f32 - 4.0).collect()
}

fn matmul(a: &[f32], b: &[f32], inner: u32, columns: u32) -> Vec<f32> {
    let columns = columns as usize;
    let row = |row: &[f32]| -> Vec<f32> {
        let value = |column| row.iter().zip(b[column..].iter().step_by(columns)).map(|(a, b)| a * b).sum();
        (0..columns).map(value).collect()
    };
    a.chunks(inner as usize).flat_map(row).collect()
}

fn tensor_parallel(stage: &mut Stage<'_>) -> Result<(), CaseError> {
    let comm = stage.comm()?;
    let mut random = stage.random(0);
    let x = matrix(&mut random, ROWS, INPUTS);
    let (w1, w2) = (matrix(&mut random, INPUTS, HIDDEN), matrix(&mut random, HIDDEN, OUTPUTS));
    let hidden: Vec<f32> = matmul(&x, &w1, INPUTS, HIDDEN).iter().map(|value| value.max(0.0)).collect();
    let y = matmul(&hidden, &w2, HIDDEN, OUTPUTS);

    let share = HIDDEN / comm.ranks();
    let (from, to) = ((comm.rank() * share) as usize, ((comm.rank() + 1) * share) as usize);
    let own_w1 = w1.chunks(HIDDEN as usize).flat_map(|row| row[from..to].to_vec()).collect();
    let own_w2 = w2[from * OUTPUTS as usize..to * OUTPUTS as usize].to_vec();
    let context = comm.alloc_windows(512 + (ROWS * OUTPUTS) as usize * size_of::<f32>())?;
    let data = Data::new()
        .input("x", &[ROWS, INPUTS], x)
        .input("w1", &[INPUTS, share], own_w1)
        .input("w2", &[share, OUTPUTS], own_w2)
        .output("y", &[ROWS, OUTPUTS], y, Tolerance::EXACT)
        .scalar(context.addr());
    let handle = stage.register("main")?;
    stage.run(&handle, data, &CallConfig::default())?;
    Ok(())
}
