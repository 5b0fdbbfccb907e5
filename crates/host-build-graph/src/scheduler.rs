use std::any::Any;
use std::collections::VecDeque;
use std::sync::Arc;

use device_runner::{
    CoreId, Cores, DeviceProgram, DeviceTime, Dispatch, IdleCore, KernelArgs, TaskId, WaitingTask,
};
use run_records::dump::Stage;
use task_interface::CoreType;

use crate::dump::TaskDump;
use crate::graph::{Graph, Links};

/// The device half: deals ready tasks to idle cores and counts down predecessors.
///
/// Tasks become ready in order of their ids at first, later in the order in which their last predecessors
/// end. AIC tasks run on AIC cores, AIV tasks on AIV cores.
#[derive(Debug)]
pub(crate) struct Scheduler {
    graph: Graph,
    links: Links,
    /// Predecessors that have not ended, by task.
    pending: Vec<u32>,
    /// When the last predecessor ended, by task.
    ready_at: Vec<DeviceTime>,
    state: Vec<TaskState>,
    ready_aic: VecDeque<u32>,
    ready_aiv: VecDeque<u32>,
    completed: usize,
    names: Arc<[Arc<str>]>,
    /// Who keeps tensors before and after tasks, if anybody does.
    dump: Option<TaskDump>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TaskState {
    Waiting,
    Started,
    Done,
}

const TYPES: [CoreType; 2] = [CoreType::Aic, CoreType::Aiv];

impl Scheduler {
    /// `names` are those of the kernels, for stall reports.
    pub(crate) fn new(graph: Graph, links: Links, names: Arc<[Arc<str>]>) -> Self {
        let tasks = graph.len();
        let mut scheduler = Self {
            pending: links.fanin.clone(),
            ready_at: vec![DeviceTime(0); tasks],
            state: vec![TaskState::Waiting; tasks],
            ready_aic: VecDeque::new(),
            ready_aiv: VecDeque::new(),
            completed: 0,
            graph,
            links,
            names,
            dump: None,
        };
        for task in (0..).take(tasks) {
            if scheduler.pending[task as usize] == 0 {
                scheduler.enqueue(task);
            }
        }
        scheduler
    }

    /// The same, with tensors dumped before and after each task.
    pub(crate) fn dumping(mut self, dump: Option<TaskDump>) -> Self {
        self.dump = dump;
        self
    }

    /// A program without tasks.
    pub(crate) fn empty() -> Self {
        Self::new(Graph::default(), Links::default(), Arc::from([]))
    }

    fn queue(&self, core_type: CoreType) -> &VecDeque<u32> {
        match core_type {
            CoreType::Aic => &self.ready_aic,
            CoreType::Aiv => &self.ready_aiv,
        }
    }

    fn enqueue(&mut self, task: u32) {
        match self.graph.core_types[task as usize] {
            CoreType::Aic => self.ready_aic.push_back(task),
            CoreType::Aiv => self.ready_aiv.push_back(task),
        }
    }

    /// The oldest ready task of each type that has a core, and of those the one that can start first.
    fn pick(&self, cores: &dyn Cores) -> Option<(u32, CoreType, IdleCore)> {
        let offers = TYPES.into_iter().filter_map(|core_type| {
            let &task = self.queue(core_type).front()?;
            Some((task, core_type, cores.earliest_idle(core_type)?))
        });
        offers.min_by_key(|(task, _, idle)| idle.free_at.max(self.ready_at[*task as usize]))
    }

    fn name(&self, task: u32) -> String {
        let kernel = self.graph.kernels[task as usize] as usize;
        self.names.get(kernel).map_or_else(|| format!("kernel {kernel}"), ToString::to_string)
    }
}

impl DeviceProgram for Scheduler {
    fn next(&mut self, cores: &dyn Cores) -> Option<Dispatch> {
        let (task, core_type, idle) = self.pick(cores)?;
        match core_type {
            CoreType::Aic => self.ready_aic.pop_front(),
            CoreType::Aiv => self.ready_aiv.pop_front(),
        };
        self.state[task as usize] = TaskState::Started;
        if let Some(dump) = &self.dump {
            dump.task(&self.graph, task, Stage::BeforeDispatch);
        }
        Some(Dispatch {
            task: TaskId(u64::from(task)),
            kernel: self.graph.kernels[task as usize],
            core: idle.core,
            ready_at: self.ready_at[task as usize],
            args: KernelArgs::Inline(self.graph.arg_slots(task)),
            followers: 0,
        })
    }

    fn has_startable(&self, cores: &dyn Cores) -> bool {
        TYPES.into_iter().any(|core_type| !self.queue(core_type).is_empty() && cores.has_idle(core_type))
    }

    fn fanout(&self, task: TaskId, visit: &mut dyn FnMut(TaskId)) {
        let Ok(task) = u32::try_from(task.0) else { return };
        self.links.successors(task).iter().for_each(|&next| visit(TaskId(u64::from(next))));
    }

    fn complete(&mut self, task: TaskId, _core: CoreId, at: DeviceTime) {
        let Ok(task) = u32::try_from(task.0) else { return };
        if let Some(dump) = &self.dump {
            dump.task(&self.graph, task, Stage::AfterCompletion);
        }
        self.state[task as usize] = TaskState::Done;
        self.completed += 1;
        for index in 0..self.links.successors(task).len() {
            let next = self.links.successors(task)[index];
            let ready_at = &mut self.ready_at[next as usize];
            *ready_at = at.max(*ready_at);
            self.pending[next as usize] -= 1;
            if self.pending[next as usize] == 0 {
                self.enqueue(next);
            }
        }
    }

