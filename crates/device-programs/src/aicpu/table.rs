use device_runner::{CoreId, Cores, DeviceTime, IdleCore, TaskId, Topology};
use task_interface::CoreType;

/// The cores of a launch: what they run, or since when they are idle.
#[derive(Debug)]
pub(super) struct CoreTable {
    topology: Topology,
    states: Vec<CoreState>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CoreState {
    Idle(DeviceTime),
    Runs(TaskId),
}

impl CoreTable {
    pub(super) fn new(topology: Topology) -> Self {
        Self { topology, states: vec![CoreState::Idle(DeviceTime(0)); topology.cores() as usize] }
    }

    /// Gives an idle core a task; `false` when there is no such idle core.
    pub(super) fn occupy(&mut self, core: CoreId, task: TaskId) -> bool {
        match self.states.get_mut(core.0 as usize) {
            Some(state @ CoreState::Idle(_)) => {
                *state = CoreState::Runs(task);
                true
            }
            _ => false,
        }
    }

    /// The core's task has ended; `None` when it had none.
    pub(super) fn release(&mut self, core: CoreId, at: DeviceTime) -> Option<TaskId> {
        let state = self.states.get_mut(core.0 as usize)?;
        let CoreState::Runs(task) = *state else { return None };
        *state = CoreState::Idle(at);
        Some(task)
    }

    /// A core that runs something.
    pub(super) fn any_busy(&self) -> Option<(CoreId, TaskId)> {
        (0..).zip(&self.states).find_map(|(core, state)| match state {
            CoreState::Runs(task) => Some((CoreId(core), *task)),
            CoreState::Idle(_) => None,
        })
    }
}

impl Cores for CoreTable {
    fn topology(&self) -> Topology {
        self.topology
    }

    fn has_idle(&self, core_type: CoreType) -> bool {
        self.earliest_idle(core_type).is_some()
    }

    fn idle_since(&self, core: CoreId) -> Option<DeviceTime> {
        match self.states.get(core.0 as usize)? {
            CoreState::Idle(since) => Some(*since),
            CoreState::Runs(_) => None,
        }
    }

    fn earliest_idle(&self, core_type: CoreType) -> Option<IdleCore> {
        let cores = self.topology.ids_of(core_type).map(CoreId);
        let idle = cores.filter_map(|core| Some(IdleCore { core, free_at: self.idle_since(core)? }));
        idle.min_by_key(|idle| idle.free_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_core_that_is_idle_for_longest_is_offered() {
        let mut table = CoreTable::new(Topology::new(1));
        assert!(table.occupy(CoreId(1), TaskId(7)) && !table.occupy(CoreId(1), TaskId(8)));
        assert!(!table.occupy(CoreId(3), TaskId(8)));
        assert_eq!(table.earliest_idle(CoreType::Aiv).unwrap().core, CoreId(2));
        assert!(table.occupy(CoreId(2), TaskId(9)));
        assert!(!table.has_idle(CoreType::Aiv) && table.has_idle(CoreType::Aic));
        assert_eq!(table.any_busy(), Some((CoreId(1), TaskId(7))));
        assert_eq!(table.release(CoreId(2), DeviceTime(5)), Some(TaskId(9)));
        assert_eq!(table.release(CoreId(1), DeviceTime(6)), Some(TaskId(7)));
        assert_eq!(table.release(CoreId(1), DeviceTime(7)), None);
        assert_eq!(table.earliest_idle(CoreType::Aiv).unwrap().core, CoreId(2));
        assert_eq!((table.any_busy(), table.idle_since(CoreId(9))), (None, None));
    }
}
