//! A graph and its kernels written in Rust; no C++ compiler needed.
//!
//! `cargo run -p chip-worker --example 01_graph_in_rust`
#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use chip_worker::{
    Args, CallConfig, CallableSource, ChipWorker, CoreType, KernelContext, KernelFault, NativeGraph,
    NativeKernel, Platform, RuntimeKind,
};

const LEN: usize = 8;

/// Slots: a, b, out.
fn add(kernel: &KernelContext<'_>) -> Result<(), KernelFault> {
    let a: Vec<f32> = kernel.read(kernel.ptr(0), LEN)?;
    let b: Vec<f32> = kernel.read(kernel.ptr(1), LEN)?;
    let sum: Vec<f32> = a.iter().zip(&b).map(|(a, b)| a + b).collect();
    kernel.write(kernel.ptr(2), &sum)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // out = (a + b) + a, as two tasks.
    let graph = NativeGraph::new(|graph| {
        let (a, b, out) = (graph.stage_in(0)?, graph.stage_in(1)?, graph.stage_out(2)?);
        let sum = graph.device_malloc(LEN * size_of::<f32>())?;
        let first = graph.add_task(&[a.addr(), b.addr(), sum.addr()], 0, CoreType::Aiv)?;
        let second = graph.add_task(&[sum.addr(), a.addr(), out.addr()], 0, CoreType::Aiv)?;
        graph.add_successor(first, second)
    });

    let worker = ChipWorker::builder()
        .platform(Platform::A2a3Sim)
        .runtime(RuntimeKind::HostBuildGraph)
        .device(0)
        .build()?;
    let kernels = vec![(0, NativeKernel::new("add", add).into())];
    let callable = worker.register_source(&CallableSource::new(graph.into(), kernels))?;

    let shape = [8];
    let (a, b, mut out) = ([1.0f32; LEN], [10.0f32; LEN], [0.0f32; LEN]);
    let args = Args::new().input(&a, &shape)?.input(&b, &shape)?.output(&mut out, &shape)?;
    let outcome = worker.run(&callable, &args, &CallConfig::default())?;
    drop(args);
    println!("{out:?}");
    println!(
        "{} tasks, {:?} on the host, {:?} on the chip",
        outcome.tasks, outcome.host_wall, outcome.device_wall
    );
    Ok(())
}
