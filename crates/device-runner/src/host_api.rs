//! The functions that variants written against `HostApi` call (`spec/public-layouts.json`, `HostApi`).
//!
//! None takes a context: each works on the runner bound to the calling thread, and fails with
//! [`RunnerError::NotBound`] where there is none, or [`RunnerError::Closed`] where it was closed meanwhile.

use std::sync::Arc;

use task_interface::ChipCallable;

use crate::arena::ArenaSizes;
use crate::binding::current_runner;
use crate::dev_ptr::DevPtr;
use crate::error::RunnerError;
use crate::runner::DeviceRunner;

fn bound() -> Result<Arc<DeviceRunner>, RunnerError> {
    let runner = current_runner().ok_or(RunnerError::NotBound)?;
    runner.check_open()?;
    Ok(runner)
}

/// Allocates device memory that lives until it is freed or the runner is closed.
///
/// # Errors
/// [`RunnerError::NotBound`], [`RunnerError::Closed`], or the device's.
pub fn device_malloc(bytes: usize) -> Result<DevPtr, RunnerError> {
    Ok(bound()?.memory().alloc_unowned(bytes)?)
}

/// Frees device memory.
///
/// # Errors
/// [`RunnerError::NotBound`], [`RunnerError::Closed`], or the device's.
pub fn device_free(ptr: DevPtr) -> Result<(), RunnerError> {
    Ok(bound()?.memory().free(ptr)?)
}

/// Copies host bytes to the device.
///
/// # Errors
/// [`RunnerError::NotBound`], [`RunnerError::Closed`], or the device's.
pub fn copy_to_device(to: DevPtr, from: &[u8]) -> Result<(), RunnerError> {
    Ok(bound()?.memory().copy_to_device(to, from)?)
}

/// Copies device memory to the host.
///
/// # Errors
/// [`RunnerError::NotBound`], [`RunnerError::Closed`], or the device's.
pub fn copy_from_device(to: &mut [u8], from: DevPtr) -> Result<(), RunnerError> {
    Ok(bound()?.memory().copy_from_device(to, from)?)
}

/// Commits the three arenas, see [`StaticArenas::setup`](crate::StaticArenas::setup).
///
/// # Errors
/// [`RunnerError::NotBound`], [`RunnerError::Closed`], or the device's.
pub fn setup_static_arena(sizes: ArenaSizes) -> Result<(), RunnerError> {
    Ok(bound()?.arenas().setup(sizes)?)
}

/// The GM heap of the bound runner; `None` when it is not committed.
///
/// # Errors
/// [`RunnerError::NotBound`] or [`RunnerError::Closed`].
pub fn acquire_pooled_gm_heap() -> Result<Option<DevPtr>, RunnerError> {
    Ok(bound()?.arenas().gm_heap())
}

/// The shared memory of the bound runner; `None` when it is not committed.
///
/// # Errors
/// [`RunnerError::NotBound`] or [`RunnerError::Closed`].
pub fn acquire_pooled_gm_sm() -> Result<Option<DevPtr>, RunnerError> {
    Ok(bound()?.arenas().gm_sm())
}

/// The runtime arena of the bound runner; `None` when it is not committed.
///
/// # Errors
/// [`RunnerError::NotBound`] or [`RunnerError::Closed`].
pub fn acquire_pooled_runtime_arena() -> Result<Option<DevPtr>, RunnerError> {
    Ok(bound()?.arenas().runtime_arena())
}

/// Uploads a callable's image with its kernels, and keeps it until the runner is closed; the address of
/// the image, or `None` for a callable without kernels. Equal callables are uploaded once.
///
/// # Errors
/// [`RunnerError::NotBound`], [`RunnerError::Closed`], or why it cannot be uploaded.
pub fn upload_chip_callable_buffer(callable: &ChipCallable) -> Result<Option<DevPtr>, RunnerError> {
    bound()?.upload_chip_callable(callable)
}
