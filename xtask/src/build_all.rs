//! `cargo xtask build-all`: makes the libraries that clients of the C API load, in the layout they expect
//! (`spec/public-abi.md`, section A.1).

mod c_library;
mod host_library;
mod publish;

use std::fmt;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context as _, Result};
use chip_worker::RuntimeKind;

use crate::project;
use c_library::CCompiler;
use host_library::Scope;

const HELP: &str = "\
cargo xtask build-all [OPTIONS]

Builds the libraries that clients of the C API load, such as the Python package of simpler, into the layout they
expect:

  <out>/<arch>/sim/<runtime>/libhost_runtime.so      the C API, for one chip and one runtime
  <out>/<arch>/sim/<runtime>/libaicpu_kernel.so      the device programs that clients hand to it
  <out>/<arch>/sim/<runtime>/libaicore_kernel.so
  <out>/<arch>/onboard/<runtime>/libhost_runtime.so  the same for hardware
  <out>/<arch>/onboard/<runtime>/libaicpu_kernel.so
  <out>/<arch>/onboard/<runtime>/aicore_kernel.o
  <out>/<arch>/dispatcher/libsimpler_aicpu_dispatcher.so
  <out>/libsimpler_log.so                            what a process loads once: its log,
  <out>/libcpu_sim_context.so                        and what kernels look up in simulation

The device programs for hardware are those of this project for a machine like this one: a stand-in for hardware
runs them, an NPU does not. On a machine with an NPU, put the programs that the vendor's compilers have built into
their places (docs/onboard.md); the libraries need no CANN to be built, and load it when a worker is made.

Without options everything is built that this version has. Each kind of option may be given several times.

  --arch NAME       a2a3 or a5 (default: both)
  --variant NAME    sim or onboard (default: both)
  --runtime NAME    host_build_graph or tensormap_and_ringbuffer (default: both)
  --out DIR         where the files go (default: build/lib in the project)
  --quiet           show errors only
  -h, --help        show this text

Nothing is published unless everything has been built and passes a check of its symbols. Then files are replaced
as a whole, and only where their bytes changed, so that a process which has one open keeps what it has.

Needs a C and a C++ compiler ($CC and $CXX name them). Intermediate files are kept in target/workshop, or in the
same folder of $CARGO_TARGET_DIR: some minutes on two CPUs the first time, seconds when nothing changed.

Ends with 0 if everything is there, with 1 if something fails, with 2 for wrong options.

Examples:
  cargo xtask build-all
  cargo xtask build-all --arch a2a3 --runtime host_build_graph
  cargo xtask build-all --out ~/simpler/build/lib
";

const ARCHES: [&str; 2] = ["a2a3", "a5"];
const SIM: &str = "sim";
const VARIANTS: [&str; 2] = [SIM, "onboard"];

/// The log library's sources, and those of the program files, relative to the project.
const LOG_SOURCE: &str = "crates/host-runtime/log/simpler_log.c";
const PROGRAM_SOURCE: &str = "crates/host-runtime/programs/program.c";

/// How the command was called.
#[derive(Default)]
struct Options {
    arches: Vec<&'static str>,
    variants: Vec<&'static str>,
    runtimes: Vec<RuntimeKind>,
    out: Option<PathBuf>,
    quiet: bool,
}

/// What one host library is built for.
#[derive(Clone, Copy)]
struct Combination {
    arch: &'static str,
    variant: &'static str,
    runtime: RuntimeKind,
}

/// A file to be published, by its path in the layout.
struct Artefact {
    path: PathBuf,
    bytes: Vec<u8>,
}

pub fn run(parser: lexopt::Parser) -> Result<ExitCode> {
    let options = match Options::parse(parser) {
        Ok(Some(options)) => options,
        Ok(None) => return crate::show(HELP),
        Err(reason) => return Ok(crate::refuse(&reason, HELP)),
    };
    let out = match &options.out {
        Some(out) => std::path::absolute(out)?,
        None => project().join("build/lib"),
    };
    let start = Instant::now();
    let artefacts = build(&options, start)?;
    publish_all(&artefacts, &out, &options, start)?;
    Ok(ExitCode::SUCCESS)
}

