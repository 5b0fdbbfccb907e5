//! Handles: numbers that C holds as pointers. They are never used again, so a stale one is always noticed.

use std::collections::BTreeMap;
use std::ffi::c_void;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use crate::sync::lock;

/// Handles are no addresses of any process, so following one is noticed too.
const MARK: u64 = 0x5C0F_0000_0000_0000;
const STEP: u64 = 16;
static NEXT: AtomicU64 = AtomicU64::new(MARK + STEP);

/// A number that this process has not used yet, and that is no address.
pub(crate) fn fresh() -> u64 {
    NEXT.fetch_add(STEP, Ordering::Relaxed)
}

/// Things by handle.
#[derive(Debug)]
pub(crate) struct Table<T>(Mutex<BTreeMap<u64, Arc<T>>>);

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Table<T> {
    pub(crate) fn insert(&self, thing: Arc<T>) -> u64 {
        let handle = fresh();
        lock(&self.0).insert(handle, thing);
        handle
    }

    pub(crate) fn get(&self, handle: u64) -> Option<Arc<T>> {
        lock(&self.0).get(&handle).cloned()
    }

    pub(crate) fn remove(&self, handle: u64) -> Option<Arc<T>> {
        lock(&self.0).remove(&handle)
    }

    pub(crate) fn count(&self, which: impl Fn(&T) -> bool) -> u64 {
        lock(&self.0).values().filter(|thing| which(thing)).count() as u64
    }

    pub(crate) fn remove_all(&self, which: impl Fn(&T) -> bool) -> Vec<Arc<T>> {
        let mut table = lock(&self.0);
        let handles: Vec<u64> =
            table.iter().filter(|(_, thing)| which(thing)).map(|(handle, _)| *handle).collect();
        handles.iter().filter_map(|handle| table.remove(handle)).collect()
    }
}

/// What is known about a handle that is not in its table.
pub(crate) fn describe(handle: u64) -> String {
    let given_out = (MARK..NEXT.load(Ordering::Relaxed)).contains(&handle) && handle.is_multiple_of(STEP);
    let what =
        if given_out { "was destroyed, or is a handle of something else" } else { "never was a handle" };
    format!("{handle:#x} {what}")
}

/// A handle as C holds it.
pub(crate) fn to_pointer(handle: u64) -> *mut c_void {
    std::ptr::without_provenance_mut(usize::try_from(handle).unwrap_or(0))
}
