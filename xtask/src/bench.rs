//! `cargo xtask bench`: figures as JSON lines `{"name", "params", "unit", "samples"}` on standard output, a
//! readable table on standard error.

mod comm;
mod memory;
mod options;
mod work;

use std::process::ExitCode;
use std::sync::{Mutex, mpsc};
use std::time::Instant;

use anyhow::{Context, Result};
use chip_worker::{
    Args, CallConfig, CallableSource, ChipCallable, ChipWorker, DataType, NativeKernel, NativeOrchestration,
    Programs, RingOptions, RunOutcome, RuntimeKind, TaskSpec,
};
use kernel_compiler::KernelCompiler;

use options::{HELP, Options, Task};
use work::{EmptyTasks, VectorData, config, nanos, vector_callable, worker};

pub fn run(parser: lexopt::Parser) -> Result<ExitCode> {
    let task = match Task::parse(parser) {
        Ok(task) => task,
        Err(reason) => return Ok(crate::refuse(&format!("{reason:#}"), HELP)),
    };
    match task {
        Task::Help => return crate::show(HELP),
        Task::Measure(options) => measure_all(&options)?,
        Task::Resident(platform, runtime, count) => memory::tell(platform, runtime, count)?,
        Task::Rank(platform, work, path, total) => comm::follow_as_process(platform, work, &path, total)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn measure_all(options: &Options) -> Result<()> {
    let compiler = KernelCompiler::new()?;
    let noop = EmptyTasks::callable(&compiler, RuntimeKind::HostBuildGraph)?;
    let chip = options.platform;
    let vector = vector_callable(&compiler, chip, "vector_example")?;
    let max = chip.max_block_dim().context("this build lacks the platform")?;

    options.measure("init", "", |_| {
        let start = Instant::now();
        let worker = worker(chip, RuntimeKind::HostBuildGraph)?;
        let elapsed = start.elapsed();
        worker.close()?;
        Ok(nanos(elapsed))
    })?;
    if options.tree.is_some() || options.registers {
        measure_engines(options, &compiler)?;
    }
    let shared = worker(chip, RuntimeKind::HostBuildGraph)?;
    options.measure("register", "\"callable\": \"vector_example\"", |_| {
        let start = Instant::now();
        let handle = shared.register(&vector)?;
        let elapsed = start.elapsed();
        drop(handle);
        Ok(nanos(elapsed))
    })?;
    let handle = shared.register(&noop)?;
    for block_dim in [1, 3, max] {
        let config = config(block_dim)?;
        let time = |tasks: EmptyTasks| tasks.time(&shared, &handle, &config);
        let params = format!("\"block_dim\": {block_dim}");
        options.measure("noop_run", &params, |_| time(EmptyTasks::new(1)))?;
        options.measure("noop_tasks_10000", &params, |_| time(EmptyTasks::new(10_000)))?;
        options.measure("noop_chain_10000", &params, |_| time(EmptyTasks::chain(10_000)))?;
    }
    measure_swimlane(options, "noop_tasks_10000", max, |config| {
        EmptyTasks::new(10_000).run(&shared, &handle, config)
    })?;
    drop(handle);
    measure_vector(options, "vector_example", "linked", &shared, &vector)?;
    measure_rings(options, &compiler, max)?;
    comm::measure(options)?;
    for (runtime, count) in [
        (RuntimeKind::HostBuildGraph, 1),
        (RuntimeKind::HostBuildGraph, 10_000),
        (RuntimeKind::HostBuildGraph, 131_072),
        (RuntimeKind::TensormapAndRingbuffer, 1),
        (RuntimeKind::TensormapAndRingbuffer, 10_000),
        (RuntimeKind::TensormapAndRingbuffer, 100_000),
    ] {
        let params = format!("\"runtime\": \"{runtime}\", \"tasks\": {count}");
        options.measure("resident", &params, |_| memory::of_child(chip, runtime, count))?;
    }
    Ok(())
}

/// Workers of a runtime by what executes for them: always the engine that is linked in, others as asked for.
fn engines(options: &Options, runtime: RuntimeKind) -> Result<Vec<(&'static str, ChipWorker)>> {
    let chip = options.platform;
    let mut engines = vec![("linked", worker(chip, runtime)?)];
    if let Some(tree) = &options.tree {
        engines.push(("loaded", ChipWorker::load_from_tree(tree, chip, runtime, 0)?));
    }
    if options.registers {
        let built = device_programs::build(chip.folders().0, runtime.name())?;
        let builder = ChipWorker::builder().platform(chip).runtime(runtime);
        engines
            .push(("registers", builder.programs(Programs::simulated(built.aicpu, built.aicore)).build()?));
    }
    Ok(engines)
}

/// The same runs on several engines, side by side.
fn measure_engines(options: &Options, compiler: &KernelCompiler) -> Result<()> {
    let chip = options.platform;
    let max = chip.max_block_dim().context("this build lacks the platform")?;
    for runtime in RuntimeKind::ALL {
        for (engine, worker) in engines(options, runtime)? {
            let prefix = match runtime {
                RuntimeKind::TensormapAndRingbuffer => "trb_",
                _ => "",
            };
            let handle = worker.register(&EmptyTasks::callable(compiler, runtime)?)?;
            for block_dim in [1, max] {
                let config = config(block_dim)?;
                let time = |count| EmptyTasks::new(count).time(&worker, &handle, &config);
                let params = format!("\"engine\": \"{engine}\", \"block_dim\": {block_dim}");
                options.measure(&format!("{prefix}noop_run"), &params, |_| time(1))?;
                options.measure(&format!("{prefix}noop_tasks_10000"), &params, |_| time(10_000))?;
            }
            let name = format!("{prefix}vector_example");
            let vector = vector_callable(compiler, chip, &name)?;
            measure_vector(options, &name, engine, &worker, &vector)?;
        }
    }
    Ok(())
}

fn measure_vector(
    options: &Options,
    name: &str,
    engine: &str,
    worker: &ChipWorker,
    callable: &ChipCallable,
) -> Result<()> {
    let handle = worker.register(callable)?;
    for block_dim in [1, 24] {
        let config = config(block_dim)?;
        let mut data = VectorData::new();
        let params = format!("\"engine\": \"{engine}\", \"block_dim\": {block_dim}");
        options.measure(name, &params, |_| {
            let nanos = data.run(worker, &handle, &config)?;
            data.check()?;
            Ok(nanos)
        })?;
    }
    Ok(())
}

/// The same for the variant that builds its graph while it runs.
fn measure_rings(options: &Options, compiler: &KernelCompiler, max: u32) -> Result<()> {
    let callable = EmptyTasks::callable(compiler, RuntimeKind::TensormapAndRingbuffer)?;
    let worker = worker(options.platform, RuntimeKind::TensormapAndRingbuffer)?;
    let handle = worker.register(&callable)?;
    for block_dim in [1, 3, max] {
        let config = config(block_dim)?;
        let time = |tasks: EmptyTasks| tasks.time(&worker, &handle, &config);
        let params = format!("\"block_dim\": {block_dim}");
        options.measure("trb_noop_run", &params, |_| time(EmptyTasks::new(1)))?;
        options.measure("trb_stream_10000", &params, |_| time(EmptyTasks::new(10_000)))?;
        options.measure("trb_chain_10000", &params, |_| time(EmptyTasks::chain(10_000)))?;
        let scopes = EmptyTasks::new(100_000).per_scope(100);
        options.measure("trb_stream_100000", &params, |_| time(scopes))?;
    }
    measure_swimlane(options, "trb_stream_10000", max, |config| {
        EmptyTasks::new(10_000).run(&worker, &handle, config)
    })?;
    drop(handle);
    let vector = vector_callable(compiler, options.platform, "trb_vector_example")?;
    measure_vector(options, "trb_vector_example", "linked", &worker, &vector)?;
    measure_attention(options, compiler, &worker)?;
    measure_submit(options, &worker)?;
    let rings = RingOptions::default().task_window(64);
    let small = ChipWorker::builder()
        .platform(options.platform)
        .runtime(RuntimeKind::TensormapAndRingbuffer)
        .rings(rings)
        .build()?;
    let handle = small.register(&callable)?;
    let config = config(max)?;
    options.measure("trb_stream_100000_window_64", &format!("\"block_dim\": {max}"), |_| {
        EmptyTasks::new(100_000).per_scope(16).time(&small, &handle, &config)
    })?;
    Ok(())
}

/// The same runs without and with a swimlane of the highest level, one after the other so that the machine is the same
/// for both. The files are written after the results are back; `_swimlane_export` is how long that takes.
fn measure_swimlane(
    options: &Options,
    name: &str,
    max: u32,
    run: impl Fn(&CallConfig) -> Result<RunOutcome>,
) -> Result<()> {
    let scratch = tempfile::tempdir()?;
    for block_dim in [1, max] {
        let off = config(block_dim)?;
        let mut on = off;
        on.set_l2_swimlane(4)?.set_output_prefix(&scratch.path().to_string_lossy())?;
        let params = format!("\"block_dim\": {block_dim}, \"level\": 4");
        let mut plain = Vec::new();
        let mut exports = Vec::new();
        let measured = options.measure(&format!("{name}_swimlane"), &params, |_| {
            plain.push(nanos(run(&off)?.host_wall));
            let outcome = run(&on)?;
            exports.push(nanos(outcome.stages.export));
            Ok(nanos(outcome.host_wall - outcome.stages.export))
        })?;
        if measured {
            options.show(&format!("{name}_no_swimlane"), &params, plain);
            options.show(&format!("{name}_swimlane_export"), &params, exports);
        }
    }
    Ok(())
}

/// Attention over a paged cache, as its scene runs and checks it.
fn measure_attention(options: &Options, compiler: &KernelCompiler, worker: &ChipWorker) -> Result<()> {
    let scene = scenes::find("paged_attention").context("the scene paged_attention is missing")?;
    let objects = scene::Sources::of([(scene, options.platform)]).compile(compiler);
    let built = objects.build(scene, options.platform)?;
    for case in (scene.cases)(options.platform) {
        if ["auto_small", "auto_batch", "manual_batch"].contains(&case.name()) {
            options.measure("trb_paged_attention", &format!("\"case\": \"{}\"", case.name()), |_| {
                Ok(nanos(scene::run_case(worker, &built, &case, 0)?.host_wall))
            })?;
        }
    }
    Ok(())
}

/// Submits of one [`measure_submit`] run; fewer than a ring has places.
const SUBMITS: u64 = 4000;

/// What one submit costs while none of the tasks can run: all of them wait for the first, which waits for the
/// orchestration.
fn measure_submit(options: &Options, worker: &ChipWorker) -> Result<()> {
    for tensors in [0_usize, 3] {
        let (open, gate) = mpsc::channel::<()>();
        let (took, times) = mpsc::channel::<u64>();
        let gate = Mutex::new(gate);
        let wait = NativeKernel::new("gate", move |_| {
            let gate = gate.lock().map_err(|error| error.to_string())?;
            gate.recv().map_err(|error| error.to_string().into())
        });
        let orchestration = NativeOrchestration::new(move |graph| {
            let input = graph.tensor(0)?;
            let first = graph.submit(TaskSpec::aiv(0))?.id;
            let start = Instant::now();
            for _ in 1..SUBMITS {
                let task = TaskSpec::aiv(1).after(first);
                let task = match tensors {
                    0 => task,
                    _ => task.input(&input).input(&input).output(&[16], DataType::Uint64)?,
                };
                graph.submit(task)?;
            }
            let _ = took.send(nanos(start.elapsed()) / SUBMITS);
            let _ = open.send(());
            Ok(())
        });
        let noop = NativeKernel::new("noop", |_| Ok(()));
        let kernels = vec![(0, wait.into()), (1, noop.into())];
        let handle = worker.register_source(&CallableSource::new(orchestration.into(), kernels))?;
        options.measure("trb_submit", &format!("\"tensors\": {tensors}"), |_| {
            let mut tensor = [0u64; 16];
            let args = Args::new().output(&mut tensor, &[16])?;
            worker.run(&handle, &args, &config(0)?)?;
            Ok(times.recv()?)
        })?;
    }
    Ok(())
}
