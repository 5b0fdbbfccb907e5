use std::sync::Arc;
use std::time::Duration;

use device_runner::{Device, DeviceRunner, Programs, RuntimeVariant};
use host_build_graph::HostBuildGraph;
use tensormap_and_ringbuffer::{RingOptions, TensormapAndRingbuffer};

use crate::error::WorkerError;
#[cfg(feature = "onboard")]
use crate::hardware::Hardware;
use crate::platform::{Platform, RuntimeKind};
use crate::worker::ChipWorker;

/// What a worker will be made of, see [`ChipWorker::builder`].
#[derive(Clone, Debug)]
#[must_use]
pub struct ChipWorkerBuilder {
    platform: Platform,
    runtime: RuntimeKind,
    device: u32,
    watchdog: Option<Duration>,
    permits: Option<usize>,
    memory_capacity: Option<u64>,
    comm_limit: Option<Duration>,
    rings: RingOptions,
    programs: Option<Programs>,
    #[cfg(feature = "onboard")]
    hardware: Hardware,
}

/// No kernel takes that long on purpose; a slow machine may well take a hundredth of it.
const DEFAULT_WATCHDOG: Duration = Duration::from_secs(60);

impl Default for ChipWorkerBuilder {
    fn default() -> Self {
        Self {
            platform: Platform::A2a3Sim,
            runtime: RuntimeKind::HostBuildGraph,
            device: 0,
            watchdog: Some(DEFAULT_WATCHDOG),
            permits: None,
            memory_capacity: None,
            comm_limit: None,
            rings: RingOptions::default(),
            programs: None,
            #[cfg(feature = "onboard")]
            hardware: Hardware::default(),
        }
    }
}

impl ChipWorkerBuilder {
    /// The chip and what executes for it; a2a3 in simulation unless set.
    pub fn platform(mut self, platform: Platform) -> Self {
        self.platform = platform;
        self
    }

    /// How graphs are made; `host_build_graph` unless set.
    pub fn runtime(mut self, runtime: RuntimeKind) -> Self {
        self.runtime = runtime;
        self
    }

    /// The device id; 0 unless set. Simulated devices share nothing, even if their ids are equal.
    pub fn device(mut self, id: u32) -> Self {
        self.device = id;
        self
    }

    /// In simulation, how long a run may go without any kernel ending; `None` for as long as it likes.
    /// 60 seconds unless set.
    pub fn watchdog(mut self, limit: Option<Duration>) -> Self {
        self.watchdog = limit;
        self
    }

    /// In simulation, how many kernels run at once while none is blocked; all CPUs of the process unless set.
    pub fn permits(mut self, kernels: usize) -> Self {
        self.permits = Some(kernels);
        self
    }

    /// In simulation, bytes of device memory; 64 GiB unless set. Memory that is not touched costs nothing.
    pub fn memory_capacity(mut self, bytes: u64) -> Self {
        self.memory_capacity = Some(bytes);
        self
    }

    /// How long a call waits for other ranks of a job; two minutes unless set.
    pub fn comm_limit(mut self, limit: Duration) -> Self {
        self.comm_limit = Some(limit);
        self
    }

    /// Sizes of the rings of `tensormap_and_ringbuffer`; what is not set comes from the environment, see
    /// [`RingOptions`].
    pub fn rings(mut self, rings: RingOptions) -> Self {
        self.rings = rings;
        self
    }

    /// The programs that run on the device itself: those of the platform and the runtime.
    ///
    /// Hardware needs them. In simulation an engine of this crate takes their place unless they are set; with them
    /// every core and every AICPU thread is a thread of its own that runs them, and kernels are compiled ones only.
    pub fn programs(mut self, programs: Programs) -> Self {
        self.programs = Some(programs);
        self
    }

    /// On hardware, the calls of CANN to use, for example those of a stand-in; its libraries on this machine unless
    /// set.
    #[cfg(feature = "onboard")]
    pub fn hal(mut self, hal: Arc<hal_sys::Hal>) -> Self {
        self.hardware.hal = Some(hal);
        self
    }

