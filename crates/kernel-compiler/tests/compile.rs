//! Compilations with the compiler of this machine: what comes out, and what errors say.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is the report of a test")]

mod common;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use common::{Bench, KERNEL};
use kernel_compiler::{CompileError, CoreType, KernelCompiler, Runtime, Source};
use object::{Object as _, ObjectSymbol as _};

fn exports(bytes: &[u8]) -> Vec<String> {
    let file = object::File::parse(bytes).unwrap();
    let defined = file.dynamic_symbols().filter(|symbol| symbol.is_definition());
    defined.map(|symbol| symbol.name().unwrap().to_owned()).collect()
}

#[test]
fn a_kernel_for_each_kind_of_core() {
    let bench = Bench::new();
    let text = "#if defined(__CPU_SIM) && defined(NDEBUG) && PTO_CPU_MAX_THREADS == 1 && __cplusplus > 202002L\n\
                #ifdef __DAV_VEC__\nextern \"C\" void vec() {}\n#endif\n\
                #ifdef __DAV_CUBE__\nextern \"C\" void cube() {}\n#endif\n\
                #endif\n";
    let path = bench.write("k.cpp", &format!("{text}{KERNEL}"));
    let compiler = bench.compiler();
    for (core_type, has, has_not) in [(CoreType::Aiv, "vec", "cube"), (CoreType::Aic, "cube", "vec")] {
        let artifact = compiler.compile(&Source::kernel(&path, core_type)).unwrap();
        let exports = exports(&artifact.bytes);
        assert!(exports.contains(&"kernel_entry".to_owned()), "{exports:?}");
        assert!(exports.contains(&has.to_owned()) && !exports.contains(&has_not.to_owned()), "{exports:?}");
        assert_eq!(artifact.warnings, "");
        assert!(object::File::parse(&*artifact.bytes).unwrap().build_id().unwrap().is_some());
    }
}

#[test]
fn defines_flags_folders_and_any_extension() {
    let bench = Bench::new();
    bench.write("one/one.h", "#define ONE 1\n");
    bench.write("two/two.h", "#define TWO 2\n");
    let text = "#include <one.h>\n#include <two.h>\nstatic_assert(ONE + TWO + PLAIN + VALUE == 11);\n\
                #ifndef NDEBUG\nextern \"C\" void kernel_entry(long *) {}\n#endif\n";
    let source = bench
        .kernel("k.kernel", text)
        .include_dir(bench.path("two"))
        .define("PLAIN")
        .define("VALUE=7")
        .flag("-UNDEBUG");
    let compiler = bench.builder().include_dir(bench.path("one")).build().unwrap();
    compiler.compile(&source).unwrap();
}

#[test]
fn paths_in_flags_start_at_the_source() {
    let bench = Bench::new();
    bench.write("src/inc/value.h", "#define VALUE 1\n");
    let source = bench.kernel("src/k.cpp", &format!("#include <value.h>\n{KERNEL}")).flag("-Iinc");
    let compiler = bench.compiler();
    compiler.compile(&source).unwrap();
    assert!(compiler.compile(&source).unwrap().from_cache);
    bench.write("src/inc/value.h", "#define VALUE 2\n");
    assert!(!compiler.compile(&source).unwrap().from_cache);
}

#[test]
fn no_symbol_is_shared_by_all_copies_of_a_library() {
    let bench = Bench::new();
    let text = "inline int unique_or_not;\ntemplate <class T> int *state() { static int value; return &value; }\n\
                extern \"C\" void kernel_entry(long *args) { args[0] = ++unique_or_not + ++*state<int>(); }\n\
                extern \"C\" int build() { return ++unique_or_not + ++*state<int>(); }\n";
    let path = bench.write("k.cpp", text);
    for source in [
        Source::kernel(&path, CoreType::Aiv),
        Source::orchestration(&path, Runtime::HostBuildGraph).entry("build"),
    ] {
        let artifact = bench.compiler().compile(&source).unwrap();
        let file = object::File::parse(&*artifact.bytes).unwrap();
        for symbol in file.dynamic_symbols() {
            let object::SymbolFlags::Elf { st_info, .. } = symbol.flags() else { panic!("an ELF symbol") };
            assert_ne!(st_info.0 >> 4, 10, "{:?} has the binding STB_GNU_UNIQUE", symbol.name());
        }
    }
}

