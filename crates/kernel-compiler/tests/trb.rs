//! The headers of tensormap_and_ringbuffer, for both kinds of chip, as authors meet them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is the report of a test")]

mod common;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{Bench, KERNEL};
use kernel_compiler::{Arch, CompileError, CoreType, Runtime, Source};
use object::{Object as _, ObjectSymbol as _};

const STRICT: [&str; 7] =
    ["-std=c++17", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror", "-pedantic"];
const ARCHS: [(&str, Arch, &[&str]); 2] =
    [("a2a3", Arch::A2a3, &[]), ("a5", Arch::A5, &["-DSIMPLER_ARCH_A5"])];

/// The structures of `spec/public-layouts.json` that these headers define.
const STRUCTURES: [&str; 18] = [
    "ActiveMask",
    "Arg",
    "AsyncCtx",
    "CompletionToken",
    "DeferredCompletionEntry",
    "DeferredCompletionSlab",
    "GlobalContext",
    "LocalContext",
    "MixedKernels",
    "PTO2LaunchSpec",
    "PTO2OrchestrationConfig",
    "PTO2RuntimeOps",
    "PTO2ScopeGuard",
    "PTO2TaskId",
    "PTOBufferHandle",
    "TaskOutputTensors",
    "Tensor",
    "TensorCreateInfo",
];

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

fn cpp(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cpp").join(name)
}

/// A host compile with the headers of the repository.
fn host(arguments: &[&[&str]], sources: &[&Path]) -> Result<(), String> {
    let mut command = Command::new("g++");
    for folder in ["tensormap_and_ringbuffer", "incore", "platform", "task_interface"] {
        command.arg("-I").arg(root("include").join(folder));
    }
    let output = command.args(sources).args(arguments.concat()).output().unwrap();
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

fn graph(arch: Arch) -> Source {
    Source::orchestration(cpp("trb_graph.cpp"), Runtime::TensormapAndRingbuffer)
        .arch(arch)
        .entry("aicpu_orchestration_entry")
}

fn kernel(arch: Arch) -> Source {
    Source::kernel(cpp("trb_kernel.cpp"), CoreType::Aiv).runtime(Runtime::TensormapAndRingbuffer).arch(arch)
}

/// One assertion per size, alignment and field of a structure.
fn layout_assertions(name: &str, cxx: &str, layout: &serde_json::Value) -> String {
    let mut text = String::new();
    let (size, align) = (&layout["size"], &layout["align"]);
    writeln!(text, "static_assert(sizeof({cxx}) == {size} && alignof({cxx}) == {align}, \"{name}\");")
        .unwrap();
    for field in layout["fields"].as_array().unwrap() {
        let (offset, size) = (&field["offset"], &field["size"]);
        let field = field["name"].as_str().unwrap();
        writeln!(
            text,
            "static_assert(offsetof({cxx}, {field}) == {offset} && sizeof({cxx}::{field}) == {size}, \"{name}\");"
        )
        .unwrap();
    }
    text
}

#[test]
fn all_layouts_are_the_measured_ones() {
    let bench = Bench::new();
    let json = std::fs::read_to_string(root("spec/public-layouts.json")).unwrap();
    let layouts: serde_json::Value = serde_json::from_str(&json).unwrap();
    for (arch, _, define) in ARCHS {
        let structures = STRUCTURES.iter().map(|name| (*name, *name));
        let structures = structures.chain([("TensorRef", "TensorRef"), ("trb::PTO2Runtime", "PTO2Runtime")]);
        let mut text =
            String::from("#include \"pto_orchestration_api.h\"\n#include \"pto_async_kernel_api.h\"\n");
        for (name, cxx) in structures {
            text += &layout_assertions(name, cxx, &layouts[arch][name]);
        }
        let source = bench.write("layouts.cpp", &text);
        let arguments = ["-std=c++17", "-Wall", "-Wextra", "-Werror", "-fsyntax-only"];
        // Private fields count, and offsetof says that it is only used to on some classes.
        let lenient = ["-fno-access-control", "-Wno-invalid-offsetof"];
        host(&[&arguments, &lenient, define], &[&source]).unwrap_or_else(|error| panic!("{arch}: {error}"));
    }
}

#[test]
fn all_headers_are_strict_cxx17() {
    for (arch, _, define) in ARCHS {
        host(&[&STRICT, &["-fsyntax-only"], define], &[&cpp("trb_everything.cpp")])
            .unwrap_or_else(|error| panic!("{arch}: {error}"));
    }
}

#[test]
fn every_header_stands_alone() {
    let bench = Bench::new();
    for header in common::files(&root("include/tensormap_and_ringbuffer"), ".h") {
        let source = bench.write("alone.cpp", &format!("#include \"{}\"\n", header.display()));
        for (arch, _, define) in ARCHS {
            host(&[&STRICT, &["-fsyntax-only"], define], &[&source])
                .unwrap_or_else(|error| panic!("{arch}, {}: {error}", header.display()));
        }
    }
}

#[test]
fn an_orchestration_and_a_kernel_work_when_loaded() {
    let bench = Bench::new();
    let compiler = bench.compiler();
    for (arch, typed, define) in ARCHS {
        let graph = compiler.compile(&graph(typed)).unwrap();
        let kernel = compiler.compile(&kernel(typed)).unwrap();
        assert_eq!((kernel.warnings.as_str(), graph.warnings.as_str()), ("", ""));
        let driver = bench.path(arch);
        // With a dynamic symbol table, so that a library could be misled to the driver's own functions.
        let arguments = ["-std=c++17", "-Wall", "-Wextra", "-Werror", "-g", "-rdynamic", "-ldl", "-o"];
        host(&[&arguments, &[driver.to_str().unwrap()], define], &[&cpp("trb_driver.cpp")]).unwrap();
        let run = Command::new(&driver)
            .arg(graph.path_in_cache.unwrap())
            .arg(kernel.path_in_cache.unwrap())
            .output()
            .unwrap();
        assert!(run.status.success(), "{arch}: {}: {}", run.status, String::from_utf8_lossy(&run.stderr));
    }
}

#[test]
fn what_an_orchestration_exports_and_needs() {
    let bench = Bench::new();
    let compiler = bench.compiler();
    for (_, arch, _) in ARCHS {
        let graph = compiler.compile(&graph(arch)).unwrap();
        let file = object::File::parse(&*graph.bytes).unwrap();
        let (defined, needed): (Vec<_>, Vec<_>) =
            file.dynamic_symbols().partition(object::ObjectSymbol::is_definition);
        let names = |symbols: &[object::Symbol<'_, '_>]| -> Vec<String> {
            symbols.iter().map(|symbol| symbol.name().unwrap().to_owned()).collect()
        };
        let defined = names(&defined);
        for name in ["aicpu_orchestration_entry", "aicpu_orchestration_config", "framework_bind_runtime"] {
            assert!(defined.iter().any(|symbol| symbol == name), "{name} in {defined:?}");
        }
        let hidden = |name: &String| name.contains("current_runtime") || name.contains("bound_runtime");
        assert!(!defined.iter().any(hidden), "{defined:?}");
        let ours = |name: &String| {
            ["framework", "PTO2", "Tensor", "assert_impl"].iter().any(|part| name.contains(part))
        };
        let needed = names(&needed);
        assert!(!needed.iter().any(ours), "{needed:?}");
    }
}

#[test]
fn a_source_may_bring_the_shared_functions() {
    let bench = Bench::new();
    let support = bench.write(
        "support.cpp",
        "#include \"common.h\"\n#include \"pto_orchestration_api.h\"\n\
         static PTO2Runtime *mine;\n\
         extern \"C\" void framework_bind_runtime(PTO2Runtime *rt) { mine = rt; }\n\
         extern \"C\" __attribute__((visibility(\"hidden\"))) PTO2Runtime *framework_current_runtime() {\n\
             return mine;\n\
         }\n\
         std::string get_stacktrace(int) { return \"\"; }\n\
         AssertionError::AssertionError(const char *condition, const char *file, int line)\n\
             : std::runtime_error(get_stacktrace() + condition + \" rt != nullptr\"), condition_(condition),\n\
               file_(file), line_(line) {}\n\
         void assert_impl(const char *condition, const char *file, int line) {\n\
             throw AssertionError(condition, file, line);\n\
         }\n",
    );
    let compiler = bench.compiler();
    let kernel = compiler.compile(&kernel(Arch::A2a3)).unwrap().path_in_cache.unwrap();
    let driver = bench.path("driver");
    host(&[&["-std=c++17", "-ldl", "-o", driver.to_str().unwrap()]], &[&cpp("trb_driver.cpp")]).unwrap();
    let graph = bench.path("graph.so");
    for sources in [[support.as_path(), &cpp("trb_graph.cpp")], [&cpp("trb_graph.cpp"), support.as_path()]] {
        let flags =
            ["-shared", "-fPIC", "-O3", "-std=c++17", "-Wall", "-Wextra", "-Werror", "-Wl,-z,defs", "-o"];
        host(&[&flags, &[graph.to_str().unwrap()]], &sources).unwrap();
        let run = Command::new(&driver).arg(&graph).arg(&kernel).output().unwrap();
        assert!(run.status.success(), "{}: {}", run.status, String::from_utf8_lossy(&run.stderr));
    }
}

#[test]
fn what_does_not_compile() {
    let bench = Bench::new();
    let compile = |line: &str| {
        let text = format!(
            "#include \"pto_orchestration_api.h\"\n\
             void use(Arg &args, ArgWithDeps<> &deps, const Tensor &t, const TensorCreateInfo &info) {{\n\
                 (void)args, (void)deps, (void)t, (void)info;\n    {line}\n}}\n"
        );
        let source = bench.write("use.cpp", &text);
        host(&[&["-std=c++17", "-fsyntax-only"]], &[&source])
    };
    compile("args.add_output(info, t); args.add_input(t); alloc_tensors(info);").unwrap();
    for line in [
        "args.add_input(t.transpose(0, 1));",
        "args.add_output(TensorCreateInfo(info));",
        "args.add_input(info);",
        "args.add_inout(info);",
        "args.add_input();",
        "args.add_scalar();",
        "args.add_scalar(&t);",
        "deps.add_dep(1);",
        "deps.set_dependencies(nullptr, 0);",
        "alloc_tensors(t);",
        "rt_submit_aiv_task(0, args).get_ref(0);",
    ] {
        compile(line).expect_err(line);
    }
}

#[test]
fn each_runtime_has_its_own_headers() {
    let bench = Bench::new();
    let compiler = bench.compiler();
    let trb = Runtime::TensormapAndRingbuffer;
    let with = |header: &str| format!("#include \"{header}\"\n{KERNEL}");
    let kernel = |header: &str| bench.kernel("k.cpp", &with(header));
    for header in ["tensor.h", "intrinsic.h", "pto_async_kernel_api.h", "pipe_sync.h", "simpler_kernel.h"] {
        compiler.compile(&kernel(header).runtime(trb)).unwrap();
    }
    let unknown = |source: &Source| {
        let error = compiler.compile(source).unwrap_err();
        assert!(matches!(error, CompileError::Failed { .. }), "{error}");
    };
    unknown(&kernel("tensor.h"));
    unknown(&kernel("tensor.h").runtime(trb).runtime(Runtime::HostBuildGraph));
    let graph = |header: &str, runtime| Source::orchestration(bench.write("g.cpp", &with(header)), runtime);
    unknown(&graph("orchestration_api.h", trb));
    unknown(&graph("pto_orchestration_api.h", Runtime::HostBuildGraph));
    compiler.compile(&graph("orchestration_api.h", trb).runtime(Runtime::HostBuildGraph)).unwrap();
}

#[test]
fn the_kind_of_chip_decides_the_names() {
    let bench = Bench::new();
    let compiler = bench.compiler();
    let text = format!(
        "#include \"intrinsic.h\"\nint32_t blocks(LocalContext &c) {{ return c.s_block_num; }}\n{KERNEL}"
    );
    let source = bench.kernel("k.cpp", &text).runtime(Runtime::TensormapAndRingbuffer);
    compiler.compile(&source.clone().arch(Arch::A5)).unwrap();
    compiler.compile(&source).unwrap_err();
    compiler.compile(&source.arch(Arch::A5).arch(Arch::A2a3)).unwrap_err();
}
