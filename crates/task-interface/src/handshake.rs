//! How the AICPU program and a core get to know each other.

use bytemuck::{Pod, Zeroable};

use crate::wire::assert_layout;

/// One core's place at the start of a device image (`spec/device-abi.md`, section 2.1). 64 bytes, 64-aligned.
///
/// The host presets `core_type` and leaves the rest zero; then the two device programs write to it in turn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C, align(64))]
pub struct Handshake {
    /// 1 once the AICPU program is there.
    pub aicpu_ready: u32,
    /// The core's worker id + 1 once the core is ready for tasks.
    pub aicore_done: u32,
    /// In `tensormap_and_ringbuffer`: where the core's two payloads are.
    pub task: u64,
    /// A raw [`CoreType`](crate::CoreType): first what the host expects, then what the core is.
    pub core_type: i32,
    /// The physical id that the core reports.
    pub physical_core_id: u32,
    /// 1 once the AICPU program has opened the core's registers.
    pub aicpu_regs_ready: u32,
    /// 1 once the core has reported its physical id.
    pub aicore_regs_ready: u32,
    /// Padding.
    pub reserved: [u32; 8],
}

assert_layout!(Handshake, size 64, align 64, {
    aicpu_ready @ 0, aicore_done @ 4, task @ 8, core_type @ 16, physical_core_id @ 20, aicpu_regs_ready @ 24,
    aicore_regs_ready @ 28,
});
