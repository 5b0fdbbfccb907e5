//! Compilers that misbehave.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is the report of a test")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use common::{Bench, KERNEL, files};
use kernel_compiler::{CompileError, KernelCompiler};

/// Compiles a good kernel with a compiler that does `body`.
fn outcome(bench: &Bench, body: &str) -> CompileError {
    let fake = bench.fake_compiler(body);
    let compiler = bench.builder().compiler(fake).build().unwrap();
    compiler.compile(&bench.kernel("k.cpp", KERNEL)).unwrap_err()
}

#[test]
fn a_status_and_all_its_text() {
    let bench = Bench::new();
    let error = outcome(&bench, "echo said on stdout; printf 'bad byte \\377\\n' >&2; exit 42");
    let CompileError::Failed { run, status: 42, .. } = &error else { panic!("{error}") };
    assert_eq!(run.stderr, "said on stdout\nbad byte \u{fffd}\n");
    assert!(files(&bench.cache(), ".so").is_empty());
}

#[test]
fn temporary_files_go_where_they_are_removed() {
    let bench = Bench::new();
    let error = outcome(&bench, "echo \"$TMPDIR\"; touch \"$TMPDIR/left-behind\"; exit 1");
    let CompileError::Failed { run, .. } = &error else { panic!("{error}") };
    assert!(std::path::Path::new(run.stderr.trim()).starts_with(bench.cache()), "{}", run.stderr);
    assert!(files(&bench.cache(), "left-behind").is_empty());
}

#[test]
fn cancelled_while_it_runs_and_before_it_starts() {
    let bench = Bench::new();
    let started = bench.cache().join("started");
    let fake = bench.fake_compiler(&format!("touch {}; sleep 1000", started.display()));
    let cancelled = Arc::new(AtomicBool::new(false));
    let compiler = bench.builder().compiler(fake).cancelled_by(Arc::clone(&cancelled)).build().unwrap();
    let sources = [bench.kernel("k.cpp", KERNEL), bench.kernel("l.cpp", KERNEL)];
    let ended = AtomicUsize::new(0);
    let results = std::thread::scope(|scope| {
        let all = scope.spawn(|| {
            compiler.compile_all_with(&sources, |_| {
                ended.fetch_add(1, Ordering::Relaxed);
            })
        });
        while !started.exists() {
            std::thread::sleep(Duration::from_millis(1));
        }
        cancelled.store(true, Ordering::Relaxed);
        all.join().unwrap()
    });
    let errors: Vec<_> = results.into_iter().map(Result::unwrap_err).collect();
    assert!(errors.iter().all(|error| matches!(error, CompileError::Cancelled { .. })), "{errors:?}");
    assert_eq!((errors.len(), ended.into_inner()), (2, 2));
    drop(compiler);
    let left = std::fs::read_dir(bench.cache().join("tmp")).unwrap().count();
    assert_eq!(left, 0, "files of the killed compiler are left");
}

#[test]
fn killed_by_a_signal() {
    let bench = Bench::new();
    let error = outcome(&bench, "echo last words; kill -KILL $$");
    assert!(matches!(error, CompileError::Killed { signal: 9, .. }), "{error}");
    assert!(error.to_string().contains("last words"), "{error}");
}

#[test]
fn success_without_an_object() {
    let bench = Bench::new();
    for body in ["exit 0", "echo text > \"$out\"", ": > \"$out\"", "mkdir \"$out\""] {
        let error = outcome(&bench, body);
        assert!(matches!(error, CompileError::NotSharedObject { .. }), "{body}: {error}");
        assert!(error.to_string().contains("k.cpp"), "{error}");
    }
    assert!(files(&bench.cache(), ".so").is_empty());
}

#[test]
fn a_hang_ends_with_the_limit() {
    let bench = Bench::new();
    let fake = bench.fake_compiler("echo about to hang; sleep 1000");
    let limit = Duration::from_secs(1);
    let compiler = bench.builder().compiler(fake).timeout(limit).build().unwrap();
    let error = compiler.compile(&bench.kernel("k.cpp", KERNEL)).unwrap_err();
    let CompileError::TimedOut { run, timeout } = &error else { panic!("{error}") };
    assert_eq!(*timeout, limit);
    assert_eq!(run.stderr, "about to hang\n");
    assert_eq!(
        std::fs::read_dir(bench.cache().join("tmp")).unwrap().count(),
        0,
        "temporary files stay behind"
    );
}

#[test]
fn gone_after_it_was_found() {
    let bench = Bench::new();
    let fake = bench.fake_compiler("exit 0");
    let compiler = bench.builder().compiler(&fake).build().unwrap();
    std::fs::remove_file(&fake).unwrap();
    let error = compiler.compile(&bench.kernel("k.cpp", KERNEL)).unwrap_err();
    assert!(matches!(error, CompileError::CannotStart { .. }), "{error}");
    assert!(error.to_string().contains("fake-cxx"), "{error}");
}

#[test]
fn named_but_missing() {
    let bench = Bench::new();
    let error = bench.builder().compiler(bench.path("none")).build().unwrap_err();
    assert!(matches!(error, CompileError::CompilerNotFound { .. }), "{error}");
    assert!(error.to_string().contains("Builder::compiler"), "{error}");
    let error = KernelCompiler::builder().no_cache().compiler("/bin/false").build().unwrap_err();
    assert!(matches!(error, CompileError::CompilerUnusable { .. }), "{error}");
}

#[test]
fn an_object_without_a_list_of_files_is_used_but_not_kept() {
    let bench = Bench::new();
    let source = bench.kernel("k.cpp", KERNEL);
    let good = bench.compiler().compile(&source).unwrap();
    let object = bench.path("good.so");
    std::fs::write(&object, &good.bytes).unwrap();
    let fake = bench.fake_compiler(&format!("cp '{}' \"$out\"", object.display()));
    let compiler = bench.builder().compiler(fake).build().unwrap();
    for _ in 0..2 {
        let artifact = compiler.compile(&source).unwrap();
        assert_eq!(artifact.bytes, good.bytes);
        assert!(!artifact.from_cache && artifact.path_in_cache.is_none());
    }
}

#[test]
fn a_cache_that_vanishes_is_an_error_that_names_it() {
    let bench = Bench::new();
    let compiler = bench.compiler();
    std::fs::remove_dir_all(bench.cache()).unwrap();
    let error = compiler.compile(&bench.kernel("k.cpp", KERNEL)).unwrap_err();
    assert!(matches!(&error, CompileError::CacheDir { path, .. } if *path == bench.cache()), "{error}");
    assert!(error.to_string().contains("SIMPLER_KERNEL_CACHE"), "{error}");
}

#[test]
fn a_result_that_cannot_be_kept_is_returned() {
    let bench = Bench::new();
    let compiler = bench.compiler();
    std::fs::write(bench.cache().join("v1"), "in the way").unwrap();
    let artifact = compiler.compile(&bench.kernel("k.cpp", KERNEL)).unwrap();
    assert!(artifact.path_in_cache.is_none() && !artifact.from_cache);
}
