//! Every scene on every platform, and how failures of a scene are told.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is the report of a test")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use chip_worker::{CallConfig, ChipWorker, CoreType, NativeGraph, Platform, RuntimeKind};
use kernel_compiler::KernelCompiler;
use scene::{
    BuildError, BuiltScene, Case, CaseError, Code, Data, Graph, Kernel, Program, Scene, Setup, Sources,
    Tolerance,
};

/// One cache for all tests and all test runs.
fn compiler() -> KernelCompiler {
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("kernels");
    KernelCompiler::builder().cache_dir(cache).build().unwrap()
}

fn build(scene: &Scene, platform: Platform) -> BuiltScene {
    let objects = Sources::of([(scene, platform)]).compile(&compiler());
    objects.build(scene, platform).unwrap_or_else(|error| panic!("{error}"))
}

fn scene(name: &str) -> &'static Scene {
    scenes::find(name).unwrap()
}

fn passes(name: &str) {
    let scene = scene(name);
    assert_eq!(scene.platforms, Platform::ALL);
    for platform in Platform::SIMULATED {
        let built = build(scene, platform);
        for case in (scene.cases)(platform) {
            let report = scene::run_alone(&built, &case, &Setup::default());
            let report = report.unwrap_or_else(|error| panic!("{name}/{} {platform}: {error}", case.name()));
            assert!(report.runs > 0 && report.tasks >= report.runs, "{name}/{}: {report:?}", case.name());
        }
    }
}

#[test]
fn vector_example_passes() {
    passes("vector_example");
}

#[test]
fn bgemm_passes() {
    passes("bgemm");
}

#[test]
fn random_dag_passes() {
    passes("random_dag");
}

#[test]
fn prepared_callable_passes() {
    passes("prepared_callable");
}

#[test]
fn rust_graph_passes() {
    passes("rust_graph");
}

#[test]
fn blocking_passes() {
    passes("blocking");
}

#[test]
fn trb_vector_example_passes() {
    passes("trb_vector_example");
}

#[test]
fn dummy_task_passes() {
    passes("dummy_task");
}

#[test]
fn alternating_matmul_add_passes() {
    passes("alternating_matmul_add");
}

#[test]
fn mixed_example_passes() {
    passes("mixed_example");
}

#[test]
fn spmd_basic_passes() {
    passes("spmd_basic");
}

#[test]
fn spmd_multiblock_aiv_passes() {
    passes("spmd_multiblock_aiv");
}

#[test]
fn spmd_multiblock_mix_passes() {
    passes("spmd_multiblock_mix");
}

#[test]
fn spmd_sync_start_passes() {
    passes("spmd_sync_start");
}

#[test]
fn spmd_starvation_passes() {
    passes("spmd_starvation");
}

#[test]
fn scalar_data_passes() {
    passes("scalar_data");
}

#[test]
fn ring_pressure_passes() {
    passes("ring_pressure");
}

#[test]
fn deferred_notify_passes() {
    passes("deferred_notify");
}

#[test]
fn explicit_fatal_passes() {
    passes("explicit_fatal");
}

#[test]
fn trb_manual_scope_passes() {
    passes("trb_manual_scope");
}

#[test]
fn trb_prepared_callable_passes() {
    passes("trb_prepared_callable");
}

#[test]
fn paged_attention_passes() {
    passes("paged_attention");
}

#[test]
fn comm_collectives_passes() {
    passes("comm_collectives");
}

#[test]
fn comm_domains_passes() {
    passes("comm_domains");
}

#[test]
fn comm_ffn_passes() {
    passes("comm_ffn");
}

#[test]
fn comm_experts_passes() {
    passes("comm_experts");
}

#[test]
fn names_can_be_typed_and_stand_for_one_thing() {
    let mut names = Vec::new();
    for scene in scenes::all() {
        assert!(!scene.summary.is_empty());
        for case in (scene.cases)(Platform::A2a3Sim) {
            names.push(format!("{}/{}", scene.name, case.name()));
        }
    }
    for name in &names {
        assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || "_/".contains(c)), "{name}");
    }
    let count = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), count, "a name comes twice");
    assert!(scenes::find("no_such_scene").is_none());
}

