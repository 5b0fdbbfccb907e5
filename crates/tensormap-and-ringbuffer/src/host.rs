//! The host half: staging of tensors, pooled memory, and the run's result.

use std::fmt;
use std::sync::{Arc, Mutex};

use device_runner::{
    ArenaLease, ArenaSizes, BoundRun, DevPtr, DeviceProgram, Orchestration, OrchestrationSource, Recorder,
    Roles, RunContext, RunSinks, RuntimeVariant, Topology, VariantError,
};
use object_loader::elf;
use task_interface::ChipStorageTaskArgs;
use task_interface::trb::TrbErrorCode;

use crate::entry::{Entry, Job};
use crate::frames::Frames;
use crate::gm::Gm;
use crate::image::ImageHost;
use crate::options::RingOptions;
use crate::payload::PayloadPool;
use crate::replay::replay;
use crate::rings::RingConfig;
use crate::scheduler::Scheduler;
use crate::staging::StagedTensors;
use crate::state::{RINGS, Shared, Spare};

/// The variant, to be given to a [`DeviceRunner`](device_runner::DeviceRunner).
#[derive(Debug, Default)]
pub struct TensormapAndRingbuffer {
    options: RingOptions,
    /// The state of the last run, whose memory the next one takes over.
    spare: Spare,
    image: ImageHost,
}

impl TensormapAndRingbuffer {
    /// Name as in paths and on command lines.
    pub const NAME: &'static str = "tensormap_and_ringbuffer";

    /// The variant with ring sizes of its own; what is not set comes from the environment.
    #[must_use]
    pub fn with_rings(options: RingOptions) -> Self {
        Self { options, ..Self::default() }
    }
}

impl RuntimeVariant for TensormapAndRingbuffer {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn fingerprint(&self, object: &[u8]) -> u64 {
        elf::build_id_64(object)
    }

    fn open(
        &self,
        source: &OrchestrationSource,
        for_image: bool,
    ) -> Result<Box<dyn Orchestration>, VariantError> {
        if for_image {
            return self.image.open(source, self.options);
        }
        let entry = Entry::open(source)?;
        let is_object = entry.is_object();
        let entry = Arc::new(Mutex::new(entry));
        Ok(Box::new(TrbOrchestration { entry, is_object, options: self.options, spare: self.spare.clone() }))
    }
}

/// One callable's orchestration.
#[derive(Debug)]
struct TrbOrchestration {
    /// Locked while it runs: its library has one current runtime.
    entry: Arc<Mutex<Entry>>,
    is_object: bool,
    options: RingOptions,
    spare: Spare,
}

impl Orchestration for TrbOrchestration {
    fn loaded_on_host(&self) -> bool {
        false
    }

    fn loads_on_device(&self) -> bool {
        self.is_object
    }

    fn bind(
        &self,
        context: &RunContext<'_>,
        args: &ChipStorageTaskArgs,
    ) -> Result<Box<dyn BoundRun>, VariantError> {
        let config = self.options.resolve().map_err(|error| VariantError::Graph(error.into()))?;
        let (regions, lease) = Regions::commit(context, &config)?;
        let (args, staged) = StagedTensors::stage(context, args)?;
        let state = self.spare.state(config, regions.heap, PayloadPool::pooled(regions.payloads));
        let mut state = state.map_err(|error| VariantError::Graph(error.into()))?;
        state.without_kernel = context.recorder.is_some().then(Vec::new);
        let sinks = context.recorder.map(|recorder| Arc::clone(recorder) as Arc<dyn RunSinks>);
        let shared = Shared::new(state, sinks);
        if let Some(recorder) = context.recorder {
            recorder.set_roles(roles(recorder.aicpu_threads()));
        }
        let job = Job {
            entry: Arc::clone(&self.entry),
            args,
            shared: Arc::clone(&shared),
            kernels: Arc::clone(context.kernels),
            topology: context.topology,
        };
        let program = Scheduler::new(
            Arc::clone(&shared),
            Box::new(job),
            Frames::for_engine(regions.frames, context.topology.cores()),
            context.topology,
            Arc::clone(context.kernels),
            context.arch.has_sdma_event_records(),
        );
        Ok(Box::new(TrbRun {
            program: Some(Box::new(program)),
            shared,
            recorder: context.recorder.map(Arc::clone),
            staged,
            spare: self.spare.clone(),
            _lease: lease,
        }))
    }
}

