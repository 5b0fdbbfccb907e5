//! The chip on hardware (`spec/device-abi.md`, sections 1.2 and 5.9).

use bytemuck::Zeroable as _;
use hal_sys::{Group, Hal, HalError};
use onboard::{LaunchArgs, OnboardChip, RegisterBank};

use crate::{Chip, KernelArgs};

impl OnboardChip for Chip {
    fn needed_calls(&self) -> &'static [Group] {
        &[Group::RegistersA5]
    }

    fn kernel_args(&self, launch: &LaunchArgs) -> Vec<u8> {
        let args = KernelArgs {
            device_args: launch.device_args,
            runtime_args: launch.runtime,
            regs: launch.registers,
            log_level: launch.log_level,
            log_info_v: launch.log_verbosity,
            enable_profiling_flag: launch.records.flags,
            dump_data_base: launch.records.dump,
            l2_perf_data_base: launch.records.swimlane,
            pmu_data_base: launch.records.pmu,
            aicore_l2_perf_ring_addrs: launch.records.core_times,
            aicore_pmu_ring_addrs: launch.records.pmu_rings,
            scope_stats_data_base: launch.records.scopes,
            device_wall_data_base: launch.wall,
            device_id: launch.device_id,
            ..KernelArgs::zeroed()
        };
        bytemuck::bytes_of(&args).to_vec()
    }

    /// One block has the registers of both banks.
    fn register_table(&self, hal: &Hal, device: u32, _bank: RegisterBank) -> Result<Vec<u64>, HalError> {
        let bases: Result<Vec<u64>, _> =
            (0..CLUSTERS).map(|cluster| hal.map_core(device, cluster).map(|(base, _)| base)).collect();
        Ok(table(&bases?))
    }

    fn maps_records(&self) -> bool {
        false
    }

    fn has_pmu_table(&self) -> bool {
        false
    }

    fn has_ranks(&self) -> bool {
        false
    }

    /// There is no such unit.
    fn ffts_base(&self, _hal: &Hal) -> Result<u64, HalError> {
        Ok(0)
    }
}

/// Physical clusters of one AIC and two AIV.
const CLUSTERS: u32 = 36;
/// Of those, on one die.
const CLUSTERS_PER_DIE: usize = 18;
/// Bytes from one core's registers to those of the next in its cluster.
const CORE_STRIDE: u64 = 0x10_0000;

/// Die by die: all AIC in order, then both AIV of each cluster.
fn table(bases: &[u64]) -> Vec<u64> {
    let address = |base: u64, core: u64| base.wrapping_add(core * CORE_STRIDE);
    let of_die = |die: &[u64]| {
        let aic = die.iter().map(|&base| address(base, 0));
        let aiv = die.iter().flat_map(|&base| [address(base, 1), address(base, 2)]);
        aic.chain(aiv).collect::<Vec<_>>()
    };
    bases.chunks(CLUSTERS_PER_DIE).flat_map(of_die).collect()
}

#[cfg(test)]
mod tests {
    use device_runner::Arch as _;

    use super::*;

    #[test]
    fn a_core_is_found_by_its_physical_id() {
        let bases: Vec<u64> = (1..=36).map(|cluster| cluster << 32).collect();
        let table = table(&bases);
        assert_eq!(table.len(), crate::CHIP.limits().physical_core_ids as usize);
        assert_eq!(table[0], 1 << 32);
        assert_eq!(table[17], 18 << 32);
        assert_eq!(table[18], (1 << 32) + 0x10_0000);
        assert_eq!(table[19], (1 << 32) + 0x20_0000);
        assert_eq!(table[54], 19 << 32);
        assert_eq!(table[54 + 18 + 2 * 17 + 1], (36 << 32) + 0x20_0000);
    }

    #[test]
    fn kernel_args_have_all_that_a_launch_says() {
        let mut launch = LaunchArgs::default();
        launch.device_args = 1;
        launch.runtime = 2;
        launch.registers = 3;
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
        assert_eq!([args.device_args, args.runtime_args, args.regs], [1, 2, 3]);
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
                args.aicore_l2_perf_ring_addrs,
                args.aicore_pmu_ring_addrs,
                args.scope_stats_data_base,
            ]
        };
        assert_eq!(places(&args), [12, 10, 13, 11, 14, 15]);
        [args.device_args, args.runtime_args, args.regs] = [0; 3];
        [args.log_level, args.log_info_v, args.enable_profiling_flag, args.device_id] = [0; 4];
        args.device_wall_data_base = 0;
        args.dump_data_base = 0;
        args.l2_perf_data_base = 0;
        args.pmu_data_base = 0;
        args.aicore_l2_perf_ring_addrs = 0;
        args.aicore_pmu_ring_addrs = 0;
        args.scope_stats_data_base = 0;
        assert_eq!(args, KernelArgs::zeroed(), "the rest is zero");
    }
}