impl Options {
    /// `None` when help is asked for; the error is text for whoever called.
    fn parse(mut parser: lexopt::Parser) -> Result<Option<Self>, String> {
        use lexopt::prelude::*;
        let mut options = Self::default();
        while let Some(arg) = parser.next().map_err(text)? {
            match arg {
                Long("arch") => options.arches.push(known("arch", &name(&mut parser)?, &ARCHES)?),
                Long("variant") => {
                    options.variants.push(known("variant", &name(&mut parser)?, &VARIANTS)?);
                }
                Long("runtime") => options.runtimes.push(name(&mut parser)?.parse().map_err(text)?),
                Long("out") => options.out = Some(parser.value().map_err(text)?.into()),
                Long("quiet") => options.quiet = true,
                Long("help") | Short('h') => return Ok(None),
                other => return Err(text(other.unexpected())),
            }
        }
        Ok(Some(options))
    }

    /// Everything that was asked for, once each.
    fn combinations(&self) -> Vec<Combination> {
        let all = VARIANTS.into_iter().flat_map(|variant| {
            let runtimes = |arch| RuntimeKind::ALL.map(|runtime| Combination { arch, variant, runtime });
            ARCHES.into_iter().flat_map(runtimes)
        });
        let is_chosen = |one: &Combination| {
            is_chosen(&self.arches, &one.arch)
                && is_chosen(&self.variants, &one.variant)
                && is_chosen(&self.runtimes, &one.runtime)
        };
        all.filter(is_chosen).collect()
    }
}

fn name(parser: &mut lexopt::Parser) -> Result<String, String> {
    parser.value().and_then(lexopt::ValueExt::string).map_err(text)
}

fn text(error: impl fmt::Display) -> String {
    error.to_string()
}

fn known(what: &str, name: &str, all: &[&'static str]) -> Result<&'static str, String> {
    let found = all.iter().find(|&&one| one == name);
    found.copied().ok_or_else(|| format!("unknown {what} \"{name}\"; known are: {}", all.join(", ")))
}

/// No choice means all.
fn is_chosen<T: PartialEq>(chosen: &[T], one: &T) -> bool {
    chosen.is_empty() || chosen.contains(one)
}

impl Combination {
    /// Its directory in the layout.
    fn directory(self) -> PathBuf {
        [self.arch, self.variant, self.runtime.name()].iter().collect()
    }

    /// The cargo features of its host library.
    fn features(self) -> String {
        format!("{},{},{}", self.arch, self.variant, self.runtime)
    }
}

impl fmt::Display for Combination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.arch, self.variant, self.runtime)
    }
}

/// Builds and checks everything; nothing is published meanwhile, so that a failure leaves what was there.
fn build(options: &Options, start: Instant) -> Result<Vec<Artefact>> {
    let combinations = options.combinations();
    let workshop = workshop::folder()?;
    let compiler = CCompiler::find(&workshop)?;
    let tell = |what: &dyn fmt::Display| {
        if !options.quiet {
            eprintln!("[{:6.1} s] {what}", start.elapsed().as_secs_f64());
        }
    };
    tell(&"the libraries of a process");
    let mut artefacts = process_libraries(&compiler)?;
    let scope = Scope::of(artefacts.iter().map(|artefact| artefact.bytes.as_slice()))?;
    artefacts.extend(dispatchers(&combinations));
    for (number, &combination) in (1..).zip(&combinations) {
        let directory = combination.directory();
        tell(&format_args!("{number} of {}: {}", combinations.len(), directory.display()));
        let bytes = host_library::build(combination, !options.quiet)?;
        scope.check(&bytes).with_context(|| format!("{} is not usable", host_library::FILE_NAME))?;
        artefacts.push(Artefact { path: directory.join(host_library::FILE_NAME), bytes });
        artefacts.extend(program_files(&compiler, combination)?);
    }
    Ok(artefacts)
}