#[test]
fn every_cpp_file_belongs_to_a_scene() {
    let sources = Sources::of(scenes::all().iter().map(|scene| (scene, Platform::A2a3Sim)));
    let used: BTreeSet<PathBuf> = sources.paths().map(Path::to_owned).collect();
    let mut found = BTreeSet::new();
    find_cpp(Path::new(env!("CARGO_MANIFEST_DIR")), &mut found);
    found.retain(|path| !path.starts_with(BROKEN.folder));
    assert_eq!(used, found);
}

fn find_cpp(folder: &Path, found: &mut BTreeSet<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            find_cpp(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "cpp") {
            found.insert(path);
        }
    }
}

/// The vector example with another case.
fn vector_example_with(cases: fn(Platform) -> Vec<Case>) -> Scene {
    Scene { name: "test", cases, ..*scene("vector_example") }
}

fn fails(scene: &Scene) -> CaseError {
    let built = build(scene, Platform::A2a3Sim);
    let case = (scene.cases)(Platform::A2a3Sim).pop().unwrap();
    scene::run_alone(&built, &case, &Setup::default()).unwrap_err()
}

#[test]
fn wrong_results_are_told_with_place_and_size() {
    let scene = vector_example_with(|_| {
        vec![Case::golden("wrong", "main", CallConfig::default(), |_| {
            // (1 + 2 + 1) * (1 + 2 + 2) + (1 + 2) = 23
            let mut expected = vec![23.0f32; 6];
            expected[4] = 24.0;
            Data::new().input("a", &[2, 3], vec![1.0f32; 6]).input("b", &[2, 3], vec![2.0f32; 6]).output(
                "f",
                &[2, 3],
                expected,
                Tolerance { absolute: 0.5, relative: 0.0 },
            )
        })]
    });
    let error = fails(&scene);
    assert!(matches!(&error, CaseError::Wrong(mismatches) if mismatches.len() == 1));
    let wanted = "f [2, 3]: 1 of 6 values are wrong (tolerance 5e-1 + 0e0 relative), largest error 1.00e0\n  \
                  at [1, 1]: expected 24, got 23";
    assert_eq!(error.to_string(), wanted);
}

#[test]
fn a_run_that_fails_says_why() {
    let scene = vector_example_with(|_| {
        let config = CallConfig { block_dim: 1000, ..CallConfig::default() };
        vec![Case::golden("too_many_blocks", "main", config, |_| Data::new())]
    });
    let error = fails(&scene);
    assert!(error.to_string().contains("block_dim 1000 is out of range"), "{error}");
}

#[test]
fn the_rank_that_fails_first_is_told_and_the_others_end() {
    fn ranks(name: &'static str, end: fn(&scene::Stage<'_>) -> Result<(), CaseError>) -> Case {
        let script = move |stage: &mut scene::Stage<'_>| {
            let comm = stage.comm()?;
            comm.alloc_windows(8)?;
            if comm.rank() == 1 {
                return end(stage);
            }
            Ok(comm.barrier()?)
        };
        Case::new(name, script).ranks(3)
    }
    let wrong = vector_example_with(|_| vec![ranks("wrong", |stage| stage.expect_eq("answer", &41, &42))]);
    let panics = vector_example_with(|_| vec![ranks("panics", |_| panic!("as this test wants"))]);
    // The others see at once that the first has left.
    for _ in 0..10 {
        let error = fails(&wrong);
        assert_eq!(error.to_string(), "rank 1: answer: expected 42, got 41");
        assert!(!error.may_still_run());
        assert_eq!(fails(&panics).to_string(), "rank 1: the case panicked");
    }
    let alone = vector_example_with(|_| vec![Case::new("alone", |stage| stage.comm().map(drop))]);
    assert!(fails(&alone).to_string().contains("has nobody to talk to"));
}

#[test]
fn arguments_that_do_not_fit_their_shape_are_refused() {
    let scene = vector_example_with(|_| {
        vec![Case::golden("shape", "main", CallConfig::default(), |_| {
            Data::new().input("a", &[2, 3], vec![1.0f32; 5])
        })]
    });
    assert!(fails(&scene).to_string().contains("needs 24 bytes, the slice has 20"));
}

