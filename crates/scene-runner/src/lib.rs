//! Runs scenes in parallel on virtual devices: never hangs, never loses a result.
//!
//! **Owns:** which scenes are run, in which process and on which device; what is done about cases that fail, crash
//! their process or never end; progress, reports and exit codes.
//!
//! **Must not know:** what a scene does (that is [`scene`]), and how kernels are compiled and run.
//!
//! A program that runs the scenes of a project needs this crate alone:
//!
//! ```no_run
//! use std::process::ExitCode;
//!
//! use scene_runner::Runner;
//! use scene_runner::scene::Scene;
//!
//! static SCENES: [Scene; 0] = [];
//!
//! fn main() -> ExitCode {
//!     Runner::new("cargo run --", &SCENES).main()
//! }
//! ```
//!
//! # How it works
//!
//! The runner compiles everything, once for all devices, and hands it to a child process: the same program, started
//! with a hidden argument. There, each virtual device is a thread that takes the next case, runs it on a worker with
//! its device id, and tells the runner through a pipe when it begins and how it ended. So whatever happens to the
//! child, what it has told counts, and the runner knows what was under way:
//!
//! - When the child *goes away* (a signal, an exit), the case that was under way is the culprit. If there were several,
//!   each runs alone in a further child. If one of them crashes again, the others are cleared: their results are as
//!   good as any. If none does, all of them are under suspicion: they are flaky with `--retries`, failed without.
//! - When a case *takes too long*, the runner looks at its thread, ends the child and reports that case; others that
//!   were under way begin anew. Kernels that never end are noticed before that, by the simulator, which names them;
//!   no further case begins in such a child, as they go on.
//! - Then another child takes what is left.
//!
//! The child is in a process group of its own, which is killed as a whole, and dies with the runner, even if that is
//! killed with `SIGKILL`. Its temporary files go to a folder that the runner removes.
#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

pub use chip_worker;
use chip_worker::{Platform, WorkerError};
pub use scene;
use scene::Scene;

mod events;
mod item;
mod junit;
mod lines;
mod options;
mod probe;
mod process;
mod progress;
mod rank;
mod record;
mod report;
mod running;
mod scratch;
mod session;
mod wire;
mod worker;

use options::{Asked, Options};
use report::Report;
use session::Session;

/// The command was called in a way it does not understand.
const USAGE: u8 = 2;

/// A command that runs scenes.
#[derive(Clone, Copy, Debug)]
pub struct Runner {
    command: &'static str,
    words: &'static [&'static str],
    scenes: &'static [Scene],
    stand_in: Option<MakeStandIn>,
}

/// Makes a stand-in, when one is asked for.
pub type MakeStandIn = fn() -> Result<StandIn, Box<dyn std::error::Error + Send + Sync>>;

