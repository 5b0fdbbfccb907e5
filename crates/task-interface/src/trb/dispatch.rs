//! What a kernel is called with (`spec/public-abi.md`, section E.3; `spec/device-abi.md`, section 2.8).

use bytemuck::{Pod, Zeroable};

use super::completion::DeferredCompletionSlab;
use super::error::ArgError;
use super::limits::{
    DISPATCH_MAX_ARGS, MAX_COMPLETIONS_PER_TASK, MAX_SCALAR_ARGS, MAX_TENSOR_ARGS, SLOT_GLOBAL_CONTEXT,
    SLOT_LOCAL_CONTEXT,
};
use super::token::TaskToken;
use crate::wire::assert_layout;

/// Where a kernel registers completion conditions. 40 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct AsyncCtx {
    /// Address of the 32-bit number of registered conditions.
    pub completion_count: u64,
    /// Address of the 32-bit error code.
    pub completion_error_code: u64,
    /// Address of the [`DeferredCompletionEntry`](super::DeferredCompletionEntry) list.
    pub completion_entries: u64,
    /// Length of that list.
    pub completion_capacity: u32,
    /// 0.
    pub pad: u32,
    /// The running task; invalid: conditions cannot be deferred.
    pub task_token: TaskToken,
}

assert_layout!(AsyncCtx, size 40, align 8, {
    completion_count @ 0, completion_error_code @ 8, completion_entries @ 16, completion_capacity @ 24, pad @ 28,
    task_token @ 32,
});

impl AsyncCtx {
    /// The context of task `task`, whose conditions go to the slab at address `slab`.
    #[must_use]
    pub const fn for_slab(slab: u64, task: TaskToken) -> Self {
        Self {
            completion_count: slab.wrapping_add(DeferredCompletionSlab::COUNT_OFFSET),
            completion_error_code: slab.wrapping_add(DeferredCompletionSlab::ERROR_CODE_OFFSET),
            completion_entries: slab.wrapping_add(DeferredCompletionSlab::ENTRIES_OFFSET),
            completion_capacity: CAPACITY,
            pad: 0,
            task_token: task,
        }
    }
}

const CAPACITY: u32 = 64;
const _: () = assert!(CAPACITY as usize == MAX_COMPLETIONS_PER_TASK);

/// What a kernel is told about its own block. 48 bytes. Kernels of a5 know the first two fields as `s_block_idx` and
/// `s_block_num`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct LocalContext {
    /// Index of the block, below `block_num`.
    pub block_idx: i32,
    /// Number of blocks of the task.
    pub block_num: i32,
    /// Where to register completion conditions.
    pub async_ctx: AsyncCtx,
}

assert_layout!(LocalContext, size 48, align 8, { block_idx @ 0, block_num @ 4, async_ctx @ 8 });

/// What a kernel is told about its core. 4 bytes. The same for every task that runs there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct GlobalContext {
    /// 1 on the second vector core of a cluster, else 0.
    pub sub_block_id: i32,
}

assert_layout!(GlobalContext, size 4, align 4, { sub_block_id @ 0 });

/// A kernel and its arguments (`PTO2DispatchPayload`). 512 bytes; each core has two and uses them in turn.
///
/// Kernels get the address of `args` ([`ARGS_OFFSET`](Self::ARGS_OFFSET)), see [`KernelEntry`](crate::KernelEntry).
/// Argument slots that a task does not use keep what was there before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C, align(64))]
pub struct DispatchPayload {
    /// Address of the kernel.
    pub function_bin_addr: u64,
    /// Addresses of [`Tensor`](super::Tensor)s, then scalars; the last two slots hold the addresses of the contexts.
    pub args: [u64; DISPATCH_MAX_ARGS],
    /// The block.
    pub local_context: LocalContext,
    /// The core.
    pub global_context: GlobalContext,
    /// 0.
    pub reserved_payload_abi_pad: [u8; 8],
    /// Fills the last cache line.
    pub tail: [u8; 44],
}