/// Which every process loads once, whatever the platform.
fn process_libraries(compiler: &CCompiler) -> Result<Vec<Artefact>> {
    const LOG: &str = "libsimpler_log.so";
    let log = compiler.library(&project().join(LOG_SOURCE), LOG, &["-pthread"])?;
    Ok(vec![
        Artefact { path: LOG.into(), bytes: log },
        Artefact { path: "libcpu_sim_context.so".into(), bytes: sim::context_library().to_vec() },
    ])
}

/// What installs the AICPU programs of a chip, once for all its runtimes.
fn dispatchers(combinations: &[Combination]) -> Vec<Artefact> {
    let is_needed = |arch: &&str| combinations.iter().any(|one| one.arch == *arch && one.variant != SIM);
    let dispatcher = |arch: &str| Artefact {
        path: Path::new(arch).join("dispatcher/libsimpler_aicpu_dispatcher.so"),
        bytes: device_programs::dispatcher().to_vec(),
    };
    ARCHES.into_iter().filter(is_needed).map(dispatcher).collect()
}

/// The device programs of a platform: in simulation, files that stand for them.
fn program_files(compiler: &CCompiler, combination: Combination) -> Result<Vec<Artefact>> {
    if combination.variant != SIM {
        return device_program_files(combination);
    }
    let of = format!("-DSIMPLER_PROGRAM_FOR=\"{} {}\"", combination.arch, combination.runtime);
    let program = |name: &str, note_type: u32| -> Result<Artefact> {
        let note_type = format!("-DSIMPLER_PROGRAM_TYPE={note_type}");
        // They hold one note and no code: without the start files and the gaps between segments they are tiny.
        let options = [of.as_str(), &note_type, "-nostdlib", "-Wl,-z,noseparate-code"];
        let bytes = compiler.library(&project().join(PROGRAM_SOURCE), name, &options)?;
        Ok(Artefact { path: combination.directory().join(name), bytes })
    };
    Ok(vec![program("libaicpu_kernel.so", 1)?, program("libaicore_kernel.so", 2)?])
}

fn device_program_files(combination: Combination) -> Result<Vec<Artefact>> {
    let Combination { arch, runtime, .. } = combination;
    let built = device_programs::build_with_profile(host_library::PROFILE, arch, runtime.name())?;
    let program = |name: &str, bytes| Artefact { path: combination.directory().join(name), bytes };
    Ok(vec![program("libaicpu_kernel.so", built.aicpu), program("aicore_kernel.o", built.aicore)])
}

/// Makes a tree that has the device programs for hardware and nothing else, in the layout of clients; its root.
pub fn device_programs_tree() -> Result<PathBuf> {
    let root = workshop::folder()?.join("stand-in");
    let combinations = Options::default().combinations();
    let mut artefacts = dispatchers(&combinations);
    for &combination in combinations.iter().filter(|one| one.variant != SIM) {
        artefacts.extend(device_program_files(combination)?);
    }
    for Artefact { path, bytes } in &artefacts {
        publish::publish(&root.join(path), bytes)?;
    }
    Ok(root)
}

