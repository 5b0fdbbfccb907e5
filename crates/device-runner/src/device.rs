use std::fmt;
use std::path::Path;
use std::sync::Arc;

use task_interface::{ArgDirection, CORE_CALLABLE_BINARY_OFFSET};

use crate::arch::Topology;
use crate::comm::CommRank;
use crate::dev_ptr::DevPtr;
use crate::diagnostics::Recorder;
use crate::error::DeviceError;
use crate::kernel::{KernelHandle, KernelSource, LaunchKernel};
use crate::program::DeviceProgram;

/// Global memory of a device (GM), reached only by checked copies.
pub trait GlobalMemory: fmt::Debug + Send + Sync {
    /// Copies host bytes into device memory.
    ///
    /// # Errors
    /// [`DeviceError::InvalidPointer`] unless the range is inside one live allocation.
    fn copy_to_device(&self, to: DevPtr, from: &[u8]) -> Result<(), DeviceError>;

    /// Copies device memory into host bytes.
    ///
    /// # Errors
    /// [`DeviceError::InvalidPointer`] unless the range is inside one live allocation.
    fn copy_from_device(&self, to: &mut [u8], from: DevPtr) -> Result<(), DeviceError>;
}

/// Something that has device memory and runs launches: a simulated chip, or a real one.
///
/// Every method may be called from any thread. A device checks addresses and sizes itself; it does not
/// keep track of who owns what, which is the runner's job.
///
/// An implementation must not panic. If one does all the same, in a method that returns a `Result` or in
/// one of its [`DeviceRun`], the runner makes a [`DeviceError::Internal`] of it and goes on as after any
/// other error: what the call would have returned does not exist, and what it should have given back
/// counts as given back as soon as [`reset`](Self::reset) succeeds.
pub trait Device: GlobalMemory {
    /// The device id the client chose.
    fn id(&self) -> u32;

    /// Makes this thread one that may talk to the device. Called before each group of calls; cheap.
    ///
    /// # Errors
    /// When the device does not exist or is lost.
    fn bind_thread(&self) -> Result<(), DeviceError>;

    /// Allocates `bytes` of device memory with undefined contents; 0 bytes give a unique address too.
    ///
    /// # Errors
    /// [`DeviceError::OutOfMemory`].
    fn alloc(&self, bytes: usize) -> Result<DevPtr, DeviceError>;

    /// Frees what [`alloc`](Self::alloc) returned.
    ///
    /// # Errors
    /// [`DeviceError::InvalidPointer`] for any other address.
    fn free(&self, ptr: DevPtr) -> Result<(), DeviceError>;

    /// Makes a kernel callable by the cores. `name` is for messages; the signature, which may be empty, is for whoever
    /// dumps the tensors of its tasks.
    ///
    /// # Errors
    /// [`DeviceError::KernelLoad`] when the code cannot be loaded, [`DeviceError::Unsupported`] when
    /// this device cannot run that kind of kernel.
    fn register_kernel(
        &self,
        name: &str,
        source: &KernelSource,
        signature: &[ArgDirection],
    ) -> Result<KernelHandle, DeviceError>;

    /// Undoes [`register_kernel`](Self::register_kernel).
    ///
    /// # Errors
    /// When the device does not know the handle.
    fn unregister_kernel(&self, handle: KernelHandle) -> Result<(), DeviceError>;

    /// Clusters that a launch may have here, of the `chip_max` that the chip has.
    ///
    /// # Errors
    /// When the device cannot be asked.
    fn max_block_dim(&self, chip_max: u32) -> Result<u32, DeviceError> {
        Ok(chip_max)
    }

    /// Whether launches run on AICPU and AICore programs of the device's own, which read an image
    /// ([`DeviceProgram::take_image`]), instead of an engine of this process.
    fn runs_images(&self) -> bool {
        false
    }

    /// Of a device that runs images: whether it takes over what its programs record.
    fn takes_records(&self) -> bool {
        false
    }

    /// Of a device that runs images: the address that device programs call for a registered kernel, whose
    /// handle is then the device address of its `CoreCallable` header.
    fn kernel_entry(&self, kernel: KernelHandle) -> u64 {
        kernel.0 + CORE_CALLABLE_BINARY_OFFSET as u64
    }

