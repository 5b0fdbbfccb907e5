//! `cargo xtask report`: checks and shows what a run's diagnostics recorded.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use run_records::Run;
use run_report::{Facts, Finding, FuncNames};

const HELP: &str = "\
cargo xtask report [OPTIONS] DIR

Makes one HTML page, which opens without a network, and a trace for Perfetto or chrome://tracing of the files that a
run's diagnostics left in DIR: l2_perf_records.json, deps.json, pmu.csv, scope_stats/, tensor_dump/ and run.json, as
far as they are there.

  --out FILE         the page (default: DIR/report.html); the trace, trace.json, goes beside it
  --title TEXT       what the page is called (default: the name of DIR)
  --func-names FILE  names of kernels: {\"0\": \"name\", ...}, or the same under \"callable_id_to_name\"
                     (default: a file name_map*.json in DIR, if there is just one)
  --check            make nothing; say what is wrong with the records
  --all              say everything that is wrong, not only the first 20
  -h, --help         show this text

Ends with 0; with --check, ends with 1 if something is wrong with the records. Ends with 1 if a file cannot be read or
written, with 2 for wrong options.

Examples:
  cargo xtask report out
  cargo xtask report out --check
";

/// So many findings are told unless all are wanted.
const TOLD: usize = 20;

/// How the command was called.
#[derive(Default)]
struct Options {
    directory: Option<PathBuf>,
    out: Option<PathBuf>,
    title: Option<String>,
    func_names: Option<PathBuf>,
    check: bool,
    all: bool,
}

pub fn run(parser: lexopt::Parser) -> Result<ExitCode> {
    let options = match Options::parse(parser) {
        Ok(Some(options)) => options,
        Ok(None) => return crate::show(HELP),
        Err(reason) => return Ok(crate::refuse(&reason, HELP)),
    };
    let Some(directory) = &options.directory else {
        return Ok(crate::refuse("name the folder with the files of a run", HELP));
    };
    let run = Run::read(directory)?;
    if run.is_empty() {
        bail!(
            "{} has no files of a run's diagnostics; run with diagnostics on, into that folder",
            directory.display()
        );
    }
    let findings = run_report::check(&run, &Facts::of(directory, &run));
    if options.check {
        tell(&run, &findings, if options.all { usize::MAX } else { TOLD })?;
        return Ok(if findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    let names = names(&options, directory)?;
    let page = options.out.clone().unwrap_or_else(|| directory.join("report.html"));
    let trace = page.with_file_name("trace.json");
    let title = options.title.clone().unwrap_or_else(|| title(directory));
    make(&run, &title, &names, &findings, (&page, &trace))?;
    writeln!(io::stdout(), "{}\n{}", page.display(), trace.display())?;
    if !findings.is_empty() {
        let directory = directory.display();
        eprintln!(
            "{} things are wrong with the records: cargo xtask report {directory} --check",
            findings.len()
        );
    }
    Ok(ExitCode::SUCCESS)
}

impl Options {
    /// `None` when help is asked for; the error is text for whoever called.
    fn parse(mut parser: lexopt::Parser) -> Result<Option<Self>, String> {
        use lexopt::prelude::*;
        let text = |error: lexopt::Error| error.to_string();
        let mut options = Self::default();
        while let Some(arg) = parser.next().map_err(text)? {
            match arg {
                Long("out") => options.out = Some(parser.value().map_err(text)?.into()),
                Long("title") => {
                    options.title = Some(parser.value().and_then(|title| title.string()).map_err(text)?);
                }
                Long("func-names") => options.func_names = Some(parser.value().map_err(text)?.into()),
                Long("check") => options.check = true,
                Long("all") => options.all = true,
                Long("help") | Short('h') => return Ok(None),
                Value(directory) if options.directory.is_none() => options.directory = Some(directory.into()),
                other => return Err(text(other.unexpected())),
            }
        }
        if options.check && options.out.is_some() {
            return Err("--check makes no page, so --out has no meaning".to_owned());
        }
        Ok(Some(options))
    }
}

fn names(options: &Options, directory: &Path) -> Result<FuncNames> {
    if let Some(path) = &options.func_names {
        return Ok(FuncNames::read(path)?);
    }
    let is_map = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.starts_with("name_map")
            && Path::new(name).extension().is_some_and(|extension| extension == "json")
    };
    let entries = fs::read_dir(directory).with_context(|| format!("cannot list {}", directory.display()))?;
    let maps: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).filter(is_map).collect();
    match &maps[..] {
        [map] => Ok(FuncNames::read(map)?),
        _ => Ok(FuncNames::default()),
    }
}

/// The name of the folder, also if it is given as `.`.
fn title(directory: &Path) -> String {
    let full = directory.canonicalize().unwrap_or_else(|_| directory.to_owned());
    full.file_name().unwrap_or(full.as_os_str()).to_string_lossy().into_owned()
}

fn make(
    run: &Run,
    title: &str,
    names: &FuncNames,
    findings: &[Finding],
    (page, trace): (&Path, &Path),
) -> Result<()> {
    run_records::replace(page, run_report::page(run, title, names, findings).as_bytes())?;
    let mut bytes = Vec::new();
    run_report::trace(run, names, &mut bytes)?;
    run_records::replace(trace, &bytes)?;
    Ok(())
}

/// What was checked, and what is wrong.
fn tell(run: &Run, findings: &[Finding], most: usize) -> Result<()> {
    let mut out = io::stdout().lock();
    for finding in findings.iter().take(most) {
        writeln!(out, "{finding}")?;
    }
    if findings.len() > most {
        writeln!(out, "... and {} more (--all shows them)", findings.len() - most)?;
    }
    let counts = [
        ("task records", run.swimlane.as_ref().map(|swimlane| swimlane.tasks.len())),
        ("dependencies", run.deps.as_ref().map(|deps| deps.edges.len())),
        ("scope records", run.scope_stats.as_ref().map(|stats| stats.records.len())),
        ("PMU rows", run.pmu.as_ref().map(|pmu| pmu.rows.len())),
        ("dumped tensors", run.dump.as_ref().map(|dump| dump.tensors.len())),
    ];
    let counts: Vec<String> =
        counts.iter().filter_map(|(what, count)| Some(format!("{} {what}", (*count)?))).collect();
    let found =
        if findings.is_empty() { "all is well".to_owned() } else { format!("{} findings", findings.len()) };
    writeln!(out, "{}: {found}", counts.join(", "))?;
    let untold = run_report::untold(run);
    if untold > 0 {
        writeln!(out, "{untold} tasks have no record; nothing tells whether they have a kernel (run.json)")?;
    }
    Ok(())
}
