//! A child process that runs scenes, from its start to its certain end.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use crate::events::Events;
use crate::options::WORKER;
use crate::wire::Plan;

/// The process. Dropping it ends it, with all that it started.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    number: u64,
    status: Option<ExitStatus>,
}

impl Process {
    /// Starts one. The program is this one: the file that runs, even if another has been put in its place.
    ///
    /// To be called by a thread that lives as long as the process should: the death of that thread ends it.
    pub(crate) fn start(
        words: &[&str],
        plan: &Plan,
        objects: &[Arc<[u8]>],
        environment: Vec<(&'static str, OsString)>,
        temporary: &Path,
        events: &Events,
    ) -> io::Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = std::env::args_os().next().unwrap_or_else(|| "scene-runner".into());
        let mut command = Command::new("/proc/self/exe");
        command.arg0(name).args(words).arg(WORKER).envs(environment).env("TMPDIR", temporary);
        // A group of its own: it does not get the Ctrl-C of the terminal, and is ended with all its children.
        command.stdin(plan.to_file(objects)?).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let mut process = Self { child: command.spawn()?, number, status: None };
        let missing = || io::Error::other("a process without pipes was started");
        let (results, printed) = (process.child.stdout.take(), process.child.stderr.take());
        events.read_results(number, results.ok_or_else(missing)?)?;
        events.read_printed(number, printed.ok_or_else(missing)?)?;
        Ok(process)
    }

    /// Tells its events from those of earlier processes.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        let id = WaitId::Pid(Pid::from_child(&self.child));
        if self.status.is_none() && waitid(id, options)?.is_some() {
            return self.kill().map(Some);
        }
        Ok(self.status)
    }

    /// Ends it and all that it started.
    pub(crate) fn kill(&mut self) -> io::Result<ExitStatus> {
        if let Some(status) = self.status {
            return Ok(status);
        }
        // Also when it has ended by itself: others of its group may be left. It is not reaped yet, so that the id of
        // the group cannot be that of another one.
        if let Err(error) = kill_process_group(Pid::from_child(&self.child), Signal::KILL) {
            log::debug!("process group {}: {error}", self.child.id());
            self.child.kill()?;
        }
        let status = self.child.wait()?;
        self.status = Some(status);
        Ok(status)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Err(error) = self.kill() {
            log::warn!("cannot end process {}: {error}", self.child.id());
        }
    }
}

/// The way that a process went, as the end of a sentence about it.
pub(crate) fn how(status: ExitStatus) -> String {
    match (status.signal(), status.code()) {
        (Some(signal), _) => {
            let name = signal_hook::low_level::signal_name(signal).unwrap_or("unknown");
            let core = if status.core_dumped() { ", core dumped" } else { "" };
            format!("was killed by signal {signal} ({name}{core})")
        }
        (None, Some(code)) => format!("exited with code {code}"),
        (None, None) => format!("ended with {status}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_go_has_words() {
        assert_eq!(how(ExitStatus::from_raw(11)), "was killed by signal 11 (SIGSEGV)");
        assert_eq!(how(ExitStatus::from_raw(6 | 0x80)), "was killed by signal 6 (SIGABRT, core dumped)");
        assert_eq!(how(ExitStatus::from_raw(64)), "was killed by signal 64 (unknown)");
        assert_eq!(how(ExitStatus::from_raw(0)), "exited with code 0");
        assert_eq!(how(ExitStatus::from_raw(3 << 8)), "exited with code 3");
    }
}
