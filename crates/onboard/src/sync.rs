use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks without panicking: everything guarded in this crate is kept consistent at each step.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
