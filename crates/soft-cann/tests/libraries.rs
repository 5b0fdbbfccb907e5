//! The shared objects under the vendor's names, for programs and for the loader.
#![allow(missing_docs, reason = "tests")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is the report of a test")]

mod common;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use hal_sys::{FUNCTIONS, Group, Loader};
use soft_cann::libraries_dir;

/// A program that takes longer hangs.
const LIMIT: Duration = Duration::from_secs(120);

#[test]
fn the_loader_finds_every_function_in_its_library() {
    let mut loader = Loader::new().search_dir(libraries_dir().unwrap()).given_dirs_only();
    for function in FUNCTIONS {
        loader = loader.require(function.group);
    }
    let hal = loader.load().unwrap();
    assert!(FUNCTIONS.iter().all(|function| hal.raw_table().has(function.name)));
    // They work, with a state of their own.
    hal.set_device(0).unwrap();
    let buffer = hal.malloc(8).unwrap();
    hal.copy_to_device(buffer, &[1; 8]).unwrap();
    hal.free(buffer).unwrap();
    hal.reset_device(0).unwrap();
    let missing = Loader::new().search_dir("/nonexistent").given_dirs_only().require(Group::Base).load();
    assert!(missing.is_err(), "nothing is found where nothing is");
}

#[test]
fn the_table_has_all_functions() {
    let table = soft_cann::raw_table();
    let missing: Vec<_> = FUNCTIONS.iter().filter(|function| !table.has(function.name)).collect();
    assert_eq!(missing, Vec::<&hal_sys::FunctionInfo>::new());
}

#[test]
fn a_c_program_s_life() {
    let scratch = tempfile::tempdir().unwrap();
    let report = scratch.path().join("report");
    let command = life(scratch.path(), &report);
    succeed(command);
    let report = std::fs::read_to_string(report).unwrap();
    assert_eq!(report.lines().count(), 1, "{report}");
    assert!(report.contains("StaleHandle"), "{report}");
}

#[test]
fn what_a_c_program_leaves_is_in_the_report() {
    let scratch = tempfile::tempdir().unwrap();
    let report = scratch.path().join("report");
    let mut command = life(scratch.path(), &report);
    command.arg("careless").env("SOFT_CANN_INJECT", "fn=aclInit:rc=1");
    succeed(command);
    let report = std::fs::read_to_string(report).unwrap();
    assert!(report.contains("left: 1 device references, 1 allocations, 3088 bytes, 1 streams"), "{report}");
}

#[test]
fn the_environment_injects_failures() {
    let scratch = tempfile::tempdir().unwrap();
    let mut command = life(scratch.path(), &scratch.path().join("report"));
    command.env("SOFT_CANN_INJECT", "fn=rtStreamCreate:dev=0:nth=1:rc=507899");
    let output = within_limit(command);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("rtStreamCreate"), "{text}");
}

#[test]
fn ranks_of_several_processes_share_memory_and_meet() {
    const RANKS: usize = 3;
    let scratch = tempfile::tempdir().unwrap();
    let folder = libraries_dir().unwrap();
    let search = format!("-L{}", folder.display());
    let rpath = format!("-Wl,-rpath,{}", folder.display());
    let program = compile(scratch.path(), "rank.c", &[&search, &rpath, "-lascendcl", "-lhcomm"]);
    let ranks: Vec<_> = (0..RANKS)
        .map(|rank| {
            let mut command = Command::new(&program);
            let report = scratch.path().join(format!("report.{rank}"));
            command.arg(scratch.path()).arg(rank.to_string()).arg(RANKS.to_string());
            command.env("SOFT_CANN_DEVICES", "4").env("SOFT_CANN_REPORT", &report);
            (std::thread::spawn(move || within_limit(command)), report)
        })
        .collect();
    for (rank, report) in ranks {
        let output = rank.join().unwrap();
        assert!(output.status.success(), "{}: {}", output.status, String::from_utf8_lossy(&output.stderr));
        assert_eq!(std::fs::read_to_string(report).unwrap(), "");
    }
}

/// The program with its arguments, and 4 devices.
fn life(scratch: &Path, report: &Path) -> Command {
    let programs =
        [("dispatcher", common::dispatcher()), ("aicpu", common::aicpu()), ("aicore", &common::aicore())];
    let paths = programs.map(|(name, bytes)| {
        let path = scratch.join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    });
    let json = common::write_json(scratch, "inner_0.so", &[c"gather"]);
    let mut command = Command::new(compile(scratch, "life.c", &["-ldl"]));
    command.args(paths).arg(json).env("LD_LIBRARY_PATH", libraries_dir().unwrap());
    command
        .env("SOFT_CANN_DEVICES", "4")
        .env("SOFT_CANN_REPORT", report)
        .env_remove("SIMPLER_AICPU_KERNEL_DIR");
    command
}

fn compile(scratch: &Path, source: &str, libraries: &[&str]) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = scratch.join("program");
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    let compiled = Command::new(compiler)
        .args(["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-g", "-O1", "-I"])
        .arg(root.join("include"))
        .arg("-I")
        .arg(root.join("../hal-sys/include"))
        .arg(root.join("tests/c").join(source))
        .arg("-o")
        .arg(&output)
        .args(libraries)
        .output()
        .expect("the C compiler starts");
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    output
}

fn succeed(command: Command) {
    let output = within_limit(command);
    assert!(output.status.success(), "{}: {}", output.status, String::from_utf8_lossy(&output.stderr));
}

/// Runs a program to its end. It writes little, so the pipe holds it.
fn within_limit(mut command: Command) -> Output {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the program starts");
    let deadline = Instant::now() + LIMIT;
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > deadline {
            child.kill().unwrap();
            panic!(
                "the program hangs: {}",
                String::from_utf8_lossy(&child.wait_with_output().unwrap().stderr)
            );
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    child.wait_with_output().unwrap()
}
