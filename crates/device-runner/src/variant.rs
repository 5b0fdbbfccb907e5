use std::fmt;
use std::sync::Arc;

use task_interface::ChipStorageTaskArgs;

use crate::arch::{Arch, Topology};
use crate::arena::StaticArenas;
use crate::args::ReadOnly;
use crate::callable::{KernelTable, OrchestrationSource};
use crate::device::Device;
use crate::diagnostics::Recorder;
use crate::error::VariantError;
use crate::kernel::KernelHandle;
use crate::memory::Memory;
use crate::program::DeviceProgram;

/// A way to make task graphs: the host half, and the device half it hands over.
pub trait RuntimeVariant: fmt::Debug + Send + Sync {
    /// Its name as in paths and on command lines, for example `host_build_graph`.
    fn name(&self) -> &'static str;

    /// Tells orchestration objects apart before their bytes are compared (build id, or a hash).
    fn fingerprint(&self, object: &[u8]) -> u64;

    /// Opens the orchestration of one callable; each callable has its own.
    ///
    /// With `for_image`, runs will be images for device programs: what these load themselves may be code for
    /// another machine than this one.
    ///
    /// Called with the runner bound to the calling thread.
    ///
    /// # Errors
    /// [`VariantError::Load`] or [`VariantError::WrongKind`].
    fn open(
        &self,
        source: &OrchestrationSource,
        for_image: bool,
    ) -> Result<Box<dyn Orchestration>, VariantError>;
}

/// The opened orchestration of one callable.
pub trait Orchestration: fmt::Debug + Send + Sync {
    /// Whether opening it loaded a shared object on the host (counted, see
    /// [`DlopenCounts`](crate::DlopenCounts)).
    fn loaded_on_host(&self) -> bool;

    /// Whether its first run loads a shared object on the device (counted likewise).
    fn loads_on_device(&self) -> bool;

    /// Builds what one run needs: graph, staged tensors, arenas.
    ///
    /// Called with the runner bound to the calling thread.
    ///
    /// # Errors
    /// [`VariantError`]; everything taken so far is given back.
    fn bind(
        &self,
        context: &RunContext<'_>,
        args: &ChipStorageTaskArgs,
    ) -> Result<Box<dyn BoundRun>, VariantError>;
}

/// What a variant may use while it builds a run.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct RunContext<'a> {
    /// Device memory.
    pub memory: &'a Arc<Memory>,
    /// The callable's kernels.
    pub kernels: &'a Arc<KernelTable>,
    /// The cores the run will have.
    pub topology: Topology,
    /// The chip.
    pub arch: &'static dyn Arch,
    /// The pooled regions.
    pub arenas: &'a StaticArenas,
    /// Tensor arguments that are not copied back.
    pub read_only: ReadOnly,
    /// Who will run the program.
    pub target: Target<'a>,
    /// What is to be told about the graph, if anything is.
    pub recorder: Option<&'a Arc<Recorder>>,
}

/// Who runs a program.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::exhaustive_enums, reason = "a variant has to serve both")]
pub enum Target<'a> {
    /// An engine of this process, which drives it as a state machine.
    Engine,
    /// The device's own programs, which read it as an image.
    Image(ImageTarget<'a>),
}

/// What an image says about its run besides the graph.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ImageTarget<'a> {
    device: &'a dyn Device,
    /// Logical AICPU threads.
    pub aicpu_threads: u32,
    /// The callable's id, under which device programs keep its orchestration.
    pub callable_id: i32,
    /// Whether device programs may not have its orchestration yet.
    pub is_new: bool,
}

impl<'a> ImageTarget<'a> {
    pub(crate) fn new(device: &'a dyn Device, aicpu_threads: u32, callable_id: i32, is_new: bool) -> Self {
        Self { device, aicpu_threads, callable_id, is_new }
    }

    /// The address that device programs call for a kernel.
    #[must_use]
    pub fn kernel_entry(&self, kernel: KernelHandle) -> u64 {
        self.device.kernel_entry(kernel)
    }
}

/// One run's resources. Dropping it gives all of them back and copies nothing; that may happen on any
/// thread and without a runner bound to it, and must not panic.
pub trait BoundRun: fmt::Debug + Send {
    /// Writes what the run needs into the pooled regions, which are its own from here until it has ended: other
    /// runs may be bound meanwhile, but not launched. Called before [`take_program`](Self::take_program), with the
    /// runner bound to the calling thread.
    ///
    /// # Errors
    /// [`VariantError`]; the run is dropped then.
    fn prepare_launch(&mut self) -> Result<(), VariantError> {
        Ok(())
    }

    /// The device half; called once, before the launch.
    fn take_program(&mut self) -> Box<dyn DeviceProgram>;

    /// What device programs have left in memory about a launch that failed, if they say more than the device
    /// does. Then the launch has ended by itself, and the device is asked to [recover](Device::recover). Called with the runner bound to the calling thread.
    fn diagnose(&self) -> Option<VariantError> {
        None
    }

    /// Ends a run that went well: copies results back and releases everything; the number of tasks that ran.
    /// Called with the runner bound to the calling thread.
    ///
    /// # Errors
    /// [`VariantError`]; everything is released all the same.
    fn finish(self: Box<Self>, program: Box<dyn DeviceProgram>) -> Result<u64, VariantError>;
}
