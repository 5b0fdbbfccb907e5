//! Random tensor programs on `tensormap_and_ringbuffer` give what the same programs give in sequence.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "a panic is the report of a test")]

mod trb_program;

use chip_worker::Platform;

/// Each test has its own seeds, so that the runner spreads them over the CPUs.
fn check(first: u64) {
    let seeds = if cfg!(debug_assertions) { 250 } else { 1000 };
    for seed in first..first + seeds {
        trb_program::check_seed(seed).unwrap();
    }
}

#[test]
fn programs_agree_with_their_sequence_1() {
    check(0);
}

#[test]
fn programs_agree_with_their_sequence_2() {
    check(1_000_000);
}

/// That the programs contain what they are made for.
#[test]
fn programs_are_worth_running() {
    use trb_program::program::{Cores, Op};
    fn walk(ops: &[Op], seen: &mut [usize; 8]) {
        for op in ops {
            match op {
                Op::Scope { manual, ops } => {
                    seen[usize::from(*manual)] += 1;
                    walk(ops, seen);
                }
                Op::Task(task) => {
                    seen[2] += usize::from(task.cores != Cores::Dummy);
                    seen[3] += usize::from(task.parts() > 1);
                    seen[4] += usize::from(task.after.len() > 64);
                }
                Op::Alloc(_) => seen[5] += 1,
                Op::Read { .. } => seen[6] += 1,
                Op::Write { .. } => seen[7] += 1,
            }
        }
    }
    let mut seen = [0; 8];
    let mut platforms = [0; 2];
    for seed in 0..200 {
        let plan = trb_program::plan::plan(&trb_program::generate::program(seed));
        walk(&plan.program.ops, &mut seen);
        platforms[usize::from(plan.program.setup.platform == Platform::A5Sim)] += 1;
    }
    assert!(seen.iter().all(|&count| count >= 10) && platforms.iter().all(|&count| count > 50), "{seen:?}");
    assert!(seen[2] > 4000, "{seen:?}");
}
