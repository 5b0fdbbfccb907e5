//! The host half: lays out the memory of a run, and reads its outcome.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use bytemuck::Zeroable as _;
use device_runner::{
    ArenaLease, ArenaSizes, BoundRun, ContentCache, CoreId, DevBuffer, DevPtr, DeviceError, DeviceImage,
    DeviceProgram, ImageProgram, ImageTarget, Memory, Orchestration, OrchestrationSource, Recorder,
    RunContext, Target, TaskId, Topology, VariantError,
};
use task_interface::trb::TaskToken;
use task_interface::{ChipStorageTaskArgs, Handshake};

use super::arena::{ChipNumbers, int};
use super::contents::MemoryMap;
use super::error::LaunchLimit;
use super::objects::UploadedObject;
use super::runtime::{RuntimeTail, runtime_bytes, tail_offset};
use super::shared_memory::{SharedMemoryHeader, SharedMemoryLayout, TaskDescriptor};
use crate::host::{record_deps, roles, status};
use crate::options::{RingOptions, ThreadOptions};
use crate::staging::StagedTensors;

/// What the callables of a runner share.
#[derive(Debug, Default)]
pub(crate) struct ImageHost {
    /// Orchestrations in device memory.
    objects: ContentCache<DevBuffer>,
    prebuilt: Arc<Prebuilt>,
}

impl ImageHost {
    pub(crate) fn open(
        &self,
        source: &OrchestrationSource,
        options: RingOptions,
    ) -> Result<Box<dyn Orchestration>, VariantError> {
        let object = UploadedObject::upload(source, &self.objects)?;
        Ok(Box::new(ImageOrchestration { object, options, prebuilt: Arc::clone(&self.prebuilt) }))
    }
}

/// The orchestration of one callable, for device programs.
#[derive(Debug)]
struct ImageOrchestration {
    object: UploadedObject,
    options: RingOptions,
    prebuilt: Arc<Prebuilt>,
}

/// The arena of the last run, as the next one mostly has the same.
#[derive(Debug, Default)]
struct Prebuilt(Mutex<Option<(MemoryMap, Arc<Vec<u8>>)>>);

impl Prebuilt {
    fn arena(&self, map: &MemoryMap) -> Result<Arc<Vec<u8>>, VariantError> {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, bytes)) = last.as_ref().filter(|(known, _)| known == map) {
            return Ok(Arc::clone(bytes));
        }
        let built = map.prebuilt_arena();
        let bytes = Arc::new(built.map_err(|error| {
            let bytes = map.layout.arena_size;
            VariantError::Graph(format!("the runtime arena takes {bytes} bytes on the host: {error}").into())
        })?);
        *last = Some((*map, Arc::clone(&bytes)));
        Ok(bytes)
    }
}

impl ImageOrchestration {
    /// What the host says about the run.
    fn tail(
        &self,
        context: &RunContext<'_>,
        target: &ImageTarget<'_>,
        map: &MemoryMap,
        args: &ChipStorageTaskArgs,
    ) -> Box<RuntimeTail> {
        let threads = ThreadOptions::from_environment(map.chip.max_threads);
        let mut tail: Box<RuntimeTail> = bytemuck::zeroed_box();
        tail.worker_count = int(u64::from(context.topology.cores()));
        tail.aicpu_thread_num = int(u64::from(target.aicpu_threads));
        tail.ready_queue_shards = int(u64::from(threads.ready_queue_shards));
        tail.orch_to_sched = u8::from(threads.orch_to_sched);
        tail.task_window_size = u64::from(map.config.window);
        tail.heap_size = map.config.heap;
        tail.dep_pool_size = u64::from(map.config.dep_pool);
        for kernel in context.kernels.kernels() {
            if let Some(address) = tail.func_id_to_addr.get_mut(kernel.func_id as usize) {
                *address = kernel.handle.0;
            }
        }
        tail.gm_sm_ptr = map.sm;
        tail.gm_heap_ptr = map.heap;
        tail.orch_args_storage = *args;
        tail.prebuilt_arena_base = map.arena;
        tail.prebuilt_runtime_offset = map.layout.off_runtime;
        tail.dev_orch_so_addr = self.object.buffer.ptr().addr();
        tail.dev_orch_so_size = self.object.buffer.len() as u64;
        tail.active_callable_id = target.callable_id;
        tail.device_orch_func_name = self.object.entry;
        tail.device_orch_config_name = self.object.config;
        tail
    }
}

