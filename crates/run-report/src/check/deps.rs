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
    check_ran(run, swimlane, graph, facts, findings);
    if run.deps.is_some() && swimlane.tasks.iter().any(|record| record.fanout.is_some()) {
        check_fanout(swimlane, graph, findings);
    }
}

/// No record starts before all records of the tasks that it depends on have ended.
fn check_times(swimlane: &Swimlane, graph: &TaskGraph, findings: &mut Vec<Finding>) {
    for task in 0..graph.ids().len() {
        for &pred in graph.predecessors(task) {
            // A task that only allocates is over when it is submitted.
            let Some(last) = graph.done_with_record(pred).map(|index| &swimlane.tasks[index]) else {
                continue;
            };
            let early = graph.records(task).iter().map(|&index| &swimlane.tasks[index]);
            let early = early.filter(|record| record.start < last.end);
            findings.extend(early.map(|record| Finding::StartedTooEarly {
                record: record.into(),
                pred: last.task_id,
                pred_end: last.end,
            }));
        }
    }
}

/// Every submit with a kernel ran, and nothing else did.
fn check_ran(run: &Run, swimlane: &Swimlane, graph: &TaskGraph, facts: &Facts, findings: &mut Vec<Finding>) {
    let without_kernel = without_kernel(run);
    if let Some(without_kernel) = &without_kernel {
        let lost = without_record(run, graph)
            .filter(|id| !without_kernel.contains(id) && !facts.deferred.contains(id));
        findings.extend(lost.map(|task_id| Finding::NeverRan { task_id }));
    }
    let nodes: Option<HashSet<u64>> = run.deps.as_ref().map(|deps| ids(deps).collect());
    for (task, &task_id) in graph.ids().iter().enumerate() {
        let Some(record) = graph.records(task).first().map(|&index| &swimlane.tasks[index]) else { continue };
        if nodes.as_ref().is_some_and(|nodes| !nodes.contains(&task_id)) {
            findings.push(Finding::NotInDeps { record: record.into() });
        }
        if without_kernel.as_ref().is_some_and(|tasks| tasks.contains(&task_id)) {
            findings.push(Finding::RanWithoutKernel { record: record.into() });
        }
    }
}

/// How many submits have no record where nothing tells whether they have a kernel.
pub(super) fn untold(run: &Run) -> usize {
    if run.swimlane.is_none() || without_kernel(run).is_some() {
        return 0;
    }
    without_record(run, &TaskGraph::new(run)).count()
}

fn ids(deps: &Deps) -> impl Iterator<Item = u64> + '_ {
    deps.tasks.iter().map(|task| task.task_id)
}

fn without_kernel(run: &Run) -> Option<HashSet<u64>> {
    let tasks = run.summary.as_ref()?.tasks_without_kernel.as_ref()?;
    Some(tasks.iter().copied().collect())
}

/// The submits that have no record; without `deps.json`, of those that others name as their successors.
fn without_record<'a>(run: &'a Run, graph: &'a TaskGraph) -> impl Iterator<Item = u64> + 'a {
    let submitted: HashSet<u64> = match &run.deps {
        Some(deps) => ids(deps).collect(),
        None => graph.ids().iter().copied().collect(),
    };
    let tasks = (0..).zip(graph.ids()).filter(move |(_, id)| submitted.contains(id));
    tasks.filter(|&(task, _)| graph.times(task).is_none()).map(|(_, &id)| id)
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
