use device_runner::{DevPtr, DeviceError, TaskId};

/// Why a graph cannot be built or run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GraphError {
    /// More tasks than the contract allows.
    #[error("the graph has more than {max} tasks; split it into several runs")]
    TooManyTasks {
        /// The limit.
        max: usize,
    },
    /// More arguments than a task has slots.
    #[error("{task} was given {count} arguments; a task takes at most {max}")]
    TooManyArgs {
        /// The task, by the id it would have had.
        task: TaskId,
        /// Arguments given.
        count: i64,
        /// The limit.
        max: usize,
    },
    /// A kernel id that the callable does not have.
    #[error("{task} names kernel func_id {func_id}, which the callable does not have (it has {known})")]
    UnknownKernel {
        /// The task, by the id it would have had.
        task: TaskId,
        /// The id.
        func_id: i32,
        /// The ids it has.
        known: String,
    },
    /// A core type that is neither AIC nor AIV.
    #[error("{task} asks for core type {value}; 0 (AIC) and 1 (AIV) exist")]
    CoreType {
        /// The task, by the id it would have had.
        task: TaskId,
        /// The value.
        value: i32,
    },
    /// A task id that the graph does not have.
    #[error("{call} names task {task}, but the graph has {count} task(s) so far")]
    NoSuchTask {
        /// The call.
        call: &'static str,
        /// The id.
        task: i64,
        /// Tasks added so far.
        count: usize,
    },
    /// Tasks that wait for each other.
    #[error("these tasks wait for each other: {}", arrows(cycle))]
    Cycle {
        /// The tasks, each a predecessor of the next and the last one of the first.
        cycle: Vec<TaskId>,
    },
    /// More successors than a task has room for where it is run by device programs.
    #[error(
        "{task} has {count} successors, but device programs take at most {max}; let tasks in between pass it on"
    )]
    TooManySuccessors {
        /// The task.
        task: TaskId,
        /// Its successors.
        count: usize,
        /// The limit.
        max: usize,
    },
    /// Tensor information that is not usable.
    #[error("set_tensor_info_to_task for {task}: {reason}")]
    TensorInfo {
        /// The task.
        task: TaskId,
        /// What is wrong.
        reason: String,
    },
    /// A null pointer where memory is needed.
    #[error("{call}: the {what} pointer is null")]
    NullPointer {
        /// The call.
        call: &'static str,
        /// Which pointer.
        what: &'static str,
    },
    /// A task argument that does not exist or is of another kind.
    #[error("argument {index}: {reason}")]
    Argument {
        /// Its index.
        index: usize,
        /// What is wrong.
        reason: String,
    },
    /// A device address that this run did not allocate.
    #[error("device_free of {ptr}: it was not allocated by this run, or was freed before")]
    NotAllocatedHere {
        /// The address.
        ptr: DevPtr,
    },
    /// The device refused something.
    #[error("{call}: {source}")]
    Device {
        /// The call.
        call: &'static str,
        /// Why.
        source: DeviceError,
    },
    /// A Rust orchestration says so.
    #[error("{0}")]
    Message(String),
    /// Code of ours panicked; please report it.
    #[error("internal error in {0}")]
    Internal(&'static str),
}

impl GraphError {
    pub(crate) fn device(call: &'static str) -> impl FnOnce(DeviceError) -> Self {
        move |source| Self::Device { call, source }
    }
}

const SHOWN: usize = 32;

fn arrows(cycle: &[TaskId]) -> String {
    let mut text: Vec<String> = cycle.iter().take(SHOWN).map(ToString::to_string).collect();
    if cycle.len() > SHOWN {
        text.push(format!("({} more)", cycle.len() - SHOWN));
    }
    text.extend(cycle.first().map(ToString::to_string));
    text.join(" -> ")
}
