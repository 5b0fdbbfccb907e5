//! `cargo xtask st`: runs scenes and checks their results.

use std::fmt;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;
use chip_worker::{Platform, RuntimeKind};
use kernel_compiler::KernelCompiler;
use scenes::{BuiltScene, Case, CaseError, CaseReport, Objects, RingSizes, Scene, Sources};

const HELP: &str = "\
cargo xtask st [OPTIONS] [FILTER...]

Runs scenes: C++ kernels and orchestrations with generated arguments, whose results are compared with those
of a calculation in Rust. Needs a C++ compiler; needs no NPU. With FILTERs only cases are run whose
\"scene/case\" contains one of them.

  --platform NAME   a2a3sim or a5sim; may be given twice (default: both)
  --runtime NAME    host_build_graph or tensormap_and_ringbuffer (default: both)
  --smallest-rings  run the cases of tensormap_and_ringbuffer with the smallest rings that they pass with
  --tree DIR        run on the libraries of a build/lib tree, such as `cargo xtask build-all` makes; cases that
                    need Rust kernels or phases of a run are left out
  --list            only show the names of the scenes and their cases
  -h, --help        show this text

Ends with 0 if every case passes, with 1 if one fails or a FILTER matches none, with 2 for wrong options.

Examples:
  cargo xtask st
  cargo xtask st vector_example
  cargo xtask st --platform a5sim random_dag/layered bgemm
  cargo xtask st --runtime tensormap_and_ringbuffer spmd

Compiled kernels are kept in $SIMPLER_KERNEL_CACHE, else in ~/.cache/simpler-rs. $SIMPLER_CXX names the compiler.
";

/// How the command was called.
struct Options {
    platforms: Vec<Platform>,
    runtimes: Vec<RuntimeKind>,
    way: Way,
    list: bool,
    filters: Vec<String>,
}

/// What runs the cases.
enum Way {
    Linked,
    SmallestRings,
    Tree(PathBuf),
}

/// A scene with the cases that are to be run on a platform.
struct Selected {
    scene: &'static Scene,
    platform: Platform,
    cases: Vec<Case>,
}

