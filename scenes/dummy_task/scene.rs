//! Tasks without kernels: one id for many, and one many times.

use chip_worker::ArgDirection::{In, Out};
use chip_worker::{CallConfig, CoreType, Platform, RuntimeKind};
use scene::{Case, Data, Graph, Kernel, Program, Scene, Tolerance};

const KERNELS: &[Kernel] = &[
    Kernel::cpp(0, CoreType::Aiv, "kernels/store.cpp").signature(&[Out]),
    Kernel::cpp(1, CoreType::Aic, "kernels/sum.cpp").signature(&[In, Out]),
];
const FAN: &str = "fan";
const CHAIN: &str = "chain";

pub(crate) const SCENE: Scene = Scene {
    name: "dummy_task",
    summary: "tasks without kernels that join, fan out, and stand in a long row",
    folder: concat!(env!("CARGO_MANIFEST_DIR"), "/dummy_task"),
    include_dirs: crate::INCLUDE_DIRS,
    runtime: RuntimeKind::TensormapAndRingbuffer,
    platforms: &Platform::ALL,
    programs: &[
        Program {
            name: FAN,
            graph: Graph::Cpp { path: "orchestration_fan.cpp", entry: "build_fan" },
            kernels: KERNELS,
        },
        Program {
            name: CHAIN,
            graph: Graph::Cpp { path: "orchestration_chain.cpp", entry: "build_chain" },
            kernels: KERNELS,
        },
    ],
    cases,
};

/// How the orchestrations are told where dependencies come from.
const NAMED: u64 = 0;
const FROM_TENSORS: u64 = 1;

fn cases(_: Platform) -> Vec<Case> {
    vec![
        fan("fan_1_to_1", 1, 1, NAMED),
        fan("fan_12_to_30", 12, 30, NAMED),
        fan("fan_from_tensors_12_to_30", 12, 30, FROM_TENSORS),
        // More producers than a task keeps inline.
        fan("fan_200_to_200", 200, 200, NAMED),
        fan("fan_from_tensors_200_to_200", 200, 200, FROM_TENSORS),
        chain("chain_5000", 5000, NAMED),
        chain("chain_from_tensors_5000", 5000, FROM_TENSORS),
    ]
}

fn fan(name: &str, producers: u32, consumers: u32, how: u64) -> Case {
    Case::golden(name, FAN, CallConfig::default(), move |_| {
        let parts: Vec<u64> = (0..u64::from(producers)).map(|i| 3 * i + 1).collect();
        let sum: u64 = parts.iter().sum();
        let sums = (1..=u64::from(consumers)).map(|factor| factor * sum).collect();
        Data::new()
            .output("parts", &[producers], parts, Tolerance::EXACT)
            .output("sums", &[consumers], sums, Tolerance::EXACT)
            .scalar(how)
    })
}

fn chain(name: &str, length: u64, how: u64) -> Case {
    Case::golden(name, CHAIN, CallConfig::default(), move |_| {
        Data::new()
            .output("value", &[1], vec![41u64], Tolerance::EXACT)
            .output("sum", &[1], vec![41u64], Tolerance::EXACT)
            .scalar(length)
            .scalar(how)
    })
}
