//! The numbers that calls return. What they mean to users is in spec/hal.md, section 3.

/// Bad argument at the level of aclrt*.
pub(crate) const ACL_INVALID_PARAM: i32 = 100_000;
pub(crate) const ACL_REPEAT_INITIALIZE: i32 = 100_002;
pub(crate) const ACL_REPEAT_FINALIZE: i32 = 100_037;
/// Bad argument.
pub(crate) const PARAM_INVALID: i32 = 107_000;
pub(crate) const INVALID_DEVICE: i32 = 107_001;
/// The calling thread is not attached to a device.
pub(crate) const CONTEXT_NULL: i32 = 107_002;
/// The stream belongs to another context, or to none.
pub(crate) const STREAM_CONTEXT: i32 = 107_003;
pub(crate) const INVALID_HANDLE: i32 = 107_017;
pub(crate) const FEATURE_NOT_SUPPORT: i32 = 207_000;
pub(crate) const MEMORY_ALLOCATION: i32 = 207_001;
pub(crate) const NO_PERMISSION: i32 = 207_006;
pub(crate) const INTERNAL_ERROR: i32 = 507_000;
/// More resets than sets.
pub(crate) const CONTEXT_RELEASE_ERROR: i32 = 507_007;
pub(crate) const LOST_HEARTBEAT: i32 = 507_010;
pub(crate) const AICORE_TIMEOUT: i32 = 507_014;
/// A kernel of an AICore launch broke off.
pub(crate) const AICORE_EXCEPTION: i32 = 507_015;
pub(crate) const AICPU_TIMEOUT: i32 = 507_017;
pub(crate) const AICPU_EXCEPTION: i32 = 507_018;
pub(crate) const STREAM_SYNC_TIMEOUT: i32 = 507_046;
pub(crate) const DRV_INTERNAL_ERROR: i32 = 507_899;
pub(crate) const SOCKET_CLOSE: i32 = 507_901;
/// What rtGetC2cCtrlAddr says on a chip without it: the raw internal code, not an ACL one.
pub(crate) const RT_FEATURE_NOT_SUPPORT_RAW: i32 = 0x0711_000D;

pub(crate) const DRV_INVALID_DEVICE: i32 = 2;
pub(crate) const DRV_INVALID_VALUE: i32 = 3;
pub(crate) const DRV_INVALID_HANDLE: i32 = 4;
pub(crate) const DRV_OUT_OF_MEMORY: i32 = 6;
pub(crate) const DRV_INNER_ERR: i32 = 7;
pub(crate) const DRV_PARA_ERROR: i32 = 8;
pub(crate) const DRV_REPEATED_USED: i32 = 12;
pub(crate) const DRV_NOT_SUPPORT: i32 = 0xfffe;

pub(crate) const HCCL_PARA: i32 = 1;
pub(crate) const HCCL_PTR: i32 = 2;
pub(crate) const HCCL_TIMEOUT: i32 = 9;
pub(crate) const HCCL_RUNTIME: i32 = 15;
