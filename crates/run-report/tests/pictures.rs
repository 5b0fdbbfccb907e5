//! The page and the trace as files: what is in them, and that they need nothing else.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is the report of a test")]

use std::collections::{HashMap, HashSet};

use proptest::prelude::*;
use run_records::Run;
use run_report::testing::{Chip, Sample};
use run_report::{Facts, FuncNames, TaskGraph, Wait, blocking_chain, check, critical_path, page, trace};
use serde_json::Value;

fn content(page: &str) -> Value {
    let (_, text) = page.split_once("<script id=\"content\" type=\"application/json\">").unwrap();
    serde_json::from_str(text.split_once("</script>").unwrap().0).unwrap()
}

fn traced(run: &Run) -> Value {
    let mut bytes = Vec::new();
    trace(run, &Sample::names(), &mut bytes).unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

#[test]
fn the_page_needs_nothing_but_itself() {
    let run = Sample::new(3, 50).run();
    let page = page(&run, "A & <B>", &Sample::names(), &[]);
    for foreign in ["http:", "https:", "src=", "@import", "url(", "fetch(", "XMLHttpRequest", "{{", "}}"] {
        // The namespace of SVG is a name, not an address.
        let text = page.replace("http://www.w3.org/2000/svg", "").replace("url(#tip-of-edge)", "");
        assert!(!text.contains(foreign), "{foreign}");
    }
    assert!(page.contains("<title>A &amp; &lt;B> ·") && page.starts_with("<!DOCTYPE html>"));
}

#[test]
fn the_page_tells_what_the_run_was() {
    let run = Sample::new(3, 200).run();
    let swimlane = run.swimlane.as_ref().unwrap();
    let content = content(&page(&run, "run", &Sample::names(), &[]));
    let sum = |list: &Value, key: &str| {
        list.as_array().unwrap().iter().map(|row| row[key].as_i64().unwrap()).sum::<i64>()
    };
    let busy: i64 = swimlane.tasks.iter().map(|record| record.duration.nanos()).sum();
    assert_eq!(sum(&content["cores"], "busy"), busy);
    assert_eq!(sum(&content["kernels"], "total"), busy);
    assert_eq!(sum(&content["kernels"], "count"), i64::try_from(swimlane.tasks.len()).unwrap());
    assert_eq!(content["pmu"]["rows"].as_u64(), Some(swimlane.tasks.len() as u64));
    assert_eq!(content["dump"]["counters"][0][1].as_u64(), Some(200));
    assert_eq!(content["scopes"]["rings"].as_array().unwrap().len(), 4);
    assert_eq!(content["edgeSource"], "deps.json");
}

#[test]
fn findings_are_in_the_page_and_many_are_counted() {
    let mut run = Sample::new(3, 100).run();
    run.swimlane.as_mut().unwrap().tasks.iter_mut().for_each(|record| record.ring_id = 99);
    let findings = check(&run, &Facts::default());
    let content = content(&page(&run, "run", &FuncNames::default(), &findings));
    assert_eq!(content["findingCount"].as_u64(), Some(findings.len() as u64));
    assert_eq!(content["findings"].as_array().unwrap().len(), 50);
    assert!(content["findings"][0].as_str().unwrap().ends_with("its ring is said to be 99"));
}

#[test]
fn the_trace_has_the_processes_the_slices_and_the_arrows() {
    let run = Sample::new(3, 60).run();
    let (swimlane, graph) = (run.swimlane.as_ref().unwrap(), TaskGraph::new(&run));
    let trace = traced(&run);
    let events = trace["traceEvents"].as_array().unwrap();
    let of = |phase: &str, pid: u64| {
        events.iter().filter(|event| event["ph"] == phase && event["pid"] == pid).count()
    };
    let records = swimlane.tasks.len();
    let phases: usize = swimlane.scheduler.iter().flatten().map(Vec::len).sum();
    let submits: usize = swimlane.orchestrator.iter().flatten().map(Vec::len).sum();
    assert_eq!([1, 2, 3, 4, 5].map(|pid| of("X", pid)), [records, records, phases, submits, 5]);
    let names: HashMap<u64, &str> = events
        .iter()
        .filter(|event| event["name"] == "process_name")
        .map(|event| (event["pid"].as_u64().unwrap(), event["args"]["name"].as_str().unwrap()))
        .collect();
    assert_eq!(
        names,
        HashMap::from([
            (1, "AICore"),
            (2, "AICPU view"),
            (3, "Scheduler"),
            (4, "Orchestrator"),
            (5, "Host (wall clock)")
        ])
    );
    // Edges from tasks that only allocate have no slice to begin at, those from tasks without a kernel another one.
    let ran = (0..graph.ids().len()).filter(|&task| graph.times(task).is_some());
    let dependencies: usize = ran
        .map(|task| {
            let before = graph.predecessors(task).iter().filter_map(|&pred| graph.done_with_record(pred));
            before.collect::<HashSet<_>>().len()
        })
        .sum();
    assert!(dependencies > 30);
    let arrows = events.iter().filter(|event| event["ph"] == "s").map(|event| event["cat"].as_str().unwrap());
    assert_eq!(arrows.clone().filter(|&category| category == "dependency").count(), dependencies);
    assert_eq!(arrows.filter(|&category| category == "dispatch").count(), records);
}

#[test]
fn arrows_begin_and_end_in_slices() {
    for chip in [Chip::A2a3, Chip::A5] {
        let trace = traced(&Sample { chip, ..Sample::new(9, 60) }.run());
        let events = trace["traceEvents"].as_array().unwrap();
        let number = |event: &Value, key: &str| event[key].as_f64().unwrap();
        let slices: Vec<&Value> = events.iter().filter(|event| event["ph"] == "X").collect();
        let mut ends = HashSet::new();
        for arrow in events.iter().filter(|event| event["ph"] == "s" || event["ph"] == "f") {
            assert!(ends.insert((arrow["id"].as_u64().unwrap(), arrow["ph"].as_str().unwrap())));
            let inside = slices.iter().any(|slice| {
                let from = number(slice, "ts");
                let to = from + number(slice, "dur") + 1e-6;
                slice["pid"] == arrow["pid"]
                    && slice["tid"] == arrow["tid"]
                    && (from..=to).contains(&number(arrow, "ts"))
            });
            assert!(inside, "{arrow}");
        }
        assert!(ends.len() > 120 && ends.len() % 2 == 0);
    }
}

#[test]
fn tasks_that_a_core_is_given_early_do_not_overlap_in_the_trace() {
    let mut run = Sample::new(9, 60).run();
    let tasks = &mut run.swimlane.as_mut().unwrap().tasks;
    let core = tasks[0].core_id;
    let mut own: Vec<_> = tasks.iter_mut().filter(|record| record.core_id == core).collect();
    own.sort_by_key(|record| record.start);
    // Each task but the first is dispatched while the one before it runs.
    for pair in 1..own.len() {
        own[pair].dispatch = own[pair - 1].start;
    }
    assert!(own.len() > 1);
    let trace = traced(&run);
    let mut slices: HashMap<u64, Vec<(f64, f64)>> = HashMap::new();
    for event in trace["traceEvents"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|event| event["ph"] == "X" && event["pid"] == 2)
    {
        let start = event["ts"].as_f64().unwrap();
        slices
            .entry(event["tid"].as_u64().unwrap())
            .or_default()
            .push((start, start + event["dur"].as_f64().unwrap()));
    }
    assert!(slices.contains_key(&(2 * u64::from(core) + 1)));
    for mut thread in slices.into_values() {
        thread.sort_by(|a, b| a.0.total_cmp(&b.0));
        assert!(thread.windows(2).all(|pair| pair[0].1 <= pair[1].0 + 1e-6), "{thread:?}");
    }
}

/// The longest way by trying all.
fn longest_way(graph: &TaskGraph) -> i64 {
    fn way(graph: &TaskGraph, ways: &mut HashMap<usize, i64>, task: usize) -> i64 {
        if let Some(&way) = ways.get(&task) {
            return way;
        }
        let before = graph.predecessors(task).iter().map(|&pred| way(graph, ways, pred)).max().unwrap_or(0);
        let own = graph.times(task).map_or(0, |(start, end)| (end - start).nanos());
        ways.insert(task, before + own);
        before + own
    }
    let mut ways = HashMap::new();
    (0..graph.ids().len()).map(|task| way(graph, &mut ways, task)).max().unwrap_or(0)
}

/// Whether a task waits for another, maybe through tasks that did not run.
fn waits(graph: &TaskGraph, task: usize, other: usize) -> bool {
    graph
        .predecessors(task)
        .iter()
        .any(|&pred| pred == other || (graph.times(pred).is_none() && waits(graph, pred, other)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn critical_paths_are_longest_ways(seed: u64, tasks in 1..150_usize, clusters in 1..6_u32) {
        let run = Sample { clusters, ..Sample::new(seed, tasks) }.run();
        let swimlane = run.swimlane.as_ref().unwrap();
        let graph = TaskGraph::new(&run);
        let path = critical_path(&graph).unwrap();
        prop_assert_eq!(path.length.nanos(), longest_way(&graph));
        let length: i64 = path.tasks.iter().map(|&task| {
            let (start, end) = graph.times(task).unwrap();
            (end - start).nanos()
        }).sum();
        prop_assert_eq!(length, path.length.nanos());
        for pair in path.tasks.windows(2) {
            prop_assert!(waits(&graph, pair[1], pair[0]));
        }
        // Steps and gaps make the time from the first step to the end of the run.
        let chain = blocking_chain(swimlane, &graph);
        let first = &swimlane.tasks[chain[0].record];
        let last = swimlane.tasks.iter().map(|record| record.end).max().unwrap();
        let sum: i64 = chain.iter().map(|step| {
            (step.gap + swimlane.tasks[step.record].duration).nanos()
        }).sum();
        prop_assert_eq!(chain[0].after, Wait::Begin);
        prop_assert_eq!(sum, (last - first.start).nanos());
    }

    #[test]
    fn any_run_has_a_page_and_a_trace(seed: u64, tasks in 0..30_usize, level in 1..5_u32, present: [bool; 6]) {
        let mut run = Sample { level, ..Sample::new(seed, tasks) }.run();
        let [swimlane, deps, scopes, pmu, dump, summary] = present;
        run.swimlane = run.swimlane.filter(|_| swimlane);
        run.deps = run.deps.filter(|_| deps);
        run.scope_stats = run.scope_stats.filter(|_| scopes);
        run.pmu = run.pmu.filter(|_| pmu);
        run.dump = run.dump.filter(|_| dump);
        run.summary = run.summary.filter(|_| summary);
        let content = content(&page(&run, "run", &Sample::names(), &[]));
        prop_assert_eq!(content["files"]["pmu.csv"].as_bool(), Some(pmu));
        prop_assert!(traced(&run)["traceEvents"].as_array().unwrap().len() >= 4);
    }
}
