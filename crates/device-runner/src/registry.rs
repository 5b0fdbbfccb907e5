use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use task_interface::MAX_REGISTERED_CALLABLE_IDS;

use crate::callable::Callable;
use crate::error::RunnerError;
use crate::sync::lock;

/// Names a registered callable, and only that registration of it: an id that was given back and taken
/// again makes a different `CallableId`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CallableId {
    index: i32,
    generation: u64,
}

impl CallableId {
    /// The id as in the C API, 0 to 63.
    #[must_use]
    pub fn index(self) -> i32 {
        self.index
    }
}

impl fmt::Display for CallableId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "callable {}", self.index)
    }
}

/// How often orchestrations were loaded (`spec/public-abi.md`, section A.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DlopenCounts {
    /// Registrations whose orchestration was loaded on the host.
    pub host: usize,
    /// First runs, since its registration, of a callable whose orchestration runs on the device.
    pub aicpu: usize,
}

/// The callables of one runner, by id.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    slots: BTreeMap<i32, Slot>,
    next_generation: u64,
    counts: DlopenCounts,
}

#[derive(Debug)]
struct Slot {
    generation: u64,
    callable: Arc<Callable>,
}

const CAPACITY: i32 = 64;
const _: () = assert!(MAX_REGISTERED_CALLABLE_IDS == 64);

impl Registry {
    /// Checks an id from outside before anything is prepared for it.
    pub(crate) fn check_free(&self, id: i32) -> Result<(), RunnerError> {
        if !(0..CAPACITY).contains(&id) {
            return Err(RunnerError::CallableIdRange { id, max: MAX_REGISTERED_CALLABLE_IDS - 1 });
        }
        if lock(&self.state).slots.contains_key(&id) {
            return Err(RunnerError::CallableIdTaken { id });
        }
        Ok(())
    }

    /// Enters a callable under `id`, or under the lowest free id.
    pub(crate) fn insert(&self, id: Option<i32>, callable: Callable) -> Result<CallableId, RunnerError> {
        let mut state = lock(&self.state);
        let index = match id {
            Some(id) if state.slots.contains_key(&id) => return Err(RunnerError::CallableIdTaken { id }),
            Some(id) => id,
            None => (0..CAPACITY)
                .find(|id| !state.slots.contains_key(id))
                .ok_or(RunnerError::RegistryFull { capacity: MAX_REGISTERED_CALLABLE_IDS })?,
        };
        Ok(state.enter(index, callable))
    }

    /// Puts a callable in the place of another in one step; the old one is returned.
    pub(crate) fn replace(
        &self,
        id: CallableId,
        callable: Callable,
    ) -> Result<(CallableId, Arc<Callable>), RunnerError> {
        let mut state = lock(&self.state);
        let old = state.take(id).ok_or(RunnerError::UnknownCallable { id: id.index })?;
        Ok((state.enter(id.index, callable), old))
    }

    /// Forgets a callable; `None` when it is not registered (any more).
    pub(crate) fn remove(&self, id: CallableId) -> Option<Arc<Callable>> {
        lock(&self.state).take(id)
    }

    /// The current registration of a bare id.
    pub(crate) fn find(&self, index: i32) -> Option<CallableId> {
        let state = lock(&self.state);
        state.slots.get(&index).map(|slot| CallableId { index, generation: slot.generation })
    }

    /// The callable for a run.
    pub(crate) fn get(&self, id: CallableId) -> Result<Arc<Callable>, RunnerError> {
        let state = lock(&self.state);
        let slot = state.slots.get(&id.index).filter(|slot| slot.generation == id.generation);
        let slot = slot.ok_or(RunnerError::UnknownCallable { id: id.index })?;
        Ok(Arc::clone(&slot.callable))
    }

    /// Counts a launch, if it is the callable's first.
    pub(crate) fn count_launch(&self, callable: &Callable) {
        let first = !callable.ran.swap(true, Ordering::Relaxed);
        if first && callable.orchestration.loads_on_device() {
            lock(&self.state).counts.aicpu += 1;
        }
    }

    pub(crate) fn len(&self) -> usize {
        lock(&self.state).slots.len()
    }

    pub(crate) fn counts(&self) -> DlopenCounts {
        lock(&self.state).counts
    }

    /// Forgets all callables and the device-side count; the host-side count stays, as in the contract.
    pub(crate) fn clear(&self) {
        let slots = {
            let mut state = lock(&self.state);
            state.counts.aicpu = 0;
            std::mem::take(&mut state.slots)
        };
        drop(slots);
    }
}

impl State {
    fn enter(&mut self, index: i32, callable: Callable) -> CallableId {
        let generation = self.next_generation;
        self.next_generation += 1;
        self.counts.host += usize::from(callable.orchestration.loaded_on_host());
        self.slots.insert(index, Slot { generation, callable: Arc::new(callable) });
        CallableId { index, generation }
    }

    fn take(&mut self, id: CallableId) -> Option<Arc<Callable>> {
        let slot = self.slots.get(&id.index).filter(|slot| slot.generation == id.generation)?;
        let callable = Arc::clone(&slot.callable);
        self.slots.remove(&id.index);
        Some(callable)
    }
}
