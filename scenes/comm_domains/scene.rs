//! Two domains of the ranks of a job at once, with a rank that is in both.

use chip_worker::ArgDirection::{In, Out};
use chip_worker::{CallConfig, CoreType, DevPtr, Platform, RuntimeKind};
use scene::{Case, CaseError, Data, Graph, Kernel, Program, Scene, Stage, Tolerance};

pub(crate) const SCENE: Scene = Scene {
    name: "comm_domains",
    summary: "two overlapping domains of 2, 4 and 8 ranks, with windows of their own and in parts of those of the job",
    folder: concat!(env!("CARGO_MANIFEST_DIR"), "/comm_domains"),
    include_dirs: crate::INCLUDE_DIRS,
    runtime: RuntimeKind::HostBuildGraph,
    platforms: &Platform::ALL,
    programs: &[Program {
        name: "main",
        graph: Graph::Cpp { path: "orchestration.cpp", entry: "build_comm_domains" },
        kernels: &[Kernel::cpp(0, CoreType::Aiv, "kernels/weighted_sum.cpp").signature(&[In, Out])],
    }],
    cases,
};

const COUNT: u32 = 100;

/// Signals and data.
const BYTES: usize = 512 + COUNT as usize * size_of::<i64>();

fn cases(_: Platform) -> Vec<Case> {
    let mut cases = Vec::new();
    for ranks in [2, 4, 8] {
        cases.push(Case::new(format!("allocated_{ranks}"), allocated).ranks(ranks));
        cases.push(Case::new(format!("derived_{ranks}"), derived).ranks(ranks));
    }
    cases
}

/// The lower half and one more, and the upper half backwards; the place of a rank in each.
fn domains(own: u32, ranks: u32) -> [(Vec<u32>, Option<u32>); 2] {
    let members: [Vec<u32>; 2] = [(0..=ranks / 2).collect(), (ranks / 2..ranks).rev().collect()];
    members.map(|members| {
        let place = (0..).zip(&members).find(|&(_, &member)| member == own).map(|(place, _)| place);
        (members, place)
    })
}

fn allocated(stage: &mut Stage<'_>) -> Result<(), CaseError> {
    let comm = stage.comm()?;
    // Again under the same ids: the windows are fresh ones then.
    for round in 0..3 {
        let mut contexts = [DevPtr::NULL; 2];
        let domains = domains(comm.rank(), comm.ranks());
        for (id, ((members, place), context)) in (0..).zip(domains.iter().zip(&mut contexts)) {
            if let Some(place) = *place {
                *context = comm.alloc_domain(id, members, place, BYTES)?.context;
            }
        }
        run(stage, round, contexts)?;
        for (id, (members, place)) in (0..).zip(&domains) {
            if let Some(place) = *place {
                comm.release_domain(id, members.len(), place)?;
            }
        }
    }
    Ok(())
}

fn derived(stage: &mut Stage<'_>) -> Result<(), CaseError> {
    let comm = stage.comm()?;
    comm.alloc_windows(2 * BYTES)?;
    let mut contexts = [DevPtr::NULL; 2];
    let domains = domains(comm.rank(), comm.ranks());
    for (part, ((members, place), context)) in domains.iter().zip(&mut contexts).enumerate() {
        if let Some(place) = *place {
            *context = comm.derive_context(members, place, part * BYTES, BYTES)?;
        }
    }
    run(stage, 0, contexts)
}

fn run(stage: &mut Stage<'_>, round: u64, contexts: [DevPtr; 2]) -> Result<(), CaseError> {
    let comm = stage.comm()?;
    let handle = stage.register("main")?;
    let values = |rank: u32| -> Vec<i64> {
        let mut random = stage.random(round * 64 + u64::from(rank));
        (0..COUNT).map(|_| (random.next_u64() >> 40).cast_signed()).collect()
    };
    let mut expected = vec![0; 2 * COUNT as usize];
    for ((members, place), row) in
        domains(comm.rank(), comm.ranks()).iter().zip(expected.chunks_mut(COUNT as usize))
    {
        for (weight, &member) in (1..).zip(members).filter(|_| place.is_some()) {
            row.iter_mut().zip(values(member)).for_each(|(sum, value)| *sum += weight * value);
        }
    }
    let data = Data::new()
        .input("in", &[COUNT], values(comm.rank()))
        .output("out", &[2, COUNT], expected, Tolerance::EXACT)
        .scalar(contexts[0].addr())
        .scalar(contexts[1].addr());
    stage.run(&handle, data, &CallConfig::default())?;
    Ok(())
}
