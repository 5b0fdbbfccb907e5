//! How a runner is called.

use std::ffi::OsString;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use chip_worker::{Platform, RuntimeKind};

use crate::item::Wanted;
use crate::wire::Way;

/// All that can be said on the command line.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) wanted: Wanted,
    pub(crate) way: Way,
    /// A `build/lib` tree with the programs of devices on hardware.
    pub(crate) programs: PathBuf,
    pub(crate) stand_in: bool,
    pub(crate) devices: u32,
    pub(crate) seed: u64,
    pub(crate) diagnostics: Option<PathBuf>,
    pub(crate) timeout: Duration,
    pub(crate) total_timeout: Option<Duration>,
    pub(crate) retries: u32,
    pub(crate) retry_pto_isa: Option<PathBuf>,
    pub(crate) fail_fast: bool,
    pub(crate) list: bool,
    /// This process is one rank of each case, and others are the others.
    pub(crate) as_rank: bool,
    pub(crate) verbose: bool,
    pub(crate) json: Option<PathBuf>,
    pub(crate) junit: Option<PathBuf>,
}

/// What a command line asks for.
#[derive(Debug)]
pub(crate) enum Asked {
    Run(Box<Options>),
    Help,
    /// To be the process that runs scenes.
    Worker,
}

/// The hidden argument of such a process.
pub(crate) const WORKER: &str = "--run-as-worker-of-a-scene-runner";

/// A case may be slow on a busy machine; one that takes longer than this is stuck.
pub(crate) const DEFAULT_TIMEOUT: Duration = Duration::from_secs(120);
/// Where `build-all` puts device programs.
pub(crate) const DEFAULT_PROGRAMS: &str = "build/lib";
const MAX_DEVICES: u32 = 1024;
/// Longer ones do not fit every clock.
const MAX_SECONDS: f64 = 1e9;

/// The help about the stand-in for hardware, where there is one.
const STAND_IN: &str = "  --stand-in           run a2a3 and a5 on a stand-in for their hardware and its libraries, with device programs
                       for this machine; the default of --platform is a2a3, a5 then
";

