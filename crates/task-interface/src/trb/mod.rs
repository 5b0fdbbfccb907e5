//! Plain data of the `tensormap_and_ringbuffer` ("trb") runtime: what its orchestrations and kernels see.
//!
//! An orchestration fills an [`Arg`] and passes it with [`MixedKernels`] through [`RuntimeOps`]; it gets
//! [`TaskOutputTensors`] back. A kernel finds pointers to [`Tensor`]s, scalars and its two contexts in a
//! [`DispatchPayload`], and may leave conditions in a [`DeferredCompletionSlab`]. The contract is
//! `spec/public-abi.md`, sections D, E.3, E.7, F.1 and F.2; it is the same on both chips except where an item says so.
//!
//! Everything here is data. How tasks are ordered, placed and finished is the business of the runtime.

mod arg;
mod completion;
mod create_info;
mod dims;
mod dispatch;
mod enums;
mod error;
mod error_code;
mod kernels;
mod limits;
mod ops;
mod outputs;
mod tensor;
mod token;
mod view;

pub use arg::{Arg, LaunchSpec, TensorRef};
pub use completion::{CompletionToken, DeferredCompletionEntry, DeferredCompletionSlab, SdmaEventRecord};
pub use create_info::TensorCreateInfo;
pub use dispatch::{AsyncCtx, DispatchPayload, GlobalContext, LocalContext};
pub use enums::{AsyncEngine, CompletionType, OverlapStatus, ResourceShape, ScopeMode, SubtaskSlot};
pub use error::{ArgError, CompletionError, TensorError};
pub use error_code::{ERROR_NONE, TrbErrorCode, run_code};
pub use kernels::{ActiveMask, INVALID_KERNEL_ID, MixedKernels};
pub use limits::*;
pub use ops::{
    BIND_RUNTIME_SYMBOL, BindRuntime, DEFAULT_CONFIG_SYMBOL, DEFAULT_ENTRY_SYMBOL, OrchestrationConfig,
    OrchestrationConfigEntry, OrchestrationEntry, RuntimeHeader, RuntimeOps,
};
pub use outputs::TaskOutputTensors;
pub use tensor::Tensor;
pub use token::{Pto2TaskId, TaskToken};
