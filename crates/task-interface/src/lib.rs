//! Plain data that crosses every boundary of the runtime.
//!
//! **Owns:** the byte layouts shared by clients, the host runtime, orchestration libraries and kernels — tensors,
//! task arguments and their blob form, the call configuration, callable images, the function tables of the
//! `host_build_graph` runtime, and (in [`trb`]) everything that orchestrations and kernels of the
//! `tensormap_and_ringbuffer` runtime see, what device programs record for the host (in [`records`]) — plus the checks that turn foreign bytes into typed values. The contract is
//! `spec/public-abi.md`, sections A.3, B, C, D, E.2, E.3, E.7 and F; the measured layouts are in
//! `spec/public-layouts.json` and are compared with these types by `tests/layouts.rs`.
//!
//! **Must not know:** devices, files, threads, or what a chip can do. Everything here works without an operating
//! system, allocates only through `alloc`, and contains no `unsafe` code.
//!
//! Structures that C++ code reads or writes ("wire structures") are [`bytemuck::Pod`]: every byte pattern is a valid
//! value, so their public fields hold raw integers and carry no promise. Read them through the accessors, which check
//! counts, enum numbers and names and report the offending value.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

#[cfg(not(all(target_endian = "little", target_pointer_width = "64")))]
compile_error!("the wire structures are defined for little-endian targets with 64-bit pointers only");

mod blob;
mod call_config;
mod callable;
mod chip_args;
mod comm_context;
mod dtype;
mod error;
mod handshake;
mod hash;
mod hbg;
mod limits;
pub mod records;
mod run_timing;
mod task_args;
mod tensor;
pub mod trb;
mod wire;
mod wire_enum;

pub use call_config::{CallConfig, DEFAULT_AICPU_THREAD_NUM, MAX_L2_SWIMLANE_LEVEL, OUTPUT_PREFIX_CAPACITY};
pub use callable::{
    CHIP_CALLABLE_HEADER_SIZE, CORE_CALLABLE_BINARY_OFFSET, ChipCallable, ChipCallableBuilder,
    ChipCallableHeader, ChipChild, CoreCallable, CoreCallableHeader, CoreCallableView,
};
pub use chip_args::ChipStorageTaskArgs;
pub use comm_context::{COMM_MAX_RANKS, CommContext};
pub use dtype::{ArgDirection, CoreType, DataType, TensorArgType};
pub use error::{BlobError, CallConfigError, CallableError, TaskArgsError, TensorError};
pub use handshake::Handshake;
pub use hash::{FNV1A64_OFFSET_BASIS, FNV1A64_PRIME, fnv1a64};
pub use hbg::{
    HostApi, KernelEntry, OrchestrationEntry, OrchestrationRuntime, OrchestrationRuntimeOps,
    TensorAllocationInfo, TensorInfo,
};
pub use limits::*;
pub use run_timing::PtoRunTiming;
pub use task_args::{TaskArgs, TaskArgsView};
pub use tensor::ContinuousTensor;
pub use wire_enum::EnumError;