pub(crate) fn help(command: &str, has_stand_in: bool) -> String {
    let stand_in = if has_stand_in { STAND_IN } else { "" };
    let platforms = Platform::ALL.map(Platform::name).join(", ");
    let simulated = Platform::SIMULATED.map(Platform::name).join(", ");
    let runtimes = RuntimeKind::ALL.map(RuntimeKind::name).join(", ");
    format!(
        "\
{command} [OPTIONS] [FILTER...]

Runs scenes: C++ kernels and orchestrations with generated arguments, whose results are compared with those
of a calculation in Rust. Needs a C++ compiler; needs no NPU. With FILTERs only cases are run whose
\"scene/case/platform\" contains one of them.

Cases run at the same time on virtual devices, all in one child process. A case that crashes that process or
never ends is reported, and the others go on in another process.

Which cases:
  --platform LIST      of {platforms} (default: {simulated}, which need no NPU)
  --runtime LIST       of {runtimes} (default: both)
  --exact              FILTERs are whole names: \"scene\", \"scene/case\", or one as reports show it
  --repeat N           run each case N times, with the same arguments
  --list               only show the names of the scenes and their cases

How:
  --devices N|auto     how many cases run at once (default: auto, one per CPU)
  --seed N             what random arguments are drawn from (default: 0)
  --timeout SECONDS    for each case; a kernel that never ends is given up and named before that (default: 120)
  --total-timeout SECONDS  for all together (default: none)
  --diagnostics DIR    let runs record all they can into DIR/<scene>/<case>/<platform>, for `cargo xtask report`; a case
                       whose records do not hold together fails
  --smallest-rings     run the cases of tensormap_and_ringbuffer with the smallest rings that they pass with
  --as-rank            be one rank of the cases that have as many ranks as a launcher says, in this very process:
                       mpirun -n 4 {command} --as-rank
  --tree DIR           run on the libraries of a build/lib tree; cases that need Rust kernels or phases of a run
                       are left out
{stand_in}  --programs DIR       the build/lib tree with the device programs for a2a3 and a5 (default: build/lib)

After a failure:
  --retries N          run a case that failed or did not finish again, alone, up to N times; if it passes then it
                       is reported as flaky (default: 0)
  --retry-pto-isa DIR  after that, compile it once more with the PTO-ISA checkout at DIR and run it alone
  --fail-fast          end with the first case that fails with all its retries
  --keep-going         run all cases, whatever fails (the default)

Reports:
  --json FILE          write all results as JSON
  --junit FILE         write all results as JUnit XML
  -v, --verbose        show more, also of cases that pass
  -h, --help           show this text

Ends with 0 if every case passes or is flaky, with 1 if one fails, did not run, or a FILTER matches none, with 2
for wrong options, with 130 after Ctrl-C (128 and the signal's number).

Examples:
  {command} --list
  {command} --platform a5sim --devices 4
  {command} --retries 2 --junit report.xml
  {command} --repeat 100 --fail-fast NAME

Compiled kernels are kept in $SIMPLER_KERNEL_CACHE, else in ~/.cache/simpler-rs. $SIMPLER_CXX names the compiler.
"
    )
}

impl Options {
    fn new() -> Self {
        Self {
            wanted: Wanted::default(),
            way: Way::Linked,
            programs: DEFAULT_PROGRAMS.into(),
            stand_in: false,
            devices: cpus(),
            seed: 0,
            diagnostics: None,
            timeout: DEFAULT_TIMEOUT,
            total_timeout: None,
            retries: 0,
            retry_pto_isa: None,
            fail_fast: false,
            list: false,
            as_rank: false,
            verbose: false,
            json: None,
            junit: None,
        }
    }

    /// The error is text for whoever called.
    pub(crate) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Asked, String> {
        use lexopt::prelude::*;
        let mut parser = lexopt::Parser::from_args(args);
        let mut options = Self::new();
        while let Some(arg) = parser.next().map_err(text)? {
            match arg {
                Long("help") | Short('h') => return Ok(Asked::Help),
                Long(name) if Some(name) == WORKER.strip_prefix("--") => return Ok(Asked::Worker),
                Long("exact") => options.wanted.exact = true,
                Long("as-rank") => options.as_rank = true,
                Long("list") => options.list = true,
                Long("fail-fast") => options.fail_fast = true,
                Long("keep-going") => options.fail_fast = false,
                Long("stand-in") => options.stand_in = true,
                Long("smallest-rings") => options.set_way(Way::SmallestRings)?,
                Long("verbose") | Short('v') => options.verbose = true,
                Value(filter) => options.wanted.filters.push(filter.string().map_err(text)?),
                Long(name) => {
                    let name = name.to_owned();
                    options.set(&name, &mut parser)?;
                }
                other @ Short(_) => return Err(text(other.unexpected())),
            }
        }
        options.complete()?;
        Ok(Asked::Run(Box::new(options)))
    }

    /// Options with a value.
    fn set(&mut self, name: &str, parser: &mut lexopt::Parser) -> Result<(), String> {
        let path = |parser: &mut lexopt::Parser| parser.value().map(PathBuf::from).map_err(text);
        match name {
            "platform" => add_names(&mut self.wanted.platforms, &value(parser)?)?,
            "runtime" => add_names(&mut self.wanted.runtimes, &value(parser)?)?,
            "devices" => self.devices = devices(&value(parser)?)?,
            "repeat" => self.wanted.repeat = number(name, &value(parser)?, 1)?,
            "retries" => self.retries = number(name, &value(parser)?, 0)?,
            "seed" => self.seed = parsed(name, &value(parser)?, "a number from 0 to 2^64 - 1")?,
            "timeout" => self.timeout = seconds(name, &value(parser)?)?,
            "total-timeout" => self.total_timeout = Some(seconds(name, &value(parser)?)?),
            "tree" => self.set_way(Way::Tree(path(parser)?))?,
            "diagnostics" => self.diagnostics = Some(path(parser)?),
            "programs" => self.programs = path(parser)?,
            "retry-pto-isa" => self.retry_pto_isa = Some(path(parser)?),
            "json" => self.json = Some(report_file(&path(parser)?)?),
            "junit" => self.junit = Some(report_file(&path(parser)?)?),
            _ => return Err(format!("invalid option '--{name}'")),
        }
        Ok(())
    }

    fn complete(&mut self) -> Result<(), String> {
        if let Some(option) = self.not_as_rank().filter(|_| self.as_rank) {
            return Err(format!("--as-rank does not go with {option}: it is one process of several"));
        }
        let wanted = &mut self.wanted;
        if wanted.platforms.is_empty() {
            wanted.platforms = Platform::ALL.to_vec();
            wanted.platforms.retain(|platform| platform.is_simulated() != self.stand_in);
        }
        if wanted.runtimes.is_empty() {
            wanted.runtimes = RuntimeKind::ALL.to_vec();
        }
        if self.way == Way::SmallestRings {
            wanted.runtimes.retain(|&runtime| runtime == RuntimeKind::TensormapAndRingbuffer);
            if wanted.runtimes.is_empty() {
                return Err("--smallest-rings is for the runtime tensormap_and_ringbuffer".to_owned());
            }
        }
        if self.diagnostics.is_some() && self.wanted.repeat > 1 {
            return Err("--diagnostics has one folder for each case, so --repeat has no meaning".to_owned());
        }
        if let Some(dir) = self.retry_pto_isa.as_ref().filter(|dir| !dir.join("include/pto").is_dir()) {
            return Err(format!(
                "--retry-pto-isa: {} is not a PTO-ISA checkout: it has no folder include/pto",
                dir.display()
            ));
        }
        Ok(())
    }

    /// What was asked for that a process which is a single rank cannot do, or not without the other ranks.
    fn not_as_rank(&self) -> Option<&'static str> {
        let asked = [
            ("--smallest-rings", self.way == Way::SmallestRings),
            ("--tree", matches!(self.way, Way::Tree(_))),
            ("--stand-in", self.stand_in),
            ("--diagnostics", self.diagnostics.is_some()),
            ("--total-timeout", self.total_timeout.is_some()),
            ("--retries", self.retries > 0),
            ("--retry-pto-isa", self.retry_pto_isa.is_some()),
            ("--fail-fast", self.fail_fast),
            ("--json", self.json.is_some()),
            ("--junit", self.junit.is_some()),
        ];
        asked.into_iter().find(|(_, is_asked)| *is_asked).map(|(option, _)| option)
    }

    fn set_way(&mut self, way: Way) -> Result<(), String> {
        if self.way != Way::Linked {
            return Err("--smallest-rings and --tree do not go together".to_owned());
        }
        self.way = way;
        Ok(())
    }

    /// How long no kernel may end: shorter than the time of a case, so that what is stuck is told by name.
    pub(crate) fn watchdog(&self) -> Duration {
        self.timeout / 2
    }
}

