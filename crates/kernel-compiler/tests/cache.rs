//! When a result comes from the cache and when it must not.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is the report of a test")]

mod common;

use std::process::Command;

use common::{Bench, KERNEL, files};
use kernel_compiler::{CoreType, KernelCompiler, Runtime, Source};

#[test]
fn the_second_time_and_another_compiler_object_hit() {
    let bench = Bench::new();
    let source = bench.kernel("k.cpp", KERNEL);
    let compiler = bench.compiler();
    let first = compiler.compile(&source).unwrap();
    assert!(!first.from_cache);
    for compiler in [compiler, bench.compiler()] {
        let again = compiler.compile(&source).unwrap();
        assert!(again.from_cache);
        assert_eq!(again.bytes, first.bytes);
        assert_eq!(std::fs::read(again.path_in_cache.unwrap()).unwrap(), first.bytes.to_vec());
    }
    assert_eq!(
        std::fs::read_dir(bench.cache().join("tmp")).unwrap().count(),
        0,
        "temporary files stay behind"
    );
}

#[test]
fn warnings_are_repeated() {
    let bench = Bench::new();
    let source = bench.kernel("k.cpp", &format!("#warning look here\n{KERNEL}"));
    let compiler = bench.compiler();
    let first = compiler.compile(&source).unwrap();
    assert!(first.warnings.contains("look here"), "{}", first.warnings);
    let second = compiler.compile(&source).unwrap();
    assert!(second.from_cache);
    assert_eq!(second.warnings, first.warnings);
}

#[test]
fn whatever_goes_in_counts() {
    let bench = Bench::new();
    let path = bench.write("k.cpp", KERNEL);
    let dir = bench.path("dir");
    std::fs::create_dir(&dir).unwrap();
    let base = Source::kernel(&path, CoreType::Aiv);
    let graph = Source::orchestration(&path, Runtime::HostBuildGraph);
    let variants = [
        base.clone(),
        Source::kernel(&path, CoreType::Aic),
        base.clone().define("A"),
        base.clone().define("A=2"),
        base.clone().flag("-O1"),
        base.clone().include_dir(&dir),
        base.clone().allow_undefined(),
        graph.clone(),
        graph.entry("kernel_entry"),
        Source::kernel(bench.write("copy.cpp", KERNEL), CoreType::Aiv),
    ];
    let compiler = bench.compiler();
    for variant in &variants {
        assert!(!compiler.compile(variant).unwrap().from_cache, "{variant:?}");
    }
    for variant in &variants {
        assert!(compiler.compile(variant).unwrap().from_cache, "{variant:?}");
    }
    bench.write("k.cpp", &format!("{KERNEL}\n"));
    assert!(!compiler.compile(&base).unwrap().from_cache);
}

#[test]
fn another_compiler_is_another_result() {
    let bench = Bench::new();
    let source = bench.kernel("k.cpp", KERNEL);
    bench.compiler().compile(&source).unwrap();
    let fake = bench.fake_compiler("exec g++ \"$@\"");
    let compiler = bench.builder().compiler(fake).build().unwrap();
    assert!(!compiler.compile(&source).unwrap().from_cache);
    assert!(compiler.compile(&source).unwrap().from_cache);
}

#[test]
fn an_upgraded_compiler_is_another_compiler() {
    let bench = Bench::new();
    let source = bench.kernel("k.cpp", KERNEL);
    for version in [1, 2] {
        let script = format!(
            "#!/bin/sh\n[ \"$1\" = --version ] && echo 'version {version}' && exit\nexec g++ \"$@\"\n"
        );
        let compiler = bench.builder().compiler(bench.script("cxx", &script)).build().unwrap();
        assert!(!compiler.compile(&source).unwrap().from_cache);
        assert!(compiler.compile(&source).unwrap().from_cache);
    }
}

#[test]
fn edited_headers_are_seen_and_old_results_found_again() {
    let bench = Bench::new();
    bench.write("inc/deep.h", "#define VALUE 1\n");
    bench.write("inc/outer.h", "#include \"deep.h\"\n");
    let text = format!("#include \"outer.h\"\nextern const int value = VALUE;\n{KERNEL}");
    let source = bench.kernel("k.cpp", &text).include_dir(bench.path("inc"));
    let compiler = bench.compiler();
    let one = compiler.compile(&source).unwrap();
    assert!(compiler.compile(&source).unwrap().from_cache);

    bench.write("inc/deep.h", "#define VALUE 2\n");
    let two = compiler.compile(&source).unwrap();
    assert!(!two.from_cache);
    assert_ne!(one.bytes, two.bytes);

    bench.write("inc/deep.h", "#define VALUE 1\n");
    let back = compiler.compile(&source).unwrap();
    assert!(back.from_cache);
    assert_eq!(back.bytes, one.bytes);

    std::fs::remove_file(bench.path("inc/deep.h")).unwrap();
    compiler.compile(&source).unwrap_err();
}

