//! `cargo xtask build-all` as its users see it, with a cargo that takes no time; and the log library it makes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is the report of a test")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use host_library::Functions;
use tempfile::TempDir;

/// A place to build into, and a cargo that copies a host library from there.
struct Place {
    scratch: TempDir,
}

const CARGO: &str = r#"#!/bin/sh
echo "$@" >> "$SCRATCH/calls"
if [ -e "$SCRATCH/fail" ]; then echo "error: told so" >&2; exit 101; fi
case "$3" in
host-runtime) name=libhost_runtime.so ;;
device-programs) name=libdevice_programs.so; echo "program: $*" > "$SCRATCH/$name" ;;
esac
while [ "$1" != --target-dir ]; do shift; done
mkdir -p "$2/dist"
cp "$SCRATCH/$name" "$2/dist/$name"
echo '{"reason":"compiler-artifact","filenames":["'"$2/dist/$name"'"]}'
"#;

struct Ended {
    code: i32,
    out: String,
    err: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
    }
}

impl Place {
    fn new() -> Self {
        let place = Self { scratch: tempfile::tempdir().unwrap() };
        place.cargo(CARGO);
        place.host_library(|_| true);
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    /// What cargo is from now on. Another process writes it: a descriptor open for writing in this one could be inherited by
    /// the child of another test, and the script would be "busy".
    fn cargo(&self, script: &str) {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", "cat > \"$0\" && chmod 755 \"$0\""]).arg(self.path("cargo")).stdin(Stdio::piped());
        let mut shell = shell.spawn().unwrap();
        shell.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
        assert!(shell.wait().unwrap().success());
    }

    /// What cargo builds from now on: a library with those functions of the C API that `has`.
    fn host_library(&self, has: impl Fn(&str) -> bool) {
        let mut source = String::new();
        for signature in Functions::SIGNATURES.iter().filter(|signature| has(signature.name)) {
            writeln!(source, "void {}(void) {{}}", signature.name).unwrap();
        }
        std::fs::write(self.path("host.c"), source).unwrap();
        compile(&self.path("host.c"), &self.path("libhost_runtime.so"), &["-shared", "-fPIC"]);
    }

    fn build_with(&self, env: &[(&str, &str)], args: &[&str]) -> Ended {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command.arg("build-all").arg("--out").arg(self.path("out")).args(args);
        command.env("CARGO", self.path("cargo")).env("SCRATCH", self.scratch.path());
        command.env("CARGO_TARGET_DIR", self.path("target")).envs(env.iter().copied());
        command.output().unwrap().into()
    }

    fn build(&self, args: &[&str]) -> Ended {
        self.build_with(&[], args)
    }

    fn calls(&self) -> Vec<String> {
        let calls = std::fs::read_to_string(self.path("calls")).unwrap_or_default();
        calls.lines().map(str::to_owned).collect()
    }

    /// The files that were published, each with its inode.
    fn published(&self) -> BTreeMap<String, u64> {
        let mut files = BTreeMap::new();
        collect(&self.path("out"), "", &mut files);
        files
    }
}

fn collect(directory: &Path, prefix: &str, files: &mut BTreeMap<String, u64>) {
    let Ok(entries) = std::fs::read_dir(directory) else { return };
    for entry in entries.map(Result::unwrap) {
        let name = format!("{prefix}{}", entry.file_name().to_str().unwrap());
        if entry.file_type().unwrap().is_dir() {
            collect(&entry.path(), &format!("{name}/"), files);
        } else {
            files.insert(name, entry.metadata().unwrap().ino());
        }
    }
}

fn compile(source: &Path, output: &Path, options: &[&str]) {
    let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
    let done = Command::new(compiler).arg(source).args(options).arg("-o").arg(output).status().unwrap();
    assert!(done.success());
}

