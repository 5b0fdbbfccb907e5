use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use crate::dev_ptr::DevPtr;
use crate::device::{Device, GlobalMemory};
use crate::error::{DeferredErrors, DeviceError};
use crate::sync::lock;

/// Device memory of one runner: every live allocation is known and freed at the end.
pub struct Memory {
    device: Arc<dyn Device>,
    /// Locked while the device allocates or frees, so that nothing in flight escapes [`release_all`].
    ///
    /// [`release_all`]: Self::release_all
    live: Mutex<Live>,
    deferred: DeferredErrors,
}

#[derive(Debug, Default)]
struct Live {
    allocations: BTreeMap<DevPtr, Allocation>,
    /// Windows of ranks: memory like any, but that of the communicator.
    windows: BTreeMap<DevPtr, u64>,
    closed: bool,
}

#[derive(Clone, Copy, Debug)]
struct Allocation {
    bytes: usize,
    owner: Owner,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    /// A [`DevBuffer`], which alone may free it.
    Buffer,
    /// Whoever got the address.
    Client,
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (allocations, bytes) = self.in_use();
        write!(f, "Memory({allocations} allocations, {bytes} bytes)")
    }
}

impl Memory {
    pub(crate) fn new(device: Arc<dyn Device>, deferred: DeferredErrors) -> Arc<Self> {
        Arc::new(Self { device, live: Mutex::default(), deferred })
    }

    /// Allocates memory that frees itself when the buffer is dropped.
    ///
    /// # Errors
    /// [`DeviceError::Closed`], or the device's.
    pub fn alloc(self: &Arc<Self>, bytes: usize) -> Result<DevBuffer, DeviceError> {
        let ptr = self.allocate(bytes, Owner::Buffer)?;
        Ok(DevBuffer { memory: Arc::clone(self), ptr, bytes })
    }

    /// Allocates memory that lives until [`free`](Self::free) or the end of the runner.
    ///
    /// # Errors
    /// [`DeviceError::Closed`], or the device's.
    pub fn alloc_unowned(&self, bytes: usize) -> Result<DevPtr, DeviceError> {
        self.allocate(bytes, Owner::Client)
    }

    fn allocate(&self, bytes: usize, owner: Owner) -> Result<DevPtr, DeviceError> {
        let mut live = lock(&self.live);
        if live.closed {
            return Err(DeviceError::Closed);
        }
        self.device.bind_thread()?;
        let ptr = self.device.alloc(bytes)?;
        live.allocations.insert(ptr, Allocation { bytes, owner });
        Ok(ptr)
    }

    /// Frees what [`alloc_unowned`](Self::alloc_unowned) returned.
    ///
    /// # Errors
    /// [`DeviceError::InvalidPointer`] when it is not that. If the device fails to free it, the
    /// allocation is forgotten all the same, as nothing could be done with it; the device still has it
    /// (see [`DeviceUsage`](crate::DeviceUsage)) until the runner is closed.
    pub fn free(&self, ptr: DevPtr) -> Result<(), DeviceError> {
        let refused = |reason: &str| DeviceError::InvalidPointer {
            operation: "free",
            ptr,
            len: 0,
            reason: reason.to_owned(),
        };
        let mut live = lock(&self.live);
        match live.allocations.get(&ptr).map(|allocation| allocation.owner) {
            None => Err(refused("it is not an allocation of this worker, or was freed before")),
            Some(Owner::Buffer) => Err(refused("the worker uses it for itself and frees it when it is done")),
            Some(Owner::Client) => {
                live.allocations.remove(&ptr);
                self.give_back(ptr)
            }
        }
    }

    fn free_buffer(&self, ptr: DevPtr) -> Result<(), DeviceError> {
        let mut live = lock(&self.live);
        match live.allocations.remove(&ptr) {
            Some(_) => self.give_back(ptr),
            // A runner that was closed before has freed it already.
            None => Ok(()),
        }
    }

