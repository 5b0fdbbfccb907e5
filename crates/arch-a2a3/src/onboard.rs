//! The chip on hardware (`spec/device-abi.md`, sections 1.2 and 5.9).

use std::time::Duration;

use bytemuck::Zeroable as _;
use hal_sys::{AddrKind, Group, Hal, HalError};
use onboard::{LaunchArgs, OnboardChip, RegisterBank};

use crate::{Chip, KernelArgs};

impl OnboardChip for Chip {
    fn needed_calls(&self) -> &'static [Group] {
        &[Group::RegistersA2a3, Group::Ffts]
    }

    fn kernel_args(&self, launch: &LaunchArgs) -> Vec<u8> {
        let args = KernelArgs {
            device_args: launch.device_args,
            runtime_args: launch.runtime,
            regs: launch.registers,
            ffts_base_addr: launch.ffts_base,
            log_level: launch.log_level,
            log_info_v: launch.log_verbosity,
            enable_profiling_flag: launch.records.flags,
            dump_data_base: launch.records.dump,
            l2_perf_data_base: launch.records.swimlane,
            pmu_data_base: launch.records.pmu,
            dep_gen_data_base: launch.records.submits,
            scope_stats_data_base: launch.records.scopes,
            aicore_ring_addr: launch.records.core_times,
            pmu_reg_addrs: launch.pmu_registers,
            device_wall_data_base: launch.wall,
            device_id: launch.device_id,
            ..KernelArgs::zeroed()
        };
        bytemuck::bytes_of(&args).to_vec()
    }

    fn register_table(&self, hal: &Hal, device: u32, bank: RegisterBank) -> Result<Vec<u64>, HalError> {
        let kind = match bank {
            RegisterBank::Control => AddrKind::AicCtrl,
            RegisterBank::Pmu => AddrKind::AicPmu,
        };
        let present = hal.core_bitmap(device)?;
        let (base, _) = map_patiently(hal, kind, device)?;
        Ok(table(base, present))
    }

    fn has_pmu_table(&self) -> bool {
        true
    }

    fn has_ranks(&self) -> bool {
        true
    }

    fn maps_records(&self) -> bool {
        true
    }

    fn ffts_base(&self, hal: &Hal) -> Result<u64, HalError> {
        hal.c2c_ctrl_addr()
    }
}

/// Physical clusters of one AIC and two AIV; launches use at most as many as [`limits`](crate::limits) says.
const CLUSTERS: u64 = 25;
/// Bytes from one cluster's registers to those of the next.
const CLUSTER_STRIDE: u64 = 0x80_0000;
/// Bytes from one core's registers to those of the next in its cluster.
const CORE_STRIDE: u64 = 0x10_0000;

/// All AIC in order, then both AIV of each cluster; 0 in clusters that are not there.
fn table(base: u64, present: u64) -> Vec<u64> {
    let address = |cluster: u64, core: u64| {
        let is_present = present >> cluster & 1 == 1;
        if is_present { base.wrapping_add(cluster * CLUSTER_STRIDE + core * CORE_STRIDE) } else { 0 }
    };
    let aic = (0..CLUSTERS).map(|cluster| address(cluster, 0));
    let aiv = (0..CLUSTERS).flat_map(|cluster| [address(cluster, 1), address(cluster, 2)]);
    aic.chain(aiv).collect()
}

/// The driver says so while another process maps the same.
const BUSY: i32 = 13;
const TRIES_MORE: u32 = 3;
const PAUSE: Duration = Duration::from_millis(50);

fn map_patiently(hal: &Hal, kind: AddrKind, device: u32) -> Result<(u64, u64), HalError> {
    let is_busy = |error: &HalError| error.code().is_some_and(|code| code.number() == BUSY);
    for _ in 0..TRIES_MORE {
        match hal.map_registers(kind, device) {
            Err(error) if is_busy(&error) => std::thread::sleep(PAUSE),
            result => return result,
        }
    }
    hal.map_registers(kind, device)
}

#[cfg(test)]
mod tests {
    use device_runner::Arch as _;

    use super::*;

    #[test]
    fn a_core_is_found_by_its_physical_id() {
        let table = table(0x1000_0000, u64::MAX);
        assert_eq!(table.len(), crate::CHIP.limits().physical_core_ids as usize);
        assert_eq!(table[0], 0x1000_0000);
        assert_eq!(table[24], 0x1000_0000 + 24 * 0x80_0000);
        assert_eq!(table[25], 0x1010_0000);
        assert_eq!(table[26], 0x1020_0000);
        assert_eq!(table[25 + 2 * 7 + 1], 0x1000_0000 + 7 * 0x80_0000 + 0x20_0000);
    }

    #[test]
    fn cores_that_are_not_there_have_no_address() {
        let table = table(0x1000_0000, 0b101);
        let there: Vec<usize> = (0..75).filter(|&id| table[id] != 0).collect();
        assert_eq!(there, [0, 2, 25, 26, 29, 30]);
    }

    #[test]
    fn kernel_args_have_all_that_a_launch_says() {
        let mut launch = LaunchArgs::default();
        launch.device_args = 1;
        launch.runtime = 2;
        launch.registers = 3;
        launch.ffts_base = 4;
        launch.log_level = 5;
        launch.log_verbosity = 6;
        launch.records.flags = 7;
        let records = &mut launch.records;
        [records.swimlane, records.core_times, records.dump, records.pmu] = [10, 11, 12, 13];
        [records.pmu_rings, records.scopes, records.submits] = [14, 15, 16];
        launch.pmu_registers = 17;
        launch.wall = 8;
        launch.device_id = 9;
        let bytes = crate::CHIP.kernel_args(&launch);
        let mut args: KernelArgs = bytemuck::pod_read_unaligned(&bytes);
        assert_eq!([args.device_args, args.runtime_args, args.regs, args.ffts_base_addr], [1, 2, 3, 4]);
        assert_eq!(
            [args.log_level, args.log_info_v, args.enable_profiling_flag, args.device_id],
            [5, 6, 7, 9]
        );
        assert_eq!(args.device_wall_data_base, 8);
        let places = |args: &KernelArgs| {
            [
                args.dump_data_base,
                args.l2_perf_data_base,
                args.pmu_data_base,
                args.dep_gen_data_base,
                args.scope_stats_data_base,
                args.aicore_ring_addr,
                args.pmu_reg_addrs,
            ]
        };
        assert_eq!(places(&args), [12, 10, 13, 16, 15, 11, 17]);
        [args.device_args, args.runtime_args, args.regs, args.ffts_base_addr] = [0; 4];
        [args.log_level, args.log_info_v, args.enable_profiling_flag, args.device_id] = [0; 4];
        args.device_wall_data_base = 0;
        args.dump_data_base = 0;
        args.l2_perf_data_base = 0;
        args.pmu_data_base = 0;
        args.dep_gen_data_base = 0;
        args.scope_stats_data_base = 0;
        args.aicore_ring_addr = 0;
        args.pmu_reg_addrs = 0;
        assert_eq!(args, KernelArgs::zeroed(), "the rest is zero");
    }
}