    /// On hardware, how long one kernel may run; the chip's own limit unless set, which is a second.
    #[cfg(feature = "onboard")]
    pub fn op_timeout(mut self, limit: Duration) -> Self {
        self.hardware.op_timeout = Some(limit);
        self
    }

    /// On hardware, how long each of a run's two streams is waited for; the chip's own limit unless set, which is two
    /// seconds. A run that takes longer loses the device.
    #[cfg(feature = "onboard")]
    pub fn stream_timeout(mut self, limit: Duration) -> Self {
        self.hardware.stream_timeout = Some(limit);
        self
    }

    /// Takes the device into use.
    ///
    /// # Errors
    /// [`WorkerError::PlatformUnavailable`], on hardware [`WorkerError::NoPrograms`] and [`WorkerError::NoCann`], or why the device cannot be used.
    pub fn build(self) -> Result<ChipWorker, WorkerError> {
        let (platform, runtime) = (self.platform, self.runtime);
        Ok(ChipWorker::new(self.build_runner()?, platform, runtime))
    }

    /// Takes the device into use, for whoever puts another API than [`ChipWorker`] around it.
    ///
    /// # Errors
    /// As [`build`](Self::build).
    pub fn build_runner(self) -> Result<Arc<DeviceRunner>, WorkerError> {
        let unavailable = || WorkerError::PlatformUnavailable {
            platform: self.platform,
            features: self.platform.features(),
        };
        let arch = self.platform.arch().ok_or_else(unavailable)?;
        let device = self.device_for_platform()?.ok_or_else(unavailable)?;
        let variant: Box<dyn RuntimeVariant> = match self.runtime {
            RuntimeKind::HostBuildGraph => Box::new(HostBuildGraph::default()),
            RuntimeKind::TensormapAndRingbuffer => Box::new(TensormapAndRingbuffer::with_rings(self.rings)),
        };
        Ok(DeviceRunner::attach(arch, variant, device)?)
    }

    fn device_for_platform(&self) -> Result<Option<Arc<dyn Device>>, WorkerError> {
        if self.platform.is_simulated() { self.simulated_device() } else { self.real_device() }
    }

    #[cfg(feature = "onboard")]
    fn real_device(&self) -> Result<Option<Arc<dyn Device>>, WorkerError> {
        self.hardware.open(self.platform, self.device, self.comm_limit, self.programs.as_ref())
    }

    #[cfg(not(feature = "onboard"))]
    #[allow(clippy::unused_self, clippy::unnecessary_wraps, reason = "as with the feature")]
    fn real_device(&self) -> Result<Option<Arc<dyn Device>>, WorkerError> {
        Ok(None)
    }

    #[cfg(feature = "sim")]
    fn simulated_device(&self) -> Result<Option<Arc<dyn Device>>, WorkerError> {
        let mut options = sim::SimOptions::default();
        options.watchdog = self.watchdog;
        options.permits = self.permits;
        options.comm_limit = self.comm_limit;
        options.memory_capacity = self.memory_capacity.unwrap_or(options.memory_capacity);
        let (Some(programs), Some(arch)) = (&self.programs, self.platform.arch()) else {
            return Ok(Some(Arc::new(sim::SimDevice::new(self.device, options)?)));
        };
        let (runtime, programs) = (self.runtime.name(), programs.clone());
        let device = sim::RegisterDevice::open(self.device, arch, runtime, programs, options)?;
        Ok(Some(Arc::new(device)))
    }

    #[cfg(not(feature = "sim"))]
    fn simulated_device(&self) -> Result<Option<Arc<dyn Device>>, WorkerError> {
        let _ =
            (self.device, self.watchdog, self.permits, self.memory_capacity, self.comm_limit, &self.programs);
        Ok(None)
    }
}
