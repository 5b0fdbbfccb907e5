//! Compiles a C++ kernel and a C++ orchestration, packs them into a callable and runs it.
//!
//! `cargo run -p chip-worker --example 02_compiled_kernels`
#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::path::Path;

use chip_worker::{
    ArgDirection, Args, CallConfig, ChipCallable, ChipWorker, CoreCallable, CoreType, Platform,
};
use kernel_compiler::{KernelCompiler, Runtime, Source};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    env_logger::init();
    let cpp = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/cpp");
    let compiler = KernelCompiler::new()?;
    let kernel = compiler.compile(&Source::kernel(cpp.join("scale.cpp"), CoreType::Aiv))?;
    let graph =
        Source::orchestration(cpp.join("scale_twice.cpp"), Runtime::HostBuildGraph).entry("scale_twice");
    let graph = compiler.compile(&graph)?;

    let kernel = CoreCallable::encode(&[ArgDirection::In, ArgDirection::Out], &kernel.bytes)?;
    let callable = ChipCallable::builder("scale_twice").binary(&graph.bytes).child(0, &kernel).build()?;

    for platform in Platform::SIMULATED {
        let worker = ChipWorker::builder().platform(platform).build()?;
        let handle = worker.register(&callable)?;
        let (input, mut output) = ([1.0f32, 2.0, 3.0, 4.0], [0.0f32; 4]);
        let args = Args::new().input(&input, &[4])?.output(&mut output, &[4])?;
        let outcome = worker.run(&handle, &args, &CallConfig::default())?;
        drop(args);
        println!("{platform}: {input:?} -> {output:?} in {:?}", outcome.host_wall);
    }
    Ok(())
}