#[test]
fn everything_is_put_where_clients_look_for_it() {
    let place = Place::new();
    let first = place.build(&[]);
    assert_eq!(first.code, 0, "{}", first.err);
    let mut expected = vec!["libcpu_sim_context.so".to_owned(), "libsimpler_log.so".to_owned()];
    for arch in ["a2a3", "a5"] {
        for runtime in ["host_build_graph", "tensormap_and_ringbuffer"] {
            for (variant, aicore) in [("sim", "libaicore_kernel.so"), ("onboard", "aicore_kernel.o")] {
                for name in [aicore, "libaicpu_kernel.so", "libhost_runtime.so"] {
                    expected.push(format!("{arch}/{variant}/{runtime}/{name}"));
                }
            }
        }
        expected.push(format!("{arch}/dispatcher/libsimpler_aicpu_dispatcher.so"));
    }
    expected.sort_unstable();
    let published = place.published();
    assert_eq!(published.keys().collect::<Vec<_>>(), expected.iter().collect::<Vec<_>>());
    assert_eq!((first.out.lines().count(), first.out.matches("new ").count()), (28, 28), "{}", first.out);
    for name in expected {
        assert!(first.out.contains(&format!("/out/{name}\n")), "{name}: {}", first.out);
    }
    assert!(first.err.contains("] 3 of 8: a5/sim/host_build_graph\n"), "{}", first.err);

    let calls = place.calls();
    let target = place.path("target/workshop");
    // Four libraries in simulation; on hardware as many, each with two programs.
    assert_eq!(calls.len(), 4 + 4 * 3);
    assert_eq!(
        calls[2],
        format!(
            "build --package host-runtime --lib --profile dist --locked --no-default-features \
             --features a5,sim,host_build_graph --target-dir {} --message-format json-render-diagnostics",
            target.display()
        )
    );

    assert_eq!(
        calls[15],
        format!(
            "build --package device-programs --lib --profile dist --locked --no-default-features \
             --features a5,tensormap_and_ringbuffer,aicore --target-dir {} \
             --message-format json-render-diagnostics",
            target.display()
        )
    );
    let program =
        std::fs::read_to_string(place.path("out/a2a3/onboard/tensormap_and_ringbuffer/aicore_kernel.o"));
    assert!(program.unwrap().contains("--features a2a3,tensormap_and_ringbuffer,aicore "));
    let dispatcher = std::fs::read(place.path("out/a5/dispatcher/libsimpler_aicpu_dispatcher.so")).unwrap();
    assert_eq!(dispatcher, device_programs::dispatcher());

    let second = place.build(&[]);
    assert_eq!((second.code, second.out.matches("unchanged ").count()), (0, 28), "{}", second.out);
    assert_eq!(place.published(), published, "files that did not change stay the same files");

    std::fs::write(place.path("out/libsimpler_log.so"), "damaged").unwrap();
    let third = place.build(&["--quiet"]);
    assert_eq!((third.code, third.out.as_str(), third.err.as_str()), (0, "", ""));
    assert!(std::fs::read(place.path("out/libsimpler_log.so")).unwrap().starts_with(b"\x7fELF"));
}

#[test]
fn a_part_can_be_chosen() {
    let place = Place::new();
    let ended = place.build(&["--arch", "a2a3", "--variant", "sim", "--runtime", "host_build_graph"]);
    assert_eq!(ended.code, 0, "{}", ended.err);
    let files: Vec<String> = place.published().into_keys().collect();
    assert_eq!(
        files,
        [
            "a2a3/sim/host_build_graph/libaicore_kernel.so",
            "a2a3/sim/host_build_graph/libaicpu_kernel.so",
            "a2a3/sim/host_build_graph/libhost_runtime.so",
            "libcpu_sim_context.so",
            "libsimpler_log.so",
        ]
    );
}

