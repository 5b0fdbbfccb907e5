//! Tokens that are worked on by the ranks of their experts, and come back.

use chip_worker::ArgDirection::{In, Inout, Out};
use chip_worker::{CallConfig, CoreType, Platform, RuntimeKind};
use scene::{Case, CaseError, Data, Graph, Kernel, Program, Scene, Stage, Tolerance};

pub(crate) const SCENE: Scene = Scene {
    name: "comm_experts",
    summary: "expert dispatch and combine among 2, 4 and 8 ranks, with tasks that other ranks' kernels complete",
    folder: concat!(env!("CARGO_MANIFEST_DIR"), "/comm_experts"),
    include_dirs: crate::INCLUDE_DIRS,
    runtime: RuntimeKind::TensormapAndRingbuffer,
    platforms: &Platform::ALL,
    programs: &[Program {
        name: "main",
        graph: Graph::Cpp { path: "orchestration.cpp", entry: "build_comm_experts" },
        kernels: &[
            Kernel::cpp(0, CoreType::Aiv, "kernels/dispatch.cpp").signature(&[In]),
            Kernel::cpp(1, CoreType::Aiv, "kernels/expect.cpp").signature(&[Inout]),
            Kernel::cpp(2, CoreType::Aic, "kernels/run_experts.cpp").signature(&[In]),
            Kernel::cpp(3, CoreType::Aiv, "kernels/combine.cpp").signature(&[In, Out]),
        ],
    }],
    cases,
};

const TOKENS: u32 = 50;

/// Runs in the same windows, one after the other.
const ROUNDS: u64 = 3;

fn cases(_: Platform) -> Vec<Case> {
    [2, 4, 8].map(|ranks| Case::new(format!("{ranks}_ranks"), dispatch_and_combine).ranks(ranks)).into()
}

fn dispatch_and_combine(stage: &mut Stage<'_>) -> Result<(), CaseError> {
    let comm = stage.comm()?;
    let (own, ranks) = (u64::from(comm.rank()), u64::from(comm.ranks()));
    let handle = stage.register("main")?;
    let words = TOKENS + comm.ranks() * (1 + 2 * TOKENS);
    let context = comm.alloc_windows(512 + words as usize * size_of::<u64>())?;
    for round in 1..=ROUNDS {
        let mut random = stage.random(round * ranks + own);
        let tokens: Vec<u64> = (0..TOKENS).map(|_| random.next_u64() % 10_000).collect();
        let results = tokens.iter().map(|token| 1000 * token + token % (2 * ranks)).collect();
        let data = Data::new()
            .input("tokens", &[TOKENS], tokens)
            .output("out", &[TOKENS], results, Tolerance::EXACT)
            .scalar(context.addr())
            .scalar(round);
        stage.run(&handle, data, &CallConfig::default())?;
        // Nobody writes to windows that another rank still reads.
        comm.barrier()?;
    }
    Ok(())
}