fn cpus() -> u32 {
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    u32::try_from(cpus).unwrap_or(MAX_DEVICES).min(MAX_DEVICES)
}

fn text(error: impl Display) -> String {
    error.to_string()
}

fn value(parser: &mut lexopt::Parser) -> Result<String, String> {
    use lexopt::prelude::*;
    parser.value().and_then(|value| value.string()).map_err(text)
}

/// Adds the names of a list with commas, each once.
fn add_names<T: FromStr<Err: Display> + PartialEq>(known: &mut Vec<T>, list: &str) -> Result<(), String> {
    for name in list.split(',') {
        let value = name.trim().parse().map_err(text)?;
        if !known.contains(&value) {
            known.push(value);
        }
    }
    Ok(())
}

fn parsed<T: FromStr>(option: &str, value: &str, what: &str) -> Result<T, String> {
    value.parse().map_err(|_| format!("--{option} \"{value}\" is not {what}"))
}

fn number(option: &str, value: &str, least: u32) -> Result<u32, String> {
    let what = format!("a number from {least} to {}", u32::MAX);
    let number = parsed(option, value, &what)?;
    if number < least {
        return Err(format!("--{option} \"{value}\" is not {what}"));
    }
    Ok(number)
}

fn devices(value: &str) -> Result<u32, String> {
    if value == "auto" {
        return Ok(cpus());
    }
    let number = value.parse().ok().filter(|number| (1..=MAX_DEVICES).contains(number));
    number
        .ok_or_else(|| format!("--devices \"{value}\" is neither auto nor a number from 1 to {MAX_DEVICES}"))
}

fn seconds(option: &str, value: &str) -> Result<Duration, String> {
    let seconds: Option<f64> = value.parse().ok().filter(|seconds| *seconds > 0.0 && *seconds <= MAX_SECONDS);
    let duration = seconds.map(Duration::from_secs_f64);
    duration.ok_or_else(|| format!("--{option} \"{value}\" is not a number of seconds greater than 0"))
}