#[test]
fn without_a_cache_nothing_stays() {
    let bench = Bench::new();
    let source = bench.kernel("k.cpp", KERNEL);
    let compiler = KernelCompiler::builder().no_cache().build().unwrap();
    let first = compiler.compile(&source).unwrap();
    let second = compiler.compile(&source).unwrap();
    assert!(!first.from_cache && !second.from_cache);
    assert_eq!(first.path_in_cache, None);
    assert_eq!(first.bytes, second.bytes, "equal sources give equal objects");
}

#[test]
fn names_that_are_not_plain() {
    let bench = Bench::new();
    for name in [&b"it's a $name#1 (\xc3\xa4).cpp"[..], b"not utf-8 \xff.cpp", b"-o.cpp"] {
        let name = OsStr::from_bytes(name);
        let folder = bench.path("folder").join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join(name);
        std::fs::write(folder.join("h h.h"), KERNEL).unwrap();
        std::fs::write(&path, "#include \"h h.h\"\n").unwrap();
        let source = Source::kernel(&path, CoreType::Aiv).include_dir(&folder);
        let compiler = bench.compiler();
        compiler.compile(&source).unwrap();
        assert!(compiler.compile(&source).unwrap().from_cache, "{}", path.display());
    }
}

#[test]
fn many_at_once_in_order() {
    let bench = Bench::new();
    let mut sources: Vec<Source> = (0..6)
        .map(|number| bench.kernel(&format!("k{number}.cpp"), &format!("{KERNEL}int number{number} = 1;\n")))
        .collect();
    sources.insert(3, bench.kernel("bad.cpp", "int broken"));
    sources.push(sources[0].clone());
    let results = bench.builder().jobs(3).build().unwrap().compile_all(&sources);
    assert_eq!(results.len(), sources.len());
    assert!(
        matches!(&results[3], Err(CompileError::Failed { run, .. }) if run.source == bench.path("bad.cpp"))
    );
    for (index, number) in [(0, 0), (1, 1), (2, 2), (4, 3), (5, 4), (6, 5), (7, 0)] {
        let exports = exports(&results[index].as_ref().unwrap().bytes);
        assert!(exports.contains(&format!("number{number}")), "{index}: {exports:?}");
    }
    assert!(bench.compiler().compile_all(&[]).is_empty());
}

#[test]
fn errors_of_the_compiler_come_back_whole() {
    let bench = Bench::new();
    let source = bench.kernel("dir with blank/k.cpp", "int first(;\nint second = undeclared;\n");
    let error = bench.compiler().compile(&source).unwrap_err();
    let CompileError::Failed { run, status, hint } = &error else { panic!("{error}") };
    assert_eq!((*status, *hint), (1, None));
    assert_eq!(run.source, bench.path("dir with blank/k.cpp"));
    let text = error.to_string();
    for part in ["k.cpp:1:", "k.cpp:2:", "undeclared", "exit status 1", &run.command] {
        assert!(text.contains(part), "{part} is missing in: {text}");
    }

    // The command fails in the same way when pasted into a shell.
    let pasted = std::process::Command::new("/bin/sh").args(["-c", &run.command]).output().unwrap();
    assert_eq!(pasted.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&pasted.stderr).contains("undeclared"));
}

#[test]
fn the_command_of_a_message_works() {
    let bench = Bench::new();
    let source = bench.kernel("k.cpp", &format!("#ifndef FIXED\n#error not yet\n#endif\n{KERNEL}"));
    let error = bench.compiler().compile(&source).unwrap_err();
    let CompileError::Failed { run, .. } = &error else { panic!("{error}") };
    let command = run.command.replace(" -x c++", " -DFIXED -x c++");
    assert!(std::process::Command::new("/bin/sh").args(["-c", &command]).status().unwrap().success());
    assert!(exports(&std::fs::read(bench.path("k.so")).unwrap()).contains(&"kernel_entry".to_owned()));
}