#[test]
fn what_fails_is_shown_and_nothing_is_published() {
    let place = Place::new();
    std::fs::write(place.path("fail"), "").unwrap();
    let ended = place.build(&[]);
    assert_eq!((ended.code, ended.out.as_str()), (1, ""));
    assert!(ended.err.contains("error: told so\n"), "{}", ended.err);
    let said = "error: there is no libhost_runtime.so for a2a3-sim-host_build_graph: cargo failed to build host-runtime with features a2a3,sim,host_build_graph: see above";
    assert!(ended.err.contains(said), "{}", ended.err);
    std::fs::remove_file(place.path("fail")).unwrap();

    place.host_library(|name| name != "comm_barrier");
    let ended = place.build(&["--quiet"]);
    assert_eq!(ended.code, 1);
    let said = "libhost_runtime.so is not usable: it lacks 1 of the C API's functions: comm_barrier";
    assert!(ended.err.contains(said), "{}", ended.err);

    let ended = place.build_with(&[("CC", "cc -include no_such_header.h")], &[]);
    assert_eq!(ended.code, 1);
    let has = |text: &str| ended.err.contains(text);
    assert!(has("fatal error: no_such_header.h") && has("simpler_log.c"), "{}", ended.err);

    let ended = place.build_with(&[("CARGO", "/no/such/cargo")], &[]);
    assert_eq!(ended.code, 1);
    assert!(ended.err.contains("starting /no/such/cargo: No such"), "{}", ended.err);
    assert!(place.published().is_empty());
}

#[test]
fn a_part_for_hardware_has_the_programs_of_the_device_and_what_installs_them() {
    let place = Place::new();
    let ended = place.build(&["--arch", "a5", "--variant", "onboard", "--runtime", "host_build_graph"]);
    assert_eq!(ended.code, 0, "{}", ended.err);
    let files: Vec<String> = place.published().into_keys().collect();
    assert_eq!(
        files,
        [
            "a5/dispatcher/libsimpler_aicpu_dispatcher.so",
            "a5/onboard/host_build_graph/aicore_kernel.o",
            "a5/onboard/host_build_graph/libaicpu_kernel.so",
            "a5/onboard/host_build_graph/libhost_runtime.so",
            "libcpu_sim_context.so",
            "libsimpler_log.so",
        ]
    );
    assert!(place.calls()[0].contains("--features a5,onboard,host_build_graph "), "{:?}", place.calls());
}

#[test]
fn a_device_program_that_cannot_be_built_is_shown_and_nothing_is_published() {
    let place = Place::new();
    let fails =
        CARGO.replace("device-programs) ", "device-programs) echo \"error: told so\" >&2; exit 101; ");
    place.cargo(&fails);
    let ended = place.build(&["--variant", "onboard"]);
    assert_eq!((ended.code, ended.out.as_str()), (1, ""));
    let said =
        "cargo failed to build device-programs with features a2a3,host_build_graph,aicpu: \nerror: told so";
    assert!(ended.err.contains(said), "{}", ended.err);
    assert!(place.published().is_empty());
}

#[test]
fn wrong_options_end_with_2_and_help_with_0() {
    let place = Place::new();
    let ended = place.build(&["--arch", "a9"]);
    assert_eq!((ended.code, ended.out.as_str()), (2, ""));
    assert!(
        ended.err.starts_with("error: unknown arch \"a9\"; known are: a2a3, a5\n\ncargo xtask build-all")
    );
    let ended = place.build(&["--help"]);
    assert_eq!((ended.code, ended.err.as_str()), (0, ""));
    assert!(ended.out.starts_with("cargo xtask build-all [OPTIONS]\n"), "{}", ended.out);
}

/// Lets a program use the log library that build-all makes: its exit code 0, standard output and error.
fn log_scenario(name: &str) -> (String, String) {
    let place = Place::new();
    assert_eq!(place.build(&["--arch", "a5", "--variant", "sim", "--runtime", "host_build_graph"]).code, 0);
    let driver = place.path("driver");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/log_driver.c");
    compile(&source, &driver, &["-Wall", "-pthread", "-ldl"]);
    let library = place.path("out/libsimpler_log.so");
    let ended: Ended = Command::new(driver).arg(library).arg(name).output().unwrap().into();
    assert_eq!(ended.code, 0, "{}", ended.out);
    (ended.out, ended.err)
}

