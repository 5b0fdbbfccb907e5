//! Ranks that are processes, of different parents, and that are killed.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "a panic is the report of a test")]
#![allow(clippy::print_stdout, reason = "ranks tell their test what they do")]

mod common;

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use common::{Place, read, write};
use rendezvous::{Job, Options, RendezvousError, enter};

/// Where a rank stops and says so, until it is told to go on or killed.
const PHASES: [&str; 6] = ["before", "entered", "complete", "windows", "barrier", "domain"];

/// Not a test of its own: what a process that was started as a rank does.
#[test]
fn rank_process() {
    let Ok(text) = std::env::var("RENDEZVOUS_TEST_RANK") else { return };
    let words: Vec<&str> = text.split(' ').collect();
    let [path, rank, ranks, job, stop_at] = words[..] else { panic!("{text}") };
    let limit = Duration::from_secs(60);
    let mut options = Options::default().limit(limit);
    if job != "-" {
        options = options.job(Job::named(job));
    }
    let result = live(Path::new(path), rank.parse().unwrap(), ranks.parse().unwrap(), options, stop_at);
    match result {
        Ok(sum) => println!("\n:done {sum}"),
        Err(error) => println!("\n:error {error}"),
    }
}

fn live(path: &Path, rank: u32, ranks: u32, options: Options, stop_at: &str) -> Result<u64, RendezvousError> {
    let stop = |phase: &str| {
        if phase == stop_at {
            println!("\n:at {phase}");
            std::io::stdout().flush().unwrap();
            let mut line = String::new();
            std::io::stdin().read_line(&mut line).unwrap();
        }
    };
    stop("before");
    let seat = enter(path, rank, ranks, options)?;
    stop("entered");
    let session = seat.complete()?;
    stop("complete");
    let windows = session.windows(64)?;
    stop("windows");
    // SAFETY: this rank's own window of 64 bytes.
    unsafe { write(windows.address(windows.own()), 10 + u64::from(rank)) };
    session.barrier()?;
    stop("barrier");
    let members: Vec<u32> = (0..ranks).rev().collect();
    let domain = session.domain(9, &members, 64)?;
    stop("domain");
    let sum = (0..ranks as usize)
        // SAFETY: windows of 64 bytes that live.
        .map(|index| unsafe { read(windows.address(index)) + read(domain.address(index)) })
        .sum();
    session.barrier()?;
    Ok(sum)
}

struct Rank {
    process: Child,
    output: BufReader<ChildStdout>,
}

impl Rank {
    fn start(place: &Place, rank: u32, ranks: u32, job: &str, stop_at: &str) -> Self {
        let text = format!("{} {rank} {ranks} {job} {stop_at}", place.path().display());
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "rank_process", "--nocapture"])
            .env("RENDEZVOUS_TEST_RANK", text)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        Self { process, output }
    }

    /// The next thing it says.
    fn says(&mut self) -> String {
        let mut line = String::new();
        while self.output.read_line(&mut line).unwrap() > 0 {
            if let Some(text) = line.trim().strip_prefix(':') {
                return text.to_owned();
            }
            line.clear();
        }
        "nothing".to_owned()
    }

    fn go_on(&mut self) {
        self.process.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
    }

    fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    fn ends(mut self) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                return status;
            }
            assert!(start.elapsed() < Duration::from_secs(60), "a rank does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// What all ranks' windows hold together.
fn sum(ranks: u32) -> String {
    format!("done {}", (0..u64::from(ranks)).map(|rank| 10 + rank).sum::<u64>())
}

#[test]
fn processes_meet_whatever_their_order_and_leave_nothing() {
    let place = Place::new();
    for ranks in [2, 4] {
        let mut started: Vec<_> =
            (0..ranks).rev().map(|rank| Rank::start(&place, rank, ranks, "meet", "-")).collect();
        for rank in &mut started {
            assert_eq!(rank.says(), sum(ranks));
        }
        assert!(started.into_iter().all(|rank| rank.ends().success()));
        assert_eq!(place.names(), Vec::<String>::new());
    }
}

#[test]
fn ranks_that_were_started_by_hand_meet_too() {
    use std::os::unix::process::CommandExt as _;
    // Each in a process group of its own, as from several shells.
    let place = Place::new();
    let text = |rank| format!("{} {rank} 3 - -", place.path().display());
    let start = |rank| {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "rank_process", "--nocapture"]).env("RENDEZVOUS_TEST_RANK", text(rank));
        for name in ["SIMPLER_COMM_JOB", "PMIX_NAMESPACE", "SLURM_JOB_ID", "PMI_JOBID"] {
            command.env_remove(name);
        }
        command.process_group(0).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
    };
    let started: Vec<_> = [0, 1, 2].map(start).into();
    for rank in started {
        let output = rank.wait_with_output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains(&sum(3)), "{text}");
    }
    assert_eq!(place.names(), Vec::<String>::new());
}

