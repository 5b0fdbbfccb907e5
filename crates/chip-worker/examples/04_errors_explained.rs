//! What goes wrong is told: a cycle, a kernel that is missing, kernels that wait for each other for ever.
//!
//! `cargo run -p chip-worker --example 04_errors_explained`
#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::sync::{Arc, Mutex, PoisonError};

use chip_worker::{
    Args, CallConfig, CallableSource, ChipWorker, CoreType, GraphBuilder, GraphError, NativeGraph,
    NativeKernel,
};

type Build = fn(&mut GraphBuilder<'_>) -> Result<(), GraphError>;

fn show(title: &str, kernels: &[NativeKernel], build: Build) -> Result<(), Box<dyn std::error::Error>> {
    let worker = ChipWorker::builder().build()?;
    let kernels = (0u32..).zip(kernels).map(|(id, kernel)| (id, kernel.clone().into())).collect();
    let callable = worker.register_source(&CallableSource::new(NativeGraph::new(build).into(), kernels))?;
    match worker.run(&callable, &Args::new(), &CallConfig::default()) {
        Ok(outcome) => println!("{title}: fine, {} tasks\n", outcome.tasks),
        Err(error) => println!("{title}: {error}\n"),
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let noop = NativeKernel::new("noop", |_| Ok(()));
    show("a cycle", std::slice::from_ref(&noop), |graph| {
        let tasks = [(); 3].map(|()| graph.add_task(&[], 0, CoreType::Aiv));
        let [a, b, c] = tasks;
        let (a, b, c) = (a?, b?, c?);
        graph.add_successor(a, b)?;
        graph.add_successor(b, c)?;
        graph.add_successor(c, a)
    })?;
    show("a missing kernel", std::slice::from_ref(&noop), |graph| {
        graph.add_task(&[], 7, CoreType::Aiv)?;
        Ok(())
    })?;

    // Held by this thread, so the kernel that wants it waits for ever.
    let lock = Arc::new(Mutex::new(()));
    let held = lock.lock().unwrap_or_else(PoisonError::into_inner);
    let wanted = Arc::clone(&lock);
    let blocked = NativeKernel::new("blocked", move |_| {
        drop(wanted.lock());
        Ok(())
    });
    show("a deadlock", &[blocked, noop], |graph| {
        let first = graph.add_task(&[], 0, CoreType::Aic)?;
        let second = graph.add_task(&[], 1, CoreType::Aiv)?;
        graph.add_successor(first, second)
    })?;
    drop(held);
    Ok(())
}
