//! What an image says about the tensors of its tasks, for dumps.

use std::mem::size_of;
use std::sync::Arc;

use bytemuck::{Pod, Zeroable as _};
use device_runner::{DevPtr, RunSinks};
use task_interface::{
    CoreCallableHeader, RUNTIME_MAX_ARGS, RUNTIME_MAX_TASKS, TensorAllocationInfo, TensorInfo,
};

use super::layout::{Layout, Tables, Tail};
use super::read::{ImageError, Source};
use crate::dump::{DumpedKernel, TaskDump};
use crate::graph::Graph;

/// Adds to the graph what its tasks' tensors are; what dumps them.
pub(super) fn read(
    source: Source<'_>,
    layout: &Layout,
    graph: &mut Graph,
    sinks: Arc<dyn RunSinks>,
) -> Result<TaskDump, ImageError> {
    let tables: Tables = value(source, layout.tables)?;
    let tail: Tail = value(source, layout.tail)?;
    read_infos(source, layout, graph, &tables)?;
    let kernels = tables.func_id_to_addr.iter().zip(0..).map(|(&address, func_id)| {
        let known = (address != 0).then(|| read_kernel(source, func_id, address));
        known.transpose()
    });
    let kernels = kernels.collect::<Result<_, ImageError>>()?;
    let count = tail.tensor_allocation_count as usize;
    let told = count * size_of::<TensorAllocationInfo>();
    if told as u64 != tail.tensor_allocation_storage_bytes {
        return Err(wrong(format!(
            "{count} allocations do not take {} bytes",
            tail.tensor_allocation_storage_bytes
        )));
    }
    let memory: Vec<TensorAllocationInfo> = list(source, tail.tensor_allocation_storage, count)?;
    Ok(TaskDump::with_ranges(sinks, kernels, &memory))
}

fn wrong(reason: String) -> ImageError {
    ImageError::Tensors { reason }
}

fn value<T: Pod>(source: Source<'_>, offset: usize) -> Result<T, ImageError> {
    let mut value = T::zeroed();
    source.copy(bytemuck::bytes_of_mut(&mut value), offset)?;
    Ok(value)
}

/// As many values at an address; none needs no address.
fn list<T: Pod>(source: Source<'_>, address: u64, count: usize) -> Result<Vec<T>, ImageError> {
    let mut values = Vec::new();
    let room = values.try_reserve_exact(count);
    room.map_err(|_| wrong(format!("there is no memory for {count} entries")))?;
    values.resize(count, T::zeroed());
    if count > 0 {
        source.copy_at(bytemuck::cast_slice_mut(&mut values), DevPtr::new(address))?;
    }
    Ok(values)
}

fn read_infos(
    source: Source<'_>,
    layout: &Layout,
    graph: &mut Graph,
    tables: &Tables,
) -> Result<(), ImageError> {
    let mut offsets = vec![0u32; graph.len().min(RUNTIME_MAX_TASKS)];
    let mut counts = vec![0u16; offsets.len()];
    source.copy(bytemuck::must_cast_slice_mut(&mut offsets), layout.tensor_info_offsets)?;
    source.copy(bytemuck::must_cast_slice_mut(&mut counts), layout.tensor_info_counts)?;
    let entry = size_of::<TensorInfo>() as u64;
    for (task, (&offset, &count)) in (0u32..).zip(offsets.iter().zip(&counts)) {
        let (offset, count) = (u64::from(offset), usize::from(count));
        let end = (offset + count as u64) * entry;
        if count > RUNTIME_MAX_ARGS || end > tables.tensor_info_storage_bytes {
            return Err(wrong(format!("task {task} has {count} tensors, which are not there")));
        }
        if count > 0 {
            let address = tables.tensor_info_storage.saturating_add(offset * entry);
            graph.set_tensor_infos(task, list(source, address, count)?);
        }
    }
    Ok(())
}

fn read_kernel(source: Source<'_>, func_id: u32, address: u64) -> Result<DumpedKernel, ImageError> {
    let mut header = CoreCallableHeader::zeroed();
    source.copy_at(bytemuck::bytes_of_mut(&mut header), DevPtr::new(address))?;
    let signature = header.arg_directions();
    let signature = signature.map_err(|error| wrong(format!("kernel {func_id}: {error}")))?;
    Ok(DumpedKernel { func_id, signature: signature.into() })
}
