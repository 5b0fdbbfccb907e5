//! Several chips as ranks of a job: each kernel writes to the windows of the others, and waits for them.
//!
//! Ranks as threads of one process: `cargo run -p chip-worker --example 06_ranks_and_windows`
//!
//! Ranks as processes: `mpirun -n 4 target/debug/examples/06_ranks_and_windows`, `srun -n 4 ...`, or by hand with
//! SIMPLER_COMM_RANK and SIMPLER_COMM_SIZE in the environment of each.
#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::path::{Path, PathBuf};

use chip_worker::{
    Args, CallConfig, CallableSource, ChipWorker, CommContext, CoreType, DevPtr, Launch, NativeGraph,
    NativeKernel, Platform, WorkerError,
};

/// Every rank tells every other one a number, and adds up what it is told. Kernels in C++ do the same with
/// `platform_comm/comm_context.h`.
fn exchange() -> CallableSource {
    let kernel = NativeKernel::new("exchange", |kernel| {
        let ranks: CommContext = kernel.read(kernel.ptr(0), 1)?[0];
        let (own, count) = (ranks.rank_id as usize, ranks.rank_num as usize);
        let slot = |rank: usize, index: usize| DevPtr::new(ranks.windows_in[rank] + 8 * index as u64);
        for rank in 0..count {
            // Never 0, which stands for nothing yet.
            kernel.write(slot(rank, own), &[100 + own as u64])?;
        }
        let mut sum = 0;
        for from in 0..count {
            sum += loop {
                match kernel.read::<u64>(slot(own, from), 1)?[0] {
                    0 => std::thread::yield_now(),
                    told => break told,
                }
            };
        }
        kernel.write(kernel.ptr(1), &[sum])
    });
    let graph = NativeGraph::new(|graph| {
        let out = graph.stage_out(0)?;
        graph.add_task(&[graph.scalar(0)?, out.addr()], 0, CoreType::Aiv)?;
        Ok(())
    });
    CallableSource::new(graph.into(), vec![(0, kernel.into())])
}

fn work(rank: u32, ranks: u32, meeting_place: &Path) -> Result<(), WorkerError> {
    let worker = ChipWorker::builder().platform(Platform::A2a3Sim).device(rank).build()?;
    let comm = worker.join(rank, ranks, meeting_place)?;
    let context = comm.alloc_windows(4096)?;

    let callable = worker.register_source(&exchange())?;
    let mut sum = [0u64];
    let args = Args::new().output(&mut sum, &[1])?.scalar(context.addr())?;
    worker.run(&callable, &args, &CallConfig::default())?;
    drop(args);
    comm.barrier()?;
    println!("rank {rank} of {ranks} was told {} in all", sum[0]);
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    if let Some(launch) = Launch::from_environment()? {
        // The launcher's ranks all name the same place; nothing is made there.
        return Ok(work(launch.rank, launch.ranks, &PathBuf::from("/tmp/ranks-and-windows"))?);
    }
    let meeting_place = std::env::temp_dir().join(format!("ranks-and-windows-{}", std::process::id()));
    std::thread::scope(|scope| {
        let threads = [0, 1, 2, 3].map(|rank| {
            let meeting_place = &meeting_place;
            scope.spawn(move || work(rank, 4, meeting_place))
        });
        for thread in threads {
            match thread.join() {
                Ok(result) => result?,
                Err(_) => return Err("a thread panicked".into()),
            }
        }
        Ok(())
    })
}
