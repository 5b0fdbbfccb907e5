use device_runner::{AicoreRings, SimPrograms};

/// How device programs are called in simulation (`spec/device-abi.md`, section 7.2).
pub(crate) static SIM_PROGRAMS: SimPrograms = SimPrograms {
    addresses: &[
        "set_platform_dump_base",
        "set_platform_l2_perf_base",
        "set_platform_pmu_base",
        "set_platform_scope_stats_base",
        "set_platform_aicore_rotation_table",
        "set_platform_pmu_reg_addrs",
        "set_platform_dep_gen_base",
    ],
    switches: &[
        "set_dump_tensor_enabled",
        "set_l2_swimlane_enabled",
        "set_pmu_enabled",
        "set_scope_stats_enabled",
        "set_dep_gen_enabled",
    ],
    rings: AicoreRings::Swimlane,
};