assert_layout!(DispatchPayload, size 512, align 64, {
    function_bin_addr @ 0, args @ 8, local_context @ 408, global_context @ 456, reserved_payload_abi_pad @ 460,
    tail @ 468,
});

impl DispatchPayload {
    /// From the payload to what kernels are called with, in bytes.
    pub const ARGS_OFFSET: u64 = 8;
    /// From the payload to the [`LocalContext`], in bytes.
    pub const LOCAL_CONTEXT_OFFSET: u64 = 408;
    /// From the payload to the [`GlobalContext`], in bytes.
    pub const GLOBAL_CONTEXT_OFFSET: u64 = 456;

    /// Lets the two context slots point into this payload, which kernels find at address `own_address`.
    pub fn link_contexts(&mut self, own_address: u64) {
        self.args[SLOT_LOCAL_CONTEXT] = own_address.wrapping_add(Self::LOCAL_CONTEXT_OFFSET);
        self.args[SLOT_GLOBAL_CONTEXT] = own_address.wrapping_add(Self::GLOBAL_CONTEXT_OFFSET);
    }

    /// Sets the arguments: addresses of tensors, then scalars. Other slots stay as they are.
    ///
    /// # Errors
    /// [`ArgError::TooManyTensors`] above 16, [`ArgError::TooManyScalars`] above 32; nothing is changed then.
    pub fn set_args(&mut self, tensors: &[u64], scalars: &[u64]) -> Result<(), ArgError> {
        if tensors.len() > MAX_TENSOR_ARGS {
            return Err(ArgError::TooManyTensors);
        }
        if scalars.len() > MAX_SCALAR_ARGS {
            return Err(ArgError::TooManyScalars);
        }
        for (slot, &value) in self.args.iter_mut().zip(tensors.iter().chain(scalars)) {
            *slot = value;
        }
        Ok(())
    }
}

const _: () = assert!(MAX_TENSOR_ARGS + MAX_SCALAR_ARGS <= SLOT_LOCAL_CONTEXT);
const _: () = assert!(SLOT_GLOBAL_CONTEXT < DISPATCH_MAX_ARGS);
const _: () = {
    use core::mem::offset_of;
    assert!(offset_of!(DispatchPayload, args) as u64 == DispatchPayload::ARGS_OFFSET);
    assert!(offset_of!(DispatchPayload, local_context) as u64 == DispatchPayload::LOCAL_CONTEXT_OFFSET);
    assert!(offset_of!(DispatchPayload, global_context) as u64 == DispatchPayload::GLOBAL_CONTEXT_OFFSET);
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_tensors_then_scalars_then_contexts() {
        let mut payload = DispatchPayload { args: [9; 50], ..DispatchPayload::zeroed() };
        payload.link_contexts(0x1000);
        payload.set_args(&[1, 2], &[3]).unwrap();
        assert_eq!(payload.args[..4], [1, 2, 3, 9]);
        assert_eq!(payload.args[48..], [0x1000 + 408, 0x1000 + 456]);
        // Kernels see the contexts at fixed distances from their arguments.
        let args = 0x1000 + DispatchPayload::ARGS_OFFSET;
        assert_eq!((payload.args[48] - args, payload.args[49] - args), (400, 448));
    }

    #[test]
    fn too_many_arguments_change_nothing() {
        let mut payload = DispatchPayload::zeroed();
        assert_eq!(payload.set_args(&[1; 17], &[]), Err(ArgError::TooManyTensors));
        assert_eq!(payload.set_args(&[1; 16], &[1; 33]), Err(ArgError::TooManyScalars));
        assert_eq!(payload, DispatchPayload::zeroed());
        payload.set_args(&[1; 16], &[2; 32]).unwrap();
        assert_eq!(payload.args[46..], [2, 2, 0, 0]);
    }

    #[test]
    fn conditions_go_to_the_slab() {
        let context = AsyncCtx::for_slab(0x400, TaskToken::new(0, 3));
        assert_eq!(
            (context.completion_count, context.completion_error_code, context.completion_entries),
            (0x400, 0x404, 0x408)
        );
        assert_eq!((context.completion_capacity, context.task_token.local()), (64, 3));
    }
}