    fn is_done(&self) -> bool {
        self.completed == self.graph.len()
    }

    fn completed(&self) -> u64 {
        self.completed as u64
    }

    fn waiting(&self) -> Vec<WaitingTask> {
        let tasks = (0..).take(self.graph.len());
        let mut unmet = vec![Vec::new(); self.graph.len()];
        for task in tasks.clone().filter(|&task| self.state[task as usize] != TaskState::Done) {
            for &next in self.links.successors(task) {
                let list: &mut Vec<TaskId> = &mut unmet[next as usize];
                // Equal edges are added one after the other only if the orchestration did so; either way
                // a reader wants each predecessor once.
                if !list.contains(&TaskId(u64::from(task))) {
                    list.push(TaskId(u64::from(task)));
                }
            }
        }
        tasks
            .filter(|&task: &u32| self.state[task as usize] == TaskState::Waiting)
            .map(|task| WaitingTask {
                task: TaskId(u64::from(task)),
                kernel: self.name(task),
                core_type: self.graph.core_types[task as usize],
                unmet: std::mem::take(&mut unmet[task as usize]),
            })
            .collect()
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

#[cfg(test)]
mod tests {
    use device_runner::Topology;
    use proptest::prelude::*;

    use super::*;

    /// Cores that are busy from `next` until told otherwise.
    struct Busy {
        topology: Topology,
        busy: Vec<bool>,
    }

    impl Cores for Busy {
        fn topology(&self) -> Topology {
            self.topology
        }

        fn has_idle(&self, core_type: CoreType) -> bool {
            self.earliest_idle(core_type).is_some()
        }

        fn idle_since(&self, core: CoreId) -> Option<DeviceTime> {
            (!self.busy[core.0 as usize]).then_some(DeviceTime(0))
        }

        fn earliest_idle(&self, core_type: CoreType) -> Option<IdleCore> {
            let core = self.topology.ids_of(core_type).find(|&core| !self.busy[core as usize])?;
            Some(IdleCore { core: CoreId(core), free_at: DeviceTime(0) })
        }
    }

    fn scheduler(types: &[CoreType], edges: &[(u32, u32)]) -> Scheduler {
        let mut graph = Graph::default();
        for &core_type in types {
            graph.add_task(&[], 0, core_type).unwrap();
        }
        edges.iter().for_each(|&(from, to)| graph.add_edge(from, to));
        // Cycles are wanted here: they stall.
        let links = Links::new_for_tests(types.len(), edges);
        Scheduler::new(graph, links, ["add".into()].into())
    }

    fn cores(block_dim: u32) -> Busy {
        let topology = Topology::new(block_dim);
        Busy { topology, busy: vec![false; topology.cores() as usize] }
    }

    #[test]
    fn a_cycle_shows_as_tasks_that_wait_for_each_other() {
        let mut stuck = scheduler(&[CoreType::Aiv; 4], &[(0, 1), (1, 2), (2, 1), (2, 1), (0, 3)]);
        let cores = cores(1);
        while let Some(dispatch) = stuck.next(&cores) {
            stuck.complete(dispatch.task, dispatch.core, DeviceTime(1));
        }
        assert!(!stuck.is_done() && !stuck.has_startable(&cores));
        let waiting: Vec<_> = stuck.waiting().into_iter().map(|task| (task.task.0, task.unmet)).collect();
        assert_eq!(waiting, [(1, vec![TaskId(2)]), (2, vec![TaskId(1)])]);
        assert_eq!(stuck.completed(), 2);
    }

    proptest! {
        /// Whatever the graph, the cores and the order in which kernels end: every task runs once, on a core
        /// of its type, after its predecessors, and no core has two at a time.
        #[test]
        fn every_task_runs_once_after_its_predecessors(
            types in proptest::collection::vec(prop_oneof![Just(CoreType::Aic), Just(CoreType::Aiv)], 1..60),
            raw in proptest::collection::vec((any::<u32>(), any::<u32>()), 0..150),
            block_dim in 1u32..4,
            picks in proptest::collection::vec(any::<usize>(), 200),
        ) {
            let tasks = u32::try_from(types.len()).unwrap();
            let edges: Vec<_> = raw.iter()
                .map(|(a, b)| (a % tasks, b % tasks))
                .filter(|(from, to)| from < to)
                .collect();
            let mut program = scheduler(&types, &edges);
            let mut cores = cores(block_dim);
            let (mut running, mut done) = (Vec::<Dispatch>::new(), vec![false; types.len()]);
            let mut picks = picks.into_iter().cycle();
            while !program.is_done() {
                while let Some(dispatch) = program.next(&cores) {
                    let task = usize::try_from(dispatch.task.0).unwrap();
                    prop_assert_eq!(cores.topology.core_type(dispatch.core), types[task]);
                    prop_assert!(!std::mem::replace(&mut cores.busy[dispatch.core.0 as usize], true));
                    let ready = edges.iter().filter(|&&(_, to)| to as usize == task);
                    prop_assert!(ready.into_iter().all(|&(from, _)| done[from as usize]));
                    running.push(dispatch);
                }
                prop_assert!(!running.is_empty());
                let ended = running.swap_remove(picks.next().unwrap() % running.len());
                cores.busy[ended.core.0 as usize] = false;
                let task = usize::try_from(ended.task.0).unwrap();
                prop_assert!(!std::mem::replace(&mut done[task], true));
                program.complete(ended.task, ended.core, DeviceTime(0));
            }
            prop_assert!(done.iter().all(|&done| done) && running.is_empty());
        }
    }
}
