use std::mem::{align_of, offset_of, size_of};

use bytemuck::{Pod, Zeroable};

/// What host, AICPU and AICore share at a launch (`spec/device-abi.md`, section 1.2). Addresses are
/// device addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
#[allow(clippy::exhaustive_structs, reason = "a wire format")]
pub struct KernelArgs {
    /// Zero.
    pub unused: [u64; 5],
    /// Device copy of the device arguments; the driver relies on this offset.
    pub device_args: u64,
    /// Device address of the runtime image.
    pub runtime_args: u64,
    /// Device address of the register bases, a `u64` by physical core id.
    pub regs: u64,
    /// Tensor dump memory.
    pub dump_data_base: u64,
    /// Swimlane memory.
    pub l2_perf_data_base: u64,
    /// PMU memory.
    pub pmu_data_base: u64,
    /// Device address of the swimlane rings, a `u64` by core; filled by the host.
    pub aicore_l2_perf_ring_addrs: u64,
    /// Device address of the PMU rings, a `u64` by core; filled by the host.
    pub aicore_pmu_ring_addrs: u64,
    /// Scope statistics memory.
    pub scope_stats_data_base: u64,
    /// Severity from which the AICPU logs: 0 debug, 1 info, 2 warning, 3 error, 4 nothing.
    pub log_level: u32,
    /// Verbosity of info lines, 0 to 9.
    pub log_info_v: u32,
    /// Collectors that are on, a bit each.
    pub enable_profiling_flag: u32,
    /// Zero.
    pub padding: u32,
    /// Device address of a `u64` that receives the run time in nanoseconds.
    pub device_wall_data_base: u64,
    /// Device id, for file names.
    pub device_id: u32,
    /// Zero.
    pub tail: [u8; 4],
}

const _: () = {
    assert!(size_of::<KernelArgs>() == 144 && align_of::<KernelArgs>() == 8);
    assert!(offset_of!(KernelArgs, unused) == 0);
    assert!(offset_of!(KernelArgs, device_args) == 40);
    assert!(offset_of!(KernelArgs, runtime_args) == 48);
    assert!(offset_of!(KernelArgs, regs) == 56);
    assert!(offset_of!(KernelArgs, dump_data_base) == 64);
    assert!(offset_of!(KernelArgs, l2_perf_data_base) == 72);
    assert!(offset_of!(KernelArgs, pmu_data_base) == 80);
    assert!(offset_of!(KernelArgs, aicore_l2_perf_ring_addrs) == 88);
    assert!(offset_of!(KernelArgs, aicore_pmu_ring_addrs) == 96);
    assert!(offset_of!(KernelArgs, scope_stats_data_base) == 104);
    assert!(offset_of!(KernelArgs, log_level) == 112);
    assert!(offset_of!(KernelArgs, log_info_v) == 116);
    assert!(offset_of!(KernelArgs, enable_profiling_flag) == 120);
    assert!(offset_of!(KernelArgs, padding) == 124);
    assert!(offset_of!(KernelArgs, device_wall_data_base) == 128);
    assert!(offset_of!(KernelArgs, device_id) == 136);
};