/// Reports are written at the end; that they cannot be is told at the beginning.
fn report_file(path: &Path) -> Result<PathBuf, String> {
    let absolute = std::path::absolute(path).map_err(|error| format!("{}: {error}", path.display()))?;
    if !absolute.parent().is_some_and(|folder| folder.is_dir()) || absolute.is_dir() {
        return Err(format!("{} cannot be written: its folder does not exist, or it is one", path.display()));
    }
    Ok(absolute)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<Options, String> {
        match Options::parse(args.iter().map(OsString::from))? {
            Asked::Run(options) => Ok(*options),
            other => Err(format!("{other:?}")),
        }
    }

    #[test]
    fn lists_may_be_given_with_commas_and_repeated() {
        let options = parse(&["--platform", "a5sim,a2a3sim", "--platform=a5sim"]).unwrap();
        assert_eq!(options.wanted.platforms, [Platform::A5Sim, Platform::A2a3Sim]);
        let options = parse(&["--runtime", "host_build_graph", "a", "b"]).unwrap();
        assert_eq!(options.wanted.runtimes, [RuntimeKind::HostBuildGraph]);
        assert_eq!(options.wanted.filters, ["a", "b"]);
        assert_eq!(options.wanted.platforms, Platform::SIMULATED);
        let options = parse(&["--stand-in"]).unwrap();
        assert_eq!(options.wanted.platforms, [Platform::A2a3, Platform::A5]);
    }

    #[test]
    fn numbers_and_times() {
        let args = ["--devices=3", "--repeat=2", "--retries=0", "--timeout", "0.5", "--total-timeout=60"];
        let options = parse(&args).unwrap();
        assert_eq!((options.devices, options.wanted.repeat, options.retries), (3, 2, 0));
        assert_eq!(options.timeout, Duration::from_millis(500));
        assert_eq!(options.watchdog(), Duration::from_millis(250));
        assert_eq!(options.total_timeout, Some(Duration::from_secs(60)));
        assert!(parse(&["--devices", "auto"]).unwrap().devices >= 1);
        assert_eq!(parse(&["--seed=18446744073709551615"]).unwrap().seed, u64::MAX);
    }

    #[test]
    fn the_last_of_fail_fast_and_keep_going_holds() {
        assert!(!parse(&[]).unwrap().fail_fast);
        assert!(parse(&["--keep-going", "--fail-fast"]).unwrap().fail_fast);
        assert!(!parse(&["--fail-fast", "--keep-going"]).unwrap().fail_fast);
    }

    #[test]
    fn what_is_wrong_is_told() {
        for (args, reason) in [
            (&["--devices", "0"][..], "--devices \"0\" is neither auto nor"),
            (&["--devices", "many"], "--devices \"many\" is neither auto nor"),
            (&["--repeat", "0"], "--repeat \"0\" is not a number from 1 to"),
            (&["--retries", "-1"], "--retries \"-1\" is not a number from 0 to"),
            (&["--timeout", "0"], "--timeout \"0\" is not a number of seconds greater than 0"),
            (&["--timeout", "nan"], "--timeout \"nan\" is not"),
            (&["--total-timeout", "1e300"], "--total-timeout \"1e300\" is not"),
            (&["--seed", "x"], "--seed \"x\" is not a number"),
            (&["--platform", "a5sim,a9"], "unknown platform \"a9\""),
            (&["--json", "/no/such/folder/x"], "/no/such/folder/x cannot be written"),
            (&["--junit", "/"], "/ cannot be written"),
            (&["--retry-pto-isa", "/"], "--retry-pto-isa: / is not a PTO-ISA checkout"),
            (&["--smallest-rings", "--tree", "x"], "--smallest-rings and --tree do not go together"),
            (&["--smallest-rings", "--runtime", "host_build_graph"], "--smallest-rings is for"),
            (&["--as-rank", "--tree", "x"], "--as-rank does not go with --tree"),
            (&["--retries=1", "--as-rank"], "--as-rank does not go with --retries"),
            (&["--other"], "invalid option '--other'"),
            (&["-x"], "invalid option '-x'"),
            (&["--list=x"], "unexpected argument for option '--list'"),
        ] {
            let error = parse(args).unwrap_err();
            assert!(error.starts_with(reason), "{args:?}: {error}");
        }
    }

    #[test]
    fn help_and_the_hidden_mode_are_found() {
        assert!(matches!(Options::parse(["-h".into()]), Ok(Asked::Help)));
        assert!(matches!(Options::parse([WORKER.into()]), Ok(Asked::Worker)));
        assert!(help("x st", true).starts_with("x st [OPTIONS]") && !help("x", true).contains(WORKER));
        assert!(help("x", true).contains("--stand-in") && !help("x", false).contains("--stand-in"));
    }
}
