//! Ranks that are processes, of different parents, and that are killed.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "a panic is the report of a test")]
#![allow(clippy::exit, reason = "one of the ways in which a rank ends")]

mod common;

use std::path::Path;
use std::time::{Duration, Instant};

use common::{read, write};
use rendezvous::testing::{Place, RankProcess, role, say, stop};
use rendezvous::{Job, Options, RendezvousError, enter};

/// Where a rank stops and says so, until it is told to go on or killed.
const PHASES: [&str; 6] = ["before", "entered", "complete", "windows", "barrier", "domain"];

/// Not a test of its own: what a process that was started as a rank does.
#[test]
fn rank_process() {
    let Some(role) = role() else { return };
    let words: Vec<&str> = role.split(' ').collect();
    let [path, rank, ranks, job, stop_at] = words[..] else { panic!("{role}") };
    let mut options = Options::default().limit(Duration::from_secs(60));
    if job != "-" {
        options = options.job(Job::named(job));
    }
    match live(Path::new(path), rank.parse().unwrap(), ranks.parse().unwrap(), options, stop_at) {
        Ok(sum) => say(&format!("done {sum}")),
        Err(error) => say(&format!("error {error}")),
    }
}

fn live(path: &Path, rank: u32, ranks: u32, options: Options, stop_at: &str) -> Result<u64, RendezvousError> {
    let (then, last) = stop_at.split_once(':').unwrap_or(("go on", stop_at));
    let reach = |phase: &str| {
        if phase == last {
            stop(phase);
            if then == "exit" {
                std::process::exit(0);
            }
        }
    };
    reach("before");
    let seat = enter(path, rank, ranks, options)?;
    reach("entered");
    let session = seat.complete()?;
    reach("complete");
    let windows = session.windows(64)?;
    reach("windows");
    // SAFETY: this rank's own window of 64 bytes.
    unsafe { write(windows.address(windows.own()), 10 + u64::from(rank)) };
    session.barrier()?;
    reach("barrier");
    let members: Vec<u32> = (0..ranks).rev().collect();
    let domain = session.domain(9, &members, 64)?;
    reach("domain");
    let sum = (0..ranks as usize)
        // SAFETY: windows of 64 bytes that live.
        .map(|index| unsafe { read(windows.address(index)) + read(domain.address(index)) })
        .sum();
    session.barrier()?;
    Ok(sum)
}

fn start(place: &Place, rank: u32, ranks: u32, job: &str, stop_at: &str) -> RankProcess {
    RankProcess::start(&text(place, rank, ranks, job, stop_at), |_| {})
}

fn text(place: &Place, rank: u32, ranks: u32, job: &str, stop_at: &str) -> String {
    format!("{} {rank} {ranks} {job} {stop_at}", place.path().display())
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
            (0..ranks).rev().map(|rank| start(&place, rank, ranks, "meet", "-")).collect();
        for rank in &mut started {
            assert_eq!(rank.says(), sum(ranks));
        }
        assert!(started.into_iter().all(|rank| rank.ends().success()));
        place.assert_empty();
    }
}

#[test]
fn ranks_that_were_started_by_hand_meet_too() {
    use std::os::unix::process::CommandExt as _;
    let place = Place::new();
    let by_hand = |rank| {
        RankProcess::start(&text(&place, rank, 3, "-", "-"), |command| {
            for name in ["SIMPLER_COMM_JOB", "PMIX_NAMESPACE", "SLURM_JOB_ID", "PMI_JOBID"] {
                command.env_remove(name);
            }
            // As from several shells.
            command.process_group(0);
        })
    };
    for mut rank in [0, 1, 2].map(by_hand) {
        assert_eq!(rank.says(), sum(3));
    }
    place.assert_empty();
}

#[test]
fn the_others_notice_at_once_when_a_rank_is_killed_in_any_phase() {
    for phase in PHASES {
        let place = Place::new();
        let mut doomed = start(&place, 1, 3, "killed", phase);
        let mut others = [0, 2].map(|rank| start(&place, rank, 3, "killed", "entered"));
        for other in &mut others {
            assert_eq!(other.says(), "at entered");
            other.go_on();
        }
        assert_eq!(doomed.says(), format!("at {phase}"));
        doomed.kill();
        let killed = Instant::now();
        if phase == "before" {
            // It has never come; nobody can know. Another one takes its place.
            assert_eq!(start(&place, 1, 3, "killed", "-").says(), sum(3));
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
        place.assert_empty();
    }
}

#[test]
fn a_job_that_was_killed_as_a_whole_does_not_disturb_the_next() {
    for phase in PHASES {
        let place = Place::new();
        // The last one never comes while they gather; else all are there.
        let gathering = matches!(phase, "before" | "entered");
        let ranks: Vec<_> = (0..if gathering { 2 } else { 3 }).collect();
        let mut started: Vec<_> = ranks.iter().map(|&rank| start(&place, rank, 3, "same", phase)).collect();
        for rank in &mut started {
            assert_eq!(rank.says(), format!("at {phase}"));
        }
        started.into_iter().for_each(RankProcess::kill);
        if phase != "entered" {
            place.assert_empty();
        }
        let mut next: Vec<_> = (0..3).map(|rank| start(&place, rank, 3, "same", "-")).collect();
        for rank in &mut next {
            assert_eq!(rank.says(), sum(3), "{phase}");
        }
        next.into_iter().for_each(|rank| assert!(rank.ends().success()));
        place.assert_empty();
    }
}

#[test]
fn what_a_killed_job_left_is_removed_by_the_next_one_wherever_that_is() {
    let (place, living, other) = (Place::new(), Place::new(), Place::new());
    let mut killed: Vec<_> = (0..2).map(|rank| start(&place, rank, 3, "killed", "entered")).collect();
    let mut gathering = start(&living, 0, 2, "gathers", "entered");
    for rank in killed.iter_mut().chain([&mut gathering]) {
        assert_eq!(rank.says(), "at entered");
    }
    killed.into_iter().for_each(RankProcess::kill);
    assert_eq!(start(&other, 0, 1, "alone", "-").says(), sum(1));
    place.assert_empty();
    // Which takes nothing from those who live.
    gathering.go_on();
    assert_eq!(start(&living, 1, 2, "gathers", "-").says(), sum(2));
    assert_eq!(gathering.says(), sum(2));
    living.assert_empty();
}

#[test]
fn a_process_that_exits_without_leaving_is_as_good_as_killed() {
    for phase in &PHASES[1..] {
        let place = Place::new();
        let mut leaver = start(&place, 0, 2, "exit", &format!("exit:{phase}"));
        let mut other = start(&place, 1, 2, "exit", "entered");
        assert_eq!(other.says(), "at entered");
        other.go_on();
        assert_eq!(leaver.says(), format!("at {phase}"));
        leaver.go_on();
        assert!(leaver.ends().success());
        let said = other.says();
        assert!(said.contains("rank 0 ended unexpectedly"), "{phase}: {said}");
        place.assert_empty();
    }
}
