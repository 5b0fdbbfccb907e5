//! What is built.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is the report of a test")]

use object_loader::SharedObject;
use workshop::WorkshopError;

/// What hosts look up in an AICPU program (`spec/device-abi.md`, sections 1.4 and 7.2).
const OF_AICPU: [&str; 15] = [
    "simpler_aicpu_init",
    "simpler_aicpu_exec",
    "aicpu_execute",
    "set_platform_regs",
    "set_platform_dump_base",
    "set_dump_tensor_enabled",
    "set_platform_l2_perf_base",
    "set_l2_swimlane_enabled",
    "set_platform_aicore_rotation_table",
    "set_platform_pmu_base",
    "set_pmu_enabled",
    "set_platform_pmu_reg_addrs",
    "set_platform_dep_gen_base",
    "set_dep_gen_enabled",
    "set_platform_scope_stats_base",
];

/// And in an AICore program (sections 1.5 and 7.2).
const OF_AICORE: [&str; 4] = [
    "aicore_kernel_0_mix_aic",
    "aicore_kernel_0_mix_aiv",
    "aicore_execute_wrapper",
    "set_sim_core_identity_helpers",
];

#[test]
fn each_program_exports_its_own_entries_only() {
    for arch in ["a2a3", "a5"] {
        for runtime in ["host_build_graph", "tensormap_and_ringbuffer"] {
            let built = device_programs::build(arch, runtime).unwrap();
            let aicpu = SharedObject::load("AICPU program", &built.aicpu).unwrap();
            let aicore = SharedObject::load("AICore program", &built.aicore).unwrap();
            for (names, theirs, others) in [(&OF_AICPU[..], &aicpu, &aicore), (&OF_AICORE, &aicore, &aicpu)] {
                for name in names {
                    theirs.symbol_address(name).unwrap();
                    assert_eq!(others.optional_symbol(name).unwrap(), None, "{name}");
                }
            }
        }
    }
}

#[test]
fn there_are_no_programs_for_other_chips_or_runtimes() {
    for (arch, runtime) in [("a9", "host_build_graph"), ("a5", "no_such_runtime")] {
        let error = device_programs::build(arch, runtime).unwrap_err();
        assert!(
            matches!(&error, WorkshopError::Cargo { features, .. } if features.contains(arch)),
            "{error}"
        );
        assert!(error.to_string().contains(if arch == "a9" { "a9" } else { runtime }), "{error}");
    }
}