#[test]
fn an_undefined_symbol_is_a_compile_error_unless_allowed() {
    let bench = Bench::new();
    let text = "extern \"C\" void elsewhere();\nextern \"C\" void kernel_entry(long *) { elsewhere(); }\n";
    let source = bench.kernel("k.cpp", text);
    let compiler = bench.compiler();
    let error = compiler.compile(&source).unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, CompileError::Failed { hint: Some(_), .. }), "{text}");
    assert!(text.contains("elsewhere") && text.contains("allow_undefined"), "{text}");
    compiler.compile(&source.allow_undefined()).unwrap();
}

#[test]
fn a_missing_entry_names_the_mangled_one() {
    let bench = Bench::new();
    let compiler = bench.compiler();
    let error = compiler.compile(&bench.kernel("k.cpp", "void kernel_entry(long *) {}\n")).unwrap_err();
    assert!(matches!(error, CompileError::MissingEntry { .. }), "{error}");
    assert!(error.to_string().contains("_Z12kernel_entryPl"), "{error}");

    let hidden = "extern \"C\" __attribute__((visibility(\"hidden\"))) void kernel_entry(long *) {}\n";
    let error = compiler.compile(&bench.kernel("h.cpp", hidden)).unwrap_err();
    assert!(matches!(error, CompileError::MissingEntry { near: None, .. }), "{error}");

    let graph = Source::orchestration(
        bench.write("g.cpp", "extern \"C\" int build() { return 0; }"),
        Runtime::HostBuildGraph,
    );
    compiler.compile(&graph).unwrap();
    compiler.compile(&graph.clone().entry("build")).unwrap();
    let error = compiler.compile(&graph.entry("other")).unwrap_err();
    assert!(matches!(&error, CompileError::MissingEntry { entry, .. } if entry == "other"), "{error}");
}

#[test]
fn flags_that_change_the_kind_of_output() {
    let bench = Bench::new();
    let error = bench.compiler().compile(&bench.kernel("k.cpp", KERNEL).flag("-c")).unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, CompileError::NotSharedObject { .. }), "{text}");
    assert!(text.contains("Relocatable") && text.contains("-c"), "{text}");
}

#[test]
fn missing_files_and_folders() {
    let bench = Bench::new();
    let compiler = bench.compiler();
    let error = compiler.compile(&Source::kernel(bench.path("none.cpp"), CoreType::Aiv)).unwrap_err();
    assert!(matches!(&error, CompileError::SourceUnreadable { path, .. } if *path == bench.path("none.cpp")));
    let error = compiler.compile(&Source::kernel(bench.path(""), CoreType::Aiv)).unwrap_err();
    assert!(matches!(error, CompileError::SourceUnreadable { .. }), "{error}");

    let source = bench.kernel("k.cpp", KERNEL).include_dir(bench.path("none"));
    let error = compiler.compile(&source).unwrap_err();
    assert!(
        matches!(&error, CompileError::IncludeDir { path, .. } if *path == bench.path("none")),
        "{error}"
    );
    let error = bench.builder().include_dir(bench.path("none")).build().unwrap_err();
    assert!(matches!(error, CompileError::IncludeDir { .. }), "{error}");

    let error = compiler.compile(&bench.kernel("i.cpp", "#include \"none.h\"\n")).unwrap_err();
    assert!(matches!(error, CompileError::Failed { .. }), "{error}");
    assert!(error.to_string().contains("i.cpp:1:10: fatal error:"), "{error}");

    // A header that is there but cannot be read, not even by root: a link to itself.
    std::os::unix::fs::symlink(bench.path("loop.h"), bench.path("loop.h")).unwrap();
    let error = compiler.compile(&bench.kernel("l.cpp", "#include \"loop.h\"\n")).unwrap_err();
    assert!(matches!(error, CompileError::Failed { .. }), "{error}");
    assert!(error.to_string().contains("loop.h"), "{error}");
}

#[test]
fn a_shared_compiler_is_send_and_sync() {
    fn check<T: Send + Sync + std::fmt::Debug>() {}
    check::<KernelCompiler>();
    check::<CompileError>();
}
