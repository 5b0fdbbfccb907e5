use std::collections::BTreeMap;

use device_runner::TaskId;
use task_interface::{CoreType, RUNTIME_MAX_ARGS, RUNTIME_MAX_TASKS, TensorInfo};

use crate::cycle;
use crate::error::GraphError;

/// A graph being built: tasks in order of their ids, edges in order of their addition.
///
/// Everything of variable length lies in shared arrays, so a task costs what it uses.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    /// Per task.
    pub(crate) kernels: Vec<u32>,
    pub(crate) core_types: Vec<CoreType>,
    /// End of each task's arguments in `args`.
    arg_ends: Vec<u32>,
    args: Vec<u64>,
    edges: Vec<(u32, u32)>,
    /// Whether any edge leads to an equal or smaller id; if not, there can be no cycle.
    has_backward_edge: bool,
    tensor_infos: BTreeMap<u32, Vec<TensorInfo>>,
}

impl Graph {
    pub(crate) fn len(&self) -> usize {
        self.kernels.len()
    }

    pub(crate) fn add_task(
        &mut self,
        args: &[u64],
        kernel: u32,
        core_type: CoreType,
    ) -> Result<u32, GraphError> {
        let id = u32::try_from(self.len()).unwrap_or(u32::MAX);
        if self.len() >= RUNTIME_MAX_TASKS {
            return Err(GraphError::TooManyTasks { max: RUNTIME_MAX_TASKS });
        }
        if args.len() > RUNTIME_MAX_ARGS {
            let count = i64::try_from(args.len()).unwrap_or(i64::MAX);
            return Err(GraphError::TooManyArgs {
                task: TaskId(u64::from(id)),
                count,
                max: RUNTIME_MAX_ARGS,
            });
        }
        self.kernels.push(kernel);
        self.core_types.push(core_type);
        self.args.extend_from_slice(args);
        // At most 2^17 tasks of 16 arguments: far below 2^32.
        self.arg_ends.push(u32::try_from(self.args.len()).unwrap_or(u32::MAX));
        Ok(id)
    }

    pub(crate) fn add_edge(&mut self, from: u32, to: u32) {
        self.has_backward_edge |= to <= from;
        self.edges.push((from, to));
    }

    /// Replaces what a task's tensors are said to be.
    pub(crate) fn set_tensor_infos(&mut self, task: u32, infos: Vec<TensorInfo>) {
        self.tensor_infos.insert(task, infos);
    }

    /// What a task's tensors are said to be.
    pub(crate) fn tensor_infos(&self, task: u32) -> &[TensorInfo] {
        self.tensor_infos.get(&task).map_or(&[], Vec::as_slice)
    }

    /// A task's arguments.
    pub(crate) fn args(&self, task: u32) -> &[u64] {
        let task = task as usize;
        let start = if task == 0 { 0 } else { self.arg_ends[task - 1] as usize };
        &self.args[start..self.arg_ends[task] as usize]
    }

    /// A task's arguments in the sixteen slots that a kernel sees; unused ones are 0.
    pub(crate) fn arg_slots(&self, task: u32) -> [u64; RUNTIME_MAX_ARGS] {
        let args = self.args(task);
        let mut slots = [0; RUNTIME_MAX_ARGS];
        slots[..args.len()].copy_from_slice(args);
        slots
    }

    /// Orders the edges by task and checks that the graph can be run to its end.
    pub(crate) fn link(&mut self) -> Result<Links, GraphError> {
        let links = Links::new(self.len(), &self.edges);
        self.edges = Vec::new();
        if self.has_backward_edge
            && let Some(cycle) = cycle::find(&links)
        {
            let cycle = cycle.into_iter().map(|task| TaskId(u64::from(task))).collect();
            return Err(GraphError::Cycle { cycle });
        }
        Ok(links)
    }
}

/// Successors and number of predecessors of each task. Equal edges count as often as they were added.
#[derive(Debug, Default)]
pub(crate) struct Links {
    /// `starts[t]..starts[t + 1]` are the successors of `t`.
    starts: Vec<u32>,
    successors: Vec<u32>,
    pub(crate) fanin: Vec<u32>,
}

impl Links {
    fn new(tasks: usize, edges: &[(u32, u32)]) -> Self {
        let mut starts = vec![0u32; tasks + 1];
        let mut fanin = vec![0u32; tasks];
        for &(from, to) in edges {
            starts[from as usize + 1] += 1;
            fanin[to as usize] += 1;
        }
        for task in 0..tasks {
            starts[task + 1] += starts[task];
        }
        let mut next = starts.clone();
        let mut successors = vec![0u32; edges.len()];
        for &(from, to) in edges {
            let slot = &mut next[from as usize];
            successors[*slot as usize] = to;
            *slot += 1;
        }
        Self { starts, successors, fanin }
    }

    /// Links that were not checked for cycles.
    #[cfg(test)]
    pub(crate) fn new_for_tests(tasks: usize, edges: &[(u32, u32)]) -> Self {
        Self::new(tasks, edges)
    }

    pub(crate) fn len(&self) -> usize {
        self.fanin.len()
    }

    pub(crate) fn successors(&self, task: u32) -> &[u32] {
        let task = task as usize;
        &self.successors[self.starts[task] as usize..self.starts[task + 1] as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_and_edges_come_back_as_given() {
        let mut graph = Graph::default();
        for task in 0..4u64 {
            let args: Vec<u64> = (0..task).map(|arg| task * 10 + arg).collect();
            assert_eq!(graph.add_task(&args, 7, CoreType::Aiv).unwrap(), u32::try_from(task).unwrap());
        }
        for (from, to) in [(0, 2), (0, 1), (1, 3), (0, 2)] {
            graph.add_edge(from, to);
        }
        assert_eq!(graph.arg_slots(0), [0; 16]);
        assert_eq!(graph.arg_slots(3)[..4], [30, 31, 32, 0]);
        let links = graph.link().unwrap();
        assert_eq!(links.successors(0), [2, 1, 2]);
        assert_eq!((links.successors(1), links.successors(3)), (&[3][..], &[][..]));
        assert_eq!(links.fanin, [0, 1, 2, 1]);
    }

    #[test]
    fn the_last_task_that_fits_is_131072() {
        let mut graph = Graph::default();
        for _ in 0..RUNTIME_MAX_TASKS {
            graph.add_task(&[], 0, CoreType::Aic).unwrap();
        }
        assert!(matches!(
            graph.add_task(&[], 0, CoreType::Aic),
            Err(GraphError::TooManyTasks { max: 131_072 })
        ));
        assert_eq!(graph.len(), RUNTIME_MAX_TASKS);
    }

    #[test]
    fn tensor_infos_are_replaced() {
        let mut graph = Graph::default();
        graph.add_task(&[], 0, CoreType::Aic).unwrap();
        let info = TensorInfo::whole(task_interface::DataType::Float32, &[2, 3]).unwrap();
        graph.set_tensor_infos(0, vec![info; 3]);
        graph.set_tensor_infos(0, vec![info]);
        assert_eq!(graph.tensor_infos(0).len(), 1);
    }
}
