//! The device half: a program of the state machines, made from an image.

use std::fmt;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use device_runner::{Arch, CoreId, DeviceProgram, KernelTable, RunSinks, Topology};
use task_interface::ChipStorageTaskArgs;
use task_interface::trb::TrbErrorCode;

use super::arena::ChipNumbers;
use super::error::ImageError;
use super::objects::{LoadedObjects, ObjectOfImage};
use super::reader::Image;
use super::shared_memory::SharedMemoryHeader;
use crate::abi;
use crate::entry::{Entry, Job};
use crate::frames::Frames;
use crate::gm::OwnMemory;
use crate::payload::PayloadPool;
use crate::scheduler::Scheduler;
use crate::state::{Shared, Spare};

/// What an AICPU program keeps from run to run: loaded orchestrations, the payloads of the cores, and the memory of
/// the last graph.
///
/// For each launch one thread calls [`open`](Self::open), before it greets the cores; then the threads drive the
/// program that it gives, and at last one calls [`DeviceLaunch::finish`].
///
/// ```no_run
/// # use tensormap_and_ringbuffer::image::{DeviceHalf, ImageError};
/// # fn drive(program: &mut dyn device_runner::DeviceProgram) -> i32 { 0 }
/// # fn execute(half: &DeviceHalf, runtime: u64) -> Result<i32, ImageError> {
/// // SAFETY: the host has put a whole image there, which stays until the launch has ended.
/// let launch = unsafe { half.open(runtime, None) }?;
/// let mut program = launch.take_program();
/// let rc = drive(&mut *program);
/// Ok(launch.finish(program, rc))
/// # }
/// ```
pub struct DeviceHalf {
    arch: &'static dyn Arch,
    objects: LoadedObjects,
    frames: FramePool,
    spare: Spare,
}

/// Payloads and slabs of all cores of a chip, which no launch uses at the moment. They are never freed: a core that
/// does not leave may still write there.
type FramePool = Arc<Mutex<Vec<Arc<OwnMemory>>>>;

impl fmt::Debug for DeviceHalf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceHalf").field("arch", &self.arch.name()).finish_non_exhaustive()
    }
}

impl DeviceHalf {
    /// The device half for one chip.
    #[must_use]
    pub fn new(arch: &'static dyn Arch) -> Self {
        Self {
            arch,
            objects: LoadedObjects::default(),
            frames: FramePool::default(),
            spare: Spare::default(),
        }
    }

    /// Checks the image of a launch, boots its memory, and loads its orchestration. Whoever wants to know about the run
    /// is told by its program.
    ///
    /// Launches of one device half may overlap, where a loaded program serves several devices.
    ///
    /// # Errors
    /// [`ImageError::Invalid`], with nothing written; [`ImageError::Orchestration`], which the host also finds in
    /// the shared memory. The program then returns [`ImageError::status`].
    ///
    /// # Safety
    /// `runtime` must be the address of a whole `Runtime` object, and what it names (regions, kernels, orchestration)
    /// must be readable, the three regions also writable, at those addresses until the launch has been finished and
    /// its program dropped.
    pub unsafe fn open(
        &self,
        runtime: u64,
        sinks: Option<Arc<dyn RunSinks>>,
    ) -> Result<DeviceLaunch, ImageError> {
        // SAFETY: as the caller promises.
        let image = unsafe { Image::read(ChipNumbers::of(self.arch), runtime) }?;
        image.map.boot(image.sm, image.arena, abi::ops_address(), image.topology);
        let entry = self.load(&image).inspect_err(|error| {
            log::error!("{error}");
            // As an error of the orchestrator without a number of its own.
            let code_place = image.map.sm + SharedMemoryHeader::ORCH_ERROR_OFFSET;
            image.sm.write(code_place, &error.status());
        })?;
        self.launch(image, entry, sinks)
    }

    fn load(&self, image: &Image) -> Result<Arc<Mutex<Entry>>, ImageError> {
        let tail = &image.tail;
        let object = ObjectOfImage {
            callable: tail.active_callable_id,
            address: tail.dev_orch_so_addr,
            is_new: tail.register_new_callable_id != 0,
            entry: &image.entry_name,
            config: &image.config_name,
        };
        self.objects
            .get(&object, || image.object_bytes())
            .map_err(|source| ImageError::Orchestration { callable: object.callable, source })
    }

    fn launch(
        &self,
        image: Image,
        entry: Arc<Mutex<Entry>>,
        sinks: Option<Arc<dyn RunSinks>>,
    ) -> Result<DeviceLaunch, ImageError> {
        let Image { map, sm, heap, topology, kernels, tail, .. } = image;
        let state = self.spare.state(map.config, heap, PayloadPool::of_slots(sm, &map.shared));
        let shared = Shared::new(
            state.map_err(|error| ImageError::invalid("the rings", error, "possible ones"))?,
            sinks,
        );
        let job = Job {
            entry,
            args: Box::<ChipStorageTaskArgs>::new(tail.orch_args_storage),
            shared: Arc::clone(&shared),
            kernels: Arc::clone(&kernels),
            topology,
        };
        let spare = self.frames.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let memory = spare.unwrap_or_else(|| Frames::device_memory(map.chip.cores));
        let frames = Frames::for_device(Arc::clone(&memory), topology.cores());
        let payload_pairs = (0..topology.cores()).map(|core| frames.payloads(CoreId(core))).collect();
        let program = Scheduler::new(
            Arc::clone(&shared),
            Box::new(job),
            frames,
            topology,
            Arc::clone(&kernels),
            self.arch.has_sdma_event_records(),
        );
        Ok(DeviceLaunch {
            program: Mutex::new(Some(program)),
            shared,
            spare: self.spare.clone(),
            header: map.header(),
            sm,
            topology,
            aicpu_threads: tail.aicpu_thread_num.cast_unsigned(),
            orch_to_sched: tail.orch_to_sched != 0,
            kernels,
            payload_pairs,
            frames: (memory, Arc::clone(&self.frames)),
            failing_thread: AtomicI32::new(0),
        })
    }
}

