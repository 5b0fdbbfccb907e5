//! Tensors of the client on their way to the device and back.

use std::sync::Arc;

use device_runner::{DevBuffer, Memory, RunContext, VariantError};
use host_memory::HostRange;
use task_interface::ChipStorageTaskArgs;

/// The tensors of a run that were copied to the device; dropping it frees the copies.
#[derive(Debug)]
pub(crate) struct StagedTensors {
    memory: Arc<Memory>,
    tensors: Vec<Staged>,
}

#[derive(Debug)]
struct Staged {
    host: HostRange,
    buffer: DevBuffer,
    /// Whether it is copied back.
    results: bool,
}

impl StagedTensors {
    /// Copies what is not on the device yet; also returns the arguments with device addresses, as the orchestration
    /// sees them.
    pub(crate) fn stage(
        context: &RunContext<'_>,
        args: &ChipStorageTaskArgs,
    ) -> Result<(Box<ChipStorageTaskArgs>, Self), VariantError> {
        let memory = context.memory;
        let invalid = |error: String| VariantError::Graph(error.into());
        let mut copy = Box::new(*args);
        let mut tensors = Vec::new();
        for index in 0..args.used_tensors().map_err(|error| invalid(error.to_string()))?.len() {
            let tensor = copy.tensor_mut(index).map_err(|error| invalid(error.to_string()))?;
            if tensor.is_child_memory() {
                continue;
            }
            let bytes =
                tensor.nbytes().map_err(|error| invalid(format!("tensor argument {index}: {error}")))?;
            let host = HostRange::of_argument(tensor.data, bytes)
                .ok_or_else(|| invalid(format!("tensor argument {index}: its host address is null")))?;
            let buffer = memory.alloc(host.bytes())?;
            host.copy_to(memory, buffer.ptr())?;
            tensor.data = buffer.ptr().addr();
            tensors.push(Staged { host, buffer, results: !context.read_only.contains(index) });
        }
        Ok((copy, Self { memory: Arc::clone(memory), tensors }))
    }

    /// Copies the results back, in the order of the arguments.
    pub(crate) fn copy_back(&self) -> Result<(), VariantError> {
        let mut results = self.tensors.iter().filter(|tensor| tensor.results);
        Ok(results.try_for_each(|tensor| tensor.host.copy_from(&self.memory, tensor.buffer.ptr()))?)
    }
}
