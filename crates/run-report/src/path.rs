//! What a run's length is made of.

use std::collections::HashMap;

use run_records::swimlane::TaskRecord;
use run_records::{Micros, Swimlane};

use crate::graph::TaskGraph;

/// The chain of dependencies that takes longest: no number of cores makes the run shorter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CriticalPath {
    /// Its tasks, first to last.
    pub tasks: Vec<usize>,
    /// How long they take, without anything between them.
    pub length: Micros,
}

/// The critical path of a graph whose tasks last from their first start to their last end; `None` if no task
/// ran or tasks wait for themselves.
#[must_use]
pub fn critical_path(graph: &TaskGraph) -> Option<CriticalPath> {
    let order = graph.topological().ok()?;
    let length = |task| graph.times(task).map_or(Micros::default(), |(start, end)| end - start);
    // The longest chain that ends with each task, and the task before it.
    let mut chains = vec![(Micros::default(), None); order.len()];
    for &task in &order {
        let before = graph.predecessors(task).iter().map(|&pred| (chains[pred].0, pred)).max();
        chains[task] = match before {
            Some((time, pred)) => (time + length(task), Some(pred)),
            None => (length(task), None),
        };
    }
    let last = order.into_iter().filter(|&task| graph.times(task).is_some());
    let last = last.max_by_key(|&task| (chains[task].0, std::cmp::Reverse(task)))?;
    let mut tasks: Vec<usize> = std::iter::successors(Some(last), |&task| chains[task].1).collect();
    tasks.reverse();
    // Tasks that only allocate, or have no kernel, take no time and have nothing to show.
    tasks.retain(|&task| graph.times(task).is_some());
    Some(CriticalPath { tasks, length: chains[last].0 })
}

/// One kernel of the chain that led to the end of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its record, an index into the swimlane.
    pub record: usize,
    /// What it came after.
    pub after: Wait,
    /// The time between that and its start.
    pub gap: Micros,
}

/// What a kernel came after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Nothing: it is the first of the chain.
    Begin,
    /// A task that it depends on.
    Dependency,
    /// Another task on its core.
    Core,
}

/// The chain of kernels that led to the end of the run, first to last: each came after the last of those that
/// it depends on and the one before it on its core.
///
/// Steps and gaps add up to the time from the first of them to the end of the run.
#[must_use]
pub fn blocking_chain(swimlane: &Swimlane, graph: &TaskGraph) -> Vec<Step> {
    let records = &swimlane.tasks;
    let before = before_on_core(records);
    let Some(mut current) = (0..records.len()).max_by_key(|&index| (records[index].end, index)) else {
        return Vec::new();
    };
    let mut chain = Vec::new();
    loop {
        let record = &records[current];
        let dependencies = graph
            .number(record.task_id)
            .into_iter()
            .flat_map(|task| graph.predecessors(task))
            .filter_map(|&pred| graph.done_with_record(pred))
            .map(|index| (records[index].end, Wait::Dependency, index));
        let same_core = before.get(&current).map(|&index| (records[index].end, Wait::Core, index));
        // Only what was over can have been waited for; and time must go back, or damaged records lead in circles.
        let candidates = same_core.into_iter().chain(dependencies);
        let last = candidates
            .filter(|&(end, _, index)| end <= record.start && records[index].start < record.start)
            .max_by_key(|&(end, ..)| end);
        let Some((end, after, index)) = last else {
            chain.push(Step { record: current, after: Wait::Begin, gap: Micros::default() });
            break;
        };
        chain.push(Step { record: current, after, gap: record.start - end });
        current = index;
    }
    chain.reverse();
    chain
}

/// For each record that is not the first on its core the one before it.
fn before_on_core(records: &[TaskRecord]) -> HashMap<usize, usize> {
    let mut order: Vec<usize> = (0..records.len()).collect();
    order.sort_by_key(|&index| (records[index].core_id, records[index].start, records[index].end));
    let pairs = order.windows(2).filter(|pair| records[pair[0]].core_id == records[pair[1]].core_id);
    pairs.map(|pair| (pair[1], pair[0])).collect()
}
