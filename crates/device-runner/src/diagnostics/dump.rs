use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use run_records::dump::{BYTES, Dump, DumpedTensor, FOLDER, Role, Stage};
use run_records::{Dtype, GrowingFile, RecordsError};
use task_interface::ArgDirection;

use super::gather::TensorView;
use super::recorder::{Recorded, warn_lost};
use crate::memory::Memory;
use crate::program::TaskId;
use crate::sync::lock;

/// Of a larger tensor only half as many bytes are dumped: what the contract's AICPU threads have room for each.
const ROOM: u64 = 128 << 20;

/// What the tensors of a kernel are, by its signature; scalars are none.
pub fn tensor_roles(signature: &[ArgDirection]) -> impl Iterator<Item = Role> + '_ {
    signature.iter().filter_map(|direction| match direction {
        ArgDirection::Scalar => None,
        ArgDirection::In => Some(Role::Input),
        ArgDirection::Out => Some(Role::Output),
        ArgDirection::Inout => Some(Role::Inout),
    })
}

/// A tensor argument of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "plain data of variants")]
pub struct DumpedArg {
    /// The task.
    pub task: TaskId,
    /// 0 AIC, 1 and 2 AIV.
    pub subtask: u8,
    /// The kernel.
    pub func_id: u32,
    /// Its place among the task's arguments.
    pub index: u32,
    /// What the kernel does with it.
    pub role: Role,
    /// Which tensors of the task were chosen, bit i for tensor i; `None` if none was.
    pub chosen: Option<u64>,
}

impl DumpedArg {
    /// Whether it counts at a stage: inputs do before their task, outputs after it, and where the client has chosen
    /// tensors of a task, only those of it; if `selective`, none of others.
    #[must_use]
    pub fn counts(&self, stage: Stage, selective: bool) -> bool {
        let has_content = match stage {
            Stage::BeforeDispatch => self.role != Role::Output,
            Stage::AfterCompletion => self.role != Role::Input,
        };
        let chosen = self.chosen.map(|mask| mask.checked_shr(self.index).unwrap_or(0) & 1 != 0);
        has_content && chosen.unwrap_or(!selective)
    }
}

/// Collects tensors before and after tasks.
#[derive(Debug)]
pub struct TensorDump {
    folder: PathBuf,
    memory: Arc<Memory>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Made for the first tensor, so that a run without any makes none.
    file: Option<GrowingFile>,
    error: Option<RecordsError>,
    tensors: Vec<(DumpedTensor, Choice)>,
    lost: u64,
    selective: bool,
    /// A task whose tensors are not what its kernels' signatures say has been told of.
    told: bool,
}

/// Whether the client has chosen a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Choice {
    /// It has chosen none of this task.
    None,
    Chosen,
}

impl TensorDump {
    pub(super) fn new(folder: &Path, memory: Arc<Memory>) -> Self {
        Self { folder: folder.join(FOLDER), memory, state: Mutex::default() }
    }

    /// From now on, and for what was dumped before, only tensors count that were chosen.
    pub fn select(&self) {
        lock(&self.state).selective = true;
    }

    /// A task cannot be dumped: `expected` tensors by the signatures of its kernels, but it has `is`.
    pub fn skip(&self, task: TaskId, expected: usize, is: usize) {
        let mut state = lock(&self.state);
        if !state.told {
            log::warn!(
                "tensor dump: {task} is left out, and others like it: its kernels' signatures have {expected} \
                 tensors, but it has {is}"
            );
            state.told = true;
        }
    }

    /// Keeps a tensor of a task, unless its role or the client's choice says that it does not count at this stage.
    pub fn tensor(&self, arg: &DumpedArg, stage: Stage, view: &TensorView<'_>) {
        let choice = if arg.chosen.is_some() { Choice::Chosen } else { Choice::None };
        let mut state = lock(&self.state);
        if !arg.counts(stage, state.selective) {
            return;
        }
        match self.write(&mut state, view) {
            Ok(part) => state.tensors.push((record(arg, stage, view, &part), choice)),
            Err(lost) => {
                log::warn!("tensor dump: tensor {} of {} is lost: {lost}", arg.index, arg.task);
                state.lost += 1;
            }
        }
    }

