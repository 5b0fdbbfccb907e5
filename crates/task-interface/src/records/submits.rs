use bytemuck::{Pod, Zeroable};

use crate::wire::assert_layout;

/// Bits of the flags of submits.
pub mod submit_flags {
    /// In a scope with dependencies by hand.
    pub const MANUAL: u32 = 1;
    /// Continued by the next record.
    pub const CONTINUED: u32 = 1 << 1;
    /// Continues the record before it.
    pub const CONTINUES: u32 = 1 << 2;
    /// The last one that does.
    pub const LAST: u32 = 1 << 3;
}

/// A submit. 2624 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C, align(64))]
#[allow(clippy::exhaustive_structs, reason = "a wire format")]
pub struct SubmitRecord {
    /// The task.
    pub task_id: u64,
    /// See [`submit_flags`].
    pub flags: u32,
    /// Tensors.
    pub tensor_count: u16,
    /// Dependencies by hand that are here.
    pub explicit_dep_count: u16,
    /// These.
    pub explicit_deps: [u64; 64],
    /// By tensor: raw [`TensorArgType`](crate::TensorArgType).
    pub arg_types: [u8; 16],
    /// Padding.
    pub pad0: [u64; 4],
    /// The tensors as they were at the submit; zeros for outputs that it makes.
    pub tensors: [[u8; 128]; 16],
}

assert_layout!(SubmitRecord, size 2624, align 64, {
    task_id @ 0, flags @ 8, tensor_count @ 12, explicit_dep_count @ 14, explicit_deps @ 16, arg_types @ 528,
    pad0 @ 544, tensors @ 576,
});

/// More dependencies of a submit. 2624 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C, align(64))]
#[allow(clippy::exhaustive_structs, reason = "a wire format")]
pub struct SubmitOverflowRecord {
    /// The task.
    pub task_id: u64,
    /// As of a [`SubmitRecord`].
    pub flags: u32,
    /// Dependencies here.
    pub dep_count: u16,
    /// 0.
    pub reserved: u16,
    /// These.
    pub deps: [u64; 326],
}

assert_layout!(SubmitOverflowRecord, size 2624, align 64, {
    task_id @ 0, flags @ 8, dep_count @ 12, reserved @ 14, deps @ 16,
});
