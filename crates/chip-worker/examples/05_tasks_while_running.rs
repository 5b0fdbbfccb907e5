//! The variant `tensormap_and_ringbuffer` in Rust: tasks are submitted while others run, dependencies follow from
//! tensors, and memory comes from rings.
//!
//! `cargo run -p chip-worker --example 05_tasks_while_running`
#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use chip_worker::{
    Args, CallConfig, CallableSource, ChipWorker, DataType, Graph, GraphStopped, KernelContext, KernelFault,
    NativeKernel, NativeOrchestration, Platform, RingOptions, RuntimeKind, ScopeMode, TaskSpec,
    TensorKernel as _,
};

const ROWS: u32 = 1000;
const COLUMNS: u32 = 64;

/// Slots: a row, its sum so far, the new sum.
fn add_row(kernel: &KernelContext<'_>) -> Result<(), KernelFault> {
    let row: f32 = kernel.elements::<f32>(0)?.iter().sum();
    let before: Vec<f32> = kernel.elements(1)?;
    kernel.set_elements(2, &[before[0] + row])
}

/// Slots: a row, the row scaled; scalar: the factor.
fn scale(kernel: &KernelContext<'_>) -> Result<(), KernelFault> {
    let factor = kernel.args()[2] as f32;
    let scaled: Vec<f32> = kernel.elements::<f32>(0)?.iter().map(|value| value * factor).collect();
    kernel.set_elements(1, &scaled)
}

/// total = sum of 2 * matrix, row by row.
fn build(graph: &mut Graph<'_, '_>) -> Result<(), GraphStopped> {
    let (matrix, total) = (graph.tensor(0)?, graph.tensor(1)?);
    for row in 0..ROWS {
        // Memory of a scope can be used again once its tasks have ended. That outputs are not used any later is
        // checked by the compiler.
        graph.scope(ScopeMode::Auto, |graph| {
            let row = matrix.part(&[row, 0], &[1, COLUMNS])?;
            let doubled = TaskSpec::aiv(1).input(&row).output(&[1, COLUMNS], DataType::Float32)?.scalar(2);
            let doubled = graph.submit(doubled)?.outputs[0];
            // Waits for the task above, and for the row before.
            graph.submit(TaskSpec::aiv(0).input(&doubled).input(&total).inout(&total)).map(drop)
        })?;
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let worker = ChipWorker::builder()
        .platform(Platform::A5Sim)
        .runtime(RuntimeKind::TensormapAndRingbuffer)
        // The 2000 tasks pass through 16 places, their outputs through 64 KiB.
        .rings(RingOptions::default().task_window(16).heap(64 << 10))
        .build()?;
    let kernels = vec![
        (0, NativeKernel::new("add row", add_row).into()),
        (1, NativeKernel::new("scale", scale).into()),
    ];
    let callable =
        worker.register_source(&CallableSource::new(NativeOrchestration::new(build).into(), kernels))?;

    let matrix = vec![0.5f32; (ROWS * COLUMNS) as usize];
    let mut total = [0.0f32];
    let args = Args::new().input(&matrix, &[ROWS, COLUMNS])?.output(&mut total, &[1])?;
    let outcome = worker.run(&callable, &args, &CallConfig::default())?;
    drop(args);
    println!("sum {}: {} tasks in {:?} on the host", total[0], outcome.tasks, outcome.host_wall);
    if total != [(ROWS * COLUMNS) as f32] {
        return Err(format!("the sum is {}", total[0]).into());
    }
    Ok(())
}
