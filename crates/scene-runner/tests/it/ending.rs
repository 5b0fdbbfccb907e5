//! Ends that come from outside: Ctrl-C, kills, readers that go away, two runners at once.

use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::bench::{Bench, LIMIT};
use rustix::process::{Pid, Signal, kill_process};

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

const HANGS: [&str; 5] = ["--devices", "2", "fine/one", "host_", "tells/numbers"];

#[test]
fn ctrl_c_ends_everything_and_keeps_the_results() {
    for (how, code, name) in
        [(Signal::INT, 130, "SIGINT"), (Signal::TERM, 143, "SIGTERM"), (Signal::HUP, 129, "SIGHUP")]
    {
        let bench = Bench::new();
        let child = bench.start(&HANGS);
        bench.wait_for("PASS: fine/one/a2a3sim (");
        let start = Instant::now();
        signal(&child, how);
        let ended = bench.end(child);
        assert!(start.elapsed() < Duration::from_secs(100), "at once, not when scenes have ended");
        assert_eq!((ended.code, ended.signal), (Some(code), None), "{}", ended.out);
        ended.expect_pass("fine/one/a2a3sim");
        let reports = ended.json.as_ref().unwrap();
        assert_eq!(reports["exit_code"], code);
        assert_eq!(reports["stopped"], format!("ended by {name}"));
        assert!(ended.out.contains(&format!("\nstopped: ended by {name}; ")), "{}", ended.out);
    }
}

/// Writes an executable through a child: a descriptor open for writing in this process could be inherited by the child
/// of another test, and the script would be "busy".
fn write_script(path: &Path, text: &str) {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", "cat > \"$0\" && chmod 755 \"$0\""]).arg(path).stdin(Stdio::piped());
    let mut shell = shell.spawn().unwrap();
    shell.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    assert!(shell.wait().unwrap().success());
}

#[test]
fn ctrl_c_ends_compilers() {
    let bench = Bench::new();
    let compiler = bench.path("compiler");
    let started = bench.path("started");
    let script = format!(
        "#!/bin/sh\ncase \"$1\" in --version) echo fake 1.0; exit 0;; esac\ntouch {}; sleep 1000 & wait\n",
        started.display()
    );
    write_script(&compiler, &script);
    let cache = bench.path("cache");
    let bench = bench.env("SIMPLER_CXX", &compiler).env("SIMPLER_KERNEL_CACHE", &cache);
    let child = bench.start(&["segfault", "kernel_loops"]);
    let start = Instant::now();
    while !started.exists() {
        assert!(start.elapsed() < LIMIT);
        std::thread::sleep(Duration::from_millis(2));
    }
    signal(&child, Signal::INT);
    let ended = bench.end(child);
    assert_eq!(ended.code, Some(130), "{} {}", ended.out, ended.err);
    assert_eq!(std::fs::read_dir(cache.join("tmp")).unwrap().count(), 0);
}

#[test]
fn scenes_die_with_their_runner() {
    let bench = Bench::new();
    let mut child = bench.start(&HANGS);
    bench.wait_for("PASS: fine/one/a2a3sim (");
    signal(&child, Signal::KILL);
    child.wait().unwrap();
    let start = Instant::now();
    while !bench.processes().is_empty() {
        assert!(start.elapsed() < LIMIT, "left: {:?}", bench.processes());
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn runners_at_the_same_time_do_not_disturb_each_other() {
    let benches = [Bench::new(), Bench::new(), Bench::new()];
    let args = ["--devices=2", "--retries=1", "fine", "segfault", "every_second", "kernel_prints"];
    let running: Vec<Child> = benches.iter().map(|bench| bench.start(&args)).collect();
    for (bench, child) in benches.iter().zip(running) {
        let ended = bench.end(child);
        assert_eq!(ended.code, Some(1));
        assert!(ended.out.contains(": 7 passed, 1 flaky, 1 failed in "), "{}", ended.out);
        assert_eq!(ended.verdict("segfault/a2a3sim").1, ["crashed", "crashed"]);
    }
}

#[test]
fn a_reader_that_has_seen_enough_ends_the_runner() {
    let bench = Bench::new();
    let (read, write) = std::io::pipe().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_trouble"));
    command.args(["tells/numbers", "--repeat", "50"]).stdout(write);
    command.env("TMPDIR", bench.path("tmp")).env("TROUBLE_STATE", bench.path("state"));
    let child = command.spawn().unwrap();
    drop((read, command));
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(1));
    bench.expect_nothing_left();
}

#[test]
fn the_hidden_mode_is_for_runners() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trouble"));
    let output = command.arg("--run-as-worker-of-a-scene-runner").stdin(Stdio::null()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.starts_with("error: cannot run scenes: "), "{error}");
}