/// One launch of a device program, shared by its threads. It has to be [finished](Self::finish), also when nothing
/// could be run: dropping it tells the host nothing.
pub struct DeviceLaunch {
    /// Behind a lock only so that all threads may share the launch.
    program: Mutex<Option<Scheduler>>,
    shared: Arc<Shared>,
    spare: Spare,
    header: SharedMemoryHeader,
    sm: crate::gm::Gm,
    topology: Topology,
    aicpu_threads: u32,
    orch_to_sched: bool,
    kernels: Arc<KernelTable>,
    payload_pairs: Vec<u64>,
    /// What the payloads are in, and where it goes afterwards.
    frames: (Arc<OwnMemory>, FramePool),
    failing_thread: AtomicI32,
}

impl fmt::Debug for DeviceLaunch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceLaunch")
            .field("topology", &self.topology)
            .field("aicpu_threads", &self.aicpu_threads)
            .finish_non_exhaustive()
    }
}

impl DeviceLaunch {
    /// The cores of the launch.
    #[must_use]
    pub fn topology(&self) -> Topology {
        self.topology
    }

    /// Logical AICPU threads, at least 2: the last runs the orchestration, the others deal tasks.
    #[must_use]
    pub fn aicpu_threads(&self) -> u32 {
        self.aicpu_threads
    }

    /// Whether the orchestrator's thread shall deal tasks too, once the graph is built.
    #[must_use]
    pub fn orch_to_sched(&self) -> bool {
        self.orch_to_sched
    }

    /// Address of a core's two dispatch payloads, for its handshake (`spec/device-abi.md`, sections 2.4 and 2.8).
    ///
    /// The n-th dispatch to a core, from 1 on, is in payload `n & 1`: so a token that counts dispatches names the right
    /// one. The payload's `function_bin_addr` is set like everything else in it.
    #[must_use]
    pub fn payload_pair(&self, core: CoreId) -> u64 {
        self.payload_pairs.get(core.0 as usize).copied().unwrap_or(0)
    }

    /// What the client calls the kernel of a [`Dispatch`](device_runner::Dispatch); `u32::MAX` for none.
    #[must_use]
    pub fn func_id(&self, kernel: u32) -> u32 {
        self.kernels.kernels().get(kernel as usize).map_or(u32::MAX, |kernel| kernel.func_id)
    }

    /// The address that a core calls for the kernel of a [`Dispatch`](device_runner::Dispatch); 0 for none.
    #[must_use]
    pub fn kernel_entry(&self, kernel: u32) -> u64 {
        self.kernels.kernels().get(kernel as usize).map_or(0, |kernel| kernel.handle.0)
    }

    /// The program to drive; called once. A second call gives one that has nothing to do.
    pub fn take_program(&self) -> Box<dyn DeviceProgram> {
        let program = self.program.lock().unwrap_or_else(PoisonError::into_inner).take();
        Box::new(program.unwrap_or_else(|| Scheduler::ended(Arc::clone(&self.shared))))
    }

    /// Ends the run for what AICPU thread `thread` has met: a core that does not answer, no progress for too long.
    /// The first such error counts. The program then has nothing to start any more.
    pub fn fail(&self, thread: u32, code: TrbErrorCode, message: &str) {
        let mut state = self.shared.lock();
        if state.scheduler_fatal.is_none() {
            self.failing_thread.store(thread.cast_signed(), Ordering::Release);
        }
        self.shared.fail_scheduling(&mut state, code, message.to_owned());
    }

    /// Publishes how the run went in the shared memory; the status that the AICPU program returns: that of the
    /// run, or `rc` if that is 0 (`spec/device-abi.md`, section 4.6).
    pub fn finish(self, program: Box<dyn DeviceProgram>, rc: i32) -> i32 {
        drop(program);
        let Self { program: unused, shared, spare, mut header, sm, frames, failing_thread, .. } = self;
        drop(unused);
        let (memory, pool) = frames;
        pool.lock().unwrap_or_else(PoisonError::into_inner).push(memory);
        let state = shared.lock();
        for (ring, header) in state.rings.iter().zip(&mut header.rings) {
            header.fc.current_task_index = ring.next_id().cast_signed();
            header.fc.last_task_alive = ring.first_alive().cast_signed();
        }
        header.orchestrator_done = i32::from(state.orchestrated);
        header.orch_error_code = state.orchestrator_fatal.as_ref().map_or(0, |fatal| fatal.code);
        if let Some(fatal) = &state.scheduler_fatal {
            header.sched_error_code = fatal.code;
            header.sched_error_thread = failing_thread.load(Ordering::Acquire);
            header.sched_error_bitmap =
                1u32.checked_shl(header.sched_error_thread.cast_unsigned()).unwrap_or(0);
        }
        if let Some(scopes) = shared.sinks().and_then(|sinks| sinks.scopes())
            && state.fatal().is_some()
        {
            scopes.fatal();
        }
        drop(state);
        sm.write(sm.address(0), &header);
        spare.keep(shared);
        match header.status() {
            0 => rc,
            status => status,
        }
    }
}