    fn give_back(&self, ptr: DevPtr) -> Result<(), DeviceError> {
        // Freeing goes on even if binding failed: the memory may be freed all the same.
        let bound = self.device.bind_thread();
        self.device.free(ptr).and(bound)
    }

    /// Copies host bytes into device memory.
    ///
    /// # Errors
    /// The device's, when the range is not inside one live allocation.
    pub fn copy_to_device(&self, to: DevPtr, from: &[u8]) -> Result<(), DeviceError> {
        self.device.bind_thread()?;
        self.device.copy_to_device(to, from)
    }

    /// Copies device memory into host bytes.
    ///
    /// # Errors
    /// The device's, when the range is not inside one live allocation.
    pub fn copy_from_device(&self, to: &mut [u8], from: DevPtr) -> Result<(), DeviceError> {
        self.device.bind_thread()?;
        self.device.copy_from_device(to, from)
    }

    /// Whether a range is inside one live allocation.
    #[must_use]
    pub fn contains(&self, ptr: DevPtr, bytes: u64) -> bool {
        let live = lock(&self.live);
        let fits = |base: &DevPtr, size: u64| {
            (ptr.addr() - base.addr()).checked_add(bytes).is_some_and(|end| end <= size)
        };
        let allocation = live.allocations.range(..=ptr).next_back();
        let window = live.windows.range(..=ptr).next_back();
        allocation.is_some_and(|(base, allocation)| fits(base, allocation.bytes as u64))
            || window.is_some_and(|(base, &size)| fits(base, size))
    }

    /// Takes a window for memory that tensors may be in.
    pub(crate) fn adopt(&self, window: DevPtr, bytes: u64) {
        lock(&self.live).windows.insert(window, bytes);
    }

    /// Forgets a window.
    pub(crate) fn disown(&self, window: DevPtr) {
        lock(&self.live).windows.remove(&window);
    }

    /// Live allocations and their bytes.
    #[must_use]
    pub fn in_use(&self) -> (usize, u64) {
        let live = lock(&self.live);
        (live.allocations.len(), live.allocations.values().map(|allocation| allocation.bytes as u64).sum())
    }

    /// Refuses further allocations.
    pub(crate) fn close(&self) {
        lock(&self.live).closed = true;
    }

    /// Frees whatever is left; all of it is attempted, the first error is returned.
    pub(crate) fn release_all(&self) -> Result<(), DeviceError> {
        let mut live = lock(&self.live);
        let left = std::mem::take(&mut live.allocations);
        left.into_keys().map(|ptr| self.give_back(ptr)).fold(Ok(()), Result::and)
    }
}

impl GlobalMemory for Memory {
    fn copy_to_device(&self, to: DevPtr, from: &[u8]) -> Result<(), DeviceError> {
        self.copy_to_device(to, from)
    }

    fn copy_from_device(&self, to: &mut [u8], from: DevPtr) -> Result<(), DeviceError> {
        self.copy_from_device(to, from)
    }
}

/// A piece of device memory that is freed with its owner.
#[derive(Debug)]
pub struct DevBuffer {
    memory: Arc<Memory>,
    ptr: DevPtr,
    bytes: usize,
}

impl DevBuffer {
    /// Its first byte.
    #[must_use]
    pub fn ptr(&self) -> DevPtr {
        self.ptr
    }

    /// Its size in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes
    }

    /// Whether it has no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Frees it now, so that an error can be seen.
    ///
    /// # Errors
    /// The device's.
    pub fn release(mut self) -> Result<(), DeviceError> {
        self.free()
    }

    fn free(&mut self) -> Result<(), DeviceError> {
        let ptr = std::mem::take(&mut self.ptr);
        if ptr.is_null() { Ok(()) } else { self.memory.free_buffer(ptr) }
    }
}

impl Drop for DevBuffer {
    fn drop(&mut self) {
        let result = self.free();
        self.memory.deferred.keep(result);
    }
}
