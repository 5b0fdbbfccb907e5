//! C and C++ programs that load the libraries as clients do, on every chip and runtime.
#![allow(missing_docs, reason = "tests")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is the report of a test")]

mod common;
mod programs;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use common::{graphs, library, tree};
use programs::{program, run, run_in};

const ARCHS: [&str; 2] = ["a2a3", "a5"];
const RUNTIMES: [&str; 2] = ["host_build_graph", "tensormap_and_ringbuffer"];

/// Where a library lies, with its device programs.
fn folder(arch: &str, runtime: &str) -> PathBuf {
    tree().join(arch).join("sim").join(runtime)
}

/// Runs a program on libraries for hardware, over the stand-in for CANN: LIBRARY PROGRAMS GRAPHS and what else it takes,
/// which may be below a folder of its own. Nothing may be left on a device, or have been done there that CANN forbids.
fn on_hardware(program: &Path, others: impl Fn(&Path) -> Vec<PathBuf>) {
    let libraries = soft_cann::libraries_dir().expect("the stand-in's libraries");
    for arch in ARCHS {
        for runtime in RUNTIMES {
            let folder = tree().join(arch).join("onboard").join(runtime);
            let scratch = tempfile::tempdir().expect("a scratch directory");
            let report = scratch.path().join("report");
            let mut arguments = vec![folder.join("libhost_runtime.so"), folder, graphs().to_owned()];
            arguments.extend(others(scratch.path()));
            let environment = [
                ("LD_LIBRARY_PATH", libraries.as_os_str()),
                ("SOFT_CANN_CHIP", OsStr::new(arch)),
                ("SOFT_CANN_TIME_SCALE", OsStr::new("60")),
                ("SOFT_CANN_REPORT", report.as_os_str()),
            ];
            run_in(&environment, program, &arguments);
            let left = std::fs::read_to_string(&report).expect("a report of the stand-in");
            assert_eq!(left, "", "{arch} {runtime}");
        }
    }
}

#[test]
fn a_client_s_day_on_hardware() {
    on_hardware(&program("happy.c"), |_| Vec::new());
}

#[test]
fn every_error_on_hardware() {
    on_hardware(&program("errors.c"), |scratch| vec![scratch.join("of a run")]);
}

#[test]
fn contexts_on_threads_on_hardware() {
    on_hardware(&program("threads.c"), |_| vec!["4".into(), "20".into()]);
}

/// Calls `test` with the chip, the runtime, and the arguments LIBRARY PROGRAMS GRAPHS.
fn on_all(test: impl Fn(&str, &str, [PathBuf; 3])) {
    for arch in ARCHS {
        for runtime in RUNTIMES {
            let arguments = [library(arch, runtime), folder(arch, runtime), graphs().to_owned()];
            test(arch, runtime, arguments);
        }
    }
}

#[test]
fn a_client_s_day() {
    let program = program("happy.c");
    on_all(|_, _, arguments| drop(run(&program, &arguments)));
}

#[test]
fn every_error() {
    let program = program("errors.c");
    on_all(|arch, runtime, mut arguments| {
        // The device programs of the other chip are wrong here.
        arguments[1] = folder(if arch == "a5" { "a2a3" } else { "a5" }, runtime);
        let written = tempfile::tempdir().expect("a scratch folder");
        let mut arguments = arguments.to_vec();
        arguments.push(written.path().join("of a run"));
        run(&program, &arguments);
    });
}

#[test]
fn contexts_on_threads() {
    let program = program("threads.c");
    let (contexts, runs) = thread_load();
    on_all(|_, _, arguments| {
        let mut arguments = arguments.map(|path| path.into_os_string()).to_vec();
        arguments.extend([contexts.as_str().into(), runs.as_str().into()]);
        run(&program, &arguments);
    });
}

/// Contexts and runs of each; `SIMPLER_TEST_THREAD_LOAD="2 10"` asks for other numbers.
fn thread_load() -> (String, String) {
    let load = std::env::var("SIMPLER_TEST_THREAD_LOAD").unwrap_or_else(|_| "8 1000".to_owned());
    let (contexts, runs) = load.split_once(' ').expect("two numbers");
    (contexts.to_owned(), runs.to_owned())
}

#[test]
fn ranks_of_a_job() {
    let program = program("comm.c");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rootinfo");
    on_all(|_, _, [library, ..]| drop(run(&program, &[&library, &path])));
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0, "nothing is left where they met");
}

#[test]
fn functions_without_a_context() {
    let program = program("binding.c");
    for arch in ARCHS {
        let runtime = "host_build_graph";
        run(&program, &[library(arch, runtime), folder(arch, runtime), graphs().to_owned()]);
    }
}

#[test]
fn several_libraries_and_processes() {
    let mut arguments = vec![graphs().to_owned()];
    for arch in ARCHS {
        arguments.extend(RUNTIMES.map(|runtime| library(arch, runtime)));
    }
    run(&program("libraries.c"), &arguments);
}

#[test]
fn records_go_where_the_client_wants() {
    let program = program("logging.c");
    let log = tree().join("libsimpler_log.so");
    let library = library("a2a3", "tensormap_and_ringbuffer");
    let written = String::from_utf8(run(&program, &[&library, &log, graphs()]).stderr).unwrap();
    // [date time][thread][LEVEL] function: text
    let lines: Vec<&str> = written
        .lines()
        .filter_map(|line| line.splitn(3, '[').nth(2)?.split_once('['))
        .map(|line| line.1)
        .collect();
    let of_options: Vec<&&str> = lines.iter().filter(|line| line.contains("option")).collect();
    assert_eq!(of_options.len(), 2, "{written}");
    let expected = "ERROR] simpler_rs_set_option: there is no option \"goes-to-the-library\"";
    assert!(of_options[0].starts_with(expected), "{written}");
    assert!(of_options[1].contains("goes-to-the-library-again"), "{written}");
    let messages: Vec<&str> = lines.into_iter().filter(|line| line.contains("message of")).collect();
    let debug = "DEBUG] build: message of level 0";
    let info = "INFO_V6] build: message of verbosity 6";
    let (warn, error) = ("WARN] build: message of level 2", "ERROR] build: message of level 3");
    // At the levels debug, info, warn, error and none, with a verbosity of 6.
    assert_eq!(messages, [debug, info, warn, error, info, warn, error, warn, error, error], "{written}");
}

#[test]
fn a_client_in_cpp() {
    let program = program("client.cpp");
    on_all(|_, _, [library, _, graphs]| drop(run(&program, &[library, graphs])));
}