#[test]
fn a_new_header_in_front_is_seen() {
    let bench = Bench::new();
    bench.write("late/v.h", "#define VALUE 1\n");
    bench.write("early/unrelated.h", "");
    let text = format!("#include \"v.h\"\nextern const int value = VALUE;\n{KERNEL}");
    let source = bench.kernel("src/k.cpp", &text);
    let source = source.include_dir(bench.path("early")).include_dir(bench.path("late"));
    let compiler = bench.compiler();
    compiler.compile(&source).unwrap();
    assert!(compiler.compile(&source).unwrap().from_cache);
    bench.write("early/v.h", "#define VALUE 2\n");
    assert!(!compiler.compile(&source).unwrap().from_cache);
    assert!(compiler.compile(&source).unwrap().from_cache);
    bench.write("src/v.h", "#define VALUE 3\n");
    assert!(!compiler.compile(&source).unwrap().from_cache);
}

#[test]
fn what_changes_during_a_compilation_is_not_kept() {
    let bench = Bench::new();
    let header = bench.write("v.h", "#define VALUE 1\n");
    let source = bench.kernel("k.cpp", &format!("#include \"v.h\"\n{KERNEL}"));
    let script = format!("g++ \"$@\" && echo '#define OTHER' >> '{}'", header.display());
    let compiler = bench.builder().compiler(bench.fake_compiler(&script)).build().unwrap();
    for _ in 0..2 {
        let artifact = compiler.compile(&source).unwrap();
        assert!(!artifact.from_cache && artifact.path_in_cache.is_none());
    }
}

#[test]
fn a_project_header_that_was_damaged_is_repaired() {
    let bench = Bench::new();
    let source = bench.kernel("k.cpp", &format!("#include \"simpler_kernel.h\"\n{KERNEL}"));
    bench.compiler().compile(&source).unwrap();
    for header in files(&bench.cache(), "simpler_kernel.h") {
        std::fs::write(header, "#error damaged\n").unwrap();
    }
    assert!(bench.compiler().compile(&source).unwrap().from_cache);
}

#[test]
fn damaged_objects_and_manifests_are_made_again() {
    let bench = Bench::new();
    let source = bench.kernel("k.cpp", KERNEL);
    let compiler = bench.compiler();
    let good = compiler.compile(&source).unwrap();
    for suffix in [".so", ".manifest"] {
        let [file] = &files(&bench.cache().join("v1"), suffix)[..] else { panic!("one {suffix} file") };
        let whole = std::fs::read(file).unwrap();
        let mut flipped = whole.clone();
        flipped[whole.len() / 2] ^= 1;
        for damaged in [&flipped[..], &whole[..whole.len() / 2], b""] {
            std::fs::write(file, damaged).unwrap();
            let made = compiler.compile(&source).unwrap();
            assert!(!made.from_cache);
            assert_eq!(made.bytes, good.bytes);
            assert!(compiler.compile(&source).unwrap().from_cache);
        }
    }
}

#[test]
fn the_current_folder_does_not_matter() {
    let bench = Bench::new();
    bench.write("k.cpp", KERNEL);
    let outside = child(&bench, "/", "k.cpp");
    assert!(!outside.status.success(), "a relative path is relative to the current folder");
    let path = bench.path("k.cpp");
    assert_eq!(text(&child(&bench, "/", path.to_str().unwrap())), "from_cache=false");
    assert_eq!(text(&child(&bench, bench.path("").to_str().unwrap(), "k.cpp")), "from_cache=true");
}

#[test]
fn threads_and_processes_share_a_cache() {
    let bench = Bench::new();
    let sources: Vec<Source> = (0..2)
        .map(|number| bench.kernel(&format!("k{number}.cpp"), &format!("{KERNEL}int n = {number};\n")))
        .collect();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let compiler = bench.builder().jobs(2).build().unwrap();
                let all = [&sources[..], &sources[..]].concat();
                for result in compiler.compile_all(&all) {
                    result.unwrap();
                }
            });
            scope.spawn(|| {
                for number in 0..2 {
                    let path = bench.path(&format!("k{number}.cpp"));
                    let output = child(&bench, "/", path.to_str().unwrap());
                    assert!(text(&output).starts_with("from_cache="), "{output:?}");
                }
            });
        }
    });
    for source in &sources {
        assert!(bench.compiler().compile(source).unwrap().from_cache);
    }
    assert_eq!(
        std::fs::read_dir(bench.cache().join("tmp")).unwrap().count(),
        0,
        "temporary files stay behind"
    );
}

const CHILD_CACHE: &str = "KERNEL_COMPILER_TEST_CACHE";
const CHILD_SOURCE: &str = "KERNEL_COMPILER_TEST_SOURCE";

/// Runs `compile_in_a_child` below in a process of its own.
fn child(bench: &Bench, folder: &str, source: &str) -> std::process::Output {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "compile_in_a_child", "--nocapture"])
        .current_dir(folder)
        .env(CHILD_CACHE, bench.cache())
        .env(CHILD_SOURCE, source)
        .output()
        .unwrap()
}

fn text(output: &std::process::Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout);
    text.split_whitespace().find(|word| word.starts_with("from_cache=")).unwrap_or_default().to_owned()
}

/// Does its work only as a child of another test.
#[test]
fn compile_in_a_child() {
    let (Some(cache), Some(source)) = (std::env::var_os(CHILD_CACHE), std::env::var_os(CHILD_SOURCE)) else {
        return;
    };
    let compiler = KernelCompiler::builder().cache_dir(cache).build().unwrap();
    let artifact = compiler.compile(&Source::kernel(source, CoreType::Aiv)).unwrap();
    println!("\nfrom_cache={}", artifact.from_cache);
}
