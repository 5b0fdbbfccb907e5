//! Which writers a tensor argument depends on, and which writers a task leaves (`spec/device-abi.md`, section 4.11).

use task_interface::TensorArgType;
use task_interface::trb::{OverlapStatus, TaskToken, Tensor};

use crate::tensormap::{Handle, Region, TensorMap};

/// Calls `visit` for each write that is alive and that an argument has to wait for.
pub(crate) fn writers(
    map: &TensorMap,
    tag: TensorArgType,
    tensor: &Tensor,
    alive: impl Fn(TaskToken) -> bool,
    visit: impl FnMut(TaskToken, OverlapStatus, Handle),
) {
    if looks(tag, tensor) {
        map.overlapping(&Region::new(tensor), alive, visit);
    }
}

/// Whether an argument has to wait for what was written to its buffer.
pub(crate) fn looks(tag: TensorArgType, tensor: &Tensor) -> bool {
    matches!(tag, TensorArgType::Input | TensorArgType::Inout) && !tensor.manual_dep()
}

/// Whether an argument takes the place of a write that it has to wait for.
pub(crate) fn supersedes(tag: TensorArgType, status: OverlapStatus) -> bool {
    tag == TensorArgType::Inout && status == OverlapStatus::Covered
}

/// Enters what a task writes, in place of the writes that it supersedes.
pub(crate) fn register<'a>(
    map: &mut TensorMap,
    tensors: impl Iterator<Item = (TensorArgType, &'a Tensor)>,
    superseded: &[Handle],
    task: TaskToken,
) {
    for &handle in superseded {
        map.remove(handle);
    }
    for (tag, tensor) in tensors {
        let writes = matches!(tag, TensorArgType::Inout | TensorArgType::OutputExisting);
        if writes && !tensor.manual_dep() {
            map.insert(Region::new(tensor), task);
        }
    }
}
