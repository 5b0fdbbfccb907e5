//! The `Runtime` object: one place per core for the handshake, then what the host says about the run.

use bytemuck::{Pod, Zeroable};
use task_interface::{
    CALLABLE_FUNC_NAME_MAX, ChipStorageTaskArgs, Handshake, RUNTIME_MAX_FUNC_ID, assert_layout,
};

/// What follows the handshakes, which are as many as the chip has cores (`spec/device-abi.md`, section 4.1).
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C, align(64))]
pub(crate) struct RuntimeTail {
    /// Cores of the run.
    pub(crate) worker_count: i32,
    pub(crate) aicpu_thread_num: i32,
    /// Nothing reads it; it is set because the contract has it.
    pub(crate) ready_queue_shards: i32,
    pub(crate) pad0: u32,
    pub(crate) task_window_size: u64,
    pub(crate) heap_size: u64,
    pub(crate) dep_pool_size: u64,
    /// Device address of the `CoreCallable` header of each kernel, 0 for none.
    pub(crate) func_id_to_addr: [u64; RUNTIME_MAX_FUNC_ID],
    /// Whether the orchestrator's thread deals tasks once the graph is built.
    pub(crate) orch_to_sched: u8,
    pub(crate) pad1: [u8; 3],
    pub(crate) registered_kernel_func_ids: [i32; RUNTIME_MAX_FUNC_ID],
    pub(crate) registered_kernel_count: i32,
    pub(crate) gm_sm_ptr: u64,
    pub(crate) gm_heap_ptr: u64,
    pub(crate) slot_states_ptr: u64,
    pub(crate) orch_args_storage: ChipStorageTaskArgs,
    pub(crate) prebuilt_arena_base: u64,
    pub(crate) prebuilt_runtime_offset: u64,
    pub(crate) dev_orch_so_addr: u64,
    pub(crate) dev_orch_so_size: u64,
    pub(crate) active_callable_id: i32,
    pub(crate) register_new_callable_id: u8,
    pub(crate) device_orch_func_name: [u8; CALLABLE_FUNC_NAME_MAX],
    pub(crate) device_orch_config_name: [u8; CALLABLE_FUNC_NAME_MAX],
    pub(crate) pad2: [u8; 3],
    /// Of the host alone, like the list of pairs; zero on the device.
    pub(crate) host_api: [u64; 9],
    pub(crate) tensor_pairs: [u64; 3],
    pub(crate) pad3: [u8; 40],
}

assert_layout!(RuntimeTail, size 18816, align 64, {
    worker_count @ 0, aicpu_thread_num @ 4, ready_queue_shards @ 8, task_window_size @ 16, heap_size @ 24,
    dep_pool_size @ 32, func_id_to_addr @ 40, orch_to_sched @ 8232, registered_kernel_func_ids @ 8236,
    registered_kernel_count @ 12332, gm_sm_ptr @ 12336, gm_heap_ptr @ 12344, slot_states_ptr @ 12352,
    orch_args_storage @ 12360, prebuilt_arena_base @ 18512, prebuilt_runtime_offset @ 18520,
    dev_orch_so_addr @ 18528, dev_orch_so_size @ 18536, active_callable_id @ 18544,
    register_new_callable_id @ 18548, device_orch_func_name @ 18549, device_orch_config_name @ 18613,
    host_api @ 18680, tensor_pairs @ 18752,
});

/// Offset of the [`RuntimeTail`] in the object, of a chip with as many cores.
pub(crate) const fn tail_offset(cores: u32) -> usize {
    cores as usize * size_of::<Handshake>()
}

/// Bytes of the whole object.
pub(crate) const fn runtime_bytes(cores: u32) -> usize {
    tail_offset(cores) + size_of::<RuntimeTail>()
}
