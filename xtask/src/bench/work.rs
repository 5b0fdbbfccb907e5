//! What is measured: workers, callables, and one run of each.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use chip_worker::{
    Args, CallConfig, CallableHandle, ChipCallable, ChipWorker, CoreCallable, Platform, RunOutcome,
    RuntimeKind,
};
use kernel_compiler::{CoreType, KernelCompiler, Runtime, Source};

pub(super) fn worker(platform: Platform, runtime: RuntimeKind) -> Result<ChipWorker> {
    Ok(ChipWorker::builder().platform(platform).runtime(runtime).device(0).build()?)
}

pub(super) fn config(block_dim: u32) -> Result<CallConfig> {
    let mut config = CallConfig::default();
    config.set_block_dim(i32::try_from(block_dim)?)?;
    Ok(config)
}

pub(super) fn nanos(elapsed: Duration) -> u64 {
    u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX)
}

/// A run of so many tasks that do nothing.
#[derive(Clone, Copy)]
pub(super) struct EmptyTasks {
    count: u64,
    /// Whether each waits for the one before it.
    chain: bool,
    /// 0 for one scope around all; the host builds its graphs without.
    per_scope: u64,
}

impl EmptyTasks {
    pub(super) fn new(count: u64) -> Self {
        Self { count, chain: false, per_scope: 0 }
    }

    pub(super) fn chain(count: u64) -> Self {
        Self { chain: true, ..Self::new(count) }
    }

    pub(super) fn per_scope(self, tasks: u64) -> Self {
        Self { per_scope: tasks, ..self }
    }

    /// The graphs of these runs.
    pub(super) fn callable(compiler: &KernelCompiler, runtime: RuntimeKind) -> Result<ChipCallable> {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("bench");
        let (runtime, graph) = match runtime {
            RuntimeKind::TensormapAndRingbuffer => (Runtime::TensormapAndRingbuffer, "trb_tasks.cpp"),
            _ => (Runtime::HostBuildGraph, "tasks.cpp"),
        };
        let noop = Source::kernel(dir.join("noop.cpp"), CoreType::Aiv).runtime(runtime);
        let noop = CoreCallable::encode(&[], &compiler.compile(&noop)?.bytes)?;
        let graph = Source::orchestration(dir.join(graph), runtime).entry("build_tasks");
        let graph = compiler.compile(&graph)?.bytes;
        Ok(ChipCallable::builder("build_tasks").binary(&graph).child(0, &noop).build()?)
    }

    /// Runs them, and sees that they ran.
    pub(super) fn run(
        self,
        worker: &ChipWorker,
        handle: &CallableHandle,
        config: &CallConfig,
    ) -> Result<RunOutcome> {
        let mut tensor = [0u64; 16];
        let (count, chain) = (self.count, u64::from(self.chain));
        let args = match worker.runtime() {
            RuntimeKind::TensormapAndRingbuffer => Args::new().output(&mut tensor, &[16])?,
            _ => Args::new(),
        };
        let args = args.scalar(count)?.scalar(chain)?.scalar(self.per_scope)?;
        let outcome = worker.run(handle, &args, config)?;
        // A loaded library that does not tell says 0.
        if outcome.tasks != count && !(worker.is_loaded() && outcome.tasks == 0) {
            bail!("{} of {count} tasks ran", outcome.tasks);
        }
        Ok(outcome)
    }

    /// How long a run takes, in nanoseconds.
    pub(super) fn time(
        self,
        worker: &ChipWorker,
        handle: &CallableHandle,
        config: &CallConfig,
    ) -> Result<u64> {
        let start = Instant::now();
        self.run(worker, handle, config)?;
        Ok(nanos(start.elapsed()))
    }
}

pub(super) fn vector_callable(
    compiler: &KernelCompiler,
    platform: Platform,
    name: &str,
) -> Result<ChipCallable> {
    let scene = scenes::find(name).with_context(|| format!("the scene {name} is missing"))?;
    Ok(scene::compile(compiler, scene, platform)?)
}

/// Tensors of the vector example, 128 x 128.
pub(super) struct VectorData {
    a: Vec<f32>,
    b: Vec<f32>,
    f: Vec<f32>,
}

const SIDE: u32 = 128;

impl VectorData {
    pub(super) fn new() -> Self {
        let len = (SIDE * SIDE) as usize;
        Self { a: vec![2.0; len], b: vec![3.0; len], f: vec![0.0; len] }
    }

    pub(super) fn run(
        &mut self,
        worker: &ChipWorker,
        handle: &CallableHandle,
        config: &CallConfig,
    ) -> Result<u64> {
        let shape = [SIDE, SIDE];
        let args = Args::new().input(&self.a, &shape)?.input(&self.b, &shape)?.output(&mut self.f, &shape)?;
        let start = Instant::now();
        worker.run(handle, &args, config)?;
        Ok(nanos(start.elapsed()))
    }

    pub(super) fn check(&self) -> Result<()> {
        // (2 + 3 + 1) * (2 + 3 + 2) + (2 + 3)
        if self.f.iter().any(|&value| value != 47.0) {
            bail!("vector_example computed something else");
        }
        Ok(())
    }
}
