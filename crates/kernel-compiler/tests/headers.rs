//! The headers under `include/`, as kernel and orchestration authors meet them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is the report of a test")]

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use common::{Bench, KERNEL};
use kernel_compiler::{CompileError, CoreType, KernelCompiler, Runtime, Source};
use object::{Object as _, ObjectSymbol as _};

const STRICT: [&str; 7] =
    ["-std=c++17", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror", "-pedantic"];

fn cpp(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cpp").join(name)
}

/// A host compile with the headers of the repository, all folders at once.
fn host(compiler: &str, arguments: &[&str], source: &Path) -> Result<(), String> {
    let include = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../include");
    let mut command = Command::new(compiler);
    for folder in ["host_build_graph", "tensormap_and_ringbuffer", "incore", "platform", "task_interface"] {
        command.arg("-I").arg(include.join(folder));
    }
    let output = command.arg(source).args(arguments).output().map_err(|error| error.to_string())?;
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

#[test]
fn all_headers_are_strict_cxx17() {
    let arguments = [&STRICT[..], &["-fsyntax-only"]].concat();
    host("g++", &arguments, &cpp("everything.cpp")).unwrap();
    if Command::new("clang++").arg("--version").output().is_ok() {
        host("clang++", &arguments, &cpp("everything.cpp")).unwrap();
    }
}

#[test]
fn every_header_stands_alone() {
    let bench = Bench::new();
    let include = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../include");
    for header in common::files(&include, ".h") {
        let source = bench.write("alone.cpp", &format!("#include \"{}\"\n", header.display()));
        let arguments = [&STRICT[..], &["-fsyntax-only"]].concat();
        host("g++", &arguments, &source).unwrap_or_else(|error| panic!("{}: {error}", header.display()));
    }
}

#[test]
fn a_kernel_and_an_orchestration_work_when_loaded() {
    let bench = Bench::new();
    let compiler = bench.compiler();
    let graph = Source::orchestration(cpp("graph.cpp"), Runtime::HostBuildGraph).entry("build_graph");
    let kernel = compiler.compile(&Source::kernel(cpp("scale.cpp"), CoreType::Aiv)).unwrap();
    let graph = compiler.compile(&graph).unwrap();
    assert_eq!((kernel.warnings.as_str(), graph.warnings.as_str()), ("", ""));

    let driver = bench.path("driver");
    let arguments =
        ["-std=c++17", "-Wall", "-Wextra", "-Werror", "-g", "-o", driver.to_str().unwrap(), "-ldl"];
    host("g++", &arguments, &cpp("driver.cpp")).unwrap();
    let run = Command::new(&driver)
        .arg(kernel.path_in_cache.unwrap())
        .arg(graph.path_in_cache.unwrap())
        .output()
        .unwrap();
    assert!(run.status.success(), "{}: {}", run.status, String::from_utf8_lossy(&run.stderr));
}

#[test]
fn what_a_kernel_exports() {
    let bench = Bench::new();
    // Without inlining, so that every function is there to be seen.
    let source = Source::kernel(cpp("scale.cpp"), CoreType::Aic).flag("-O0");
    let kernel = bench.compiler().compile(&source).unwrap();
    let file = object::File::parse(&*kernel.bytes).unwrap();
    let defined = file.dynamic_symbols().filter(|symbol| symbol.is_definition());
    let mut names: Vec<&str> = defined.map(|symbol| symbol.name().unwrap()).collect();
    // A plain template of no state; whose copy is called does not matter.
    names.retain(|name| !name.contains("from_u64"));
    names.sort_unstable();
    assert_eq!(names, ["kernel_entry", "pto_sim_register_hooks"], "others must not see the helpers");
    assert!(!kernel.bytes.windows(4).any(|bytes| bytes == b"/tmp"), "a temporary path is embedded");
}

#[test]
fn a_kernel_may_bring_its_own_hooks() {
    let bench = Bench::new();
    let text = format!(
        "#define SIMPLER_KERNEL_NO_HOOKS\n#include \"simpler_kernel.h\"\n\
         extern \"C\" void pto_sim_register_hooks(void *, void *) {{}}\n{KERNEL}"
    );
    bench.compiler().compile(&bench.kernel("k.cpp", &text)).unwrap();
}

#[test]
fn each_kind_of_source_sees_its_own_headers() {
    let bench = Bench::new();
    let compiler = bench.compiler();
    let error = compiler.compile(&bench.kernel("k.cpp", "#include \"orchestration_api.h\"\n")).unwrap_err();
    assert!(matches!(error, CompileError::Failed { .. }), "{error}");
    let path = bench.write("g.cpp", "#include \"pipe_sync.h\"\n");
    let error = compiler.compile(&Source::orchestration(path, Runtime::HostBuildGraph)).unwrap_err();
    assert!(matches!(error, CompileError::Failed { .. }), "{error}");
}

#[test]
fn without_a_cache_the_headers_are_there_too() {
    let compiler = KernelCompiler::builder().no_cache().build().unwrap();
    compiler.compile(&Source::kernel(cpp("scale.cpp"), CoreType::Aiv)).unwrap();
}
