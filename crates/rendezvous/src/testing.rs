//! For tests whose ranks are processes: a place to meet at, and ranks that stop where they are told to.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is the report of a test")]
#![allow(clippy::print_stdout, reason = "ranks tell their test what they do")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// A path that only one test uses.
#[derive(Debug)]
pub struct Place {
    folder: tempfile::TempDir,
    path: PathBuf,
}

impl Default for Place {
    fn default() -> Self {
        Self::new()
    }
}

impl Place {
    /// A path in a folder of its own; nothing is there.
    ///
    /// # Panics
    /// When the folder cannot be made.
    #[must_use]
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { path: folder.path().join("rootinfo"), folder }
    }

    /// The path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Nothing of any job is left here.
    ///
    /// # Panics
    /// When there are names of shared memory, or files.
    pub fn assert_empty(&self) {
        assert_eq!(crate::names(&self.path).unwrap(), Vec::<String>::new());
        let files: Vec<_> =
            std::fs::read_dir(self.folder.path()).unwrap().map(|file| file.unwrap().path()).collect();
        assert_eq!(files, Vec::<PathBuf>::new());
    }
}

/// Longer than any limit of a rank's calls: one that says nothing for so long hangs.
const LIMIT: Duration = Duration::from_secs(100);

const ROLE: &str = "RENDEZVOUS_TEST_ROLE";

/// A rank that is a process: this test program once more. It is killed when it is dropped.
#[derive(Debug)]
pub struct RankProcess {
    process: Child,
    said: Receiver<String>,
}

impl RankProcess {
    /// Starts this test program with no other test than `rank_process`, which finds in [`role`] what it has to do;
    /// `adjust` may change the command first.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start(role: &str, adjust: impl FnOnce(&mut Command)) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "rank_process", "--nocapture"]).env(ROLE, role);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        adjust(&mut command);
        let mut process = command.spawn().unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        let (sender, said) = channel();
        std::thread::spawn(move || {
            let lines = output.lines().map_while(Result::ok);
            // The test may be over already.
            lines
                .filter_map(|line| Some(line.strip_prefix(':')?.to_owned()))
                .try_for_each(|text| sender.send(text))
        });
        Self { process, said }
    }

    /// The next thing it says with [`say`]; "nothing" when it has ended.
    ///
    /// # Panics
    /// When it hangs.
    pub fn says(&mut self) -> String {
        match self.said.recv_timeout(LIMIT) {
            Ok(text) => text,
            Err(RecvTimeoutError::Disconnected) => "nothing".to_owned(),
            Err(RecvTimeoutError::Timeout) => panic!("a rank says nothing for {LIMIT:?}"),
        }
    }

    /// Lets it go on from where it stopped.
    ///
    /// # Panics
    /// When it has ended.
    pub fn go_on(&mut self) {
        self.process.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
    }

    /// Kills it, wherever it is.
    pub fn kill(self) {}

    /// Waits until it ends.
    ///
    /// # Panics
    /// When it hangs.
    #[must_use]
    pub fn ends(mut self) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                return status;
            }
            assert!(start.elapsed() < LIMIT, "a rank does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for RankProcess {
    fn drop(&mut self) {
        // Nothing to do if it has ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// In a process that was started as a rank: what it was told to do. `None` in any other.
#[must_use]
pub fn role() -> Option<String> {
    std::env::var(ROLE).ok()
}

/// Tells the test that started this rank.
pub fn say(text: &str) {
    // The harness may have written a part of a line.
    println!("\n:{text}");
    let _ = std::io::stdout().flush();
}

/// Says where it is, and waits until it may go on.
///
/// # Panics
/// When the standard input cannot be read.
pub fn stop(phase: &str) {
    say(&format!("at {phase}"));
    std::io::stdin().read_line(&mut String::new()).unwrap();
}
