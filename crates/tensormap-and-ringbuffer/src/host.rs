//! The host half: staging of tensors, pooled memory, and the run's result.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use device_runner::{
    ArenaLease, ArenaSizes, BoundRun, DevBuffer, DevPtr, DeviceProgram, Memory, Orchestration,
    OrchestrationSource, RunContext, RuntimeVariant, Topology, VariantError,
};
use host_memory::HostRange;
use object_loader::elf;
use task_interface::ChipStorageTaskArgs;
use task_interface::trb::TrbErrorCode;

use crate::entry::{Entry, Job};
use crate::gm::Gm;
use crate::options::RingOptions;
use crate::payload::PayloadPool;
use crate::rings::{Ring, RingConfig};
use crate::scheduler::{Scheduler, frame_bytes};
use crate::state::{Fatal, RINGS, Shared, State};

/// The variant, to be given to a [`DeviceRunner`](device_runner::DeviceRunner).
#[derive(Debug, Default)]
pub struct TensormapAndRingbuffer {
    options: RingOptions,
    /// The state of the last run, whose memory the next one takes over.
    spare: Spare,
}

type Spare = Arc<Mutex<Option<State>>>;

impl TensormapAndRingbuffer {
    /// Name as in paths and on command lines.
    pub const NAME: &'static str = "tensormap_and_ringbuffer";

    /// The variant with ring sizes of its own; what is not set comes from the environment.
    #[must_use]
    pub fn with_rings(options: RingOptions) -> Self {
        Self { options, spare: Spare::default() }
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
        _for_image: bool,
    ) -> Result<Box<dyn Orchestration>, VariantError> {
        let entry = Entry::open(source)?;
        let is_object = entry.is_object();
        let entry = Arc::new(Mutex::new(entry));
        Ok(Box::new(TrbOrchestration {
            entry,
            is_object,
            options: self.options,
            spare: Arc::clone(&self.spare),
        }))
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
        let (args, staged) = stage(context, args)?;
        let shared = Shared::new(self.state(config, &regions)?);
        let job = Job {
            entry: Arc::clone(&self.entry),
            args,
            shared: Arc::clone(&shared),
            kernels: Arc::clone(context.kernels),
            topology: context.topology,
        };
        let names = context.kernels.kernels().iter().map(|kernel| Arc::clone(&kernel.name)).collect();
        let program = Scheduler::new(
            Arc::clone(&shared),
            Box::new(job),
            regions.frames,
            context.topology,
            names,
            context.arch.has_sdma_event_records(),
        );
        Ok(Box::new(TrbRun {
            program: Some(Box::new(program)),
            shared,
            memory: Arc::clone(context.memory),
            staged,
            spare: Arc::clone(&self.spare),
            _lease: lease,
        }))
    }
}

impl TrbOrchestration {
    /// An empty state: that of the last run if it has the same sizes.
    fn state(&self, config: RingConfig, regions: &Regions) -> Result<State, VariantError> {
        let spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut state) = spare.filter(|state| state.config == config) {
            state.renew(regions.heap, regions.payloads);
            return Ok(state);
        }
        let rings = new_rings(&config).map_err(|error| VariantError::Graph(error.into()))?;
        Ok(State::new(config, rings, regions.heap, PayloadPool::new(regions.payloads)))
    }
}

fn new_rings(config: &RingConfig) -> Result<[Ring; RINGS], crate::rings::ConfigError> {
    Ok([Ring::new(config)?, Ring::new(config)?, Ring::new(config)?, Ring::new(config)?])
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
            RINGS as u64 * config.heap,
            PayloadPool::bytes(RINGS as u64 * u64::from(config.window)),
            // For all cores of the chip, so that runs of any block_dim use the same memory.
            frame_bytes(Topology::new(context.arch.limits().max_block_dim).cores()),
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

/// A tensor of the client that was copied to the device.
#[derive(Debug)]
struct Staged {
    host: HostRange,
    buffer: DevBuffer,
    /// Whether it is copied back.
    results: bool,
}

/// The arguments with device addresses, as the orchestration sees them.
fn stage(
    context: &RunContext<'_>,
    args: &ChipStorageTaskArgs,
) -> Result<(Box<ChipStorageTaskArgs>, Vec<Staged>), VariantError> {
    let memory = context.memory;
    let invalid = |error: String| VariantError::Graph(error.into());
    let mut copy = Box::new(*args);
    let mut staged = Vec::new();
    for index in 0..args.used_tensors().map_err(|error| invalid(error.to_string()))?.len() {
        let tensor = copy.tensor_mut(index).map_err(|error| invalid(error.to_string()))?;
        if tensor.is_child_memory() {
            continue;
        }
        let bytes = tensor.nbytes().map_err(|error| invalid(format!("tensor argument {index}: {error}")))?;
        let host = HostRange::of_argument(tensor.data, bytes)
            .ok_or_else(|| invalid(format!("tensor argument {index}: its host address is null")))?;
        let buffer = memory.alloc(host.bytes())?;
        host.copy_to(memory, buffer.ptr())?;
        tensor.data = buffer.ptr().addr();
        staged.push(Staged { host, buffer, results: !context.read_only.contains(index) });
    }
    Ok((copy, staged))
}

struct TrbRun {
    program: Option<Box<Scheduler>>,
    shared: Arc<Shared>,
    memory: Arc<Memory>,
    staged: Vec<Staged>,
    spare: Spare,
    /// Keeps the pooled memory where it is until the run has ended.
    _lease: ArenaLease,
}

impl fmt::Debug for TrbRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrbRun").field("staged", &self.staged.len()).finish_non_exhaustive()
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
        let Self { shared, memory, staged, spare, .. } = *self;
        let failed = shared.lock().fatal().map(status);
        if let Some(state) = shared.into_state() {
            *spare.lock().unwrap_or_else(PoisonError::into_inner) = Some(state);
        }
        if let Some(error) = failed {
            return Err(error);
        }
        let mut results = staged.iter().filter(|staged| staged.results);
        results.try_for_each(|staged| staged.host.copy_from(&memory, staged.buffer.ptr()))?;
        Ok(completed)
    }
}

fn status(fatal: &Fatal) -> VariantError {
    let text = match TrbErrorCode::from_code(fatal.code) {
        Some(code) => {
            format!("{}: {} ({}); {}", code.name(), fatal.message, code.meaning(), code.next_action())
        }
        None => fatal.message.clone(),
    };
    VariantError::Status { code: fatal.code.wrapping_abs().wrapping_neg(), text }
}
