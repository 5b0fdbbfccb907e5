use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use device_runner::{CoreId, Cores, DeviceTime, IdleCore, Topology};
use task_interface::CoreType;

/// The cores of a launch on the device clock: which are idle, and since when.
#[derive(Debug)]
pub(crate) struct CoreTable {
    topology: Topology,
    /// By core; `None` while it has a task.
    idle_since: Vec<Option<DeviceTime>>,
    idle_aic: IdleCores,
    idle_aiv: IdleCores,
}

/// Longest idle first, then by id.
type IdleCores = BinaryHeap<Reverse<(DeviceTime, u32)>>;

impl CoreTable {
    pub(crate) fn new(topology: Topology) -> Self {
        let all = |core_type| topology.ids_of(core_type).map(|core| Reverse((DeviceTime(0), core))).collect();
        let idle_since = vec![Some(DeviceTime(0)); topology.cores() as usize];
        Self { topology, idle_since, idle_aic: all(CoreType::Aic), idle_aiv: all(CoreType::Aiv) }
    }

    /// Cores without a task.
    pub(crate) fn idle_count(&self) -> usize {
        self.idle_aic.len() + self.idle_aiv.len()
    }

    fn idle(&self, core_type: CoreType) -> &IdleCores {
        match core_type {
            CoreType::Aic => &self.idle_aic,
            CoreType::Aiv => &self.idle_aiv,
        }
    }

    fn idle_mut(&mut self, core: CoreId) -> &mut IdleCores {
        match self.topology.core_type(core) {
            CoreType::Aic => &mut self.idle_aic,
            CoreType::Aiv => &mut self.idle_aiv,
        }
    }

    /// Gives an idle core a task that was ready at `ready_at`; when the task starts on the device clock.
    pub(crate) fn occupy(&mut self, core: CoreId, ready_at: DeviceTime) -> DeviceTime {
        self.idle_since[core.0 as usize] = None;
        let idle = self.idle_mut(core);
        // Nearly always the one that was offered.
        if let Some(Reverse((free_at, _))) = idle.peek().copied().filter(|Reverse((_, id))| *id == core.0) {
            idle.pop();
            return free_at.max(ready_at);
        }
        let free_at = idle.iter().find(|Reverse((_, id))| *id == core.0).map(|Reverse((at, _))| *at);
        idle.retain(|Reverse((_, id))| *id != core.0);
        free_at.unwrap_or_default().max(ready_at)
    }

    /// The core's task, started at `start`, took `duration`; when it ended on the device clock.
    pub(crate) fn release(&mut self, core: CoreId, start: DeviceTime, duration: Duration) -> DeviceTime {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let end = DeviceTime(start.0.saturating_add(nanos));
        self.idle_since[core.0 as usize] = Some(end);
        self.idle_mut(core).push(Reverse((end, core.0)));
        end
    }
}

impl Cores for CoreTable {
    fn topology(&self) -> Topology {
        self.topology
    }

    fn has_idle(&self, core_type: CoreType) -> bool {
        !self.idle(core_type).is_empty()
    }

    fn idle_since(&self, core: CoreId) -> Option<DeviceTime> {
        self.idle_since.get(core.0 as usize).copied().flatten()
    }

    fn earliest_idle(&self, core_type: CoreType) -> Option<IdleCore> {
        let Reverse((free_at, core)) = *self.idle(core_type).peek()?;
        Some(IdleCore { core: CoreId(core), free_at })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_core_that_is_free_for_longest_is_offered_and_time_follows_cores_and_tasks() {
        let mut cores = CoreTable::new(Topology::new(1));
        let us = Duration::from_micros;
        let start = cores.occupy(CoreId(1), DeviceTime(0));
        assert_eq!(cores.release(CoreId(1), start, us(5)), DeviceTime(5_000));
        assert_eq!(cores.earliest_idle(CoreType::Aiv).map(|idle| idle.core), Some(CoreId(2)));
        // Ready later than the core: starts when ready. Core later than the task: starts when free.
        let late = cores.occupy(CoreId(2), DeviceTime(7_000));
        assert_eq!(late, DeviceTime(7_000));
        assert_eq!(cores.occupy(CoreId(1), DeviceTime(1_000)), DeviceTime(5_000));
        assert_eq!(cores.earliest_idle(CoreType::Aiv), None);
        assert!(!cores.has_idle(CoreType::Aiv) && cores.has_idle(CoreType::Aic));
        cores.release(CoreId(2), late, us(1));
        assert_eq!(cores.idle_count(), 2);
        assert_eq!(cores.earliest_idle(CoreType::Aiv).map(|idle| idle.free_at), Some(DeviceTime(8_000)));
    }
}
