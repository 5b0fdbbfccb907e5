//! The tasks of a run, their records, and who waits for whom.

use std::collections::BTreeSet;
use std::ops::Range;

use run_records::swimlane::TaskRecord;
use run_records::{Micros, Run};

/// The tasks of a run by number, and the edges between them.
///
/// Tasks are all that have a record or are named by an edge or a submit; the numbers follow their ids.
#[derive(Clone, Debug)]
pub struct TaskGraph {
    ids: Vec<u64>,
    /// Records of the swimlane, by task, then by time.
    records: Vec<usize>,
    /// Where the records of each task begin in `records`.
    first_record: Vec<usize>,
    /// First start and last end of each task that has records.
    times: Vec<Option<(Micros, Micros)>>,
    /// The record with whose end each task was done.
    done: Vec<Option<usize>>,
    successors: Lists,
    predecessors: Lists,
    source: EdgeSource,
}

/// What told the edges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EdgeSource {
    /// `deps.json`: all edges, and maybe more.
    Deps,
    /// The fanout of the records: those that were waiting.
    Fanout,
    /// Nothing did.
    Nothing,
}

/// A list of numbers per number.
#[derive(Clone, Debug)]
struct Lists {
    first: Vec<usize>,
    values: Vec<usize>,
}

impl Lists {
    fn new(lists: usize, mut pairs: Vec<(usize, usize)>) -> Self {
        pairs.sort_unstable();
        pairs.dedup();
        let mut first = vec![0; lists + 1];
        for &(from, _) in &pairs {
            first[from + 1] += 1;
        }
        for list in 0..lists {
            first[list + 1] += first[list];
        }
        Self { first, values: pairs.into_iter().map(|(_, to)| to).collect() }
    }

    fn of(&self, list: usize) -> &[usize] {
        &self.values[self.first[list]..self.first[list + 1]]
    }
}

impl TaskGraph {
    /// The graph of a run.
    #[must_use]
    pub fn new(run: &Run) -> Self {
        let records = run.swimlane.as_ref().map_or(&[][..], |swimlane| &swimlane.tasks);
        let (source, edges) = edges(run);
        let mut ids: Vec<u64> = records.iter().map(|record| record.task_id).collect();
        ids.extend(run.deps.iter().flat_map(|deps| &deps.tasks).map(|task| task.task_id));
        ids.extend(edges.iter().flat_map(|&(pred, succ)| [pred, succ]));
        ids.sort_unstable();
        ids.dedup();
        let number = |id: u64| ids.partition_point(|&other| other < id);

        let mut order: Vec<usize> = (0..records.len()).collect();
        order.sort_by_key(|&index| (records[index].task_id, records[index].start, records[index].core_id));
        let mut first_record = vec![0; ids.len() + 1];
        for record in records {
            first_record[number(record.task_id) + 1] += 1;
        }
        for task in 0..ids.len() {
            first_record[task + 1] += first_record[task];
        }
        let times = first_record
            .windows(2)
            .map(|bounds| {
                let own = || order[bounds[0]..bounds[1]].iter().map(|&index| &records[index]);
                Some((own().map(|record| record.start).min()?, own().map(|record| record.end).max()?))
            })
            .collect();

        // A task that names itself waits for nobody.
        let edges = edges.into_iter().filter(|(pred, succ)| pred != succ);
        let forward: Vec<(usize, usize)> = edges.map(|(pred, succ)| (number(pred), number(succ))).collect();
        let backward = forward.iter().map(|&(pred, succ)| (succ, pred)).collect();
        let successors = Lists::new(ids.len(), forward);
        let predecessors = Lists::new(ids.len(), backward);
        let mut graph =
            Self { ids, records: order, first_record, times, done: vec![], successors, predecessors, source };
        graph.done = graph.done_with(records);
        graph
    }

