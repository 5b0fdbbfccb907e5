//! Runs that keep every rule have no findings; every way to break one is found.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is the report of a test")]

use std::collections::{BTreeMap, BTreeSet, HashMap};

use proptest::prelude::*;
use run_records::{Run, Summary};
use run_report::testing::{Chip, Mutation, Sample};
use run_report::{Facts, Finding, check, task_name, untold};

fn sample() -> impl Strategy<Value = Sample> {
    let chip = prop_oneof![Just(Chip::A2a3), Just(Chip::A5)];
    (any::<u64>(), 0..120_usize, 1..5_u32, 2..8_u32, 1..5_u32, chip).prop_map(
        |(seed, tasks, clusters, threads, level, chip)| Sample {
            seed,
            tasks,
            clusters,
            threads,
            level,
            chip,
        },
    )
}

fn findings(run: &Run) -> Vec<Finding> {
    check(run, &Facts::default())
}

fn large(chip: Chip) -> Run {
    Sample { chip, clusters: 4, ..Sample::new(7, 300) }.run()
}

proptest! {
    // Each case is a whole run, with files.
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn clean_runs_are_clean(sample in sample()) {
        let run = sample.run();
        prop_assert_eq!(findings(&run), vec![]);
        let scratch = tempfile::tempdir().unwrap();
        sample.write(scratch.path()).unwrap();
        let read = Run::read(scratch.path()).unwrap();
        prop_assert_eq!(check(&read, &Facts::of(scratch.path(), &read)), vec![]);
        prop_assert_eq!(read, run);
    }

    #[test]
    fn every_mutation_is_found(sample in sample(), seed: u64) {
        let clean = sample.run();
        for mutation in Mutation::ALL {
            let mut run = clean.clone();
            if let Some(tells) = mutation.apply(&mut run, seed) {
                let found = findings(&run);
                prop_assert!(found.iter().any(tells), "{mutation:?} is not among {found:#?}");
            }
        }
    }

    #[test]
    fn files_that_are_missing_are_no_findings(sample in sample(), present: [bool; 6]) {
        let mut run = sample.run();
        let [swimlane, deps, scopes, pmu, dump, summary] = present;
        run.swimlane = run.swimlane.filter(|_| swimlane);
        run.deps = run.deps.filter(|_| deps);
        run.scope_stats = run.scope_stats.filter(|_| scopes);
        run.pmu = run.pmu.filter(|_| pmu);
        run.dump = run.dump.filter(|_| dump);
        run.summary = run.summary.filter(|_| summary);
        prop_assert_eq!(findings(&run), vec![]);
    }
}

/// The property above skips what a run has nothing of; here no mutation may be skipped on both chips.
#[test]
fn every_mutation_can_be_made() {
    for mutation in Mutation::ALL {
        let made = [Chip::A2a3, Chip::A5].map(|chip| mutation.apply(&mut large(chip), 3).is_some());
        assert!(made.contains(&true), "{mutation:?}");
    }
}

#[test]
fn how_many_records_a_task_has_can_be_said() {
    let run = large(Chip::A2a3);
    let mut counts: BTreeMap<u64, usize> = BTreeMap::new();
    for record in &run.swimlane.as_ref().unwrap().tasks {
        *counts.entry(record.task_id).or_default() += 1;
    }
    let facts = |records_per_task| Facts { records_per_task, ..Facts::default() };
    assert_eq!(check(&run, &facts(counts.clone())), []);
    let (&task_id, &records) = counts.first_key_value().unwrap();
    let mut wrong = counts.clone();
    wrong.insert(task_id, records + 1);
    wrong.insert(u64::MAX, 1);
    wrong.insert(u64::MAX - 1, 0);
    let expected = records + 1;
    assert_eq!(
        check(&run, &facts(wrong)),
        [
            Finding::RecordCount { task_id, records, expected },
            Finding::RecordCount { task_id: u64::MAX, records: 0, expected: 1 },
        ]
    );
}

#[test]
fn deferred_tasks_may_lack_records() {
    let mut run = large(Chip::A2a3);
    let swimlane = run.swimlane.as_mut().unwrap();
    let lost = swimlane.tasks[10].task_id;
    swimlane.tasks.retain(|record| record.task_id != lost);
    run.pmu = None;
    run.dump = None;
    assert_eq!(findings(&run), [Finding::NeverRan { task_id: lost }]);
    let facts = Facts { deferred: BTreeSet::from([lost]), ..Facts::default() };
    assert_eq!(check(&run, &facts), []);
}

