//! Kernels that include PTO-ISA, with a small stand-in for it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is the report of a test")]

mod common;

use std::path::PathBuf;

use common::{Bench, KERNEL};
use kernel_compiler::{CompileError, KernelCompiler, Runtime, Source};

/// Headers that behave like the real ones where it matters: they fall back to half precision in silence.
fn pto_isa(bench: &Bench) -> PathBuf {
    bench.write(
        "isa/include/pto/pto-inst.hpp",
        "#pragma once\n#include \"pto/common/type.hpp\"\n#include <common/more.hpp>\n\
         #define __gm__\n#define __aicore__\n#define set_flag(a, b, c)\n#define wait_flag(a, b, c)\n",
    );
    bench.write(
        "isa/include/pto/common/type.hpp",
        "#pragma once\n#if __cplusplus >= 202302L && defined(__STDCPP_BFLOAT16_T__) && __has_include(<stdfloat>)\n\
         #include <stdfloat>\ntypedef std::bfloat16_t bfloat16_t;\n#else\ntypedef short bfloat16_t;\n#endif\n\
         #define PTO_WIDE bfloat16_t\n",
    );
    bench.write("isa/include/pto/common/more.hpp", "#pragma once\n");
    bench.path("isa")
}

/// The real compiler, except that it does (or does not) claim to have bfloat16 when asked.
fn compiler_that_answers(bench: &Bench, answer: &str) -> KernelCompiler {
    let script = format!(
        "#!/bin/sh\nfor word in \"$@\"; do case \"$word\" in */bfloat16.cpp) echo '{answer}'; exit 0;; esac; done\n\
         exec g++ \"$@\"\n"
    );
    let fake = bench.script("fake-cxx", &script);
    bench.builder().compiler(fake).pto_isa_root(pto_isa(bench)).build().unwrap()
}

fn without_bfloat16(bench: &Bench) -> KernelCompiler {
    compiler_that_answers(bench, "")
}

const INCLUDE: &str = "#include <pto/pto-inst.hpp>\n";

#[test]
fn kernels_find_pto_isa_and_orchestrations_do_not() {
    let bench = Bench::new();
    let root = pto_isa(&bench);
    let compiler = bench.builder().pto_isa_root(&root).build().unwrap();
    let text = format!(
        "{INCLUDE}#include \"pipe_sync.h\"\n\
         extern \"C\" __aicore__ void kernel_entry(__gm__ long *args) {{ args[0] = 1; pipe_sync(); }}\n"
    );
    let artifact = compiler.compile(&bench.kernel("k.cpp", &text)).unwrap();
    assert_eq!(artifact.warnings, "");

    let graph = Source::orchestration(bench.write("g.cpp", INCLUDE), Runtime::HostBuildGraph);
    compiler.compile(&graph).unwrap_err();

    // A change in PTO-ISA is a change of the kernel.
    assert!(compiler.compile(&bench.kernel("k.cpp", &text)).unwrap().from_cache);
    bench.write("isa/include/pto/common/more.hpp", "#pragma once\n// edited\n");
    assert!(!compiler.compile(&bench.kernel("k.cpp", &text)).unwrap().from_cache);
}

#[test]
fn without_a_root_the_message_says_how_to_set_it() {
    let bench = Bench::new();
    // An empty root, in case the environment of the tests names a real one.
    std::fs::create_dir_all(bench.path("empty/include/pto")).unwrap();
    let compiler = bench.builder().pto_isa_root(bench.path("empty")).build().unwrap();
    let error = compiler.compile(&bench.kernel("k.cpp", INCLUDE)).unwrap_err();
    assert!(matches!(error, CompileError::Failed { .. }), "{error}");
    assert!(error.to_string().contains("pto/pto-inst.hpp"), "{error}");
}

#[test]
fn bfloat16_without_support_is_refused() {
    let bench = Bench::new();
    let compiler = without_bfloat16(&bench);
    bench.write("inc/mine.h", "\n\ntemplate <class T> struct Box {};\nusing MyBox = Box<bfloat16_t>;\n");
    let in_source = format!("{INCLUDE}{KERNEL}bfloat16_t x;\n");
    let in_header = format!("{INCLUDE}#include \"mine.h\"\n{KERNEL}");
    let through_macro = format!("{INCLUDE}{KERNEL}PTO_WIDE x;\n");
    for (name, text, place) in [
        ("s.cpp", &in_source, "s.cpp:3: bfloat16_t"),
        ("h.cpp", &in_header, "mine.h:4: bfloat16_t"),
        ("m.cpp", &through_macro, "m.cpp:3: bfloat16_t"),
    ] {
        let source = bench.kernel(name, text).include_dir(bench.path("inc"));
        let error = compiler.compile(&source).unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, CompileError::NoBfloat16 { .. }), "{text}");
        for part in [place, "fake-cxx", "SIMPLER_CXX", "g++-15"] {
            assert!(text.contains(part), "{part} is missing in: {text}");
        }
    }
    assert!(common::files(&bench.cache(), ".so").is_empty());
}

#[test]
fn other_kernels_are_not_refused() {
    let bench = Bench::new();
    let compiler = without_bfloat16(&bench);
    let comment = format!("{INCLUDE}// not bfloat16_t\n#ifdef NEVER\nbfloat16_t x;\n#endif\n{KERNEL}");
    compiler.compile(&bench.kernel("comment.cpp", &comment)).unwrap();
    let own_header = format!("{INCLUDE}#include \"data_type.h\"\n{KERNEL}");
    compiler.compile(&bench.kernel("own.cpp", &own_header)).unwrap();
    let no_pto = format!("struct bfloat16_t {{}};\n{KERNEL}");
    compiler.compile(&bench.kernel("plain.cpp", &no_pto)).unwrap();
}

#[test]
fn an_own_include_folder_does_not_hide_pto_isa() {
    let bench = Bench::new();
    let compiler = without_bfloat16(&bench);
    let other = bench.path("renamed");
    std::os::unix::fs::symlink(bench.path("isa/include"), &other).unwrap();
    let text = "#include <../renamed/pto/pto-inst.hpp>\n".to_owned() + KERNEL + "bfloat16_t x;\n";
    let source = bench.kernel("k.cpp", &text).include_dir(&other).include_dir(bench.path("isa"));
    let error = compiler.compile(&source).unwrap_err();
    assert!(matches!(error, CompileError::NoBfloat16 { .. }), "{error}");
}

#[test]
fn a_compiler_with_bfloat16_compiles_it() {
    let bench = Bench::new();
    // The stand-in's fallback makes the kernel compile anywhere.
    let compiler = compiler_that_answers(&bench, "simpler_bfloat16_present");
    compiler.compile(&bench.kernel("k.cpp", &format!("{INCLUDE}{KERNEL}bfloat16_t x;\n"))).unwrap();
}
