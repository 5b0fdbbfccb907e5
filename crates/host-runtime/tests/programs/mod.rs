//! C and C++ programs: compiled against our headers, and run with a limit.

use std::ffi::OsStr;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// A program that takes longer hangs. Valgrind slows programs down by a factor of 20 or more.
const LIMIT: Duration = Duration::from_secs(120);

/// A program of `tests/c`, compiled against the headers of `include/`.
pub(crate) fn program(name: &str) -> PathBuf {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let place = Path::new(env!("CARGO_TARGET_TMPDIR"));
    // Others may compile or run the same program at this moment: it appears as a whole, and whoever runs one keeps it.
    let scratch = tempfile::tempdir_in(place).expect("a scratch directory");
    let output = scratch.path().join(name);
    let (compiler, standard) = match name.ends_with(".cpp") {
        true => ("CXX", "-std=c++17"),
        false => ("CC", "-std=gnu11"),
    };
    let fallback = if compiler == "CXX" { "c++" } else { "cc" };
    let compiler = std::env::var(compiler).unwrap_or_else(|_| fallback.to_owned());
    let compiled = Command::new(compiler)
        .args([standard, "-Wall", "-Wextra", "-Werror", "-g", "-O1", "-pthread", "-I"])
        .arg(root.join("../../include"))
        .arg(root.join("tests/c").join(name))
        .arg("-o")
        .arg(&output)
        .arg("-ldl")
        .output()
        .expect("the C compiler starts");
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    let program = place.join(name).with_extension("program");
    std::fs::rename(output, &program).expect("a program in its place");
    program
}

/// Runs a program, which has to succeed within the limit, and returns what it wrote.
///
/// `SIMPLER_TEST_WRAPPER` may name a command that runs it, such as `valgrind --error-exitcode=99`.
pub(crate) fn run<A: AsRef<OsStr>>(program: &Path, arguments: &[A]) -> Output {
    run_in(&[], program, arguments)
}

/// As [`run`], with more in its environment.
pub(crate) fn run_in<A: AsRef<OsStr>>(
    environment: &[(&str, &OsStr)],
    program: &Path,
    arguments: &[A],
) -> Output {
    let wrapper = std::env::var("SIMPLER_TEST_WRAPPER").unwrap_or_default();
    let mut words = wrapper.split_whitespace().map(PathBuf::from).chain([program.to_owned()]);
    let mut command = Command::new(words.next().expect("at least the program itself"));
    let end_of_spin = tempfile::tempdir().expect("a scratch directory");
    command.envs(environment.iter().copied());
    command.args(words).args(arguments).env("SIMPLER_TEST_END_OF_SPIN", end_of_spin.path().join("end"));
    let output = within_limit(command);
    assert!(
        output.status.success(),
        "{} ended with {}:\n{}",
        program.display(),
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

fn within_limit(mut command: Command) -> Output {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the program starts");
    let mut pipe = child.stderr.take().expect("a pipe");
    let reader = std::thread::spawn(move || {
        let mut text = Vec::new();
        pipe.read_to_end(&mut text).map(|_| text)
    });
    let started = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().expect("a child to wait for") {
            break status;
        }
        if started.elapsed() > LIMIT {
            let _ = child.kill();
            let _ = child.wait();
            panic!("{command:?} has not ended after {LIMIT:?}");
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let stderr = reader.join().expect("the reader ends").expect("what the program wrote");
    Output { status, stdout: Vec::new(), stderr }
}