/// The pooled memory of a run.
struct Regions {
    heap: Gm,
    payloads: Gm,
    frames: Gm,
}

impl Regions {
    fn commit(context: &RunContext<'_>, config: &RingConfig) -> Result<(Self, ArenaLease), VariantError> {
        let bytes = [
            config.heap_of_all_rings(),
            PayloadPool::bytes(RINGS as u64 * u64::from(config.window)),
            // For all cores of the chip, so that runs of any block_dim use the same memory.
            Frames::engine_bytes(Topology::new(context.arch.limits().max_block_dim).cores()),
        ];
        let [gm_heap, gm_sm, runtime_arena] = bytes.map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
        let lease = context.arenas.lease(ArenaSizes { gm_heap, gm_sm, runtime_arena })?;
        let bases = [context.arenas.gm_heap(), context.arenas.gm_sm(), context.arenas.runtime_arena()];
        let region = |index: usize| {
            let base = bases[index].map_or(0, DevPtr::addr);
            // SAFETY: the lease keeps the arenas committed until the run has ended; the device half runs where device
            // memory is reached by address.
            unsafe { Gm::new(base, bytes[index]) }
        };
        Ok((Self { heap: region(0), payloads: region(1), frames: region(2) }, lease))
    }
}

struct TrbRun {
    program: Option<Box<Scheduler>>,
    shared: Arc<Shared>,
    recorder: Option<Arc<Recorder>>,
    staged: StagedTensors,
    spare: Spare,
    /// Keeps the pooled memory where it is until the run has ended.
    _lease: ArenaLease,
}

impl fmt::Debug for TrbRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrbRun").field("staged", &self.staged).finish_non_exhaustive()
    }
}

impl BoundRun for TrbRun {
    fn take_program(&mut self) -> Box<dyn DeviceProgram> {
        match self.program.take() {
            Some(program) => program,
            None => Box::new(Scheduler::ended(Arc::clone(&self.shared))),
        }
    }

    fn finish(self: Box<Self>, program: Box<dyn DeviceProgram>) -> Result<u64, VariantError> {
        let completed = program.completed();
        drop(program);
        let Self { shared, recorder, staged, spare, .. } = *self;
        let failed = shared.lock().fatal().map(|fatal| status(fatal.code, &fatal.message));
        let without_kernel = shared.lock().without_kernel.take();
        spare.keep(shared);
        if let Some(error) = failed {
            if let Some(scopes) = recorder.as_ref().and_then(|recorder| recorder.scopes()) {
                scopes.fatal();
            }
            return Err(error);
        }
        staged.copy_back()?;
        if let (Some(recorder), Some(tasks)) = (&recorder, without_kernel) {
            recorder.set_tasks_without_kernel(tasks);
        }
        if let Some(recorder) = recorder {
            record_deps(&recorder);
        }
        Ok(completed)
    }
}

/// Makes the graph of a run that has ended well, if it is wanted.
pub(crate) fn record_deps(recorder: &Recorder) {
    let Some(submits) = recorder.submits() else { return };
    if submits.lost() > 0 {
        return log::error!("dep_gen: {} submit(s) are lost, so the graph is not known", submits.lost());
    }
    match replay(submits) {
        Ok(deps) => recorder.set_deps(deps),
        Err(divergence) => log::error!("dep_gen: {divergence}; please report it"),
    }
}

/// The last thread builds the graph, the others schedule; one alone does both (`spec/device-abi.md`, section 4.6).
pub(crate) fn roles(threads: u32) -> Roles {
    let orchestrator = threads.saturating_sub(1);
    Roles { schedulers: orchestrator.max(1), orchestrator: Some(orchestrator) }
}

/// The error of a run that ended with `code`; `message` says what happened.
pub(crate) fn status(code: i32, message: &str) -> VariantError {
    let text = match TrbErrorCode::from_code(code) {
        Some(known) => {
            format!("{}: {message} ({}); {}", known.name(), known.meaning(), known.next_action())
        }
        None => message.to_owned(),
    };
    VariantError::Status { code: code.wrapping_abs().wrapping_neg(), text }
}
