//! What the tests from outside need: the libraries as clients get them, and callables for them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use kernel_compiler::{CoreType, KernelCompiler, Runtime, Source};

/// The libraries of all platforms and runtimes, in the layout that clients expect.
pub(crate) fn tree() -> &'static Path {
    static TREE: OnceLock<PathBuf> = OnceLock::new();
    TREE.get_or_init(|| {
        let tree = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("lib");
        let built = Command::new(env!("CARGO"))
            .args(["run", "--quiet", "--locked", "--package", "xtask", "--", "build-all", "--quiet", "--out"])
            .arg(&tree)
            .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
            .output()
            .expect("cargo starts");
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        tree
    })
}

/// A library of the simulator.
pub(crate) fn library(arch: &str, runtime: &str) -> PathBuf {
    tree().join(arch).join("sim").join(runtime).join("libhost_runtime.so")
}

/// The orchestrations and kernels of `tests/graphs`, compiled.
pub(crate) fn graphs() -> &'static Path {
    static GRAPHS: OnceLock<PathBuf> = OnceLock::new();
    GRAPHS.get_or_init(|| {
        let compiler = KernelCompiler::new().expect("a C++ compiler");
        let sources = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/graphs");
        let (hbg, trb) = (Runtime::HostBuildGraph, Runtime::TensormapAndRingbuffer);
        let source = |name: &str| sources.join(format!("{name}.cpp"));
        let graphs = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("graphs");
        std::fs::create_dir_all(&graphs).expect("a folder for objects");
        let scratch = tempfile::tempdir_in(&graphs).expect("a scratch directory");
        for (name, source) in [
            ("hbg", Source::orchestration(source("hbg"), hbg).entry("build")),
            ("trb", Source::orchestration(source("trb"), trb).entry("build")),
            ("hbg_double", Source::kernel(source("hbg_double"), CoreType::Aiv)),
            ("trb_double", Source::kernel(source("trb_double"), CoreType::Aiv).runtime(trb)),
            ("spin", Source::kernel(source("spin"), CoreType::Aiv)),
        ] {
            let object = compiler.compile(&source).unwrap_or_else(|error| panic!("{error}"));
            // As a whole: other processes may be reading it.
            let (name, fresh) = (format!("{name}.so"), scratch.path().join(name));
            std::fs::write(&fresh, &object.bytes).expect("write an object");
            std::fs::rename(fresh, graphs.join(name)).expect("an object in its place");
        }
        graphs
    })
}
