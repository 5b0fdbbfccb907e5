//! Compiles small C++ sources with the compiler of the machine, as a user of the crate would.

use std::path::PathBuf;
use std::process::Command;

/// Compiles `source` and returns the bytes of the output file.
///
/// `flags` decide what comes out: `-shared`, `-c`, `-pie`.
pub(crate) fn compile(source: &str, flags: &[&str]) -> Vec<u8> {
    let directory = tempfile::tempdir().expect("a scratch directory");
    let input: PathBuf = directory.path().join("source.cpp");
    let output = directory.path().join("output");
    std::fs::write(&input, source).expect("write the source");
    let compiler = std::env::var_os("CXX").unwrap_or_else(|| "c++".into());
    let result = Command::new(&compiler)
        .args(["-std=c++17", "-O1", "-fPIC"])
        .arg(&input)
        .arg("-o")
        .arg(&output)
        .args(flags)
        .output()
        .unwrap_or_else(|error| panic!("the C++ compiler {compiler:?} does not start: {error}"));
    assert!(result.status.success(), "{}", String::from_utf8_lossy(&result.stderr));
    std::fs::read(&output).expect("read the output")
}

/// A shared object that can be unloaded and has statics of its own in each copy.
pub(crate) fn shared(source: &str) -> Vec<u8> {
    compile(source, &["-shared", "-fno-gnu-unique"])
}
