//! `cargo xtask bench`: figures as JSON lines `{"name", "params", "unit", "samples"}` on standard output, a
//! readable table on standard error.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::{Mutex, mpsc};
use std::time::Instant;

use crate::bench_comm;
use anyhow::{Context, Result, bail};
use chip_worker::{
    Args, CallConfig, CallableHandle, CallableSource, ChipCallable, ChipWorker, CoreCallable, DataType,
    NativeKernel, NativeOrchestration, Platform, Programs, RingOptions, RunOutcome, RuntimeKind, TaskSpec,
};
use kernel_compiler::{CoreType, KernelCompiler, Runtime, Source};

const HELP: &str = "\
cargo xtask bench [OPTIONS] [FILTER...]

Measures the simulated chips. Each line on standard output is one figure:
  {\"name\": ..., \"params\": {...}, \"unit\": \"ns\" or \"bytes\", \"samples\": [...]}
Medians are shown on standard error. Only figures whose name contains a FILTER are taken.

  --platform NAME   a2a3sim (default) or a5sim
  --samples N       samples of each figure (default 30)
  --tree DIR        also measure runs on the libraries of a build/lib tree, those of `cargo xtask build-all` or
                    others: the figures with \"engine\": \"loaded\"
  --engine NAME     also measure runs of this project's device programs on simulated registers, the only NAME:
                    the figures with \"engine\": \"registers\"
  -h, --help        show this text

Ends with 0 if all was measured, with 1 if something failed, with 2 for wrong options.
";

/// How `cargo xtask bench` was called.
pub(crate) struct Options {
    pub(crate) platform: Platform,
    samples: usize,
    tree: Option<PathBuf>,
    /// Whether to measure device programs.
    registers: bool,
    filters: Vec<String>,
}

/// What it was called for.
enum Task {
    Help,
    Measure(Options),
    /// In a process of its own, for one figure: how much memory a worker takes after so many tasks.
    Resident(Platform, RuntimeKind, u64),
    /// Likewise: the rank that the environment names does its work so many times, with others at a path.
    Rank(Platform, bench_comm::Work, PathBuf, usize),
}

pub fn run(parser: lexopt::Parser) -> Result<ExitCode> {
    let task = match Task::parse(parser) {
        Ok(task) => task,
        Err(reason) => return Ok(crate::refuse(&format!("{reason:#}"), HELP)),
    };
    match task {
        Task::Help => return crate::show(HELP),
        Task::Measure(options) => measure_all(&options)?,
        Task::Resident(platform, runtime, count) => return resident(platform, runtime, count),
        Task::Rank(platform, work, path, total) => {
            bench_comm::follow_as_process(platform, work, &path, total)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

impl Task {
    fn parse(mut parser: lexopt::Parser) -> Result<Self> {
        use lexopt::prelude::*;
        let (platform, samples) = (Platform::A2a3Sim, 30);
        let mut options = Options { platform, samples, tree: None, registers: false, filters: Vec::new() };
        let mut runtime = RuntimeKind::HostBuildGraph;
        let (mut total, mut path) = (0, PathBuf::new());
        while let Some(arg) = parser.next()? {
            match arg {
                Long("platform") => options.platform = parser.value()?.parse()?,
                Long("samples") => options.samples = parser.value()?.parse()?,
                Long("tree") => options.tree = Some(parser.value()?.into()),
                Long("engine") => match parser.value()?.to_str() {
                    Some("registers") => options.registers = true,
                    _ => bail!("--engine takes: registers"),
                },
                Long("runtime") => runtime = parser.value()?.parse()?,
                Long("resident") => {
                    return Ok(Self::Resident(options.platform, runtime, parser.value()?.parse()?));
                }
                Long("comm-total") => total = parser.value()?.parse()?,
                Long("comm-path") => path = parser.value()?.into(),
                Long("comm-rank") => {
                    let work = bench_comm::Work::parse(&parser.value()?.string()?)?;
                    return Ok(Self::Rank(options.platform, work, path, total));
                }
                Long("help") | Short('h') => return Ok(Self::Help),
                Value(filter) => options.filters.push(filter.parse()?),
                other => return Err(other.unexpected().into()),
            }
        }
        if options.samples == 0 {
            bail!("--samples must be at least 1");
        }
        Ok(Self::Measure(options))
    }
}

fn measure_all(options: &Options) -> Result<()> {
    let compiler = KernelCompiler::new()?;
    let noop = tasks_callable(&compiler)?;
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
        let run = |count: u64, chain: bool| run_tasks(&shared, &handle, &config, count, chain);
        let params = format!("\"block_dim\": {block_dim}");
        options.measure("noop_run", &params, |_| run(1, false))?;
        options.measure("noop_tasks_10000", &params, |_| run(10_000, false))?;
        options.measure("noop_chain_10000", &params, |_| run(10_000, true))?;
    }
    measure_swimlane(options, "noop_tasks_10000", max, |config| {
        tasks(&shared, &handle, config, 10_000, false)
    })?;
    drop(handle);
    measure_vector(options, "vector_example", "linked", &shared, &vector)?;
    measure_rings(options, &compiler, max)?;
    bench_comm::measure(options)?;
    for (runtime, count) in [
        (RuntimeKind::HostBuildGraph, 1),
        (RuntimeKind::HostBuildGraph, 10_000),
        (RuntimeKind::HostBuildGraph, 131_072),
        (RuntimeKind::TensormapAndRingbuffer, 1),
        (RuntimeKind::TensormapAndRingbuffer, 10_000),
        (RuntimeKind::TensormapAndRingbuffer, 100_000),
    ] {
        let params = format!("\"runtime\": \"{runtime}\", \"tasks\": {count}");
        options.measure("resident", &params, |_| resident_of_child(chip, runtime, count))?;
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
            let noop = match runtime {
                RuntimeKind::TensormapAndRingbuffer => trb_callable(compiler)?,
                _ => tasks_callable(compiler)?,
            };
            let handle = worker.register(&noop)?;
            for block_dim in [1, max] {
                let config = config(block_dim)?;
                let run = |count| match runtime {
                    RuntimeKind::TensormapAndRingbuffer => {
                        run_stream(&worker, &handle, &config, count, false, 0)
                    }
                    _ => run_tasks(&worker, &handle, &config, count, false),
                };
                let params = format!("\"engine\": \"{engine}\", \"block_dim\": {block_dim}");
                options.measure(&format!("{prefix}noop_run"), &params, |_| run(1))?;
                options.measure(&format!("{prefix}noop_tasks_10000"), &params, |_| run(10_000))?;
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
    let callable = trb_callable(compiler)?;
    let worker = worker(options.platform, RuntimeKind::TensormapAndRingbuffer)?;
    let handle = worker.register(&callable)?;
    for block_dim in [1, 3, max] {
        let config = config(block_dim)?;
        let run = |count, chain, per_scope| run_stream(&worker, &handle, &config, count, chain, per_scope);
        let params = format!("\"block_dim\": {block_dim}");
        options.measure("trb_noop_run", &params, |_| run(1, false, 0))?;
        options.measure("trb_stream_10000", &params, |_| run(10_000, false, 0))?;
        options.measure("trb_chain_10000", &params, |_| run(10_000, true, 0))?;
        options.measure("trb_stream_100000", &params, |_| run(100_000, false, 100))?;
    }
    measure_swimlane(options, "trb_stream_10000", max, |config| {
        stream(&worker, &handle, config, 10_000, false, 0)
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
        run_stream(&small, &handle, &config, 100_000, false, 16)
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

/// Samples that are taken first and do not count.
const WARM: usize = 10;

impl Options {
    /// Whether a figure is to be taken.
    pub(crate) fn wants(&self, name: &str) -> bool {
        self.filters.is_empty() || self.filters.iter().any(|filter| name.contains(filter.as_str()))
    }

    /// How often a figure is taken, with those that warm up.
    pub(crate) fn total(&self) -> usize {
        WARM + self.samples
    }

    /// Whether the figure was wanted.
    pub(crate) fn measure(
        &self,
        name: &str,
        params: &str,
        mut sample: impl FnMut(usize) -> Result<u64>,
    ) -> Result<bool> {
        if !self.wants(name) {
            return Ok(false);
        }
        // Memory does not vary, and each sample of it is a process; short runs need some to warm up.
        let resident = name == "resident";
        let (warm, samples) = if resident { (0, self.samples.min(3)) } else { (WARM, self.samples) };
        for index in 0..warm {
            sample(index)?;
        }
        let values = (0..samples).map(sample).collect::<Result<Vec<u64>>>()?;
        self.show(name, params, values);
        Ok(true)
    }

    fn show(&self, name: &str, params: &str, mut values: Vec<u64>) {
        let list = values.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
        let unit = if name == "resident" { "bytes" } else { "ns" };
        let platform = self.platform;
        let separator = if params.is_empty() { "" } else { ", " };
        println!(
            "{{\"name\": \"{name}\", \"params\": {{\"platform\": \"{platform}\"{separator}{params}}}, \
             \"unit\": \"{unit}\", \"samples\": [{list}]}}"
        );
        values.sort_unstable();
        eprintln!("{name:28} {params:48} median {}", readable(values[values.len() / 2], unit));
    }
}

fn readable(value: u64, unit: &str) -> String {
    let value = value as f64;
    match unit {
        "bytes" => format!("{:.1} MB", value / 1e6),
        _ if value < 1e6 => format!("{:.1} us", value / 1e3),
        _ => format!("{:.2} ms", value / 1e6),
    }
}

fn worker(platform: Platform, runtime: RuntimeKind) -> Result<ChipWorker> {
    Ok(ChipWorker::builder().platform(platform).runtime(runtime).device(0).build()?)
}

fn config(block_dim: u32) -> Result<CallConfig> {
    let mut config = CallConfig::default();
    config.set_block_dim(i32::try_from(block_dim)?)?;
    Ok(config)
}

pub(crate) fn nanos(elapsed: std::time::Duration) -> u64 {
    u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX)
}

/// One run of `count` tasks that do nothing, in nanoseconds.
fn run_tasks(
    worker: &ChipWorker,
    handle: &CallableHandle,
    config: &CallConfig,
    count: u64,
    chain: bool,
) -> Result<u64> {
    let start = Instant::now();
    tasks(worker, handle, config, count, chain)?;
    Ok(nanos(start.elapsed()))
}

/// The same run, and how it ended.
fn tasks(
    worker: &ChipWorker,
    handle: &CallableHandle,
    config: &CallConfig,
    count: u64,
    chain: bool,
) -> Result<RunOutcome> {
    let args = Args::new().scalar(count)?.scalar(u64::from(chain))?;
    let outcome = worker.run(handle, &args, config)?;
    check_tasks(worker, outcome.tasks, count)?;
    Ok(outcome)
}

/// A loaded library that does not tell counts as 0.
fn check_tasks(worker: &ChipWorker, ran: u64, count: u64) -> Result<()> {
    if ran == count || (worker.is_loaded() && ran == 0) {
        return Ok(());
    }
    bail!("{ran} of {count} tasks ran")
}

/// One run of `count` tasks that do nothing, submitted while they run, in nanoseconds.
fn run_stream(
    worker: &ChipWorker,
    handle: &CallableHandle,
    config: &CallConfig,
    count: u64,
    chain: bool,
    per_scope: u64,
) -> Result<u64> {
    let start = Instant::now();
    stream(worker, handle, config, count, chain, per_scope)?;
    Ok(nanos(start.elapsed()))
}

/// The same run, and how it ended.
fn stream(
    worker: &ChipWorker,
    handle: &CallableHandle,
    config: &CallConfig,
    count: u64,
    chain: bool,
    per_scope: u64,
) -> Result<RunOutcome> {
    let mut tensor = [0u64; 16];
    let args = Args::new().output(&mut tensor, &[16])?;
    let args = args.scalar(count)?.scalar(u64::from(chain))?.scalar(per_scope)?;
    let outcome = worker.run(handle, &args, config)?;
    check_tasks(worker, outcome.tasks, count)?;
    Ok(outcome)
}

fn compile(compiler: &KernelCompiler, source: &Source) -> Result<Vec<u8>> {
    Ok(compiler.compile(source)?.bytes.to_vec())
}

fn tasks_callable(compiler: &KernelCompiler) -> Result<ChipCallable> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("bench");
    let noop = compile(compiler, &Source::kernel(dir.join("noop.cpp"), CoreType::Aiv))?;
    let graph = Source::orchestration(dir.join("tasks.cpp"), Runtime::HostBuildGraph).entry("build_tasks");
    let graph = compile(compiler, &graph)?;
    let noop = CoreCallable::encode(&[], &noop)?;
    Ok(ChipCallable::builder("build_tasks").binary(&graph).child(0, &noop).build()?)
}

fn trb_callable(compiler: &KernelCompiler) -> Result<ChipCallable> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("bench");
    let runtime = Runtime::TensormapAndRingbuffer;
    let noop = compile(compiler, &Source::kernel(dir.join("noop.cpp"), CoreType::Aiv).runtime(runtime))?;
    let graph = Source::orchestration(dir.join("trb_tasks.cpp"), runtime).entry("build_tasks");
    let graph = compile(compiler, &graph)?;
    let noop = CoreCallable::encode(&[], &noop)?;
    Ok(ChipCallable::builder("build_tasks").binary(&graph).child(0, &noop).build()?)
}

fn vector_callable(compiler: &KernelCompiler, platform: Platform, name: &str) -> Result<ChipCallable> {
    let scene = scenes::find(name).with_context(|| format!("the scene {name} is missing"))?;
    Ok(scene::compile(compiler, scene, platform)?)
}

/// Tensors of the vector example, 128 x 128.
struct VectorData {
    a: Vec<f32>,
    b: Vec<f32>,
    f: Vec<f32>,
}

const SIDE: u32 = 128;

impl VectorData {
    fn new() -> Self {
        let len = (SIDE * SIDE) as usize;
        Self { a: vec![2.0; len], b: vec![3.0; len], f: vec![0.0; len] }
    }

    fn run(&mut self, worker: &ChipWorker, handle: &CallableHandle, config: &CallConfig) -> Result<u64> {
        let shape = [SIDE, SIDE];
        let args = Args::new().input(&self.a, &shape)?.input(&self.b, &shape)?.output(&mut self.f, &shape)?;
        let start = Instant::now();
        worker.run(handle, &args, config)?;
        Ok(nanos(start.elapsed()))
    }

    fn check(&self) -> Result<()> {
        // (2 + 3 + 1) * (2 + 3 + 2) + (2 + 3)
        if self.f.iter().any(|&value| value != 47.0) {
            bail!("vector_example computed something else");
        }
        Ok(())
    }
}

/// Peak resident memory of a process of its own that runs `count` tasks.
fn resident_of_child(platform: Platform, runtime: RuntimeKind, count: u64) -> Result<u64> {
    let output = Command::new(std::env::current_exe()?)
        .args(["bench", "--platform", platform.name(), "--runtime", runtime.name()])
        .args(["--resident", &count.to_string()])
        .output()?;
    if !output.status.success() {
        bail!("the measured process failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8(output.stdout)?.trim().parse()?)
}

fn resident(platform: Platform, runtime: RuntimeKind, count: u64) -> Result<ExitCode> {
    let compiler = KernelCompiler::new()?;
    let worker = worker(platform, runtime)?;
    let config = config(0)?;
    if runtime == RuntimeKind::TensormapAndRingbuffer {
        let handle = worker.register(&trb_callable(&compiler)?)?;
        for _ in 0..3 {
            run_stream(&worker, &handle, &config, count, true, 100)?;
        }
    } else {
        let handle = worker.register(&tasks_callable(&compiler)?)?;
        for _ in 0..3 {
            run_tasks(&worker, &handle, &config, count, true)?;
        }
    }
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    let kib: u64 = line.trim().trim_end_matches(" kB").parse()?;
    println!("{}", kib * 1024);
    Ok(ExitCode::SUCCESS)
}
