use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex};

use device_runner::{
    CommRank, DevPtr, Device, DeviceError, DeviceRun, DeviceUsage, GlobalMemory, KernelHandle, KernelSource,
    Launch,
};
use hal_sys::Hal;
use task_interface::{ArgDirection, CORE_CALLABLE_BINARY_OFFSET, CoreCallable};

use crate::chip::OnboardChip;
use crate::comm::OnboardRank;
use crate::error::OnboardError;
use crate::inner::Inner;
use crate::launch::launch;
use crate::options::{self, OnboardOptions};
use crate::sync::lock;

/// A chip on CANN. Any number may exist in a process, with equal ids or not.
#[derive(Debug)]
pub struct OnboardDevice {
    inner: Arc<Inner>,
    /// Headers of registered kernels.
    kernels: Mutex<BTreeSet<u64>>,
}

impl OnboardDevice {
    /// Opens a device: attaches the calling thread, and has the AICPU program stored and loaded
    /// (`spec/hal.md`, section 1.6).
    ///
    /// # Errors
    /// What kept it from being opened, with the call; nothing is held then.
    pub fn open(
        hal: Arc<Hal>,
        chip: &'static dyn OnboardChip,
        id: u32,
        options: OnboardOptions,
    ) -> Result<Self, DeviceError> {
        options::check(&options.programs).map_err(|error| error.during(OPENING))?;
        let device = Self { inner: Arc::new(Inner::new(hal, chip, id, options)?), kernels: Mutex::default() };
        device.bind_thread()?;
        device.inner.session()?;
        Ok(device)
    }

    fn fail(&self, step: &'static str, error: impl Into<OnboardError>) -> DeviceError {
        self.inner.fail(step, error.into())
    }

    /// Stores a kernel as a callable of its own; its header is what it is known by.
    fn store_kernel(
        &self,
        name: &str,
        binary: &[u8],
        signature: &[ArgDirection],
    ) -> Result<u64, DeviceError> {
        let not_loaded = |error| DeviceError::KernelLoad { name: name.to_owned(), source: Box::new(error) };
        let mut callable = CoreCallable::encode(signature, binary).map_err(not_loaded)?;
        let memory = &self.inner.memory;
        let header =
            memory.alloc(callable.as_bytes().len() as u64).map_err(|error| self.fail(STORING, error))?;
        callable.set_resolved_addr(header + CORE_CALLABLE_BINARY_OFFSET as u64);
        memory.fill(header, callable.as_bytes()).map_err(|error| {
            memory.free_or_log(header);
            self.fail(STORING, error)
        })?;
        Ok(header)
    }
}

/// Steps, for messages.
const OPENING: &str = "opening the device";
const STORING: &str = "storing a kernel";

impl GlobalMemory for OnboardDevice {
    fn copy_to_device(&self, to: DevPtr, from: &[u8]) -> Result<(), DeviceError> {
        let memory = &self.inner.memory;
        memory.check("copy to device", to, from.len())?;
        memory.fill(to.addr(), from).map_err(|error| self.fail("copying to the device", error))
    }

    fn copy_from_device(&self, to: &mut [u8], from: DevPtr) -> Result<(), DeviceError> {
        let memory = &self.inner.memory;
        memory.check("copy from device", from, to.len())?;
        memory.read(to, from.addr()).map_err(|error| self.fail("copying from the device", error))
    }
}

impl Device for OnboardDevice {
    fn id(&self) -> u32 {
        self.inner.id
    }

    fn bind_thread(&self) -> Result<(), DeviceError> {
        self.inner.attach().map_err(|error| self.fail(OPENING, error))
    }

    fn alloc(&self, bytes: usize) -> Result<DevPtr, DeviceError> {
        let allocated = self.inner.memory.alloc(bytes as u64);
        allocated.map(DevPtr::new).map_err(|error| self.fail("allocating device memory", error))
    }

    fn free(&self, ptr: DevPtr) -> Result<(), DeviceError> {
        // The lost run may still use it.
        let park = self.inner.is_lost();
        self.inner.memory.free(ptr.addr(), park).map_err(|error| match error {
            OnboardError::NotAllocated { .. } => {
                DeviceError::InvalidPointer { operation: "free", ptr, len: 0, reason: error.to_string() }
            }
            other => self.fail("freeing device memory", other),
        })
    }

    fn register_kernel(
        &self,
        name: &str,
        source: &KernelSource,
        signature: &[ArgDirection],
    ) -> Result<KernelHandle, DeviceError> {
        let KernelSource::Object(binary) = source else {
            let device = self.inner.chip.name();
            return Err(DeviceError::Unsupported { what: "a kernel written as a Rust function", device });
        };
        let header = self.store_kernel(name, binary, signature)?;
        lock(&self.kernels).insert(header);
        Ok(KernelHandle(header))
    }

    fn unregister_kernel(&self, handle: KernelHandle) -> Result<(), DeviceError> {
        if !lock(&self.kernels).remove(&handle.0) {
            return Err(DeviceError::UnknownKernel { handle: handle.0 });
        }
        self.free(DevPtr::new(handle.0))
    }

    fn max_block_dim(&self, chip_max: u32) -> Result<u32, DeviceError> {
        let session = self.inner.session()?;
        let max = session.max_block_dim(&self.inner.hal, chip_max);
        max.map_err(|error| self.fail("asking for the device's cores", error))
    }

    fn runs_images(&self) -> bool {
        true
    }

    fn launch(&self, what: Launch) -> Result<Box<dyn DeviceRun>, DeviceError> {
        Ok(Box::new(launch(&self.inner, what)?))
    }

    fn takes_records(&self) -> bool {
        true
    }

    fn join(&self, rank: u32, ranks: u32, path: &Path) -> Result<Box<dyn CommRank>, DeviceError> {
        if !self.inner.chip.has_ranks() {
            return Err(DeviceError::Unsupported {
                what: "communication with other chips",
                device: self.inner.chip.name(),
            });
        }
        Ok(Box::new(OnboardRank::join(&self.inner, rank, ranks, path)?))
    }

    fn recover(&self) -> Result<(), DeviceError> {
        self.inner.recover()
    }

    fn reset(&self) -> Result<(), DeviceError> {
        self.inner.reset()?;
        lock(&self.kernels).clear();
        Ok(())
    }

    fn usage(&self) -> DeviceUsage {
        let (allocations, bytes) = self.inner.memory.in_use();
        DeviceUsage { allocations, bytes, kernels: lock(&self.kernels).len(), ..DeviceUsage::default() }
    }
}