/// What stands for chips on hardware, and for the libraries that lead there, on a machine without.
#[allow(missing_debug_implementations, reason = "functions show nothing")]
#[allow(clippy::exhaustive_structs, reason = "written as a literal by whoever has one")]
pub struct StandIn {
    /// The `build/lib` tree with its device programs.
    pub programs: PathBuf,
    /// What a process that runs cases of a platform needs in its environment.
    pub environment: Box<dyn Fn(Platform) -> Vec<(&'static str, OsString)>>,
    /// What it saw done wrong, or left, by processes that have ended by themselves.
    pub complaints: Box<dyn Fn() -> Vec<String>>,
}

/// Why a runner cannot do its work at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
enum Error {
    #[error(transparent)]
    Compiler(#[from] kernel_compiler::CompileError),
    #[error(transparent)]
    Build(#[from] scene::BuildError),
    #[error("{source}\n(or run {platform} on a stand-in: --stand-in)")]
    Machine { platform: Platform, source: Box<WorkerError> },
    #[error(transparent)]
    MachineAlone(Box<WorkerError>),
    #[error("there is no stand-in for hardware: {0}")]
    StandIn(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("cannot start the process that runs the scenes: {0}")]
    Start(#[source] io::Error),
    #[error("cannot write the report {}: {source}", path.display())]
    Report { path: PathBuf, source: io::Error },
    #[error("--as-rank: {0}")]
    Launch(String),
    #[error("internal error: {0}")]
    Internal(&'static str),
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Runner {
    /// A runner of these scenes. `command` is what people type to call it, for help and for the commands in reports.
    #[must_use]
    pub const fn new(command: &'static str, scenes: &'static [Scene]) -> Self {
        Self { command, words: &[], scenes, stand_in: None }
    }

    /// With a stand-in for hardware, which `--stand-in` asks for.
    #[must_use]
    pub const fn stand_in(mut self, make: MakeStandIn) -> Self {
        self.stand_in = Some(make);
        self
    }

    /// The arguments with which this program comes here when it is started again, for a program that has other
    /// commands as well. None unless set.
    #[must_use]
    pub const fn words(mut self, words: &'static [&'static str]) -> Self {
        self.words = words;
        self
    }

    /// Does what the arguments of the program say.
    #[must_use]
    pub fn main(&self) -> ExitCode {
        self.run(std::env::args_os().skip(1 + self.words.len()))
    }

    /// Does what these arguments say; the code is the one to end the program with, see `--help`.
    ///
    /// To be called by the main thread, once per process: it takes over Ctrl-C.
    #[must_use]
    pub fn run(&self, args: impl IntoIterator<Item = OsString>) -> ExitCode {
        let reason = match Options::parse(args) {
            Ok(Asked::Run(options)) if options.stand_in && self.stand_in.is_none() => {
                "there is no stand-in for hardware here; leave out --stand-in".to_owned()
            }
            Ok(Asked::Run(options)) => return self.ended(self.run_as(&options)),
            Ok(Asked::Help) => return self.ended(show(&self.help()).map_err(Error::from)),
            Ok(Asked::Worker) => return worker::main(self.scenes),
            Err(reason) => reason,
        };
        tell(&format!("error: {reason}\n\n{}", self.help()));
        ExitCode::from(USAGE)
    }

    fn help(&self) -> String {
        options::help(self.command, self.stand_in.is_some())
    }

    /// The stand-in, if one is asked for; without one, the machine must have what the items need.
    fn hardware(&self, options: &Options, items: &[item::Item]) -> Result<Option<StandIn>, Error> {
        if let Some(make) = self.stand_in.filter(|_| options.stand_in) {
            return make().map(Some).map_err(Error::StandIn);
        }
        let mut platforms: Vec<Platform> = items.iter().map(|item| item.platform).collect();
        platforms.dedup();
        for platform in platforms {
            platform.check_machine().map_err(|source| match self.stand_in {
                Some(_) if !platform.is_simulated() => Error::Machine { platform, source: Box::new(source) },
                _ => Error::MachineAlone(Box::new(source)),
            })?;
        }
        Ok(None)
    }

    fn ended(&self, result: Result<u8, Error>) -> ExitCode {
        match result {
            Ok(code) => ExitCode::from(code),
            // Whoever reads has seen enough, as in `... | head`.
            Err(Error::Io(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::FAILURE,
            Err(error) => {
                tell(&format!("error: {error}\n"));
                ExitCode::FAILURE
            }
        }
    }

    fn run_as(&self, options: &Options) -> Result<u8, Error> {
        if let Some(name) = item::duplicate_name(self.scenes) {
            tell(&format!("error: \"{name}\" is the name of two scenes or cases; give one another name\n"));
            return Ok(1);
        }
        let items = item::select(self.scenes, &options.wanted);
        let filters = &options.wanted.filters;
        let matched = |filter: &&String| items.iter().any(|item| item.matches(filter, options.wanted.exact));
        if let Some(filter) = filters.iter().find(|filter| !matched(filter)) {
            self.tell_names(filter);
            return Ok(1);
        }
        if options.list {
            return Ok(show(&self.list(&items))?);
        }
        if options.as_rank {
            return rank::run(&items, options);
        }
        let stand_in = self.hardware(options, &items)?;
        let mut session = Session::new(self, options, items, stand_in)?;
        let ran = session.run();
        // Whatever went wrong, what is known is told.
        session.progress.end()?;
        let report = Report::new(&session);
        session.progress.line(&report.summary())?;
        for (path, write) in [
            (&options.json, Report::write_json as fn(&Report, &std::path::Path) -> io::Result<()>),
            (&options.junit, junit::write),
        ] {
            if let Some(path) = path {
                write(&report, path).map_err(|source| Error::Report { path: path.clone(), source })?;
            }
        }
        ran?;
        Ok(report.exit_code)
    }

    fn tell_names(&self, filter: &str) {
        let mut text = format!("error: no case contains \"{filter}\" in its name; the scenes are:\n");
        for scene in self.scenes {
            text.push_str(&format!("  {:24} {}\n", scene.name, scene.summary));
        }
        tell(&format!("{text}`{} --list` shows the cases, too\n", self.command));
    }

    /// Each scene with the platforms it is selected for, and their cases.
    fn list(&self, items: &[item::Item]) -> String {
        let mut text = String::new();
        for scene in self.scenes {
            let (mut platforms, mut cases) = (Vec::new(), Vec::new());
            for item in items.iter().filter(|item| item.scene.name == scene.name) {
                if !platforms.contains(&item.platform.name()) {
                    platforms.push(item.platform.name());
                }
                if !cases.contains(&&item.case) {
                    cases.push(&item.case);
                }
            }
            if cases.is_empty() {
                continue;
            }
            let platforms = platforms.join(", ");
            text.push_str(&format!("{}: {} ({}; {platforms})\n", scene.name, scene.summary, scene.runtime));
            for case in cases {
                text.push_str(&format!("  {}/{case}\n", scene.name));
            }
        }
        text
    }
}

fn show(text: &str) -> io::Result<u8> {
    io::stdout().write_all(text.as_bytes())?;
    Ok(0)
}

/// To where errors go; if nobody is there, nobody wants to know.
fn tell(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}
