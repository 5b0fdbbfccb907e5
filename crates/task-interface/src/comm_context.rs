//! What a kernel is told about the ranks it talks to.

use bytemuck::{Pod, Zeroable};

use crate::wire::assert_layout;

/// Ranks of a communicator at the most.
pub const COMM_MAX_RANKS: usize = 64;

/// The ranks of a communicator and their windows, as kernels read it from device memory (`spec/public-abi.md`,
/// section A.6). 1056 bytes. All addresses are those of the device that reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct CommContext {
    /// Memory for transfers by SDMA; 0 where there is none.
    pub work_space: u64,
    /// Its bytes.
    pub work_space_size: u64,
    /// The reader's rank.
    pub rank_id: u32,
    /// Number of ranks.
    pub rank_num: u32,
    /// Bytes of each window.
    pub win_size: u64,
    /// Each rank's window; only the first `rank_num` count.
    pub windows_in: [u64; COMM_MAX_RANKS],
    /// The same in simulation; 0 on hardware.
    pub windows_out: [u64; COMM_MAX_RANKS],
}

assert_layout!(CommContext, size 1056, align 8, {
    work_space @ 0, work_space_size @ 8, rank_id @ 16, rank_num @ 20, win_size @ 24, windows_in @ 32,
    windows_out @ 544,
});

impl Default for CommContext {
    fn default() -> Self {
        Self::zeroed()
    }
}
