//! Runs one compiler to its end, with its output kept and a limit on its time.

use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

/// How a compiler ended and all it printed.
pub(crate) struct Finished {
    /// `None` when it was killed for taking too long, or because nobody wants its result any more.
    pub status: Option<ExitStatus>,
    pub output: String,
}

/// Runs `command` with both output streams going to the new file `capture`.
///
/// A file, not a pipe: there is no reader to keep up, and a grandchild that outlives the compiler holds
/// nothing up. The command gets a process group of its own, so that a compiler driver dies with its children.
///
/// It is killed at the end of `timeout`, and when `cancelled` becomes true.
pub(crate) fn run(
    command: &mut Command,
    capture: &Path,
    timeout: Duration,
    cancelled: &AtomicBool,
) -> io::Result<Finished> {
    let output = File::create(capture)?;
    command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output).process_group(0);
    let mut child = command.spawn()?;
    let status = wait(&mut child, timeout, cancelled)?;
    let output = String::from_utf8_lossy(&std::fs::read(capture)?).into_owned();
    Ok(Finished { status, output })
}

fn wait(child: &mut Child, timeout: Duration, cancelled: &AtomicBool) -> io::Result<Option<ExitStatus>> {
    let start = Instant::now();
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if start.elapsed() >= timeout || cancelled.load(Ordering::Relaxed) {
            // The child is not reaped yet, so the id is still its own.
            if let Err(error) = kill_process_group(Pid::from_child(child), Signal::KILL) {
                log::warn!("cannot kill the process group of a compiler: {error}");
                child.kill()?;
            }
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(10));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, timeout: Duration) -> Finished {
        let dir = tempfile::tempdir().unwrap();
        let never = AtomicBool::new(false);
        run(Command::new("/bin/sh").args(["-c", script]), &dir.path().join("out"), timeout, &never).unwrap()
    }

    #[test]
    fn keeps_both_streams_and_the_status() {
        let finished = shell("echo out; echo err >&2; exit 3", Duration::from_secs(60));
        assert_eq!(finished.output, "out\nerr\n");
        assert_eq!(finished.status.unwrap().code(), Some(3));
    }

    #[test]
    fn kills_the_children_too() {
        let dir = tempfile::tempdir().unwrap();
        let capture = dir.path().join("out");
        let script = "sleep 1000 & echo $!; wait";
        let limit = Duration::from_secs(1);
        let never = AtomicBool::new(false);
        let finished = run(Command::new("/bin/sh").args(["-c", script]), &capture, limit, &never).unwrap();
        assert!(finished.status.is_none());
        let grandchild: i32 = finished.output.trim().parse().unwrap();
        // Whoever inherits it reaps it in its own time; until then it is a zombie.
        let deadline = Instant::now() + Duration::from_secs(30);
        let alive = || {
            std::fs::read_to_string(format!("/proc/{grandchild}/stat"))
                .is_ok_and(|stat| !stat.contains(") Z ") && !stat.contains(") X "))
        };
        while alive() {
            assert!(Instant::now() < deadline, "the grandchild is still running");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn a_cancelled_command_is_killed_long_before_its_limit() {
        let dir = tempfile::tempdir().unwrap();
        let (cancelled, start) = (AtomicBool::new(false), Instant::now());
        let finished = std::thread::scope(|scope| {
            let mut command = Command::new("/bin/sh");
            command.args(["-c", "sleep 1000"]);
            let (capture, cancelled) = (dir.path().join("out"), &cancelled);
            let running = scope
                .spawn(move || run(&mut command, &capture, Duration::from_secs(1000), cancelled).unwrap());
            std::thread::sleep(Duration::from_millis(20));
            cancelled.store(true, Ordering::Relaxed);
            running.join().unwrap()
        });
        assert!(finished.status.is_none());
        assert!(start.elapsed() < Duration::from_secs(500));
    }

    #[test]
    fn a_missing_program_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let (mut command, never) = (Command::new("/no/such/compiler"), AtomicBool::new(false));
        let result = run(&mut command, &dir.path().join("out"), Duration::from_secs(1), &never);
        assert_eq!(result.err().map(|error| error.kind()), Some(io::ErrorKind::NotFound));
    }
}
