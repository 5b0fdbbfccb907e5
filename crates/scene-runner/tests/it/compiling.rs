//! Compiling before running.

use std::path::Path;

use crate::bench::Bench;

#[test]
fn a_callable_is_compiled_once_for_all_devices_and_from_then_on_cached() {
    let bench = Bench::new();
    let cache = bench.path("cache");
    let bench = bench.env("SIMPLER_KERNEL_CACHE", &cache);
    let args = ["kernel_prints", "--repeat", "8", "--devices", "4"];
    let ended = bench.run(&args);
    assert_eq!(ended.code, Some(0), "{}", ended.out);
    assert!(ended.out.starts_with("compiling 1 C++ sources with "), "{}", ended.out);
    assert!(ended.out.contains("\n1 compiled, 0 from the cache, in "), "{}", ended.out);
    let ended = bench.run(&args);
    assert!(ended.out.contains("\n0 compiled, 1 from the cache, in "), "{}", ended.out);
}

#[test]
fn a_scene_that_does_not_compile_fails_and_the_others_run() {
    let ended = Bench::new().run(&["broken", "fine/one", "--retries", "2"]);
    assert_eq!(ended.code, Some(1));
    assert_eq!(ended.verdict("broken/a2a3sim"), ("not_built".into(), vec!["not_built".into()]));
    assert!(ended.out.contains("[build] [1/3] FAIL: broken (1 case)\n    cannot compile "), "{}", ended.out);
    assert!(ended.out.contains("'no_such_thing' was not declared"), "{}", ended.out);
    assert!(
        ended.out.contains("  FAIL: broken does not compile (1 case)\n    trouble --exact broken/a2a3sim\n")
    );
    ended.expect_pass("fine/one/a2a3sim");
}

#[test]
fn with_fail_fast_nothing_runs_if_something_does_not_compile() {
    let ended = Bench::new().run(&["broken", "fine/one", "--fail-fast"]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.out.contains(": 0 passed, 1 failed, 2 not finished in "), "{}", ended.out);
}

#[test]
fn without_cpp_no_compiler_is_needed_and_with_it_the_lack_is_told() {
    let bench = Bench::new().env("SIMPLER_CXX", "no-such-compiler");
    assert_eq!(bench.run(&["fine"]).code, Some(0));
    let ended = bench.run(&["fine", "segfault"]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.err.contains("no-such-compiler") && ended.err.contains("SIMPLER_CXX"), "{}", ended.err);
}

/// A folder that kernels take for PTO-ISA.
fn pto_isa(root: &Path, header: &str) {
    std::fs::create_dir_all(root.join("include/pto")).unwrap();
    std::fs::write(root.join("include/pto/pto-inst.hpp"), header).unwrap();
}

#[test]
fn what_failed_is_compiled_with_another_pto_isa_and_the_report_says_so() {
    let bench = Bench::new();
    let (first, second) = (bench.path("first"), bench.path("second"));
    pto_isa(&second, "#define THE_ANSWER 42\n");
    // One that gives a wrong answer, and one that does not even compile.
    for (header, end) in [("#define THE_ANSWER 41\n", "failed"), ("#error out of date\n", "not_built")] {
        pto_isa(&first, header);
        let bench = Bench::new().env("PTO_ISA_ROOT", &first);
        let (first, second) = (first.to_str().unwrap(), second.to_str().unwrap());
        let ended = bench.run(&["answer", "fine/one", "--retry-pto-isa", second]);
        assert_eq!(ended.code, Some(0), "{}", ended.out);
        let name = "answer/a2a3sim";
        assert_eq!(ended.verdict(name), ("flaky".into(), vec![end.into(), "passed".into()]), "{}", ended.out);
        let attempts = ended.entry(name)["attempts"].as_array().unwrap();
        assert_eq!((&attempts[0]["pto_isa"], &attempts[1]["pto_isa"]), (&first.into(), &second.into()));
        assert_eq!(ended.entry("fine/one/a2a3sim")["attempts"][0]["pto_isa"], first);
        let told = ended.told(&format!("FLAKY: {name}"));
        assert!(told.starts_with(&format!(" attempt 2 of 2 with PTO-ISA at {second}\n")), "{}", ended.out);
        let again = bench.run(&["answer"]);
        assert_eq!((again.code, again.verdict(name).0), (Some(1), end.to_owned()));
    }
}
