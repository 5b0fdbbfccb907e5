//! A device that takes its AICPU and AICore programs as shared objects (`spec/device-abi.md`, sections 2 and 7).
//!
//! Every core and every AICPU thread is an OS thread here, and they talk through memory that stands for registers.
//! The programs decide everything; this side gives them what a chip has, and sees to it that a run ends.

mod blocks;
mod crew;
mod device;
mod flight;
mod note;
mod programs;
mod records;
mod run;
mod word;

pub use device::RegisterDevice;
pub use note::{AICORE_PROGRAM, AICPU_PROGRAM, NOTE_OWNER, NOTE_VERSION};

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks without panicking: what is guarded here is kept consistent at each step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
