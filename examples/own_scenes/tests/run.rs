//! The program of a project with one dependency, as its users call it.
#![allow(clippy::unwrap_used, reason = "a panic is the report of a test")]

use std::path::Path;
use std::process::Command;

fn run(args: &[&str]) -> (Option<i32>, String) {
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("kernels");
    let mut command = Command::new(env!("CARGO_BIN_EXE_own-scenes"));
    let output = command.args(args).env("SIMPLER_KERNEL_CACHE", cache).output().unwrap();
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn all_scenes_pass_on_several_devices_and_with_any_seed() {
    let (code, out) = run(&["--devices", "3", "--repeat", "3", "--seed", "12345"]);
    assert_eq!(code, Some(0), "{out}");
    assert!(out.contains("PASS: saxpy/all_cores/a5sim #3 ("), "{out}");
    assert!(out.contains("PASS: counter/a2a3sim #1 ("), "{out}");
    assert!(out.contains("\na2a3sim, a5sim: 21 passed, 0 failed in "), "{out}");
}

#[test]
fn its_scenes_are_listed() {
    let (code, out) = run(&["--list", "--platform", "a5sim"]);
    assert_eq!(code, Some(0));
    let wanted = "saxpy: y += a * x in blocks, kernel and orchestration in C++ (host_build_graph; a5sim)\n  \
                  saxpy/small\n  saxpy/one_cluster\n  saxpy/all_cores\n";
    assert_eq!(out, wanted);
}
