//! Simulated platforms with device programs: which are taken.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "a panic is the report of a test")]

use chip_worker::{ChipWorker, Platform, Programs, RuntimeKind};

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
