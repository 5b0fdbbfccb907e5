use device_runner::{AicoreRings, RecordPlace, SimPrograms};
use task_interface::records::flags;

/// How device programs are called in simulation (`spec/device-abi.md`, section 7.2).
pub(crate) static SIM_PROGRAMS: SimPrograms = SimPrograms {
    addresses: &[
        ("set_platform_dump_base", RecordPlace::Dump),
        ("set_platform_l2_perf_base", RecordPlace::Swimlane),
        ("set_platform_pmu_base", RecordPlace::Pmu),
        ("set_platform_scope_stats_base", RecordPlace::Scopes),
        ("set_platform_aicore_rotation_table", RecordPlace::CoreTimes),
        ("set_platform_pmu_reg_addrs", RecordPlace::PmuRegisters),
        ("set_platform_dep_gen_base", RecordPlace::Submits),
    ],
    switches: &[
        ("set_dump_tensor_enabled", flags::DUMP),
        ("set_l2_swimlane_enabled", flags::SWIMLANE),
        ("set_pmu_enabled", flags::PMU),
        ("set_scope_stats_enabled", flags::SCOPE_STATS),
        ("set_dep_gen_enabled", flags::DEP_GEN),
    ],
    rings: AicoreRings::Swimlane,
};
