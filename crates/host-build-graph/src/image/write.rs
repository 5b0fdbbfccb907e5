use std::mem::size_of;

use bytemuck::Zeroable as _;
use device_runner::{DevPtr, DeviceImage, ImageTarget, KernelTable, RunContext, TaskId};
use task_interface::{Handshake, RUNTIME_MAX_FANOUT, TensorAllocationInfo};

use super::layout::{Layout, NAME_BYTES, Tables, Tail, Task};
use crate::error::GraphError;
use crate::graph::{Graph, Links};
use crate::staging::Staging;

/// Names of the orchestration, for device programs to log.
#[derive(Debug, Default)]
pub(crate) struct Names {
    pub(crate) entry: String,
    pub(crate) config: String,
}

/// The image of a graph. The tables that it refers to by address go into memory of the run.
///
/// # Errors
/// [`GraphError::TooManySuccessors`], as an image has room for 128 only; the device's.
pub(crate) fn write(
    context: &RunContext<'_>,
    target: &ImageTarget<'_>,
    names: &Names,
    (graph, links): (&Graph, &Links),
    memory: &[TensorAllocationInfo],
    staging: &mut Staging,
) -> Result<DeviceImage, GraphError> {
    let layout = Layout::of(context.arch)
        .ok_or_else(|| GraphError::Message(format!("{} has no device images", context.arch.name())))?;
    let tensors = TensorTable::of(graph, staging)?;
    let allocations = Allocations::of(memory, staging)?;
    let parts = vec![
        (0, head(&layout, context, target, graph, links)?),
        (layout.next_task_id, ready(links)),
        (layout.initial_ready_count, middle(links, &kernel_tables(context.kernels, &tensors), &tensors)),
        (layout.tensor_info_counts, bytemuck::must_cast_slice(&tensors.counts).to_vec()),
        (layout.tail, bytemuck::bytes_of(&tail(target, names, &allocations)).to_vec()),
    ];
    Ok(DeviceImage { bytes: layout.bytes, parts })
}

/// Numbers here are bounded by the limits of the contract, far below this.
fn int(value: usize) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}

/// From the handshakes to the last task. Every handshake is written: device programs left theirs in the memory.
fn head(
    layout: &Layout,
    context: &RunContext<'_>,
    target: &ImageTarget<'_>,
    graph: &Graph,
    links: &Links,
) -> Result<Vec<u8>, GraphError> {
    let mut bytes = Vec::with_capacity(layout.tasks + graph.len() * size_of::<Task>());
    let topology = context.topology;
    for core in (0..).take(layout.cores) {
        let used = core < topology.cores();
        let core_type = if used { topology.core_type(device_runner::CoreId(core)) as i32 } else { 0 };
        bytes.extend_from_slice(bytemuck::bytes_of(&Handshake { core_type, ..Handshake::default() }));
    }
    bytes.extend_from_slice(&topology.cores().to_le_bytes());
    bytes.extend_from_slice(&target.aicpu_threads.to_le_bytes());
    for task in (0..).take(graph.len()) {
        let task = describe(task, context.kernels, target, graph, links)?;
        bytes.extend_from_slice(bytemuck::bytes_of(&task));
    }
    Ok(bytes)
}

fn describe(
    id: u32,
    kernels: &KernelTable,
    target: &ImageTarget<'_>,
    graph: &Graph,
    links: &Links,
) -> Result<Task, GraphError> {
    let successors = links.successors(id);
    if successors.len() > RUNTIME_MAX_FANOUT {
        let (count, max) = (successors.len(), RUNTIME_MAX_FANOUT);
        return Err(GraphError::TooManySuccessors { task: TaskId(u64::from(id)), count, max });
    }
    let index = id as usize;
    let kernel = kernels.kernels().get(graph.kernels[index] as usize);
    let mut task = Task {
        task_id: int(index),
        func_id: kernel.map_or(-1, |kernel| int(kernel.func_id as usize)),
        args: graph.arg_slots(id),
        num_args: int(graph.args(id).len()),
        function_bin_addr: kernel.map_or(0, |kernel| target.kernel_entry(kernel.handle)),
        core_type: graph.core_types[index] as i32,
        fanin: int(links.fanin[index] as usize),
        fanout_count: int(successors.len()),
        ..Task::zeroed()
    };
    task.fanout.iter_mut().zip(successors).for_each(|(to, &from)| *to = int(from as usize));
    Ok(task)
}

