use device_runner::DeviceTime;
use task_interface::trb::{DeferredCompletionEntry, ResourceShape, TaskToken};

/// A task between its submission and the end of its life.
#[derive(Debug, Default)]
pub(crate) struct Task {
    pub(crate) token: TaskToken,
    /// By sub-task slot (AIC, AIV0, AIV1): index into the launch's kernels.
    pub(crate) kernels: [Option<u32>; 3],
    pub(crate) shape: Option<ResourceShape>,
    /// Blocks that must all start together.
    pub(crate) sync_start: bool,
    pub(crate) blocks: u32,
    /// Blocks that have been started.
    pub(crate) next_block: u32,
    /// Sub-tasks that have not ended, of all blocks.
    pub(crate) subtasks_left: u32,
    /// Producers that have not completed.
    pub(crate) pending: u32,
    /// When its last producer completed, or it was submitted.
    pub(crate) ready_at: DeviceTime,
    /// When the last of its sub-tasks ended so far, and then when it completed.
    pub(crate) ended_at: DeviceTime,
    /// Every producer whose memory this task keeps alive.
    pub(crate) producers: Vec<TaskToken>,
    /// Tasks that wait for this one.
    pub(crate) consumers: Vec<TaskToken>,
    /// Consumers that have not completed, and the scope it was submitted in.
    pub(crate) consumers_left: u32,
    pub(crate) in_scope: bool,
    pub(crate) completed: bool,
    /// What must come about in memory before it completes.
    pub(crate) conditions: Vec<DeferredCompletionEntry>,
    /// Its place for tensors and scalars.
    pub(crate) payload: Option<u64>,
    pub(crate) tensor_count: u32,
    pub(crate) scalar_count: u32,
    /// Tensors that the client has chosen for dumps, bit i for tensor i; `None` if it has chosen none.
    pub(crate) chosen: Option<u64>,
}

impl Task {
    /// Makes a used record new, keeping the memory of its lists.
    pub(crate) fn renew(&mut self, token: TaskToken, submitted: DeviceTime) {
        let Self { producers, consumers, conditions, .. } = std::mem::take(self);
        *self = Self {
            token,
            producers,
            consumers,
            conditions,
            ready_at: submitted,
            in_scope: true,
            blocks: 1,
            ..Self::default()
        };
        self.producers.clear();
        self.consumers.clear();
        self.conditions.clear();
    }

    /// Kernels of one block.
    pub(crate) fn active(&self) -> impl Iterator<Item = (usize, u32)> + '_ {
        self.kernels.iter().enumerate().filter_map(|(slot, kernel)| kernel.map(|kernel| (slot, kernel)))
    }

    /// Whether neither a consumer nor a scope needs it any more.
    pub(crate) fn is_consumed(&self) -> bool {
        self.completed && !self.in_scope && self.consumers_left == 0
    }
}