pub fn run(parser: lexopt::Parser) -> Result<ExitCode> {
    let options = match Options::parse(parser) {
        Ok(Some(options)) => options,
        Ok(None) => return crate::show(HELP),
        Err(reason) => return Ok(crate::refuse(&reason, HELP)),
    };
    let selected = options.select();
    if let Some(filter) = options.filters.iter().find(|&filter| !matches_any(filter, &selected)) {
        tell_names(filter);
        return Ok(ExitCode::FAILURE);
    }
    if options.list {
        list(&selected)?;
        return Ok(ExitCode::SUCCESS);
    }
    let start = Instant::now();
    let objects = compile(&selected)?;
    let tally = run_all(&options, &selected, &objects)?;
    let platforms = options.platforms.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let took = start.elapsed().as_secs_f64();
    let Tally { passed, failed, left_out } = tally;
    let left_out = if left_out == 0 { String::new() } else { format!(", {left_out} left out") };
    writeln!(io::stdout(), "\n{platforms}: {passed} passed, {failed} failed{left_out} in {took:.1} s")?;
    Ok(if tally.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl Options {
    /// `None` when help is asked for; the error is text for whoever called.
    fn parse(mut parser: lexopt::Parser) -> Result<Option<Self>, String> {
        use lexopt::prelude::*;
        let mut options =
            Self { platforms: vec![], runtimes: vec![], way: Way::Linked, list: false, filters: vec![] };
        while let Some(arg) = parser.next().map_err(text)? {
            match arg {
                Long("platform") => {
                    let name = parser.value().and_then(|value| value.string()).map_err(text)?;
                    push_new(&mut options.platforms, name.parse().map_err(text)?);
                }
                Long("runtime") => {
                    let name = parser.value().and_then(|value| value.string()).map_err(text)?;
                    push_new(&mut options.runtimes, name.parse().map_err(text)?);
                }
                Long("smallest-rings") => options.set_way(Way::SmallestRings)?,
                Long("tree") => options.set_way(Way::Tree(parser.value().map_err(text)?.into()))?,
                Long("list") => options.list = true,
                Long("help") | Short('h') => return Ok(None),
                Value(filter) => options.filters.push(filter.string().map_err(text)?),
                other => return Err(text(other.unexpected())),
            }
        }
        if let Some(platform) = options.platforms.iter().find(|platform| !platform.is_simulated()) {
            return Err(format!("{platform} is a chip on hardware; scenes run on a2a3sim and a5sim"));
        }
        if options.platforms.is_empty() {
            options.platforms = Platform::SIMULATED.to_vec();
        }
        if options.runtimes.is_empty() {
            options.runtimes = RuntimeKind::ALL.to_vec();
        }
        if matches!(options.way, Way::SmallestRings) {
            options.runtimes.retain(|&runtime| runtime == RuntimeKind::TensormapAndRingbuffer);
            if options.runtimes.is_empty() {
                return Err("--smallest-rings is for the runtime tensormap_and_ringbuffer".to_owned());
            }
        }
        Ok(Some(options))
    }

    fn set_way(&mut self, way: Way) -> Result<(), String> {
        if !matches!(self.way, Way::Linked) {
            return Err("--smallest-rings and --tree do not go together".to_owned());
        }
        self.way = way;
        Ok(())
    }

    fn select(&self) -> Vec<Selected> {
        let mut selected = Vec::new();
        for &platform in &self.platforms {
            for scene in scenes::all() {
                if !scene.platforms.contains(&platform) || !self.runtimes.contains(&scene.runtime) {
                    continue;
                }
                let mut cases = (scene.cases)(platform);
                cases.retain(|case| {
                    self.filters.is_empty() || self.filters.iter().any(|filter| matches(filter, scene, case))
                });
                if !cases.is_empty() {
                    selected.push(Selected { scene, platform, cases });
                }
            }
        }
        selected
    }
}

fn text(error: impl fmt::Display) -> String {
    error.to_string()
}

fn push_new<T: PartialEq>(values: &mut Vec<T>, value: T) {
    if !values.contains(&value) {
        values.push(value);
    }
}

fn matches(filter: &str, scene: &Scene, case: &Case) -> bool {
    format!("{}/{}", scene.name, case.name()).contains(filter)
}

fn matches_any(filter: &str, selected: &[Selected]) -> bool {
    selected.iter().any(|set| set.cases.iter().any(|case| matches(filter, set.scene, case)))
}

fn tell_names(filter: &str) {
    eprintln!("error: no case contains \"{filter}\" in its name; the scenes are:");
    for scene in scenes::all() {
        eprintln!("  {:24} {}", scene.name, scene.summary);
    }
    eprintln!("`cargo xtask st --list` shows the cases, too");
}

/// Each scene with the platforms it is selected for, and their cases.
fn list(selected: &[Selected]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for scene in scenes::all() {
        let sets: Vec<&Selected> = selected.iter().filter(|set| set.scene.name == scene.name).collect();
        if sets.is_empty() {
            continue;
        }
        let platforms = sets.iter().map(|set| set.platform.name()).collect::<Vec<_>>().join(", ");
        writeln!(out, "{}: {} ({}; {platforms})", scene.name, scene.summary, scene.runtime)?;
        let mut names = Vec::new();
        for case in sets.iter().flat_map(|set| &set.cases) {
            push_new(&mut names, case.name());
        }
        for name in names {
            writeln!(out, "  {}/{name}", scene.name)?;
        }
    }
    Ok(())
}

fn compile(selected: &[Selected]) -> Result<Objects> {
    let sources = Sources::of(selected.iter().map(|set| (set.scene, set.platform)));
    let count = sources.len();
    let compiler = KernelCompiler::new()?;
    let mut out = io::stdout();
    writeln!(
        out,
        "compiling {count} C++ sources with {}, unless the kernel cache has them ...",
        compiler.description()
    )?;
    let start = Instant::now();
    let objects = sources.compile(&compiler);
    let (took, cached) = (start.elapsed().as_secs_f64(), objects.cached());
    writeln!(out, "{} compiled, {cached} from the cache, in {took:.1} s\n", count - cached)?;
    Ok(objects)
}

#[derive(Default)]
struct Tally {
    passed: usize,
    failed: usize,
    left_out: usize,
}

fn run_all(options: &Options, selected: &[Selected], objects: &Objects) -> Result<Tally> {
    let mut tally = Tally::default();
    let mut broken: Vec<&str> = Vec::new();
    for set in selected {
        match objects.build(set.scene, set.platform) {
            Ok(built) => run_scene(options, set, &built, &mut tally)?,
            Err(_) if broken.contains(&set.scene.name) => tally.failed += set.cases.len(),
            Err(error) => {
                broken.push(set.scene.name);
                tally.failed += set.cases.len();
                writeln!(io::stdout(), "FAIL {} (all {} cases)\n{error}", set.scene.name, set.cases.len())?;
            }
        }
    }
    Ok(tally)
}

fn run_scene(options: &Options, set: &Selected, built: &BuiltScene, tally: &mut Tally) -> io::Result<()> {
    for case in &set.cases {
        let start = Instant::now();
        let result = run_case(&options.way, built, case);
        let line = line(set, case, &result, start.elapsed());
        match result {
            Ok(Some(_)) => tally.passed += 1,
            Ok(None) => tally.left_out += 1,
            Err(_) => tally.failed += 1,
        }
        writeln!(io::stdout(), "{line}")?;
    }
    Ok(())
}

/// Runs a case; what it did as text, or `None` if it is left out.
fn run_case(way: &Way, built: &BuiltScene, case: &Case) -> Result<Option<String>, CaseError> {
    match way {
        Way::Linked => scenes::run_alone(built, case).map(|report| Some(details(&report))),
        Way::Tree(tree) => Ok(scenes::run_in_tree(tree, built, case)?.as_ref().map(details)),
        Way::SmallestRings => {
            let (sizes, report) = scenes::run_with_smallest_rings(built, case)?;
            let RingSizes { task_window, heap, dep_pool, .. } = sizes;
            let sizes = format!("window {task_window}, heap {heap} bytes, dep_pool {dep_pool}");
            Ok(Some(format!("{sizes}; {}", details(&report))))
        }
    }
}

fn line(set: &Selected, case: &Case, result: &Result<Option<String>, CaseError>, took: Duration) -> String {
    let name = format!("{}/{} {}", set.scene.name, case.name(), set.platform);
    let took = readable(took);
    match result {
        Ok(Some(details)) => format!("PASS {name} {took} ({details})"),
        Ok(None) => format!("LEFT OUT {name} (it needs a worker that is linked in)"),
        Err(error) => format!("FAIL {name} {took}\n{}", indented(&error.to_string())),
    }
}

fn details(report: &CaseReport) -> String {
    let (host, device) = (readable(report.host_wall), readable(report.device_wall));
    let runs = if report.runs == 1 { String::new() } else { format!("{} runs, ", report.runs) };
    let plural = if report.tasks == 1 { "" } else { "s" };
    format!("{runs}host {host}, device {device}, {} task{plural}", report.tasks)
}

fn readable(time: Duration) -> String {
    let micros = time.as_secs_f64() * 1e6;
    if micros < 1e3 { format!("{micros:.0} us") } else { format!("{:.1} ms", micros / 1e3) }
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
}