/// The number of tasks, and those that can start at once.
fn ready(links: &Links) -> Vec<u8> {
    let tasks = (0..).zip(&links.fanin).filter(|&(_, &fanin)| fanin == 0).map(|(task, _)| task);
    let numbers: Vec<i32> = std::iter::once(int(links.len())).chain(tasks).collect();
    bytemuck::must_cast_slice(&numbers).to_vec()
}

/// From the number of tasks that can start at once to where each task's tensors are.
fn middle(links: &Links, tables: &Tables, tensors: &TensorTable) -> Vec<u8> {
    let ready = links.fanin.iter().filter(|&&fanin| fanin == 0).count();
    let mut bytes = int(ready).to_le_bytes().to_vec();
    bytes.extend_from_slice(bytemuck::bytes_of(tables));
    bytes.extend_from_slice(bytemuck::must_cast_slice(&tensors.offsets));
    bytes
}

fn kernel_tables(kernels: &KernelTable, tensors: &TensorTable) -> Tables {
    let mut tables = Tables::zeroed();
    for kernel in kernels.kernels() {
        if let Some(address) = tables.func_id_to_addr.get_mut(kernel.func_id as usize) {
            *address = kernel.handle.0;
        }
    }
    tables.tensor_info_storage = tensors.storage.addr();
    tables.tensor_info_storage_bytes = tensors.bytes;
    tables
}

fn tail(target: &ImageTarget<'_>, names: &Names, allocations: &Allocations) -> Tail {
    Tail {
        tensor_allocation_storage: allocations.storage.addr(),
        tensor_allocation_storage_bytes: u64::from(allocations.count)
            * size_of::<TensorAllocationInfo>() as u64,
        tensor_allocation_count: allocations.count,
        active_callable_id: target.callable_id,
        device_orch_func_name: name(&names.entry),
        device_orch_config_name: name(&names.config),
        ..Tail::zeroed()
    }
}

/// Cut to its room, with a NUL at the end.
fn name(text: &str) -> [u8; NAME_BYTES] {
    let mut bytes = [0; NAME_BYTES];
    bytes[..NAME_BYTES - 1].iter_mut().zip(text.bytes()).for_each(|(to, from)| *to = from);
    bytes
}

/// What the tensors of all tasks are, in device memory; by task where its entries start and how many it has.
struct TensorTable {
    storage: DevPtr,
    bytes: u64,
    offsets: Vec<u32>,
    counts: Vec<u16>,
}

impl TensorTable {
    fn of(graph: &Graph, staging: &mut Staging) -> Result<Self, GraphError> {
        let mut infos = Vec::new();
        let (mut offsets, mut counts) = (Vec::with_capacity(graph.len()), Vec::with_capacity(graph.len()));
        for task in (0..).take(graph.len()) {
            let own = graph.tensor_infos(task);
            // At most 16 entries for each of 2^17 tasks.
            offsets.push(u32::try_from(infos.len()).unwrap_or(u32::MAX));
            counts.push(u16::try_from(own.len()).unwrap_or(u16::MAX));
            infos.extend_from_slice(own);
        }
        let bytes: &[u8] = bytemuck::must_cast_slice(&infos);
        Ok(Self { storage: upload(staging, bytes)?, bytes: bytes.len() as u64, offsets, counts })
    }
}

/// The memory that tensors may be in, as a table in device memory.
struct Allocations {
    storage: DevPtr,
    count: u32,
}

impl Allocations {
    fn of(list: &[TensorAllocationInfo], staging: &mut Staging) -> Result<Self, GraphError> {
        let storage = upload(staging, bytemuck::must_cast_slice(list))?;
        Ok(Self { storage, count: u32::try_from(list.len()).unwrap_or(u32::MAX) })
    }
}

/// Memory with these bytes, freed with the run; null for none.
fn upload(staging: &mut Staging, bytes: &[u8]) -> Result<DevPtr, GraphError> {
    if bytes.is_empty() {
        return Ok(DevPtr::NULL);
    }
    staging.upload(bytes).map_err(GraphError::device("device image"))
}
