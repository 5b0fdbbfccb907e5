//! How `cargo xtask bench` is called, and how it shows figures.

use std::path::PathBuf;

use anyhow::{Result, bail};
use chip_worker::{Platform, RuntimeKind};

use super::comm;

pub(super) const HELP: &str = "\
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
pub(super) struct Options {
    pub(super) platform: Platform,
    samples: usize,
    pub(super) tree: Option<PathBuf>,
    /// Whether to measure device programs.
    pub(super) registers: bool,
    filters: Vec<String>,
}

/// What it was called for.
pub(super) enum Task {
    Help,
    Measure(Options),
    /// In a process of its own, for one figure: how much memory a worker takes after so many tasks.
    Resident(Platform, RuntimeKind, u64),
    /// Likewise: the rank that the environment names does its work so many times, with others at a path.
    Rank(Platform, comm::Work, PathBuf, usize),
}

impl Task {
    pub(super) fn parse(mut parser: lexopt::Parser) -> Result<Self> {
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
                    let work = comm::Work::parse(&parser.value()?.string()?)?;
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

/// Samples that are taken first and do not count.
const WARM: usize = 10;

impl Options {
    /// Whether a figure is to be taken.
    pub(super) fn wants(&self, name: &str) -> bool {
        self.filters.is_empty() || self.filters.iter().any(|filter| name.contains(filter.as_str()))
    }

    /// How often a figure is taken, with those that warm up.
    pub(super) fn total(&self) -> usize {
        WARM + self.samples
    }

    /// Whether the figure was wanted.
    pub(super) fn measure(
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

    pub(super) fn show(&self, name: &str, params: &str, mut values: Vec<u64>) {
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