/// A line without what differs from run to run: time and thread.
fn stable(line: &str) -> &str {
    let shape = "[2025-01-31 23:59:59.123456][T0x";
    let (head, rest) = line.split_at_checked(shape.len()).unwrap_or_else(|| panic!("too short: {line}"));
    for (found, expected) in head.chars().zip(shape.chars()) {
        assert!(found == expected || found.is_ascii_digit() && expected.is_ascii_digit(), "{line}");
    }
    let (thread, rest) = rest.split_once(']').unwrap();
    assert!(u64::from_str_radix(thread, 16).unwrap() != 0, "{line}");
    rest
}

#[test]
fn the_log_prints_what_its_level_lets_through() {
    let (out, err) = log_scenario("levels");
    let lines: Vec<&str> = err.lines().map(stable).collect();
    let mut expected = Vec::new();
    let mut expect = |func: &str, level: u32, info_v: u32| {
        let wanted = |severity: u32| severity >= level;
        expected.extend(wanted(0).then(|| format!("[DEBUG] {func}: debug")));
        let infos = (0..10).filter(|&v| wanted(1) && v >= info_v);
        expected.extend(infos.map(|v| format!("[INFO_V{v}] {func}: info {v}")));
        expected.extend(wanted(2).then(|| format!("[WARN] {func}: warn")));
        expected.extend(wanted(3).then(|| format!("[ERROR] {func}: error")));
        let infos: String = (0..10).map(|v| if wanted(1) && v >= info_v { '1' } else { '0' }).collect();
        let one = |severity| u32::from(wanted(severity));
        let said = format!("{func} {}{infos}{}{}\n", one(0), one(2), one(3));
        assert!(out.contains(&said), "{said} is not in {out}");
    };
    expect("initial", 1, 5);
    for level in 0..=4 {
        expect(&format!("level{level}"), level, 7);
    }
    expect("kept", 1, 9);
    assert_eq!(lines, expected);
}

#[test]
fn the_log_prints_every_form_of_message() {
    let (_, err) = log_scenario("forms");
    let lines: Vec<&str> =
        err.lines().map(|line| if line.starts_with('[') { stable(line) } else { line }).collect();
    assert_eq!(
        lines,
        [
            "[ERROR] format: 42 words 1.5 No such file or directory",
            "[ERROR] newline: one is enough",
            "[ERROR] lines: first",
            "second",
            "[ERROR] empty: ",
            "[ERROR] (null): no func",
            "[ERROR] null: (null)",
            "[ERROR] bad: %lc",
        ]
    );
    assert!(err.ends_with('\n'));
}

#[test]
fn the_log_cuts_no_message() {
    let (_, err) = log_scenario("long");
    let mut lines = err.lines().map(stable);
    let mut expect = |func: &str, length: usize| {
        assert_eq!(lines.next().unwrap(), format!("[WARN] {func}: {}", "x".repeat(length)));
    };
    expect("long", 300_000);
    (900..1100).for_each(|length| expect("edge", length));
    assert_eq!(lines.next(), None);
}

#[test]
fn lines_of_several_threads_never_mix() {
    let (_, err) = log_scenario("threads");
    let mut counts = BTreeMap::new();
    for line in err.lines().map(stable) {
        let text = line.strip_prefix("[WARN] thread: ").unwrap();
        assert!(text.len() == 6000 && text.bytes().all(|byte| byte == text.as_bytes()[0]), "mixed: {text}");
        *counts.entry(text.as_bytes()[0]).or_insert(0) += 1;
    }
    assert_eq!(counts.into_values().collect::<Vec<i32>>(), [200; 8]);
}
