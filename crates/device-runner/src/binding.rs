use std::cell::RefCell;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use crate::runner::DeviceRunner;

thread_local! {
    static BOUND: RefCell<Vec<(u64, Arc<DeviceRunner>)>> = const { RefCell::new(Vec::new()) };
    static NEXT: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// Keeps a runner bound to the thread, for functions that take no context.
///
/// Bindings nest: the newest counts, and dropping any guard removes its own binding only, in whatever
/// order guards go. The guard stays on its thread.
pub struct BindGuard {
    serial: u64,
    _on_this_thread: PhantomData<*const ()>,
}

impl BindGuard {
    pub(crate) fn new(runner: Arc<DeviceRunner>) -> Self {
        let serial = NEXT.replace(NEXT.get() + 1);
        // At the end of a thread the list may be gone: whoever still cleans up does so unbound.
        let _ = BOUND.try_with(|bound| bound.borrow_mut().push((serial, runner)));
        Self { serial, _on_this_thread: PhantomData }
    }
}

impl fmt::Debug for BindGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BindGuard").finish_non_exhaustive()
    }
}

impl Drop for BindGuard {
    fn drop(&mut self) {
        // At the end of a thread the list may be gone already, with everything in it.
        let removed = BOUND.try_with(|bound| {
            let mut bound = bound.borrow_mut();
            let position = bound.iter().rposition(|(serial, _)| *serial == self.serial)?;
            Some(bound.remove(position))
        });
        // The runner may be dropped here: outside of the borrow, as its own drop may look at bindings.
        drop(removed);
    }
}

/// The runner bound to the calling thread last.
#[must_use]
pub fn current_runner() -> Option<Arc<DeviceRunner>> {
    BOUND.try_with(|bound| bound.borrow().last().map(|(_, runner)| Arc::clone(runner))).ok().flatten()
}