    /// Keeps a tensor whose elements device programs have gathered; its place in the file is found here. Without elements
    /// they were overwritten before they could be read.
    pub fn gathered(&self, mut tensor: DumpedTensor, is_chosen: bool, elements: Option<&[u8]>) {
        let choice = if is_chosen { Choice::Chosen } else { Choice::None };
        let mut state = lock(&self.state);
        match self.append(&mut state, elements.unwrap_or_default()) {
            Ok(offset) => {
                (tensor.bin_offset, tensor.bin_size) =
                    elements.map_or((0, 0), |elements| (offset, elements.len() as u64));
                tensor.overwritten = elements.is_none();
                state.tensors.push((tensor, choice));
            }
            Err(lost) => {
                log::warn!(
                    "tensor dump: tensor {} of {} is lost: {lost}",
                    tensor.arg_index,
                    TaskId(tensor.task_id)
                );
                state.lost += 1;
            }
        }
    }

    /// Records were lost on their way here; 0 of them is fine.
    pub fn lose(&self, records: u64) {
        lock(&self.state).lost += records;
        warn_lost("tensor dump", records);
    }

    /// Appends a tensor's bytes to the file.
    fn write(&self, state: &mut State, view: &TensorView<'_>) -> Result<Part, String> {
        let gathered = view.gather_into(&*self.memory, ROOM);
        let (bytes, truncated) = gathered.map_err(|error| error.to_string())?;
        let offset = self.append(state, &bytes)?;
        Ok(Part { offset, size: bytes.len() as u64, truncated })
    }

    fn append(&self, state: &mut State, bytes: &[u8]) -> Result<u64, String> {
        state.append(&self.folder, bytes).map_err(|error| {
            let text = error.to_string();
            state.error.get_or_insert(error);
            text
        })
    }

    pub(super) fn recorded(&self) -> Recorded {
        let state = lock(&self.state);
        Recorded { records: state.tensors.len() as u64, lost: state.lost }
    }

    /// Puts both files into their places; none without tensors.
    pub(super) fn export(&self) -> Result<(), RecordsError> {
        let mut state = lock(&self.state);
        let State { file, error, tensors, lost, selective, .. } = std::mem::take(&mut *state);
        drop(state);
        if let Some(error) = error {
            return Err(error);
        }
        let counts = |(tensor, choice)| (!selective || choice == Choice::Chosen).then_some(tensor);
        let dump = Dump::new(tensors.into_iter().filter_map(counts).collect(), lost);
        let Some(file) = file.filter(|_| !dump.tensors.is_empty()) else {
            log::warn!("tensor dump: there are no tensors; nothing is written");
            return Ok(());
        };
        file.publish()?;
        // `write` puts it into the folder of dumps by itself.
        dump.write(self.folder.parent().unwrap_or(&self.folder))
    }
}

/// Where the bytes of a tensor are.
struct Part {
    offset: u64,
    size: u64,
    truncated: bool,
}

impl State {
    fn append(&mut self, folder: &Path, bytes: &[u8]) -> Result<u64, RecordsError> {
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(GrowingFile::create(&folder.join(BYTES))?),
        };
        file.append(bytes)
    }
}

fn record(arg: &DumpedArg, stage: Stage, view: &TensorView<'_>, part: &Part) -> DumpedTensor {
    DumpedTensor {
        task_id: arg.task.0,
        subtask_id: arg.subtask,
        func_id: arg.func_id,
        role: arg.role,
        stage,
        arg_index: arg.index,
        dtype: Dtype::from(view.dtype),
        is_contiguous: view.is_contiguous(),
        shape: view.shape.to_vec(),
        strides: view.strides.to_vec(),
        start_offset: view.start_offset,
        numel: view.elements(),
        bin_offset: part.offset,
        bin_size: part.size,
        truncated: part.truncated,
        overwritten: false,
    }
}