impl Orchestration for ImageOrchestration {
    fn loaded_on_host(&self) -> bool {
        false
    }

    fn loads_on_device(&self) -> bool {
        true
    }

    fn bind(
        &self,
        context: &RunContext<'_>,
        args: &ChipStorageTaskArgs,
    ) -> Result<Box<dyn BoundRun>, VariantError> {
        let Target::Image(target) = &context.target else {
            let message = "an orchestration for device programs was bound for an engine";
            return Err(DeviceError::Internal(message.to_owned()).into());
        };
        LaunchLimit::check(target.aicpu_threads, context.topology.block_dim())
            .map_err(|limit| VariantError::Graph(limit.into()))?;
        let config = self.options.resolve().map_err(|error| VariantError::Graph(error.into()))?;
        let mut map = MemoryMap::new(ChipNumbers::of(context.arch), config);
        let lease = commit(context, &mut map)?;
        let (args, staged) = StagedTensors::stage(context, args)?;
        let tail = self.tail(context, target, &map, &args);
        if let Some(recorder) = context.recorder {
            recorder.set_roles(roles(target.aicpu_threads));
        }
        Ok(Box::new(ImageRun {
            chip_cores: map.chip.cores,
            topology: context.topology,
            tail,
            memory: Arc::clone(context.memory),
            arena: (DevPtr::new(map.arena), self.prebuilt.arena(&map)?),
            header: DevPtr::new(map.sm),
            shared: map.shared,
            staged,
            recorder: context.recorder.map(Arc::clone),
            _lease: lease,
        }))
    }
}

/// Commits the three regions, and enters where they are.
fn commit(context: &RunContext<'_>, map: &mut MemoryMap) -> Result<ArenaLease, VariantError> {
    let [gm_heap, gm_sm, runtime_arena] =
        [map.config.heap_of_all_rings(), map.shared.size, map.layout.arena_size]
            .map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
    let lease = context.arenas.lease(ArenaSizes { gm_heap, gm_sm, runtime_arena })?;
    let address = |region: Option<DevPtr>| region.map_or(0, DevPtr::addr);
    map.heap = address(context.arenas.gm_heap());
    map.sm = address(context.arenas.gm_sm());
    map.arena = address(context.arenas.runtime_arena());
    Ok(lease)
}

/// The `Runtime` object: handshakes with the type of each core, then what the host says about the run.
fn image(chip_cores: u32, topology: Topology, tail: &RuntimeTail) -> DeviceImage {
    let bytes = runtime_bytes(chip_cores);
    let mut object = vec![0; bytes];
    for (core, place) in (0..topology.cores()).zip(object.chunks_exact_mut(size_of::<Handshake>())) {
        let core_type = topology.core_type(CoreId(core)).raw();
        place.copy_from_slice(bytemuck::bytes_of(&Handshake { core_type, ..Handshake::zeroed() }));
    }
    object[tail_offset(chip_cores)..].copy_from_slice(bytemuck::bytes_of(tail));
    // In one part: what it does not say must be zero, not what an earlier run has left there.
    DeviceImage { bytes, parts: vec![(0, object)] }
}

struct ImageRun {
    chip_cores: u32,
    topology: Topology,
    /// What the image says besides the cores.
    tail: Box<RuntimeTail>,
    memory: Arc<Memory>,
    /// Where the runtime arena is, and what stands there when the launch starts.
    arena: (DevPtr, Arc<Vec<u8>>),
    /// The shared memory, which begins with its header.
    header: DevPtr,
    shared: SharedMemoryLayout,
    staged: StagedTensors,
    recorder: Option<Arc<Recorder>>,
    /// Keeps the pooled memory where it is until the run has ended.
    _lease: ArenaLease,
}

impl fmt::Debug for ImageRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ImageRun").field("staged", &self.staged).finish_non_exhaustive()
    }
}

impl ImageRun {
    /// The shared memory is booted by device programs, but dirty until then: what an earlier run has left there must
    /// not be taken for the outcome of one that never came so far.
    fn clear_outcome(&self) -> Result<(), DeviceError> {
        let offset = SharedMemoryHeader::OUTCOME_OFFSET;
        let cleared = vec![0; size_of::<SharedMemoryHeader>() - offset];
        self.memory.copy_to_device(DevPtr::new(self.header.addr() + offset as u64), &cleared)
    }

