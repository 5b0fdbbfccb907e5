//! Compiles the fake libraries of this folder, each time into a folder of its own.
#![allow(dead_code, reason = "each test file uses a part")]

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// A fake host library, with the calls that it noted.
pub(crate) struct Fake {
    folder: TempDir,
    pub(crate) library: PathBuf,
}

impl Fake {
    /// Compiles one with these flags; `host_runtime.c` says which there are.
    pub(crate) fn new<'a>(flags: impl IntoIterator<Item = &'a str>) -> Self {
        Self::at("libhost_runtime.so", flags)
    }

    /// The same, somewhere in a folder.
    pub(crate) fn at<'a>(path: &str, flags: impl IntoIterator<Item = &'a str>) -> Self {
        let folder = tempfile::tempdir().expect("a scratch directory");
        let library = folder.path().join(path);
        std::fs::create_dir_all(library.parent().expect("a path with a file name")).expect("a folder");
        compile("host_runtime.c", &library, &calls_flag(&calls_in(folder.path())), flags);
        Self { folder, library }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file next to the library.
    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder().join(name);
        std::fs::create_dir_all(path.parent().expect("a path with a file name")).expect("a folder");
        std::fs::write(&path, text).expect("write a file");
        path
    }

    /// Compiles another library into the same folder; its calls are noted in the same file.
    pub(crate) fn with<'a>(
        &self,
        source: &str,
        name: &str,
        flags: impl IntoIterator<Item = &'a str>,
    ) -> PathBuf {
        let path = self.folder().join(name);
        compile(source, &path, &calls_flag(&calls_in(self.folder())), flags);
        path
    }

    /// What was called until now, and forgets it.
    pub(crate) fn calls(&self) -> Vec<String> {
        let path = calls_in(self.folder());
        let calls = std::fs::read_to_string(&path).unwrap_or_default();
        let _ = std::fs::remove_file(path);
        calls.lines().map(str::to_owned).collect()
    }
}

fn calls_in(folder: &Path) -> PathBuf {
    folder.join("calls")
}

fn calls_flag(path: &Path) -> String {
    format!("-DCALLS=\"{}\"", path.display())
}

fn compile<'a>(source: &str, output: &Path, calls: &str, flags: impl IntoIterator<Item = &'a str>) {
    // Crates that use this one for their tests are its neighbours.
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../host-library/tests/fake");
    let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
    let result = Command::new(&compiler)
        .args(["-shared", "-fPIC", "-O1", "-Wall", calls])
        .args(flags)
        .arg(sources.join(source))
        .arg("-o")
        .arg(output)
        .output()
        .unwrap_or_else(|error| panic!("the C compiler {} does not start: {error}", compiler.display()));
    assert!(result.status.success(), "{}", String::from_utf8_lossy(&result.stderr));
}
