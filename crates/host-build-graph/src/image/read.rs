use std::mem::size_of;
use std::sync::Arc;

use bytemuck::Zeroable as _;
use device_runner::{Arch, DevPtr, DeviceError, DeviceProgram, GlobalMemory, RunSinks};
use task_interface::{CoreType, RUNTIME_MAX_ARGS, RUNTIME_MAX_FANOUT, RUNTIME_MAX_TASKS};

use super::layout::{Layout, Task};
use super::tensors;
use crate::error::GraphError;
use crate::graph::Graph;
use crate::scheduler::Scheduler;

/// Why an image is no graph that can be run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// The chip has no images.
    #[error("chip {arch} has no images of host_build_graph; a2a3 and a5 have")]
    Chip {
        /// The chip.
        arch: &'static str,
    },
    /// The image is not in device memory.
    #[error("the image at {at} cannot be read: {source}")]
    Memory {
        /// Where it should be.
        at: DevPtr,
        /// Why not.
        source: DeviceError,
    },
    /// A count beyond what the image has room for.
    #[error("{what} is {value}; 0 to {max} is possible. Was the image written for another chip or runtime?")]
    Count {
        /// Which one, with the task that it belongs to.
        what: String,
        /// What the image says.
        value: i32,
        /// The limit.
        max: usize,
    },
    /// A task that cannot be.
    #[error("task {task}: {reason}. Was the image written for another chip or runtime?")]
    Task {
        /// Its index.
        task: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// What it says about tensors cannot be.
    #[error("{reason}. Was the image written for another chip or runtime?")]
    Tensors {
        /// What is wrong.
        reason: String,
    },
    /// The tasks are fine, but not the graph.
    #[error(transparent)]
    Graph(#[from] GraphError),
}

const CHUNK: usize = 1024;

/// Makes the graph in the image at `runtime` a program; kernels have the ids of the callable as their index. Whoever
/// wants to know about the run is told by it.
///
/// Nothing in the image is trusted but that it stays as it is during the call.
///
/// # Errors
/// [`ImageError`].
pub fn read(
    memory: &dyn GlobalMemory,
    runtime: DevPtr,
    arch: &dyn Arch,
    sinks: Option<Arc<dyn RunSinks>>,
) -> Result<Box<dyn DeviceProgram>, ImageError> {
    let layout = Layout::of(arch).ok_or_else(|| ImageError::Chip { arch: arch.name() })?;
    let source = Source { memory, runtime };
    let (mut graph, fanins) = read_graph(source, &layout)?;
    let dump = match sinks.filter(|sinks| sinks.tensors().is_some()) {
        Some(sinks) => Some(tensors::read(source, &layout, &mut graph, sinks)?),
        None => None,
    };
    let program = link(graph, &fanins)?.dumping(dump);
    Ok(Box::new(program))
}

/// Where an image is.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    memory: &'a dyn GlobalMemory,
    runtime: DevPtr,
}

impl Source<'_> {
    /// Copies from an offset in the image.
    pub(super) fn copy(self, to: &mut [u8], offset: usize) -> Result<(), ImageError> {
        self.copy_at(to, self.runtime.checked_add(offset as u64).unwrap_or(DevPtr::NULL))
    }

    /// Copies from an address that the image names.
    pub(super) fn copy_at(self, to: &mut [u8], at: DevPtr) -> Result<(), ImageError> {
        self.memory.copy_from_device(to, at).map_err(|source| ImageError::Memory { at, source })
    }
}

fn read_graph(source: Source<'_>, layout: &Layout) -> Result<(Graph, Vec<i32>), ImageError> {
    let mut tasks = [0; 4];
    source.copy(&mut tasks, layout.next_task_id)?;
    let tasks = count(i32::from_le_bytes(tasks), RUNTIME_MAX_TASKS, || "the number of tasks".to_owned())?;
    let (mut graph, mut fanins) = (Graph::default(), Vec::with_capacity(tasks));
    let mut chunk = vec![Task::zeroed(); CHUNK.min(tasks)];
    for first in (0..tasks).step_by(CHUNK) {
        let chunk = &mut chunk[..CHUNK.min(tasks - first)];
        source.copy(bytemuck::must_cast_slice_mut(chunk), layout.tasks + first * size_of::<Task>())?;
        for (index, task) in (first..).zip(&*chunk) {
            add(&mut graph, index, task, tasks)?;
            fanins.push(task.fanin);
        }
    }
    Ok((graph, fanins))
}

pub(super) fn count(value: i32, max: usize, what: impl FnOnce() -> String) -> Result<usize, ImageError> {
    let usable = usize::try_from(value).ok().filter(|&value| value <= max);
    usable.ok_or_else(|| ImageError::Count { what: what(), value, max })
}

fn add(graph: &mut Graph, index: usize, task: &Task, tasks: usize) -> Result<(), ImageError> {
    let wrong = |reason: String| ImageError::Task { task: index, reason };
    if usize::try_from(task.task_id) != Ok(index) {
        return Err(wrong(format!("it says that it is task {}", task.task_id)));
    }
    let args = count(task.num_args, RUNTIME_MAX_ARGS, || format!("the number of arguments of task {index}"))?;
    let successors =
        count(task.fanout_count, RUNTIME_MAX_FANOUT, || format!("the number of successors of task {index}"))?;
    let core_type = CoreType::try_from(task.core_type).map_err(|error| wrong(error.to_string()))?;
    let kernel =
        u32::try_from(task.func_id).map_err(|_| wrong(format!("its func_id is {}", task.func_id)))?;
    let id = graph.add_task(&task.args[..args], kernel, core_type)?;
    for &successor in &task.fanout[..successors] {
        let to = u32::try_from(successor).ok().filter(|&to| (to as usize) < tasks);
        let to = to.ok_or_else(|| wrong(format!("its successor {successor} is none of {tasks} tasks")))?;
        graph.add_edge(id, to);
    }
    Ok(())
}

fn link(mut graph: Graph, fanins: &[i32]) -> Result<Scheduler, ImageError> {
    let links = graph.link()?;
    let differs = |(task, (&told, &found)): (usize, (&i32, &u32))| {
        (i64::from(told) != i64::from(found)).then(|| ImageError::Task {
            task,
            reason: format!("it waits for {told} task(s), but is the successor of {found}"),
        })
    };
    if let Some(error) = fanins.iter().zip(&links.fanin).enumerate().find_map(differs) {
        return Err(error);
    }
    Ok(Scheduler::new(graph, links, Arc::from([])))
}
