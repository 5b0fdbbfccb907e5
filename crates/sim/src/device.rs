use std::fmt;
use std::path::Path;
use std::sync::Arc;

use device_runner::{
    CommRank, DevPtr, Device, DeviceError, DeviceOutcome, DeviceRun, DeviceUsage, GlobalMemory, KernelHandle,
    KernelSource, Launch,
};
use task_interface::ArgDirection;

use crate::comm::{Jobs, SimRank};
use crate::engine::Engine;
use crate::kernels::KernelStore;
use crate::memory::AddressSpace;
use crate::monitor::Monitor;
use crate::options::SimOptions;

/// A simulated device. Any number may exist in a process, with equal ids or not; they share nothing.
pub struct SimDevice {
    id: u32,
    options: SimOptions,
    space: Arc<AddressSpace>,
    jobs: Arc<Jobs>,
    kernels: KernelStore,
    engine: Arc<Engine>,
}

impl fmt::Debug for SimDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimDevice")
            .field("id", &self.id)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// Device ids cross the C API as a signed number.
pub(crate) const MAX_ID: u32 = i32::MAX.unsigned_abs();

impl SimDevice {
    /// A device with nothing in it. Threads are made when they are first needed.
    ///
    /// # Errors
    /// [`DeviceError::NoSuchDevice`] for an id that is not a C `int`.
    pub fn new(id: u32, options: SimOptions) -> Result<Self, DeviceError> {
        if id > MAX_ID {
            return Err(DeviceError::NoSuchDevice { id, available: format!("0 to {MAX_ID}") });
        }
        let space = Arc::new(AddressSpace::new(options.memory_capacity));
        let permits = options.permits.unwrap_or_else(crate::spin::cpus);
        let jobs = Arc::new(Jobs::default());
        let engine = Engine::new(Arc::clone(&space), Arc::clone(&jobs), permits);
        Ok(Self { id, options, space, jobs, kernels: KernelStore::default(), engine })
    }
}

impl GlobalMemory for SimDevice {
    fn copy_to_device(&self, to: DevPtr, from: &[u8]) -> Result<(), DeviceError> {
        self.space.copy_to_device(to, from)
    }

    fn copy_from_device(&self, to: &mut [u8], from: DevPtr) -> Result<(), DeviceError> {
        self.space.copy_from_device(to, from)
    }
}

impl Device for SimDevice {
    fn id(&self) -> u32 {
        self.id
    }

    fn bind_thread(&self) -> Result<(), DeviceError> {
        Ok(())
    }

    fn alloc(&self, bytes: usize) -> Result<DevPtr, DeviceError> {
        self.space.alloc(bytes)
    }

    fn free(&self, ptr: DevPtr) -> Result<(), DeviceError> {
        self.space.free(ptr)
    }

    fn register_kernel(
        &self,
        name: &str,
        source: &KernelSource,
        _signature: &[ArgDirection],
    ) -> Result<KernelHandle, DeviceError> {
        self.kernels.register(name, source)
    }

    fn unregister_kernel(&self, handle: KernelHandle) -> Result<(), DeviceError> {
        self.kernels.unregister(handle)
    }

    fn launch(&self, launch: Launch) -> Result<Box<dyn DeviceRun>, DeviceError> {
        let kernels: Result<_, _> =
            launch.kernels.iter().map(|kernel| self.kernels.get(kernel.handle)).collect();
        let serial = self.engine.launch(launch, kernels?)?;
        let monitor = Monitor::new(Arc::clone(&self.engine), serial, self.options.watchdog);
        Ok(Box::new(SimRun { monitor, ended: false }))
    }

    fn join(&self, rank: u32, ranks: u32, path: &Path) -> Result<Box<dyn CommRank>, DeviceError> {
        let limit = self.options.comm_limit;
        Ok(Box::new(SimRank::join(&self.space, &self.jobs, limit, rank, ranks, path)?))
    }

    fn reset(&self) -> Result<(), DeviceError> {
        self.engine.stop_carriers();
        self.space.free_all();
        self.kernels.clear();
        Ok(())
    }

    fn usage(&self) -> DeviceUsage {
        let (allocations, bytes) = self.space.in_use();
        let (threads, abandoned_threads) = self.engine.lock().threads();
        DeviceUsage { allocations, bytes, kernels: self.kernels.len(), threads, abandoned_threads }
    }
}

impl Drop for SimDevice {
    fn drop(&mut self) {
        self.engine.stop_carriers();
    }
}

#[derive(Debug)]
struct SimRun {
    monitor: Monitor,
    ended: bool,
}

impl DeviceRun for SimRun {
    fn poll(&mut self) -> bool {
        self.monitor.poll()
    }

    fn wait(mut self: Box<Self>) -> Result<DeviceOutcome, DeviceError> {
        self.monitor.wait();
        self.ended = true;
        let (program, end) = self.monitor.take_ending().unwrap_or(Err(DeviceError::Cancelled))?;
        Ok(DeviceOutcome { device_wall_ns: end.0, program })
    }
}

impl Drop for SimRun {
    fn drop(&mut self) {
        if !self.ended {
            self.monitor.cancel();
        }
    }
}
