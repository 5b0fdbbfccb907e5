//! How much memory a worker takes, seen in a process of its own.

use std::process::Command;

use anyhow::{Context, Result, bail};
use chip_worker::{Platform, RuntimeKind};
use kernel_compiler::KernelCompiler;

use super::work::{EmptyTasks, config, worker};

/// Peak resident memory of a process that runs `count` tasks, in bytes.
pub(super) fn of_child(platform: Platform, runtime: RuntimeKind, count: u64) -> Result<u64> {
    let output = Command::new(std::env::current_exe()?)
        .args(["bench", "--platform", platform.name(), "--runtime", runtime.name()])
        .args(["--resident", &count.to_string()])
        .output()?;
    if !output.status.success() {
        bail!("the measured process failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8(output.stdout)?.trim().parse()?)
}

/// What that process does.
pub(super) fn tell(platform: Platform, runtime: RuntimeKind, count: u64) -> Result<()> {
    let worker = worker(platform, runtime)?;
    let handle = worker.register(&EmptyTasks::callable(&KernelCompiler::new()?, runtime)?)?;
    for _ in 0..3 {
        EmptyTasks::chain(count).per_scope(100).run(&worker, &handle, &config(0)?)?;
    }
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    let kib: u64 = line.trim().trim_end_matches(" kB").parse()?;
    println!("{}", kib * 1024);
    Ok(())
}
