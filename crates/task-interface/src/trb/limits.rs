//! Limits of the `tensormap_and_ringbuffer` runtime that are the same on every chip (`spec/public-abi.md`, section F.1;
//! `spec/device-abi.md`, section 4.2).

use crate::limits::{CORE_MAX_SCALAR_ARGS, CORE_MAX_TENSOR_ARGS};

/// Tensor arguments of one task.
pub const MAX_TENSOR_ARGS: usize = CORE_MAX_TENSOR_ARGS;
/// Scalar arguments of one task.
pub const MAX_SCALAR_ARGS: usize = CORE_MAX_SCALAR_ARGS;

/// Argument slots of a kernel: 48 for tensors and scalars, then the two contexts.
pub const DISPATCH_MAX_ARGS: usize = 50;
/// Argument slot with the address of the [`LocalContext`](super::LocalContext).
pub const SLOT_LOCAL_CONTEXT: usize = 48;
/// Argument slot with the address of the [`GlobalContext`](super::GlobalContext).
pub const SLOT_GLOBAL_CONTEXT: usize = 49;

/// Rings of tasks and output memory; a scope uses the ring of its depth, deep ones share the last.
pub const MAX_RING_DEPTH: usize = 4;
/// Task slots of one ring when nothing else is configured; a power of two.
pub const TASK_WINDOW_SIZE: usize = 16_384;
/// Bytes of output memory of one ring when nothing else is configured.
pub const HEAP_SIZE: u64 = 256 << 20;
/// Entries of the dependency pool, and of the fan-in spill pool, of one ring when nothing else is configured.
pub const DEP_POOL_SIZE: usize = 16_384;
/// Producers of one task that are kept in the task itself; more go to the spill pool.
pub const FANIN_INLINE_CAP: usize = 64;

/// Entries of the map from memory to its writers.
pub const TENSORMAP_POOL_SIZE: usize = 65_536;
/// Hash buckets of that map.
pub const TENSORMAP_NUM_BUCKETS: usize = 4096;
/// Retired tasks of a ring after which their entries are removed from that map.
pub const TENSORMAP_CLEANUP_INTERVAL: usize = 64;
/// Retired tasks of a ring after which their dependency-pool entries are reclaimed.
pub const DEP_POOL_CLEANUP_INTERVAL: usize = 64;

/// Nested scopes, the implicit outer one included.
pub const MAX_SCOPE_DEPTH: usize = 64;
/// Tasks in all open scopes together; more raise
/// [`ScopeTasksOverflow`](super::TrbErrorCode::ScopeTasksOverflow).
pub const SCOPE_TASKS_CAP: usize = 65_536;
/// Ready tasks per resource shape.
pub const READY_QUEUE_SIZE: usize = 65_536;
/// Submitted tasks whose dependencies are not wired yet.
pub const WIRING_QUEUE_SIZE: usize = 1024;

/// Alignment in bytes of the output block of a task in the ring heap.
pub const HEAP_ALIGN: u64 = 64;
/// Alignment in bytes of the start and the size of every single output.
pub const PACKED_OUTPUT_ALIGN: u64 = 1024;

/// Completion conditions of one task.
pub const MAX_COMPLETIONS_PER_TASK: usize = 64;
/// Tasks that wait for completion conditions at a time.
pub const MAX_ASYNC_WAITS: usize = 64;
/// Conditions that arrive before their task is known to wait.
pub const MAX_PENDING_COMPLETIONS: usize = 128;

/// Ticks of the chip's counter (50 MHz on a2a3, 1 GHz on a5) that reading or writing tensor data from an orchestration
/// waits before it raises [`TensorWaitTimeout`](super::TrbErrorCode::TensorWaitTimeout).
pub const TENSOR_DATA_TIMEOUT_TICKS: u64 = 15_000_000_000;
/// Polls without progress that an allocation waits for tasks to retire.
pub const ALLOC_SPIN_LIMIT: u32 = 100_000;
/// Polls without progress after which an idle scheduler gives up, in simulation.
pub const MAX_IDLE_POLLS_SIM: u32 = 8_000_000;
/// Polls without progress after which an idle scheduler gives up, on hardware.
pub const MAX_IDLE_POLLS_ONBOARD: u32 = 800_000;
/// Clusters (one AIC and two AIV cores) that one scheduler thread can serve.
pub const MAX_CLUSTERS_PER_SCHEDULER: usize = 21;
/// Blocks times active kernels of one task; they are counted in 16 bits (section D.5).
pub const MAX_SUBTASKS_PER_TASK: usize = 32_767;
