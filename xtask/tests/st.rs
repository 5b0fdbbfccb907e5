//! `cargo xtask st` as its users see it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is the report of a test")]

use std::path::Path;
use std::process::Command;

struct Ended {
    code: i32,
    out: String,
    err: String,
}

fn xtask_with(env: &[(&str, &str)], args: &[&str]) -> Ended {
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("kernels");
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.env("SIMPLER_KERNEL_CACHE", cache).envs(env.iter().copied()).args(args);
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ended { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
}

fn xtask(args: &[&str]) -> Ended {
    xtask_with(&[], args)
}

/// The names of cases that passed, in order.
fn passed(out: &str) -> Vec<&str> {
    let names = out.lines().filter_map(|line| line.split_once("] PASS: ")?.1.split_once(" ("));
    let mut names: Vec<&str> = names.map(|(name, _)| name).collect();
    names.sort_unstable();
    names
}

#[test]
fn a_scene_passes_on_both_platforms() {
    let ended = xtask(&["st", "rust_graph", "--devices", "2"]);
    assert_eq!((ended.code, ended.err.as_str()), (0, ""), "{}", ended.out);
    let passed = passed(&ended.out);
    assert_eq!(passed.len(), 8);
    for platform in ["a2a3sim", "a5sim"] {
        assert!(
            passed.contains(&format!("rust_graph/cpp_graph_cpp_kernels/{platform}").as_str()),
            "{passed:?}"
        );
    }
    assert!(ended.out.starts_with("compiling 3 C++ sources"), "{}", ended.out);
    assert!(ended.out.contains("[8/8] PASS: "), "{}", ended.out);
    assert!(ended.out.contains("\na2a3sim, a5sim: 8 passed, 0 failed in "), "{}", ended.out);
}

#[test]
fn platform_runtime_and_case_can_be_chosen() {
    let args = ["st", "--platform", "a5sim", "--runtime=host_build_graph", "vector_example/1", "bgemm/1x"];
    let ended = xtask(&args);
    assert_eq!(ended.code, 0, "{}", ended.err);
    let passed = passed(&ended.out);
    assert!(passed.iter().all(|name| name.ends_with("/a5sim")), "{passed:?}");
    assert!(passed.contains(&"vector_example/128x128/a5sim"), "{passed:?}");
    assert!(passed.contains(&"bgemm/1x1x1x1_tile_1/a5sim"), "{passed:?}");
    assert!(!ended.out.contains("vector_example/33x7"), "{}", ended.out);

    let one = ["st", "--exact", "vector_example/1/a5sim", "--platform=a2a3sim,a5sim"];
    assert_eq!(self::passed(&xtask(&one).out), ["vector_example/1/a5sim"]);
}

#[test]
fn the_smallest_rings_of_a_case_are_found() {
    let ended = xtask(&["st", "--smallest-rings", "--platform", "a2a3sim", "trb_vector_example/33"]);
    assert_eq!(ended.code, 0, "{}", ended.err);
    assert!(ended.out.contains("s) window 4, heap 2048 bytes, dep_pool 4\n"), "{}", ended.out);
    let refused = xtask(&["st", "--smallest-rings", "--runtime", "host_build_graph"]);
    assert_eq!(refused.code, 2);
    assert!(refused.err.contains("--smallest-rings"), "{}", refused.err);
}

#[test]
fn rings_come_from_the_environment_and_impossible_values_are_ignored() {
    let case = ["st", "--platform", "a5sim", "trb_vector_example/128x128"];
    let small = xtask_with(&[("PTO2_RING_HEAP", "65536")], &case);
    assert_eq!(small.code, 1, "{}", small.out);
    assert!(small.out.contains("HEAP_RING_DEADLOCK") && small.out.contains("65536"), "{}", small.out);
    let enough = [("PTO2_RING_HEAP", "131072"), ("PTO2_RING_TASK_WINDOW", "4"), ("PTO2_RING_DEP_POOL", "4")];
    assert_eq!(xtask_with(&enough, &case).code, 0);
    let impossible =
        [("PTO2_RING_HEAP", "70000"), ("PTO2_RING_TASK_WINDOW", "-1"), ("PTO2_RING_DEP_POOL", "x")];
    let told = [&impossible[..], &[("RUST_LOG", "warn")]].concat();
    let ignored = xtask_with(&told, &case);
    assert_eq!(ignored.code, 0, "{}", ignored.out);
    for (name, _) in impossible {
        assert!(ignored.err.contains(name), "{}", ignored.err);
    }
}

#[test]
fn wrong_results_are_shown_and_end_with_1() {
    // Kernels of vector cores then compute what those of cube cores should.
    let compiler = [("SIMPLER_CXX", "c++ -D__DAV_CUBE__")];
    let ended = xtask_with(&compiler, &["st", "--platform", "a2a3sim", "random_dag/chain_1000_"]);
    assert_eq!(ended.code, 1, "{}", ended.out);
    assert!(ended.out.contains("FAIL: random_dag/chain_1000_double_edges/a2a3sim ("), "{}", ended.out);
    assert!(ended.out.contains(" of 1000 values are wrong (exact), largest error"), "{}", ended.out);
    assert!(ended.out.contains("\na2a3sim: 0 passed, 1 failed in "), "{}", ended.out);
}

#[test]
fn compile_errors_are_shown_once_and_whole() {
    let compiler = [("SIMPLER_CXX", "c++ -include no_such_header.h")];
    let ended = xtask_with(&compiler, &["st", "rust_graph/cpp_graph_cpp"]);
    assert_eq!(ended.code, 1, "{}", ended.out);
    assert_eq!(ended.out.matches("] FAIL: rust_graph (2 cases)\n").count(), 1, "{}", ended.out);
    assert!(ended.out.contains("fatal error: no_such_header.h"), "{}", ended.out);
    assert!(ended.out.contains("0 passed, 2 failed"), "{}", ended.out);
}

#[test]
fn without_a_compiler_it_says_what_to_do() {
    let ended = xtask_with(&[("SIMPLER_CXX", "no-such-compiler")], &["st", "vector_example/1"]);
    assert_eq!(ended.code, 1);
    assert!(ended.err.contains("no-such-compiler") && ended.err.contains("SIMPLER_CXX"), "{}", ended.err);
}

#[test]
fn a_filter_without_match_ends_with_1_and_names_the_scenes() {
    for args in [&["st", "no_such_scene"][..], &["st", "bgemm", "no_such_scene"]] {
        let ended = xtask(args);
        assert_eq!((ended.code, ended.out.as_str()), (1, ""));
        assert!(ended.err.starts_with("error: no case contains \"no_such_scene\""), "{}", ended.err);
        assert!(ended.err.contains("vector_example") && ended.err.contains("blocking"), "{}", ended.err);
    }
}

#[test]
fn wrong_options_end_with_2_and_the_usage() {
    for (args, reason) in [
        (&["st", "--platform", "a9"][..], "unknown platform \"a9\"; known are: a2a3sim, a5sim"),
        (&["st", "--platform"], "missing argument for option '--platform'"),
        (&["st", "--runtime", "other"], "unknown runtime \"other\""),
        (&["st", "--fast"], "invalid option '--fast'"),
        (&["sing"], "unknown command \"sing\""),
        (&["--fast"], "invalid option '--fast'"),
    ] {
        let ended = xtask(args);
        assert_eq!((ended.code, ended.out.as_str()), (2, ""), "{args:?}");
        assert!(ended.err.starts_with(&format!("error: {reason}")), "{args:?}: {}", ended.err);
        assert!(ended.err.contains("cargo xtask"), "{args:?}: {}", ended.err);
    }
}

#[test]
fn without_cann_it_says_what_is_missing_and_that_there_is_a_stand_in() {
    if chip_worker::Platform::A2a3.check_machine().is_ok() {
        return;
    }
    let ended = xtask(&["st", "--platform", "a2a3", "vector_example/1"]);
    assert_eq!((ended.code, ended.out.as_str()), (1, ""));
    let text = "error: platform a2a3 cannot be used on this machine: ";
    assert!(ended.err.starts_with(text) && ended.err.contains("libruntime.so"), "{}", ended.err);
    assert!(ended.err.ends_with("(or run a2a3 on a stand-in: --stand-in)\n"), "{}", ended.err);
    assert_eq!(ended.err.matches("cannot be used").count(), 1, "{}", ended.err);
}

#[test]
fn both_runtimes_have_scenes() {
    let shown = |args: &[&str]| xtask(&[&["st", "--list"], args].concat()).out;
    let (host, rings) = (
        shown(&["--runtime", "host_build_graph"]),
        shown(&["--runtime", "tensormap_and_ringbuffer", "--platform", "a5sim"]),
    );
    assert!(host.contains("(host_build_graph; a2a3sim, a5sim)") && !host.contains("trb_"), "{host}");
    assert!(rings.contains("(tensormap_and_ringbuffer; a5sim)") && !rings.contains("bgemm"), "{rings}");
    let all = shown(&[]);
    assert!(
        host.lines()
            .chain(rings.lines().filter(|line| line.starts_with("  ")))
            .all(|line| all.contains(line))
    );

    let args = ["st", "--runtime", "tensormap_and_ringbuffer", "trb_vector_example/33x7"];
    let ended = xtask(&args);
    assert_eq!(ended.code, 0, "{}", ended.out);
    let expected = ["trb_vector_example/33x7/a2a3sim", "trb_vector_example/33x7/a5sim"];
    assert_eq!(passed(&ended.out), expected, "{}", ended.out);
    // Each chip has objects of its own: three kernels and an orchestration.
    assert!(ended.out.starts_with("compiling 8 C++ sources"), "{}", ended.out);
}

#[test]
fn the_list_names_scenes_and_cases_without_running_them() {
    let ended = xtask(&["st", "--list"]);
    assert_eq!((ended.code, ended.err.as_str()), (0, ""));
    assert!(
        ended.out.contains("(host_build_graph; a2a3sim, a5sim)\n  vector_example/128x128\n"),
        "{}",
        ended.out
    );
    assert!(ended.out.contains("\n  random_dag/layered_131072\n"), "{}", ended.out);
    assert!(!ended.out.contains("PASS"), "{}", ended.out);

    let ended = xtask(&["st", "--list", "--platform", "a5sim", "bgemm"]);
    assert!(ended.out.starts_with("bgemm: ") && ended.out.contains("; a5sim)"), "{}", ended.out);
    assert!(!ended.out.contains("vector_example"), "{}", ended.out);
}

#[test]
fn help_is_shown_in_every_way_it_is_asked_for() {
    for args in [&[][..], &["help"], &["--help"], &["-h"]] {
        let ended = xtask(args);
        assert_eq!((ended.code, ended.err.as_str()), (0, ""), "{args:?}");
        assert!(ended.out.starts_with("cargo xtask <COMMAND>") && ended.out.contains("  st "), "{args:?}");
    }
    for args in [&["st", "--help"][..], &["st", "-h"]] {
        let ended = xtask(args);
        assert_eq!(ended.code, 0);
        assert!(
            ended.out.starts_with("cargo xtask st ") && ended.out.contains("--platform"),
            "{}",
            ended.out
        );
    }
}

#[test]
fn processes_that_a_launcher_has_started_are_ranks_of_a_case() {
    let job = format!("st test {}", std::process::id());
    let ranks: Vec<Ended> = std::thread::scope(|scope| {
        let rank = |rank: u32| {
            let (rank, job) = (rank.to_string(), &job);
            scope.spawn(move || {
                let env = [
                    ("SIMPLER_COMM_RANK", rank.as_str()),
                    ("SIMPLER_COMM_SIZE", "4"),
                    ("SIMPLER_COMM_JOB", job),
                ];
                xtask_with(&env, &["st", "--as-rank", "comm_experts"])
            })
        };
        let started: Vec<_> = (0..4).map(rank).collect();
        started.into_iter().map(|rank| rank.join().unwrap()).collect()
    });
    for (rank, ended) in ranks.iter().enumerate() {
        assert_eq!((ended.code, ended.err.as_str()), (0, ""), "{}", ended.out);
        let line = |platform| format!("rank {rank} of 4: comm_experts/4_ranks/{platform}: PASS\n");
        assert_eq!(ended.out, line("a2a3sim") + &line("a5sim"));
    }
}

#[test]
fn ranks_on_hardware_find_the_programs_of_their_devices() {
    let (arch, runtime) = ("a2a3", "host_build_graph");
    let programs = device_programs::build(arch, runtime).unwrap();
    let tree = tempfile::tempdir().unwrap();
    for (path, bytes) in [
        (format!("{arch}/onboard/{runtime}/libaicpu_kernel.so"), programs.aicpu),
        (format!("{arch}/onboard/{runtime}/aicore_kernel.o"), programs.aicore),
        (format!("{arch}/dispatcher/libsimpler_aicpu_dispatcher.so"), programs.dispatcher),
    ] {
        let path = tree.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    let libraries = soft_cann::libraries_dir().unwrap();
    let (tree, job) = (tree.path().to_str().unwrap(), format!("st hardware test {}", std::process::id()));
    let args = ["st", "--as-rank", "--platform", arch, "--programs", tree, "comm_ffn/2"];
    let ranks: Vec<Ended> = std::thread::scope(|scope| {
        let rank = |rank: &'static str| {
            let env = [
                ("SIMPLER_COMM_RANK", rank),
                ("SIMPLER_COMM_SIZE", "2"),
                ("SIMPLER_COMM_JOB", &job),
                ("LD_LIBRARY_PATH", libraries.to_str().unwrap()),
                ("SOFT_CANN_CHIP", arch),
                ("SOFT_CANN_TIME_SCALE", "60"),
            ];
            scope.spawn(move || xtask_with(&env, &args))
        };
        ["0", "1"].map(rank).into_iter().map(|rank| rank.join().unwrap()).collect()
    });
    for (rank, ended) in ranks.iter().enumerate() {
        let line = format!("rank {rank} of 2: comm_ffn/2_ranks/{arch}: PASS\n");
        assert_eq!((ended.code, ended.out.as_str()), (0, line.as_str()), "{}", ended.err);
    }
}

#[test]
fn a_rank_without_others_or_without_a_case_says_so() {
    let of = |ranks| [("SIMPLER_COMM_RANK", "0"), ("SIMPLER_COMM_SIZE", ranks)];
    let ended = xtask_with(&of("3"), &["st", "--as-rank", "comm_experts"]);
    assert_eq!((ended.code, ended.err.as_str()), (1, "error: --as-rank: no case is one of 3 ranks\n"));
    let ended = xtask_with(&of("x"), &["st", "--as-rank", "comm_experts"]);
    assert!(ended.code == 1 && ended.err.contains("SIMPLER_COMM_SIZE=x"), "{}", ended.err);
    let args = ["st", "--as-rank", "--timeout", "1", "--platform", "a5sim", "comm_ffn/2"];
    let ended = xtask_with(&of("2"), &args);
    assert_eq!(ended.code, 1);
    assert!(ended.out.contains("FAIL") && ended.out.contains("rank 1 did not come within"), "{}", ended.out);
    let ended = xtask(&["st", "--as-rank", "--smallest-rings"]);
    assert!(
        ended.code == 2 && ended.err.contains("--as-rank does not go with --smallest-rings"),
        "{}",
        ended.err
    );
}