#[test]
fn what_a_case_leaves_behind_fails_it() {
    let scene = vector_example_with(|_| {
        vec![Case::new("leak", |stage| {
            stage.worker().malloc(100)?;
            Ok(())
        })]
    });
    assert!(matches!(fails(&scene), CaseError::Left { .. }));
}

#[test]
fn a_failed_check_and_an_unknown_program_are_told() {
    let scene =
        vector_example_with(|_| vec![Case::new("check", |stage| stage.expect_eq("answer", &41, &42))]);
    assert_eq!(fails(&scene).to_string(), "answer: expected 42, got 41");
    let scene =
        vector_example_with(|_| vec![Case::new("program", |stage| stage.register("other").map(drop))]);
    assert_eq!(fails(&scene).to_string(), "the scene has no program \"other\"");
}

#[test]
fn one_worker_runs_many_cases() {
    let scene = scene("vector_example");
    let built = build(scene, Platform::A5Sim);
    let worker = ChipWorker::builder().platform(Platform::A5Sim).build().unwrap();
    for case in (scene.cases)(Platform::A5Sim).iter().take(3) {
        scene::run_case(&worker, &built, case, 0).unwrap();
    }
    assert!(worker.close().unwrap().is_zero());
}

const BROKEN: Scene = Scene {
    name: "broken",
    summary: "does not compile",
    folder: concat!(env!("CARGO_MANIFEST_DIR"), "/tests/broken"),
    include_dirs: &[],
    runtime: RuntimeKind::HostBuildGraph,
    platforms: &[Platform::A2a3Sim],
    programs: &[Program {
        name: "main",
        graph: Graph::Rust(|| NativeGraph::new(|_| Ok(()))),
        kernels: &[Kernel {
            func_id: 0,
            core_type: CoreType::Aiv,
            code: Code::Cpp("kernel.cpp"),
            signature: &[],
        }],
    }],
    cases: |_| Vec::new(),
};

#[test]
fn what_the_compiler_says_is_told_whole_and_spares_other_scenes() {
    let good = scene("vector_example");
    let platform = Platform::A2a3Sim;
    let objects = Sources::of([(&BROKEN, platform), (good, platform)]).compile(&compiler());
    let error = objects.build(&BROKEN, platform).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("kernel.cpp:4:") && text.contains("no_such_thing"), "{text}");
    assert!(objects.build(good, platform).is_ok());
}

#[test]
fn only_programs_in_cpp_have_an_image() {
    let compiler = compiler();
    let image = scene::compile(&compiler, scene("vector_example"), Platform::A5Sim).unwrap();
    assert_eq!((image.func_name(), image.children().count()), ("build_vector_example", 3));
    let error = scene::compile(&compiler, scene("rust_graph"), Platform::A5Sim).unwrap_err();
    assert!(matches!(error, BuildError::NoImage { scene: "rust_graph", .. }), "{error}");
}

#[test]
fn a_scene_that_was_left_out_of_the_compilation_is_refused() {
    let objects = Sources::of([]).compile(&compiler());
    let error = objects.build(scene("vector_example"), Platform::A2a3Sim).unwrap_err();
    assert!(matches!(error, BuildError::NotCompiled { .. }), "{error}");
}

#[test]
fn ten_workers_run_scenes_at_once() {
    let names = ["vector_example", "bgemm", "prepared_callable", "rust_graph", "blocking", "random_dag"];
    let built = Platform::SIMULATED.map(|platform| names.map(|name| build(scene(name), platform)));
    let small = |case: &Case| {
        !["131072", "1000003", "1024x1024", "256x256"].iter().any(|big| case.name().contains(big))
    };
    std::thread::scope(|scope| {
        for worker in 0..10 {
            let built = &built[worker % 2];
            scope.spawn(move || {
                let platform = Platform::SIMULATED[worker % 2];
                // Each begins with another scene, so that different ones meet.
                for built in built.iter().cycle().skip(worker).take(built.len()) {
                    for case in (built.scene().cases)(platform).iter().filter(|case| small(case)) {
                        let report = scene::run_alone(built, case, &Setup::default());
                        report.unwrap_or_else(|error| panic!("{} {platform}: {error}", case.name()));
                    }
                }
            });
        }
    });
}
