//! Tensors of tasks, for dumps: what their kernels' signatures say about the payload.

use device_runner::{
    DevPtr, DumpedArg, KernelTable, LaunchKernel, TaskId, TensorSink, TensorView, tensor_roles,
};
use run_records::dump::Stage;
use task_interface::trb::Tensor;

use crate::state::State;
use crate::task::Task;

/// Dumps those tensors of a task that count at this stage.
///
/// The tensors of a task are those of its kernels, one kernel after the other (`spec/device-abi.md`, section 6.2).
pub(crate) fn dump_task(
    dump: &dyn TensorSink,
    kernels: &KernelTable,
    state: &State,
    task: &Task,
    stage: Stage,
) {
    let active = || {
        task.active().filter_map(|(slot, kernel)| {
            Some((u8::try_from(slot).ok()?, kernels.kernels().get(kernel as usize)?))
        })
    };
    let id = TaskId(task.token.raw);
    let roles = |kernel: &LaunchKernel| tensor_roles(&kernel.signature).count();
    let expected: usize = active().map(|(_, kernel)| roles(kernel)).sum();
    let is = task.tensor_count as usize;
    if expected != is {
        dump.skip(id, expected, is);
        return;
    }
    let all = active().flat_map(|(slot, kernel)| {
        tensor_roles(&kernel.signature).map(move |role| (slot, kernel.func_id, role))
    });
    for (index, (subtask, func_id, role)) in (0u32..).zip(all) {
        let arg = DumpedArg { task: id, subtask, func_id, index, role, chosen: task.chosen };
        let tensor = state.payloads.read_tensor(task.payload.unwrap_or(0), index as usize);
        dump_tensor(dump, &arg, stage, &tensor);
    }
}

/// Payloads hold what was checked when the task was submitted.
fn dump_tensor(dump: &dyn TensorSink, arg: &DumpedArg, stage: Stage, tensor: &Tensor) {
    if let (Ok(shape), Ok(strides)) = (tensor.shape(), tensor.strides()) {
        let view = TensorView {
            buffer: DevPtr::new(tensor.buffer_addr),
            bytes: tensor.buffer_size,
            dtype: tensor.dtype,
            start_offset: tensor.start_offset,
            shape,
            strides,
        };
        dump.tensor(arg, stage, &view);
    }
}
