//! Records against dependencies.

use std::collections::{BTreeSet, HashMap, HashSet};

use run_records::deps::Reason;
use run_records::swimlane::OrchestratorWork;
use run_records::{Deps, Micros, Run, Swimlane};

use super::{Facts, Finding};
use crate::graph::TaskGraph;

/// As many successors are recorded at most.
const FANOUT_LIMIT: usize = 128;

/// Records in time, and against `deps.json` if it is there.
pub(super) fn check(
    run: &Run,
    swimlane: &Swimlane,
    graph: &TaskGraph,
    facts: &Facts,
    findings: &mut Vec<Finding>,
) {
    if let Err(circle) = graph.topological() {
        findings.push(Finding::Cycle { task_id: graph.ids()[circle[0]], tasks: circle.len() });
    }
    check_times(swimlane, graph, findings);
    let Some(deps) = &run.deps else { return };
    check_nodes(deps, swimlane, graph, facts, findings);
    if swimlane.tasks.iter().any(|record| record.fanout.is_some()) {
        check_fanout(swimlane, graph, findings);
    }
}

/// No record starts before all records of the tasks that it depends on have ended.
fn check_times(swimlane: &Swimlane, graph: &TaskGraph, findings: &mut Vec<Finding>) {
    for task in 0..graph.ids().len() {
        for &pred in graph.predecessors(task) {
            // A task that only allocates has no times; it is over when it is submitted.
            let Some((_, pred_end)) = graph.times(pred) else { continue };
            let early = graph.records(task).iter().map(|&index| &swimlane.tasks[index]);
            let early = early.filter(|record| record.start < pred_end);
            findings.extend(early.map(|record| Finding::StartedTooEarly {
                record: record.into(),
                pred: graph.ids()[pred],
                pred_end,
            }));
        }
    }
}

/// Every submit ran, and nothing else did.
fn check_nodes(
    deps: &Deps,
    swimlane: &Swimlane,
    graph: &TaskGraph,
    facts: &Facts,
    findings: &mut Vec<Finding>,
) {
    let nodes: HashSet<u64> = deps.tasks.iter().map(|task| task.task_id).collect();
    for (task, &task_id) in graph.ids().iter().enumerate() {
        let first = graph.records(task).first().map(|&index| &swimlane.tasks[index]);
        match first {
            None if nodes.contains(&task_id) && !facts.deferred.contains(&task_id) => {
                findings.push(Finding::NeverRan { task_id });
            }
            Some(record) if !nodes.contains(&task_id) => {
                findings.push(Finding::NotInDeps { record: record.into() });
            }
            _ => {}
        }
    }
}

/// Recorded successors are edges; and edges to tasks that were submitted before the end are recorded.
fn check_fanout(swimlane: &Swimlane, graph: &TaskGraph, findings: &mut Vec<Finding>) {
    let submitted = submit_ends(swimlane);
    for task in 0..graph.ids().len() {
        let edges: BTreeSet<u64> = graph.successors(task).iter().map(|&succ| graph.ids()[succ]).collect();
        let records = graph.records(task).iter().map(|&index| &swimlane.tasks[index]);
        for record in records.clone() {
            let extra = record.fanout.iter().flatten().filter(|succ| !edges.contains(succ));
            findings.extend(extra.map(|&succ| Finding::ExtraFanout { record: record.into(), succ }));
        }
        // The list grows until the last part is done.
        let Some(last) = records.max_by_key(|record| (record.end, record.finish)) else { continue };
        let listed = last.fanout.as_deref().unwrap_or_default();
        if listed.len() >= FANOUT_LIMIT {
            continue;
        }
        let waited = |succ: &&u64| submitted.get(*succ).is_some_and(|&submit| submit <= last.end);
        let missing = edges.iter().filter(waited).filter(|succ| !listed.contains(succ));
        findings.extend(missing.map(|&succ| Finding::MissingFanout { record: last.into(), succ }));
    }
}

/// When the submit of each task was over, as far as it is recorded.
fn submit_ends(swimlane: &Swimlane) -> HashMap<u64, Micros> {
    let mut ends = HashMap::new();
    for phase in swimlane.orchestrator.iter().flatten().flatten() {
        // These are not about one task.
        if matches!(phase.phase, OrchestratorWork::OrchScopeEnd | OrchestratorWork::OrchSync) {
            continue;
        }
        let end = ends.entry(phase.task_id).or_insert(phase.end);
        *end = phase.end.max(*end);
    }
    ends
}

/// What `deps.json` says in itself.
pub(super) fn check_alone(deps: &Deps, findings: &mut Vec<Finding>) {
    let mut nodes = HashSet::new();
    for task in &deps.tasks {
        if !nodes.insert(task.task_id) {
            findings.push(Finding::TaskTwice { task_id: task.task_id });
        }
    }
    // Edges may begin at tasks that only allocate, which are no nodes; they cannot end there.
    let lost = deps.edges.iter().filter(|edge| !nodes.contains(&edge.succ));
    findings.extend(lost.map(|edge| Finding::UnknownSuccessor { pred: edge.pred, succ: edge.succ }));

    let tensors: HashSet<u64> = deps.tensors.iter().map(|tensor| tensor.tensor_id).collect();
    let of_args = deps.tasks.iter().flat_map(|task| {
        task.args.iter().flat_map(|arg| &arg.tensor).map(|tensor| (task.task_id, tensor.tensor_id))
    });
    let of_edges = deps.edges.iter().filter_map(|edge| match &edge.reason {
        Reason::Explicit => None,
        Reason::Creator { consumer } | Reason::Tensormap { consumer, .. } => {
            Some((edge.succ, consumer.tensor_id))
        }
    });
    let unknown: BTreeSet<(u64, u64)> =
        of_args.chain(of_edges).filter(|(_, tensor)| !tensors.contains(tensor)).collect();
    findings.extend(
        unknown.into_iter().map(|(task_id, tensor_id)| Finding::UnknownTensor { task_id, tensor_id }),
    );
}
