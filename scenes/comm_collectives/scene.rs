//! Collectives among the ranks of a job: a kernel each, which waits in memory for those of the other ranks.

use chip_worker::ArgDirection::{In, Out};
use chip_worker::{CallConfig, CoreType, Platform, RuntimeKind};
use scene::{Case, CaseError, Data, Graph, Kernel, Program, Scene, Stage, Tolerance};

pub(crate) const SCENE: Scene = Scene {
    name: "comm_collectives",
    summary: "allreduce (ring), allgather, reduce_scatter, broadcast and all_to_all of 2, 4 and 8 ranks",
    folder: concat!(env!("CARGO_MANIFEST_DIR"), "/comm_collectives"),
    include_dirs: crate::INCLUDE_DIRS,
    runtime: RuntimeKind::HostBuildGraph,
    platforms: &Platform::ALL,
    programs: &[Program {
        name: "main",
        graph: Graph::Cpp { path: "orchestration.cpp", entry: "build_comm_collectives" },
        kernels: &[
            Kernel::cpp(0, CoreType::Aiv, "kernels/allreduce_ring.cpp").signature(&[In, Out]),
            Kernel::cpp(1, CoreType::Aiv, "kernels/allgather.cpp").signature(&[In, Out]),
            Kernel::cpp(2, CoreType::Aiv, "kernels/reduce_scatter.cpp").signature(&[In, Out]),
            Kernel::cpp(3, CoreType::Aiv, "kernels/broadcast.cpp").signature(&[In, Out]),
            Kernel::cpp(4, CoreType::Aiv, "kernels/all_to_all.cpp").signature(&[In, Out]),
        ],
    }],
    cases,
};

/// What a rank should have after a round, of what all ranks had before.
type Golden = fn(all: &[Vec<i32>], own: usize, round: usize) -> Vec<i32>;

const COLLECTIVES: [(&str, Golden); 5] = [
    ("allreduce_ring", |all, _, _| sum(all)),
    ("allgather", |all, _, _| all.concat()),
    ("reduce_scatter", |all, own, _| share(&sum(all), own, all.len()).to_vec()),
    ("broadcast", |all, _, round| all[round % all.len()].clone()),
    ("all_to_all", |all, own, _| all.iter().flat_map(|from| share(from, own, all.len()).to_vec()).collect()),
];

/// Runs in the same windows, one after the other.
const ROUNDS: usize = 3;

fn cases(_: Platform) -> Vec<Case> {
    let mut cases = Vec::new();
    for (kernel, (name, golden)) in (0..).zip(COLLECTIVES) {
        for ranks in [2, 4, 8] {
            let script = move |stage: &mut Stage<'_>| collective(stage, kernel, golden);
            cases.push(Case::new(format!("{name}_{ranks}"), script).ranks(ranks));
        }
    }
    cases
}

fn sum(all: &[Vec<i32>]) -> Vec<i32> {
    (0..all[0].len()).map(|index| all.iter().map(|values| values[index]).sum()).collect()
}

fn share(values: &[i32], index: usize, parts: usize) -> &[i32] {
    let size = values.len() / parts;
    &values[index * size..(index + 1) * size]
}

fn collective(stage: &mut Stage<'_>, kernel: u64, golden: Golden) -> Result<(), CaseError> {
    let comm = stage.comm()?;
    let (own, ranks) = (comm.rank() as usize, comm.ranks() as usize);
    let handle = stage.register("main")?;
    let count = 125 * ranks;
    // Signals, and twice the data, as the ring needs.
    let context = comm.alloc_windows(512 + 2 * (count + ranks) * size_of::<i32>())?;
    for round in 1..=ROUNDS {
        let all: Vec<Vec<i32>> = (0..ranks).map(|rank| values(stage, round * ranks + rank, count)).collect();
        let expected = golden(&all, own, round);
        let length = |values: &[i32]| [u32::try_from(values.len()).unwrap_or(u32::MAX)];
        let data = Data::new()
            .input("in", &length(&all[own]), all[own].clone())
            .output("out", &length(&expected), expected, Tolerance::EXACT)
            .scalar(kernel)
            .scalar(context.addr())
            .scalar(round as u64);
        stage.run(&handle, data, &CallConfig::default())?;
        // Nobody writes to windows that another rank still reads.
        comm.barrier()?;
    }
    Ok(())
}

fn values(stage: &Stage<'_>, stream: usize, count: usize) -> Vec<i32> {
    let mut random = stage.random(stream as u64);
    (0..count).map(|_| i32::try_from(random.next_u64() >> 44).unwrap_or(0)).collect()
}
