//! `cargo xtask doctor` as its users see it, on machines made up for it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is the report of a test")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use hal_sys::{FUNCTIONS, Library};
use serde_json::Value;
use tempfile::TempDir;

struct Ended {
    code: i32,
    out: String,
    err: String,
}

/// A machine: its root directory, and the whole environment.
struct Machine {
    root: TempDir,
    env: Vec<(&'static str, PathBuf)>,
}

impl Machine {
    fn bare() -> Self {
        let root = TempDir::new().unwrap();
        let path = root.path().join("bin");
        fs::create_dir(&path).unwrap();
        Self { root, env: vec![("PATH", path)] }
    }

    /// One with the compilers of the machine that the tests run on.
    fn with_compilers() -> Self {
        let mut machine = Self::bare();
        machine.env = vec![("PATH", std::env::var_os("PATH").unwrap().into())];
        machine
    }

    /// One with everything that the vendor installs, and a device.
    fn complete() -> Self {
        let mut machine = Self::with_compilers();
        let toolkit = machine.path("opt/cann");
        for of in Library::ALL {
            let dir =
                if of == Library::Hal { "usr/local/Ascend/driver/lib64/driver" } else { "opt/cann/lib64" };
            machine.library(dir, of, &[]);
        }
        machine.write("opt/cann/version.cfg", "runtime_running_version=[9.0.0]\n");
        machine.write("opt/cann/bin/ccec", "");
        machine.write("opt/cann/tools/hcc/bin/aarch64-target-linux-gnu-g++", "");
        machine.write("usr/local/Ascend/driver/version.info", "Version=25.0.1\n");
        machine.write("dev/davinci0", "");
        machine.write("pto-isa/include/pto/pto.hpp", "");
        // As set_env.sh sets it. It also comes before what the machine that the tests run on has itself.
        let search = std::env::join_paths([
            toolkit.join("lib64"),
            machine.path("usr/local/Ascend/driver/lib64/driver"),
        ]);
        machine.env.push(("LD_LIBRARY_PATH", search.unwrap().into()));
        machine.env.push(("ASCEND_HOME_PATH", toolkit));
        machine.env.push(("PTO_ISA_ROOT", machine.path("pto-isa")));
        machine
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    /// A library with all of its functions but some.
    fn library(&self, dir: &str, of: Library, but: &[&str]) {
        let names = FUNCTIONS.iter().filter(|function| function.library == of).map(|function| function.name);
        let names = names.filter(|name| !but.contains(name));
        let body: String = names.map(|name| format!("extern \"C\" int {name}() {{ return 0; }}\n")).collect();
        let source = self.write("source.cpp", &body);
        let library = self.write(&format!("{dir}/{}", of.candidates()[0]), "");
        let compiler = std::env::var_os("CXX").unwrap_or_else(|| "c++".into());
        let mut command = Command::new(compiler);
        let output = command.args(["-shared", "-fPIC", "-o"]).arg(library).arg(source).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    fn doctor(&self, args: &[&str]) -> Ended {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command.env_clear().envs(self.env.iter().map(|(name, value)| (name, value)));
        command.arg("doctor").arg("--root").arg(self.root.path()).args(args);
        let output = command.output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Ended { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
    }

    fn json(&self, args: &[&str]) -> (i32, Value) {
        let ended = self.doctor(&[args, &["--json"]].concat());
        (
            ended.code,
            serde_json::from_str(&ended.out).unwrap_or_else(|error| panic!("{error}: {}", ended.out)),
        )
    }
}

/// What is said about a platform, up to the next one.
fn part<'a>(out: &'a str, platform: &str) -> &'a str {
    let start =
        out.find(&format!("\n{platform}: ")).unwrap_or_else(|| panic!("nothing about {platform}: {out}"));
    out[start..].split("\n\n").next().unwrap()
}

#[test]
fn a_bare_machine_lacks_everything_and_hears_what_to_do() {
    let ended = Machine::bare().doctor(&[]);
    assert_eq!((ended.code, ended.err.as_str()), (1, ""), "{}", ended.out);
    for platform in ["a2a3sim", "a5sim"] {
        let part = part(&ended.out, platform);
        assert!(part.contains(": not usable\n  missing: no compiler for kernels"), "{part}");
        assert!(part.contains("SIMPLER_CXX"), "{part}");
    }
    for platform in ["a2a3", "a5"] {
        let part = part(&ended.out, platform);
        for missing in
            ["no device (/dev/davinci*)", "no driver", "no CANN toolkit", "libruntime.so is not found"]
        {
            assert!(part.contains(&format!("  missing: {missing}")), "{missing}: {part}");
        }
        assert!(part.contains("set_env.sh") && part.contains("  limit: no ccec"), "{part}");
        assert_eq!(
            part.matches("\n    -> ").count(),
            part.matches("\n  ").count() / 2,
            "each with its action: {part}"
        );
    }
    assert!(part(&ended.out, "a2a3").contains("communication between devices"), "{}", ended.out);
    assert!(!part(&ended.out, "a5").contains("communication between devices"), "{}", ended.out);
}

#[test]
fn a_compiler_is_all_that_the_simulation_needs() {
    let machine = Machine::with_compilers();
    let ended = machine.doctor(&["--platform", "a5sim", "--platform", "a2a3sim", "--platform", "a5sim"]);
    assert_eq!(ended.code, 0, "{}{}", ended.out, ended.err);
    assert_eq!(ended.out.matches("a5sim: usable").count(), 1, "{}", ended.out);
    assert!(!ended.out.contains("\na5: "), "{}", ended.out);
    assert!(ended.out.contains("no PTO-ISA: kernels that include it do not compile"), "{}", ended.out);
    assert_eq!(machine.doctor(&["--platform", "a5sim", "--platform", "a5"]).code, 1);
}

#[test]
fn a_complete_machine_is_usable_for_everything() {
    let machine = Machine::complete();
    let ended = machine.doctor(&[]);
    assert_eq!(ended.code, 0, "{}{}", ended.out, ended.err);
    for platform in ["a2a3", "a5"] {
        assert_eq!(
            part(&ended.out, platform),
            format!("\n{platform}: usable{}", end_of(&ended.out, platform))
        );
    }
    let (code, report) = machine.json(&["--platform", "a2a3"]);
    assert_eq!(code, 0);
    assert_eq!(report["toolkit"]["version"], "runtime_running_version=[9.0.0]");
    assert_eq!(report["driver"]["version"], "Version=25.0.1");
    assert_eq!(report["devices"][0]["path"], machine.path("dev/davinci0").to_str().unwrap());
    assert_eq!(report["devices"][0]["open"], true);
    assert_eq!(report["ccec"], machine.path("opt/cann/bin/ccec").to_str().unwrap());
    assert_eq!(report["platforms"].as_array().unwrap().len(), 1);
    assert_eq!(report["platforms"][0]["usable"], true);
    assert_eq!(report["platforms"][0]["limits"], Value::Array(vec![]));
    for library in report["libraries"].as_array().unwrap() {
        assert_eq!(library["missing"], Value::Array(vec![]), "{library}");
        let last = library["attempts"].as_array().unwrap().last().unwrap();
        assert_eq!(last["error"], Value::Null);
        assert!(Path::new(last["path"].as_str().unwrap()).starts_with(machine.root.path()), "{last}");
    }
    assert!(report["machine"]["cpus"].as_u64().unwrap() > 0);
    assert!(report["machine"]["memory_bytes"].as_u64().unwrap() > 1 << 20);
}

/// The last part of a report has an end of its own.
fn end_of(out: &str, platform: &str) -> &'static str {
    if out.ends_with(&format!("\n{platform}: usable\n")) { "\n" } else { "" }
}

#[test]
fn what_a_library_lacks_is_named_for_the_platform_that_needs_it() {
    let machine = Machine::complete();
    machine.library("usr/local/Ascend/driver/lib64/driver", Library::Hal, &["halResMap", "halHostRegister"]);
    fs::remove_file(machine.path("opt/cann/lib64/libhcomm.so")).unwrap();
    let ended = machine.doctor(&["--platform", "a2a3", "--platform", "a5"]);
    assert_eq!(ended.code, 1);
    let (a2a3, a5) = (part(&ended.out, "a2a3"), part(&ended.out, "a5"));
    assert!(
        a5.contains("a5: not usable\n  missing: libascend_hal.so lacks halResMap\n    -> install the driver"),
        "{a5}"
    );
    assert!(a2a3.contains("a2a3: usable"), "{a2a3}");
    assert!(
        a2a3.contains("limit: no diagnostics of a run: libascend_hal.so lacks halHostRegister\n"),
        "{a2a3}"
    );
    assert!(a2a3.contains("communication between devices: libhcomm.so or libhccl.so is not found"), "{a2a3}");
    assert!(ended.out.contains("libascend_hal.so, lacks halResMap, halHostRegister\n"), "{}", ended.out);
}

#[test]
fn a_library_that_is_broken_is_told_with_the_loader_s_words() {
    let machine = Machine::complete();
    machine.write("opt/cann/lib64/libruntime.so", "no library at all");
    let ended = machine.doctor(&["--platform", "a5"]);
    assert_eq!(ended.code, 1);
    assert!(ended.out.contains("library      libruntime.so: not found\n"), "{}", ended.out);
    assert!(
        ended.out.contains("file too short") || ended.out.contains("invalid ELF header"),
        "{}",
        ended.out
    );
    assert!(
        part(&ended.out, "a5").contains("libruntime.so is not found, or cannot be loaded"),
        "{}",
        ended.out
    );
}

#[test]
fn a_device_that_may_not_be_opened_is_no_device() {
    let machine = Machine::complete();
    fs::remove_file(machine.path("dev/davinci0")).unwrap();
    // Not even root opens a directory for writing.
    fs::create_dir(machine.path("dev/davinci0")).unwrap();
    let ended = machine.doctor(&["--platform", "a5"]);
    assert_eq!(ended.code, 1);
    assert!(ended.out.contains("davinci0, which this user may not open"), "{}", ended.out);
    assert!(
        part(&ended.out, "a5").contains("may be opened by this user\n    -> join the group"),
        "{}",
        ended.out
    );
}

#[test]
fn compilers_are_told_with_their_versions() {
    let machine = Machine::bare();
    for (name, script) in [
        ("g++-15", "#!/bin/sh\necho 'g++-15 (made up) 15.1'\n"),
        ("g++", "#!/bin/sh\n[ \"$1\" = --version ] && echo 'g++ (made up) 9.5' && exit 0\nexit 1\n"),
    ] {
        let path = machine.write(&format!("bin/{name}"), script);
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let ended = machine.doctor(&["--platform", "a5sim"]);
    let compilers: Vec<_> = ended.out.lines().filter(|line| line.starts_with("compiler ")).collect();
    let expected = [
        "compiler     g++: g++ (made up) 9.5",
        "compiler     g++-15: g++-15 (made up) 15.1, with std::bfloat16_t",
    ];
    assert_eq!(compilers, expected, "{}", ended.out);
}

#[test]
fn a_wrong_pto_isa_is_told_by_name() {
    let mut machine = Machine::with_compilers();
    machine.env.push(("PTO_ISA_ROOT", machine.path("bin")));
    let ended = machine.doctor(&["--platform", "a2a3sim"]);
    assert_eq!(ended.code, 1, "the kernel compiler refuses it: {}", ended.out);
    assert!(part(&ended.out, "a2a3sim").contains("is no PTO-ISA\n    -> set PTO_ISA_ROOT"), "{}", ended.out);
}

#[test]
fn wrong_options_are_refused() {
    let machine = Machine::bare();
    let ended = machine.doctor(&["--platform", "a6"]);
    assert_eq!((ended.code, ended.out.as_str()), (2, ""));
    let expected =
        "error: unknown platform \"a6\"; known are: a2a3sim, a5sim, a2a3, a5\n\ncargo xtask doctor ";
    assert!(ended.err.starts_with(expected), "{}", ended.err);
    for args in [&["--platfrom", "a5"][..], &["--platform"], &["a5"]] {
        assert_eq!(machine.doctor(args).code, 2, "{args:?}");
    }
    let ended = machine.doctor(&["--help"]);
    assert_eq!(ended.code, 0);
    assert!(ended.out.contains("--platform NAME"), "{}", ended.out);
}
