use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks without panicking.
///
/// A lock is poisoned only when a thread panicked while it held it. Everything guarded in this crate is
/// kept consistent at each step, so the data behind a poisoned lock is as good as before.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
