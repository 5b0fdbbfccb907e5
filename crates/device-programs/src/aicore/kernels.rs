use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use device_runner::{DevPtr, GlobalMemory as _};
use object_loader::SymbolAddress;
use object_loader::call::call_kernel;
use sim::{ClusterMemory, CoreKernel};
use task_interface::{CORE_CALLABLE_BINARY_OFFSET, CoreCallableHeader};

use crate::memory::DeviceMemory;

/// What the entry of a task is the address of.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Entries<'a> {
    /// The code in a kernel's image, which on this machine is an object to be loaded.
    Images(&'a LaunchKernels),
    /// A function of this process, as simulated devices have it.
    Functions,
}

/// The kernels of one launch, each loaded once, and the memory that its clusters share.
///
/// They go with the launch: the program that this is part of may be unloaded then, and another launch may find other
/// kernels at the same addresses.
#[derive(Debug, Default)]
pub(crate) struct LaunchKernels {
    pub(crate) clusters: ClusterMemory,
    loaded: Mutex<Loaded>,
}

#[derive(Debug, Default)]
struct Loaded {
    by_entry: HashMap<u64, Arc<CoreKernel>>,
    by_object: HashMap<Vec<u8>, Arc<CoreKernel>>,
}

impl Entries<'_> {
    /// Runs a kernel on the calling thread.
    ///
    /// # Errors
    /// Why it could not be loaded, or what it threw.
    ///
    /// # Safety
    /// `entry` must be what the variant says, of a kernel that is fine with the array at `args`.
    pub(crate) unsafe fn call(self, memory: DeviceMemory, entry: u64, args: u64) -> Result<(), String> {
        let args = std::ptr::with_exposed_provenance_mut(usize::try_from(args).unwrap_or(0));
        let called = match self {
            // SAFETY: as the caller promises.
            Self::Images(kernels) => unsafe { kernels.get(memory, entry)?.call(args) },
            Self::Functions => {
                let entry = SymbolAddress::from_u64(entry).ok_or("the entry is null")?;
                // SAFETY: as the caller promises.
                unsafe { call_kernel(entry, args) }
            }
        };
        called.map_err(|exception| format!("the kernel threw a {exception}"))
    }
}

impl LaunchKernels {
    fn get(&self, memory: DeviceMemory, entry: u64) -> Result<Arc<CoreKernel>, String> {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kernel) = loaded.by_entry.get(&entry) {
            return Ok(Arc::clone(kernel));
        }
        let object = read_object(memory, entry)?;
        let kernel = match loaded.by_object.get(&object) {
            Some(kernel) => Arc::clone(kernel),
            None => {
                let name = format!("kernel at {entry:#x}");
                let kernel = Arc::new(CoreKernel::load(&name, &object).map_err(|error| error.to_string())?);
                loaded.by_object.insert(object, Arc::clone(&kernel));
                kernel
            }
        };
        loaded.by_entry.insert(entry, Arc::clone(&kernel));
        Ok(kernel)
    }
}

/// The code that an entry is the start of: the header before it says how long it is.
fn read_object(memory: DeviceMemory, entry: u64) -> Result<Vec<u8>, String> {
    let header = entry.checked_sub(CORE_CALLABLE_BINARY_OFFSET as u64);
    let header = header.ok_or_else(|| format!("there is no kernel at {entry:#x}"))?;
    let read = || {
        let header: CoreCallableHeader = memory.read(header)?;
        let mut object = vec![0; header.binary_size as usize];
        memory.copy_from_device(&mut object, DevPtr::new(entry))?;
        Ok(object)
    };
    read().map_err(|error: device_runner::DeviceError| error.to_string())
}