fn publish_all(artefacts: &[Artefact], out: &Path, options: &Options, start: Instant) -> Result<()> {
    for Artefact { path, bytes } in artefacts {
        let path = out.join(path);
        let is_new = publish::publish(&path, bytes)?;
        if !options.quiet {
            let state = if is_new { "new" } else { "unchanged" };
            writeln!(io::stdout(), "{state:9} {:>8} bytes  {}", bytes.len(), path.display())?;
        }
    }
    if !options.quiet {
        eprintln!("[{:6.1} s] {} files are up to date", start.elapsed().as_secs_f64(), artefacts.len());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<Option<Options>, String> {
        Options::parse(lexopt::Parser::from_args(args))
    }

    fn chosen(args: &[&str]) -> Vec<String> {
        parse(args).unwrap().unwrap().combinations().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn everything_that_exists_is_built_unless_something_is_chosen() {
        assert_eq!(
            chosen(&[]),
            [
                "a2a3-sim-host_build_graph",
                "a2a3-sim-tensormap_and_ringbuffer",
                "a5-sim-host_build_graph",
                "a5-sim-tensormap_and_ringbuffer",
                "a2a3-onboard-host_build_graph",
                "a2a3-onboard-tensormap_and_ringbuffer",
                "a5-onboard-host_build_graph",
                "a5-onboard-tensormap_and_ringbuffer",
            ]
        );
        assert_eq!(
            chosen(&["--arch", "a5", "--variant=sim", "--runtime", "host_build_graph"]),
            ["a5-sim-host_build_graph"]
        );
        let twice = ["--arch", "a5", "--arch", "a2a3", "--arch", "a5", "--runtime=host_build_graph"];
        assert_eq!(
            chosen(&twice),
            [
                "a2a3-sim-host_build_graph",
                "a5-sim-host_build_graph",
                "a2a3-onboard-host_build_graph",
                "a5-onboard-host_build_graph",
            ]
        );
        assert_eq!(
            chosen(&["--variant", "onboard", "--arch", "a5", "--runtime", "tensormap_and_ringbuffer"]),
            ["a5-onboard-tensormap_and_ringbuffer"]
        );
    }

    #[test]
    fn names_that_are_not_known_are_refused_with_those_that_are() {
        for (args, expected) in [
            (["--arch", "a9"], "unknown arch \"a9\"; known are: a2a3, a5"),
            (["--variant", "cloud"], "unknown variant \"cloud\"; known are: sim, onboard"),
            (["--runtime", "other"], "unknown runtime \"other\""),
            (["--fast", ""], "invalid option '--fast'"),
            (["all", ""], "unexpected argument \"all\""),
        ] {
            let reason = parse(&args).err().unwrap();
            assert!(reason.starts_with(expected), "{reason}");
        }
        assert!(parse(&["--quiet", "--help"]).unwrap().is_none());
    }

    #[test]
    fn a_combination_names_its_directory_and_features() {
        let runtime = RuntimeKind::TensormapAndRingbuffer;
        let combination = Combination { arch: "a5", variant: SIM, runtime };
        assert_eq!(combination.directory(), Path::new("a5/sim/tensormap_and_ringbuffer"));
        assert_eq!(combination.features(), "a5,sim,tensormap_and_ringbuffer");
    }

    #[test]
    fn program_files_say_what_they_are_for() {
        use object::read::elf::ProgramHeader as _;
        use object::{Endianness, elf::FileHeader64, elf::PT_NOTE, read::elf::FileHeader as _};
        let scratch = tempfile::tempdir().unwrap();
        let compiler = CCompiler::find(scratch.path()).unwrap();
        let combination = Combination { arch: "a2a3", variant: SIM, runtime: RuntimeKind::HostBuildGraph };
        let files = program_files(&compiler, combination).unwrap();
        for (file, (name, note_type)) in
            files.iter().zip([("libaicpu_kernel.so", 1), ("libaicore_kernel.so", 2)])
        {
            assert_eq!(file.path, Path::new("a2a3/sim/host_build_graph").join(name));
            let data = file.bytes.as_slice();
            let header = FileHeader64::<Endianness>::parse(data).unwrap();
            let endian = header.endian().unwrap();
            let mut ours = Vec::new();
            for segment in header.program_headers(endian, data).unwrap() {
                if segment.p_type(endian) != PT_NOTE {
                    continue;
                }
                let mut notes = segment.notes(endian, data).unwrap().unwrap();
                while let Some(note) = notes.next().unwrap() {
                    if note.name() == b"simpler-rs" {
                        ours.push((note.n_type(endian).0, note.desc().to_vec()));
                    }
                }
            }
            assert_eq!(ours, [(note_type, b"a2a3 host_build_graph 1\0".to_vec())]);
        }
    }
}
