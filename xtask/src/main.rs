//! Project commands, called as `cargo xtask <command>`.

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command talks to whoever called it")]
#![allow(unreachable_pub, reason = "there is nobody outside of a binary")]

use std::io::{self, ErrorKind, Write as _};
use std::path::Path;
use std::process::ExitCode;

mod bench;
mod bindings;
mod build_all;
mod doctor;
mod report;
mod st;

const HELP: &str = "\
cargo xtask <COMMAND> [OPTIONS]

Commands:
  st         run the scenes and check their results
  bench      measure the simulated chips
  build-all  build the libraries for clients of the C API
  report     check and show what a run's diagnostics recorded
  doctor     tell what this machine has, and what is missing for which platform
  bindings   make the declarations of the calls to CANN from their header
  help       show this text

`cargo xtask <COMMAND> --help` tells more about a command.
Set RUST_LOG=debug to see what the libraries do.
";

/// The command was called in a way it does not understand.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    // What goes wrong is part of the output already.
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("off")).init();
    match run() {
        Ok(code) => code,
        // Whoever reads has seen enough, as in `cargo xtask st | head`.
        Err(error) if is_broken_pipe(&error) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {}", explain(&error));
            ExitCode::FAILURE
        }
    }
}

fn run() -> anyhow::Result<ExitCode> {
    use lexopt::prelude::*;
    let mut parser = lexopt::Parser::from_env();
    match parser.next()? {
        Some(Value(command)) if command == "st" => Ok(st::run()),
        Some(Value(command)) if command == "bench" => bench::run(parser),
        Some(Value(command)) if command == "build-all" => build_all::run(parser),
        Some(Value(command)) if command == "report" => report::run(parser),
        Some(Value(command)) if command == "doctor" => doctor::run(parser),
        Some(Value(command)) if command == "bindings" => bindings::run(parser),
        Some(Value(command)) if command == "help" => show(HELP),
        Some(Long("help") | Short('h')) | None => show(HELP),
        Some(Value(command)) => Ok(refuse(&format!("unknown command \"{}\"", command.display()), HELP)),
        Some(other) => Ok(refuse(&other.unexpected().to_string(), HELP)),
    }
}

fn show(text: &str) -> anyhow::Result<ExitCode> {
    io::stdout().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// Tells that a command was called wrongly, and how it is called.
fn refuse(reason: &str, help: &str) -> ExitCode {
    eprintln!("error: {reason}\n\n{help}");
    ExitCode::from(USAGE)
}

/// The root of the project, where `cargo xtask` was built.
fn project() -> &'static Path {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask)
}

/// An error with its causes. Many errors of the libraries have theirs in their own text, which is said once then.
fn explain(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[test]
    fn every_cause_is_told_once() {
        let error = Err::<(), _>(io::Error::other("the disk is full")).context("cannot write x").unwrap_err();
        assert_eq!(explain(&error), "cannot write x: the disk is full");
        let error = error.context("no report: cannot write x: the disk is full");
        assert_eq!(explain(&error), "no report: cannot write x: the disk is full");
    }
}
