//! Simulated platforms with device programs: which are taken, and what is kept from them.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "a panic is the report of a test")]

mod common;

use chip_worker::{Args, ChipWorker, Platform, Programs, RuntimeKind};
use common::{add_callable, config, trb_library};

fn build(chip: &str, runtime: &str) -> device_programs::Programs {
    device_programs::build(chip, runtime).unwrap()
}

#[test]
fn programs_for_something_else_are_refused_before_anything_runs() {
    let refusal = |aicpu: &[u8], aicore: &[u8]| {
        let builder = ChipWorker::builder().platform(Platform::A2a3Sim).runtime(RuntimeKind::HostBuildGraph);
        let error = builder.programs(Programs::simulated(aicpu, aicore)).build().unwrap_err();
        error.to_string()
    };
    let ours = build("a2a3", "host_build_graph");
    let other_chip = build("a5", "host_build_graph");
    let other_runtime = build("a2a3", "tensormap_and_ringbuffer");
    let text = refusal(&other_chip.aicpu, &other_chip.aicore);
    assert!(text.contains("a5 host_build_graph 1") && text.contains("a2a3 host_build_graph 1"), "{text}");
    let text = refusal(&ours.aicpu, &other_runtime.aicore);
    assert!(text.contains("AICore program is for \"a2a3 tensormap_and_ringbuffer 1\""), "{text}");
    let text = refusal(&ours.aicore, &ours.aicpu);
    assert!(text.contains("in this order"), "{text}");
    let text = refusal(&[], &ours.aicore);
    assert!(text.contains("AICPU program") && text.contains("empty"), "{text}");
}

/// An AICPU program that holds on to the swimlane of its last run, and fails when it would record into that. It lets the
/// engine end its cores.
const STICKY: &str = r#"
static uint64_t swimlane, rotations;
static bool is_on, is_level_set;

#define IGNORED_ADDRESS(name) extern "C" void name(uint64_t) {}
#define IGNORED_SWITCH(name) extern "C" void name(bool) {}
IGNORED_ADDRESS(set_platform_regs)
IGNORED_ADDRESS(set_platform_dump_base)
IGNORED_ADDRESS(set_platform_pmu_base)
IGNORED_ADDRESS(set_platform_pmu_reg_addrs)
IGNORED_ADDRESS(set_platform_dep_gen_base)
IGNORED_ADDRESS(set_platform_scope_stats_base)
IGNORED_SWITCH(set_dump_tensor_enabled)
IGNORED_SWITCH(set_pmu_enabled)
IGNORED_SWITCH(set_dep_gen_enabled)
IGNORED_SWITCH(set_scope_stats_enabled)

extern "C" void set_platform_l2_perf_base(uint64_t base) { swimlane = base; }
extern "C" void set_platform_aicore_rotation_table(uint64_t table) { rotations = table; }
extern "C" void set_l2_swimlane_enabled(bool on) { is_on = on; }

extern "C" int aicpu_execute(void *) {
    if (!is_on) return is_level_set ? -8 : swimlane == 0 && rotations == 0 ? 0 : -9;
    if (swimlane == 0 || rotations == 0) return -7;
    is_level_set = true;
    return 0;
}"#;

#[test]
fn what_a_program_remembers_of_a_swimlane_goes_with_the_run() {
    let aicpu = trb_library(STICKY);
    let aicore = build("a2a3", "host_build_graph").aicore;
    let builder = ChipWorker::builder().platform(Platform::A2a3Sim).runtime(RuntimeKind::HostBuildGraph);
    let worker = builder.programs(Programs::simulated(aicpu, aicore)).build().unwrap();
    let handle = worker.register(&add_callable()).unwrap();
    let scratch = tempfile::tempdir().unwrap();
    for level in [0, 0, 2, 0, 1, 4, 0] {
        let mut config = config(1, 1);
        if level > 0 {
            config.set_l2_swimlane(level).unwrap();
            config.set_output_prefix(&scratch.path().to_string_lossy()).unwrap();
        }
        let (input, mut output) = ([1i64], [0i64]);
        let args = Args::new().input(&input, &[1]).unwrap().output(&mut output, &[1]).unwrap();
        worker.run(&handle, &args.scalar(1).unwrap(), &config).unwrap();
    }
    drop(handle);
    assert!(worker.close().unwrap().is_zero());
}