    /// Of tasks in circles nothing is known but their own records.
    fn done_with(&self, records: &[TaskRecord]) -> Vec<Option<usize>> {
        let later = |&index: &usize| (records[index].end, index);
        let own = |task| self.records(task).iter().copied().max_by_key(later);
        let mut done: Vec<Option<usize>> = (0..self.ids.len()).map(own).collect();
        for task in self.topological().unwrap_or_default() {
            if done[task].is_none() {
                let before = self.predecessors(task).iter().filter_map(|&pred| done[pred]);
                done[task] = before.max_by_key(later);
            }
        }
        done
    }

    /// The ids of all tasks, ascending; a task's number is its place here.
    #[must_use]
    pub fn ids(&self) -> &[u64] {
        &self.ids
    }

    /// The number of a task.
    #[must_use]
    pub fn number(&self, id: u64) -> Option<usize> {
        self.ids.binary_search(&id).ok()
    }

    /// The records of a task (indices into the swimlane), by start.
    #[must_use]
    pub fn records(&self, task: usize) -> &[usize] {
        &self.records[self.record_range(task)]
    }

    /// All records, by task, then by start.
    #[must_use]
    pub fn all_records(&self) -> &[usize] {
        &self.records
    }

    /// Where the records of a task lie in [`Self::all_records`].
    #[must_use]
    pub fn record_range(&self, task: usize) -> Range<usize> {
        self.first_record[task]..self.first_record[task + 1]
    }

    /// First start and last end of a task; `None` if it has no records, as tasks that only allocate or have no kernel.
    #[must_use]
    pub fn times(&self, task: usize) -> Option<(Micros, Micros)> {
        self.times[task]
    }

    /// The record (index into the swimlane) with whose end a task was done: its own last one; of a task without records,
    /// which is done when it need not wait any more, the last of those it waited for.
    #[must_use]
    pub fn done_with_record(&self, task: usize) -> Option<usize> {
        self.done[task]
    }

    /// Who waits for a task, each once.
    #[must_use]
    pub fn successors(&self, task: usize) -> &[usize] {
        self.successors.of(task)
    }

    /// Whom a task waits for, each once.
    #[must_use]
    pub fn predecessors(&self, task: usize) -> &[usize] {
        self.predecessors.of(task)
    }

    /// How many edges there are.
    #[must_use]
    pub fn edge_count(&self) -> usize {
        self.successors.values.len()
    }

    /// What told the edges.
    #[must_use]
    pub fn source(&self) -> EdgeSource {
        self.source
    }

    /// All tasks, each behind its predecessors; the error is the tasks that are in circles or behind them.
    ///
    /// # Errors
    /// Tasks wait for themselves.
    pub fn topological(&self) -> Result<Vec<usize>, Vec<usize>> {
        let count = self.ids.len();
        let mut waiting: Vec<usize> = (0..count).map(|task| self.predecessors(task).len()).collect();
        let mut order: Vec<usize> = (0..count).filter(|&task| waiting[task] == 0).collect();
        let mut next = 0;
        while let Some(&task) = order.get(next) {
            next += 1;
            for &succ in self.successors(task) {
                waiting[succ] -= 1;
                if waiting[succ] == 0 {
                    order.push(succ);
                }
            }
        }
        if order.len() == count {
            Ok(order)
        } else {
            Err((0..count).filter(|&task| waiting[task] > 0).collect())
        }
    }
}

fn edges(run: &Run) -> (EdgeSource, Vec<(u64, u64)>) {
    if let Some(deps) = &run.deps {
        return (EdgeSource::Deps, deps.edges.iter().map(|edge| (edge.pred, edge.succ)).collect());
    }
    let records = run.swimlane.iter().flat_map(|swimlane| &swimlane.tasks);
    // Parts of a task name the same successors.
    let edges: BTreeSet<(u64, u64)> = records
        .flat_map(|record| record.fanout.iter().flatten().map(|&succ| (record.task_id, succ)))
        .collect();
    let source = if edges.is_empty() { EdgeSource::Nothing } else { EdgeSource::Fanout };
    (source, edges.into_iter().collect())
}