#[test]
fn a_task_without_records_is_lost_unless_it_has_no_kernel_or_nothing_tells() {
    let clean = large(Chip::A2a3);
    let without_kernel = clean.summary.as_ref().unwrap().tasks_without_kernel.clone().unwrap();
    assert!(!without_kernel.is_empty());
    assert_eq!((findings(&clean), untold(&clean)), (vec![], 0));
    // What is not said to have no kernel has one.
    let mut wrong = clean.clone();
    let first = wrong.summary.as_mut().unwrap().tasks_without_kernel.as_mut().unwrap().remove(0);
    assert_eq!((findings(&wrong), untold(&wrong)), (vec![Finding::NeverRan { task_id: first }], 0));
    // Files of others do not tell; how many there are is told, and no finding.
    for summary in [None, Some(Summary { tasks_without_kernel: None, ..Summary::default() })] {
        let run = Run { summary, ..clean.clone() };
        assert_eq!((findings(&run), untold(&run)), (vec![], without_kernel.len()));
    }
    assert_eq!(untold(&Run { swimlane: None, summary: None, ..clean }), 0, "there is nothing to miss");
}

#[test]
fn a_task_that_others_say_waits_for_them_has_to_run_too() {
    let mut run = Run { deps: None, ..large(Chip::A5) };
    assert_eq!(findings(&run), []);
    let tasks = &mut run.swimlane.as_mut().unwrap().tasks;
    let named = tasks.iter().flat_map(|record| record.fanout.iter().flatten());
    let lost = named.copied().find(|succ| tasks.iter().any(|record| record.task_id == *succ)).unwrap();
    tasks.retain(|record| record.task_id != lost);
    (run.pmu, run.dump) = (None, None);
    assert_eq!(findings(&run), [Finding::NeverRan { task_id: lost }]);
}

#[test]
fn tasks_that_only_allocate_are_no_nodes_and_need_no_records() {
    let run = large(Chip::A2a3);
    let (swimlane, deps) = (run.swimlane.as_ref().unwrap(), run.deps.as_ref().unwrap());
    let nodes: HashMap<u64, ()> = deps.tasks.iter().map(|task| (task.task_id, ())).collect();
    let allocating = deps.edges.iter().filter(|edge| !nodes.contains_key(&edge.pred)).count();
    assert!(allocating > 0 && swimlane.tasks.len() > 300);
    assert_eq!(findings(&run), []);
}

#[test]
fn the_bytes_of_a_dump_have_to_be_there() {
    let run = large(Chip::A2a3);
    let facts = |dump_bytes| Facts { dump_bytes: Some(dump_bytes), ..Facts::default() };
    assert_eq!(check(&run, &facts(200 * 1024)), []);
    let found = check(&run, &facts(200 * 1024 - 1));
    assert!(matches!(found[..], [Finding::DumpOutside { begin: 203_776, end: 204_800, .. }]), "{found:?}");
}

#[test]
fn scopes_that_do_not_pair_are_found_unless_records_were_lost() {
    let mut run = large(Chip::A2a3);
    let stats = run.scope_stats.as_mut().unwrap();
    stats.records.remove(0);
    stats.header.total -= 1;
    let found = findings(&run);
    assert!(found.iter().any(|finding| matches!(finding, Finding::ScopeNotOpen { .. })), "{found:?}");
    let stats = run.scope_stats.as_mut().unwrap();
    (stats.header.dropped, stats.header.total) = (1, stats.header.total + 1);
    assert_eq!(findings(&run), []);

    let mut run = large(Chip::A2a3);
    let stats = run.scope_stats.as_mut().unwrap();
    stats.records.pop();
    stats.header.total -= 1;
    assert_eq!(findings(&run), [Finding::ScopeLeftOpen { open: 1 }]);
    run.scope_stats.as_mut().unwrap().header.fatal = true;
    assert_eq!(findings(&run), []);
}

#[test]
fn findings_name_the_task_the_core_and_the_times() {
    let mut run = large(Chip::A2a3);
    let record = &mut run.swimlane.as_mut().unwrap().tasks[0];
    record.ring_id = 9;
    let (start, end, core) = (record.start, record.end, record.core_id);
    let expected = format!(
        "task {} ({}) (func {}) on core {core}, {start} to {end} us: its ring is said to be 9",
        record.task_id,
        task_name(record.task_id),
        record.func_id
    );
    let text = findings(&run)[0].to_string();
    assert_eq!(text, expected);
}

#[test]
fn the_level_is_one_of_four() {
    let mut run = Sample { level: 1, ..Sample::new(1, 10) }.run();
    run.swimlane.as_mut().unwrap().level = 0;
    assert_eq!(findings(&run), [Finding::UnknownLevel { level: 0 }]);
}