#[test]
fn the_others_notice_at_once_when_a_rank_is_killed_in_any_phase() {
    for phase in PHASES {
        let place = Place::new();
        let mut doomed = Rank::start(&place, 1, 3, "killed", phase);
        let mut others = [0, 2].map(|rank| Rank::start(&place, rank, 3, "killed", "entered"));
        for other in &mut others {
            assert_eq!(other.says(), "at entered");
            other.go_on();
        }
        assert_eq!(doomed.says(), format!("at {phase}"));
        doomed.kill();
        let killed = Instant::now();
        if phase == "before" {
            // It has never come; nobody can know. Another one takes its place.
            assert_eq!(Rank::start(&place, 1, 3, "killed", "-").says(), sum(3));
        }
        for mut other in others {
            let said = other.says();
            match phase {
                "before" => assert_eq!(said, sum(3)),
                _ => assert!(
                    said.starts_with("error") && said.contains("rank 1 ended unexpectedly"),
                    "{phase}: {said}"
                ),
            }
            assert!(other.ends().success());
        }
        assert!(killed.elapsed() < Duration::from_secs(20), "long before their limit");
        assert_eq!(place.names(), Vec::<String>::new(), "{phase}");
    }
}

#[test]
fn a_job_that_was_killed_as_a_whole_does_not_disturb_the_next() {
    for phase in PHASES {
        let place = Place::new();
        // The last one never comes while they gather; else all are there.
        let gathering = matches!(phase, "before" | "entered");
        let ranks: Vec<_> = (0..if gathering { 2 } else { 3 }).collect();
        let mut started: Vec<_> =
            ranks.iter().map(|&rank| Rank::start(&place, rank, 3, "same", phase)).collect();
        for rank in &mut started {
            assert_eq!(rank.says(), format!("at {phase}"));
        }
        started.into_iter().for_each(Rank::kill);
        if phase != "entered" {
            assert_eq!(place.names(), Vec::<String>::new(), "{phase}");
        }
        let mut next: Vec<_> = (0..3).map(|rank| Rank::start(&place, rank, 3, "same", "-")).collect();
        for rank in &mut next {
            assert_eq!(rank.says(), sum(3), "{phase}");
        }
        next.into_iter().for_each(|rank| assert!(rank.ends().success()));
        assert_eq!(place.names(), Vec::<String>::new(), "{phase}");
    }
}

#[test]
fn a_process_that_exits_without_leaving_is_as_good_as_killed() {
    let place = Place::new();
    let mut leaver = Rank::start(&place, 0, 2, "exit", "windows");
    let mut other = Rank::start(&place, 1, 2, "exit", "-");
    assert_eq!(leaver.says(), "at windows");
    drop(leaver.process.stdin.take());
    // Without input it goes on to the barrier, and through it.
    assert_eq!(leaver.says(), sum(2));
    assert_eq!(other.says(), sum(2));
    assert!(leaver.ends().success() && other.ends().success());
}
