//! The graph of a run, from its submits: all dependencies that there would be if nothing ever retired
//! (`spec/device-abi.md`, section 6.5).

use std::collections::{BTreeMap, HashSet};

use device_runner::{Submit, Submits};
use run_records::deps::{
    Arg, ArgKind, ArgTensor, Edge, Overlap, Reason, Scope, Task, TensorVersion, View, tensor_id,
};
use run_records::{Deps, Dtype};
use task_interface::trb::{OverlapStatus, TaskToken, Tensor};
use task_interface::{DataType, TensorArgType};

use crate::derivation;
use crate::tensormap::{Handle, Region, TensorMap};

/// A dependency of the run that the replay does not have: one of the two is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the run had {succ} wait for {pred}, which nothing in the submits tells")]
pub(crate) struct Divergence {
    succ: TaskToken,
    pred: TaskToken,
}

/// The graph. It has every dependency of the run that is known, and those on tasks that had been retired.
///
/// # Errors
/// [`Divergence`], if it has not.
pub(crate) fn replay(submits: &Submits) -> Result<Deps, Divergence> {
    let mut replay = Replay::default();
    submits.read(|submits| {
        for submit in submits {
            let first = replay.deps.edges.len();
            replay.submit(&submit);
            let preds: HashSet<u64> = replay.deps.edges[first..].iter().map(|edge| edge.pred).collect();
            if let Some(&pred) = submit.producers.iter().find(|pred| !preds.contains(&pred.raw)) {
                return Err(Divergence { succ: submit.task, pred });
            }
        }
        Ok(())
    })?;
    Ok(replay.deps)
}

#[derive(Default)]
struct Replay {
    map: TensorMap,
    deps: Deps,
    /// Places of `deps.tensors` by id.
    tensors: BTreeMap<u64, usize>,
    superseded: Vec<Handle>,
    met: Vec<(TaskToken, OverlapStatus, Handle)>,
}

impl Replay {
    fn submit(&mut self, submit: &Submit<'_>) {
        let args = (0u32..).zip(submit.tensors).map(|(idx, (tag, tensor))| Arg {
            idx,
            kind: kind(*tag),
            tensor: tensor.as_ref().map(|tensor| self.describe(tensor)),
        });
        let args = args.collect();
        let scope = if submit.manual { Scope::Manual } else { Scope::Auto };
        self.deps.tasks.push(Task { task_id: submit.task.raw, scope, args });
        let mut known = HashSet::new();
        for pred in submit.explicit {
            if known.insert(pred.raw) {
                self.edge(pred.raw, submit.task, -1, Reason::Explicit);
            }
        }
        if submit.manual {
            return;
        }
        self.superseded.clear();
        for (arg, (tag, tensor)) in (0i32..).zip(submit.tensors) {
            let Some(tensor) = tensor else { continue };
            let owner = tensor.owner_task_id;
            if owner.is_valid() && known.insert(owner.raw) {
                let consumer = self.describe(tensor);
                self.edge(owner.raw, submit.task, arg, Reason::Creator { consumer });
            }
            self.writers(submit.task, arg, *tag, tensor);
        }
        let written = submit.tensors.iter().filter_map(|(tag, tensor)| Some((*tag, tensor.as_ref()?)));
        derivation::register(&mut self.map, written, &self.superseded, submit.task);
    }

    fn writers(&mut self, task: TaskToken, arg: i32, tag: TensorArgType, tensor: &Tensor) {
        let mut met = std::mem::take(&mut self.met);
        met.clear();
        derivation::writers(
            &self.map,
            tag,
            tensor,
            |_| true,
            |pred, status, handle| {
                met.push((pred, status, handle));
            },
        );
        for &(pred, status, handle) in &met {
            let covered = status == OverlapStatus::Covered;
            let reason = Reason::Tensormap {
                overlap: if covered { Overlap::Covered } else { Overlap::Other },
                consumer: self.describe(tensor),
                producer: self.map.region(handle).map_or_else(empty_view, Region::view),
            };
            self.edge(pred.raw, task, arg, reason);
            if derivation::supersedes(tag, status) {
                self.superseded.push(handle);
            }
        }
        self.met = met;
    }

    fn edge(&mut self, pred: u64, succ: TaskToken, arg: i32, reason: Reason) {
        self.deps.edges.push(Edge { pred, succ: succ.raw, arg, reason });
    }

    /// A tensor as the file has it; its version is entered, too.
    fn describe(&mut self, tensor: &Tensor) -> ArgTensor {
        let id = tensor_id(tensor.buffer_addr, tensor.version);
        let dtype = Dtype::from(tensor.dtype);
        self.tensors.entry(id).or_insert_with(|| {
            // Of an element type that has no size the bytes are counted.
            let element = DataType::try_from(tensor.dtype).map_or(1, DataType::element_size);
            self.deps.tensors.push(TensorVersion {
                tensor_id: id,
                buffer_addr: tensor.buffer_addr,
                version: tensor.version,
                dtype,
                buffer_numel: tensor.buffer_size / element as u64,
            });
            self.deps.tensors.len() - 1
        });
        let used = |dims: &[u32]| dims.iter().copied().take(tensor.ndims as usize).collect();
        let view = View {
            shape: used(&tensor.shapes),
            start_offset: tensor.start_offset,
            strides: used(&tensor.strides),
        };
        ArgTensor { tensor_id: id, dtype, view }
    }
}

fn empty_view() -> View {
    View { shape: Vec::new(), start_offset: 0, strides: Vec::new() }
}

fn kind(tag: TensorArgType) -> ArgKind {
    match tag {
        TensorArgType::Input => ArgKind::Input,
        TensorArgType::Output => ArgKind::Output,
        TensorArgType::Inout => ArgKind::Inout,
        TensorArgType::OutputExisting => ArgKind::OutputExisting,
        _ => ArgKind::Unknown,
    }
}
