//! What AICPU and AICore programs say to each other through two registers (`spec/device-abi.md`, section 2.3).

/// Bits of a word that name a task; the highest one says whether it has ended.
const TOKEN: u32 = 0x7fff_ffff;
const ENDED: u32 = !TOKEN;

/// First token that names no task.
pub(crate) const FIRST_RESERVED: u32 = 0x7fff_fff0;

/// In DATA_MAIN_BASE: leave.
pub(crate) const EXIT: u32 = FIRST_RESERVED;
/// In DATA_MAIN_BASE: nothing to do.
pub(crate) const NO_TASK: u32 = 0x7fff_fffd;

/// In COND: ready for a first task.
pub(crate) const IDLE: u32 = 0xffff_ffff;
/// In COND: the core has left.
pub(crate) const LEFT: u32 = 0xffff_fffe;

/// In FAST_PATH_ENABLE, where there is that register.
pub(crate) const FAST_PATH_OPEN: u32 = 0xe;
pub(crate) const FAST_PATH_CLOSED: u32 = 0xf;

/// In COND: the task is received.
pub(crate) const fn received(token: u32) -> u32 {
    token & TOKEN
}

/// In COND: the task has ended.
pub(crate) const fn ended(token: u32) -> u32 {
    (token & TOKEN) | ENDED
}