    /// Of a device that runs images: grows from at least 1 whenever its programs are loaded anew, which then have
    /// none of the orchestrations that they were given before.
    fn program_generation(&self) -> u64 {
        1
    }

    /// Starts a launch and returns at once.
    ///
    /// # Errors
    /// [`DeviceError::Unusable`] after a launch that could not be ended; [`DeviceError::Busy`] while
    /// another launch runs.
    fn launch(&self, launch: Launch) -> Result<Box<dyn DeviceRun>, DeviceError>;

    /// Joins a job of `ranks` devices as `rank`; all of them name the same `path`.
    ///
    /// # Errors
    /// [`DeviceError::Unsupported`] on a device that cannot talk to others; otherwise why it cannot join.
    fn join(&self, _rank: u32, _ranks: u32, _path: &Path) -> Result<Box<dyn CommRank>, DeviceError> {
        Err(DeviceError::Unsupported { what: "communication with other chips", device: "this device" })
    }

    /// Makes the device usable again after a launch that was [lost](DeviceError::Lost) and of which
    /// [`BoundRun::diagnose`](crate::BoundRun::diagnose) knows why its program ended; called when that launch is gone.
    ///
    /// # Errors
    /// When more than the program has failed: then it stays as it is until [`reset`](Self::reset).
    fn recover(&self) -> Result<(), DeviceError> {
        Err(DeviceError::Unsupported { what: "going on after a lost launch", device: "this device" })
    }

    /// Gives back everything the device itself holds. The device can be used again afterwards.
    ///
    /// # Errors
    /// When something could not be given back; calling again tries again.
    fn reset(&self) -> Result<(), DeviceError>;

    /// What the device holds at the moment, by its own count.
    fn usage(&self) -> DeviceUsage;
}

/// One launch: the cores, the kernels, and the AICPU program that deals tasks to them.
#[allow(clippy::exhaustive_structs, reason = "plain data between runner and device")]
pub struct Launch {
    /// The cores of this launch.
    pub topology: Topology,
    /// Logical AICPU threads; a native engine needs one whatever this says.
    pub aicpu_threads: u32,
    /// Kernels that dispatches refer to by index.
    pub kernels: Vec<LaunchKernel>,
    /// Decides what runs.
    pub program: Box<dyn DeviceProgram>,
    /// What is to be told about the cores, if anything is. To be let go of when the launch has ended.
    pub recorder: Option<Arc<Recorder>>,
}

impl fmt::Debug for Launch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Launch")
            .field("topology", &self.topology)
            .field("aicpu_threads", &self.aicpu_threads)
            .field("kernels", &self.kernels)
            .finish_non_exhaustive()
    }
}

/// A launch under way. It may be used and dropped on another thread than the one that launched it, also on
/// one that was never given to [`Device::bind_thread`].
///
/// Dropping it stops the launch: nothing more is started, and what was started is waited for or, if it
/// never ends, given up with the device.
pub trait DeviceRun: fmt::Debug + Send {
    /// Whether the launch has ended; takes no longer than a few milliseconds. Also lets a device that needs pumping
    /// go on.
    fn poll(&mut self) -> bool;

    /// Blocks until the launch has ended.
    ///
    /// # Errors
    /// What ended the launch early.
    fn wait(self: Box<Self>) -> Result<DeviceOutcome, DeviceError>;
}

/// How a launch ended well.
#[allow(clippy::exhaustive_structs, reason = "plain data between device and runner")]
pub struct DeviceOutcome {
    /// Device time from the launch to the end of its last task, in nanoseconds.
    pub device_wall_ns: u64,
    /// The program, for its results.
    pub program: Box<dyn DeviceProgram>,
}

impl fmt::Debug for DeviceOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceOutcome").field("device_wall_ns", &self.device_wall_ns).finish_non_exhaustive()
    }
}

/// What a device holds by its own count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "built by devices outside of this crate")]
pub struct DeviceUsage {
    /// Live allocations.
    pub allocations: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Registered kernels.
    pub kernels: usize,
    /// Threads that exist to run kernels.
    pub threads: usize,
    /// Threads inside a kernel that was given up; they end when the kernel returns.
    pub abandoned_threads: usize,
}
