use std::fmt;
use std::sync::Arc;

use bytemuck::Pod;
use task_interface::ArgDirection;

use crate::arch::CoreId;
use crate::dev_ptr::DevPtr;
use crate::device::GlobalMemory;
use crate::error::DeviceError;
use crate::program::TaskId;

/// Where a kernel's code comes from.
#[derive(Clone)]
#[non_exhaustive]
pub enum KernelSource {
    /// A compiled object with the entry of `spec/public-abi.md`, section E.1.
    Object(Arc<[u8]>),
    /// A Rust function; simulated devices only.
    Native(NativeKernel),
}

impl fmt::Debug for KernelSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Object(bytes) => write!(f, "Object({} bytes)", bytes.len()),
            Self::Native(kernel) => kernel.fmt(f),
        }
    }
}

/// What a device calls a registered kernel: its entry address, or a device's own token for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KernelHandle(pub u64);

/// A kernel of a launch.
#[derive(Clone, Debug)]
#[allow(clippy::exhaustive_structs, reason = "plain data between runner and device")]
pub struct LaunchKernel {
    /// The device's handle.
    pub handle: KernelHandle,
    /// The id by which orchestrations name it, 0 to 1023.
    pub func_id: u32,
    /// What messages call it.
    pub name: Arc<str>,
    /// What it does with its arguments, as far as its callable says; execution does not look at it.
    pub signature: Arc<[ArgDirection]>,
}

type NativeFn = dyn Fn(&KernelContext<'_>) -> Result<(), KernelFault> + Send + Sync;

/// A kernel written as a Rust function.
#[derive(Clone)]
pub struct NativeKernel {
    name: Arc<str>,
    function: Arc<NativeFn>,
}

impl NativeKernel {
    /// A kernel that messages call `name`.
    pub fn new<F>(name: &str, function: F) -> Self
    where
        F: Fn(&KernelContext<'_>) -> Result<(), KernelFault> + Send + Sync + 'static,
    {
        Self { name: name.into(), function: Arc::new(function) }
    }

    /// The name given at construction.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Calls the function.
    ///
    /// # Errors
    /// Whatever the function returns.
    pub fn call(&self, context: &KernelContext<'_>) -> Result<(), KernelFault> {
        (self.function)(context)
    }

    /// Identity of the function: equal for clones, different for any two made apart.
    #[must_use]
    pub fn identity(&self) -> u64 {
        Arc::as_ptr(&self.function).cast::<()>().addr() as u64
    }
}

impl From<NativeKernel> for KernelSource {
    fn from(kernel: NativeKernel) -> Self {
        Self::Native(kernel)
    }
}

impl fmt::Debug for NativeKernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NativeKernel").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Why a Rust kernel failed; ends the run with [`DeviceError::KernelFailed`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KernelFault {
    /// An access to device memory was refused.
    #[error(transparent)]
    Memory(#[from] DeviceError),
    /// The kernel itself says so.
    #[error("{0}")]
    Message(String),
}

impl From<String> for KernelFault {
    fn from(message: String) -> Self {
        Self::Message(message)
    }
}

impl From<&str> for KernelFault {
    fn from(message: &str) -> Self {
        Self::Message(message.to_owned())
    }
}

/// What a Rust kernel sees: its arguments, its core, and device memory by checked copies.
#[derive(Debug)]
pub struct KernelContext<'a> {
    memory: &'a dyn GlobalMemory,
    task: TaskId,
    core: CoreId,
    args: &'a [u64],
}

impl<'a> KernelContext<'a> {
    /// The context of one call; made by devices.
    #[must_use]
    pub fn new(memory: &'a dyn GlobalMemory, task: TaskId, core: CoreId, args: &'a [u64]) -> Self {
        Self { memory, task, core, args }
    }

    /// The task being run.
    #[must_use]
    pub fn task(&self) -> TaskId {
        self.task
    }

    /// The core it runs on.
    #[must_use]
    pub fn core(&self) -> CoreId {
        self.core
    }

    /// All argument slots; unused ones are 0.
    #[must_use]
    pub fn args(&self) -> &[u64] {
        self.args
    }

    /// Argument slot `index` as a device address; null for a slot that does not exist.
    #[must_use]
    pub fn ptr(&self, index: usize) -> DevPtr {
        DevPtr::new(self.args.get(index).copied().unwrap_or(0))
    }

    /// Copies `count` elements out of device memory.
    ///
    /// # Errors
    /// The device's, when the range is not inside one live allocation.
    pub fn read<T: Pod>(&self, from: DevPtr, count: usize) -> Result<Vec<T>, KernelFault> {
        let mut values = vec![T::zeroed(); count];
        self.memory.copy_from_device(bytemuck::must_cast_slice_mut(&mut values), from)?;
        Ok(values)
    }

    /// Copies elements into device memory.
    ///
    /// # Errors
    /// The device's, when the range is not inside one live allocation.
    pub fn write<T: Pod>(&self, to: DevPtr, values: &[T]) -> Result<(), KernelFault> {
        self.memory.copy_to_device(to, bytemuck::must_cast_slice(values))?;
        Ok(())
    }
}