    /// As the descriptors of all tasks say; `None` where they do not, or where later tasks took the slots of earlier
    /// ones.
    fn tasks_without_kernel(&self, header: &SharedMemoryHeader) -> Result<Option<Vec<TaskId>>, DeviceError> {
        let mut tasks = Vec::new();
        for (ring, (number, arrays)) in header.rings.iter().zip((0..).zip(&self.shared.rings)) {
            let submitted = usize::try_from(ring.fc.current_task_index).unwrap_or(0);
            if submitted as u64 > self.tail.task_window_size {
                return Ok(None);
            }
            let mut descriptors = vec![TaskDescriptor::zeroed(); submitted];
            let place = DevPtr::new(self.header.addr() + arrays.descriptors);
            self.memory.copy_from_device(bytemuck::cast_slice_mut(&mut descriptors), place)?;
            let Some(found) = without_kernel(number, &descriptors) else { return Ok(None) };
            tasks.extend(found);
        }
        Ok(Some(tasks))
    }

    fn read_header(&self) -> Result<SharedMemoryHeader, DeviceError> {
        let mut header = SharedMemoryHeader::zeroed();
        self.memory.copy_from_device(bytemuck::bytes_of_mut(&mut header), self.header)?;
        Ok(header)
    }
}

/// Those of a ring, by their descriptors; `None` if these are not what the contract says.
fn without_kernel(ring: u8, descriptors: &[TaskDescriptor]) -> Option<Vec<TaskId>> {
    let mut tasks = Vec::new();
    for (local, descriptor) in (0..).zip(descriptors) {
        let id = TaskToken::new(ring, local).raw;
        if descriptor.task_id != id {
            return None;
        }
        if !descriptor.has_kernel() {
            tasks.push(TaskId(id));
        }
    }
    Some(tasks)
}

/// The error that device programs have left in the header.
fn error_in(header: &SharedMemoryHeader) -> Option<VariantError> {
    let (code, who) = match (header.orch_error_code, header.sched_error_code) {
        (0, 0) => return None,
        (0, code) => (code, format!("scheduling thread {} of the device", header.sched_error_thread)),
        (code, _) => (code, "the orchestrator on the device".to_owned()),
    };
    Some(status(code, &format!("reported by {who}, whose log says more")))
}

impl BoundRun for ImageRun {
    fn prepare_launch(&mut self, is_new: bool) -> Result<(), VariantError> {
        self.tail.register_new_callable_id = u8::from(is_new);
        let (place, bytes) = &self.arena;
        self.memory.copy_to_device(*place, bytes)?;
        Ok(self.clear_outcome()?)
    }

    fn take_program(&mut self) -> Box<dyn DeviceProgram> {
        Box::new(ImageProgram::new(image(self.chip_cores, self.topology, &self.tail)))
    }

    fn diagnose(&self) -> Option<VariantError> {
        // Why the launch failed is known; that the device cannot be read either adds nothing.
        self.read_header().ok().and_then(|header| error_in(&header))
    }

    fn finish(self: Box<Self>, program: Box<dyn DeviceProgram>) -> Result<u64, VariantError> {
        drop(program);
        let header = self.read_header()?;
        if let Some(error) = error_in(&header) {
            return Err(error);
        }
        if header.orchestrator_done == 0 {
            let text = "the launch ended well, but no orchestrator has run on the device; check that the AICPU \
                        program is that of this runtime";
            return Err(VariantError::Status { code: -1, text: text.to_owned() });
        }
        self.staged.copy_back()?;
        if let Some(recorder) = &self.recorder {
            if let Some(tasks) = self.tasks_without_kernel(&header)? {
                recorder.set_tasks_without_kernel(tasks);
            }
            record_deps(recorder);
        }
        Ok(header.tasks())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_tell_which_tasks_have_no_kernel() {
        let ids = [[-1, -1, -1], [-1, 7, -1], [0, -1, -1], [-1, -1, -1]];
        let mut descriptors: Vec<TaskDescriptor> = (0..)
            .zip(ids)
            .map(|(local, ids)| TaskDescriptor::new(TaskToken::new(2, local), ids, 64..64))
            .collect();
        let expected = [0, 3].map(|local| TaskId(TaskToken::new(2, local).raw));
        assert_eq!(without_kernel(2, &descriptors).unwrap(), expected);
        assert_eq!(without_kernel(1, &[]), Some(Vec::new()));
        assert_eq!(without_kernel(1, &descriptors), None, "of another ring");
        descriptors[3] = TaskDescriptor::zeroed();
        assert_eq!(without_kernel(2, &descriptors), None, "nobody has written it");
    }
}
