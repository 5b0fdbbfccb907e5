//! Two chips at work at once from two threads, each run in its phases: prepare, launch, poll, finish.
//!
//! `cargo run -p chip-worker --example 03_phases_and_threads`
#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::time::Duration;

use chip_worker::{
    Args, CallConfig, CallableSource, ChipWorker, CoreType, NativeGraph, NativeKernel, Platform, WorkerError,
};

fn work(platform: Platform) -> Result<(), WorkerError> {
    let slow = NativeKernel::new("slow", |kernel| {
        std::thread::sleep(Duration::from_millis(20));
        kernel.write(kernel.ptr(0), &[kernel.task().0])
    });
    let graph = NativeGraph::new(|graph| {
        let out = graph.stage_out(0)?;
        for task in 0..4 {
            graph.add_task(&[out.addr() + 8 * task], 0, CoreType::Aic)?;
        }
        Ok(())
    });
    let worker = ChipWorker::builder().platform(platform).build()?;
    let callable = worker.register_source(&CallableSource::new(graph.into(), vec![(0, slow.into())]))?;

    let mut seen = [99u64; 4];
    let args = Args::new().output(&mut seen, &[4])?;
    let prepared = worker.prepare(&callable, &args, &CallConfig::default())?;
    let mut active = prepared.launch()?;
    let mut polls = 0;
    while !active.poll() {
        polls += 1;
        std::thread::sleep(Duration::from_millis(5));
    }
    let outcome = active.finish()?;
    drop(args);
    println!(
        "{platform}: {seen:?} after {polls} polls, {:?} on the host, {:?} on the chip",
        outcome.host_wall, outcome.device_wall
    );
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    std::thread::scope(|scope| {
        let threads = Platform::SIMULATED.map(|platform| scope.spawn(move || work(platform)));
        for thread in threads {
            match thread.join() {
                Ok(result) => result?,
                Err(_) => return Err("a thread panicked".into()),
            }
        }
        Ok(())
    })
}
