//! `cargo xtask bench` as its users call it; figures are not looked at, as no test judges speed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is the report of a test")]

use std::process::Command;

fn bench(args: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_xtask")).arg("bench").args(args).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn wrong_options_are_told_with_the_right_ones() {
    for (args, reason) in [
        (&["--sample", "3"][..], "invalid option '--sample'"),
        (&["--samples"], "missing argument for option '--samples'"),
        (&["--samples", "many"], "cannot parse argument \"many\""),
        (&["--samples", "0"], "--samples must be at least 1"),
        (&["--platform", "b7"], "b7"),
        (&["--engine", "steam"], "--engine takes: registers"),
        (&["--comm-rank", "party"], "nothing is called party"),
    ] {
        let (code, out, err) = bench(args);
        assert_eq!((code, &*out), (Some(2), ""), "{args:?}: {err}");
        let (first, rest) = err.split_once('\n').unwrap();
        assert!(first.starts_with("error: ") && first.contains(reason), "{args:?}: {err}");
        assert!(rest.contains("cargo xtask bench [OPTIONS] [FILTER...]"), "{args:?}: {err}");
    }
}

#[test]
fn help_is_what_was_asked_for() {
    let (code, out, err) = bench(&["--help"]);
    assert_eq!((code, &*err), (Some(0), ""));
    assert!(out.contains("--samples N"), "{out}");
}
