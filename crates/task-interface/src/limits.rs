//! Limits and return codes that are the same on every chip (`spec/public-abi.md`, sections F.1 and F.3).
//!
//! Limits that differ between chips (block dimension, worker and thread counts) belong to the chip crates.

/// Tensor arguments of one kernel, and length of a [`CoreCallable`](crate::CoreCallable) signature.
pub const CORE_MAX_TENSOR_ARGS: usize = 16;
/// Scalar arguments of one kernel.
pub const CORE_MAX_SCALAR_ARGS: usize = 32;
/// Tensor arguments of one chip-level call, and length of a [`ChipCallable`](crate::ChipCallable) signature.
pub const CHIP_MAX_TENSOR_ARGS: usize = 128;
/// Scalar arguments of one chip-level call.
pub const CHIP_MAX_SCALAR_ARGS: usize = 128;
/// Kernels in one [`ChipCallable`](crate::ChipCallable).
pub const CHIP_CALLABLE_MAX_CHILDREN: usize = 1024;
/// Alignment in bytes of kernel binaries and children inside callable images.
pub const CALLABLE_ALIGN: usize = 64;
/// Bytes reserved for a name in a callable image; the last one is always the terminating NUL.
pub const CALLABLE_FUNC_NAME_MAX: usize = 64;
/// Callables that may be registered at a time; callable ids are in `0..64`.
pub const MAX_REGISTERED_CALLABLE_IDS: usize = 64;
/// Kernel ids (`func_id`) are in `0..1024`.
pub const RUNTIME_MAX_FUNC_ID: usize = 1024;
/// Dimensions of a tensor, everywhere.
pub const CONTINUOUS_TENSOR_MAX_DIMS: usize = 5;
/// Bytes in front of the tensors in a task-argument blob.
pub const TASK_ARGS_BLOB_HEADER_SIZE: usize = 8;
/// Ranks of one communicator.
pub const COMM_MAX_RANK_NUM: usize = 64;

/// Cores of one block: [`PLATFORM_AIC_CORES_PER_BLOCKDIM`] + [`PLATFORM_AIV_CORES_PER_BLOCKDIM`].
pub const PLATFORM_CORES_PER_BLOCKDIM: usize = 3;
/// AIC (cube) cores of one block.
pub const PLATFORM_AIC_CORES_PER_BLOCKDIM: usize = 1;
/// AIV (vector) cores of one block.
pub const PLATFORM_AIV_CORES_PER_BLOCKDIM: usize = 2;

/// Tasks of one `host_build_graph` run.
pub const RUNTIME_MAX_TASKS: usize = 131_072;
/// Argument slots of one `host_build_graph` task.
pub const RUNTIME_MAX_ARGS: usize = 16;
/// Successors of one `host_build_graph` task.
pub const RUNTIME_MAX_FANOUT: usize = 128;

/// Host C API return code: success.
pub const HOST_RC_OK: i32 = 0;
/// Host C API return code: bad argument, failed load, failed allocation, or any other generic failure.
pub const HOST_RC_FAILED: i32 = -1;
