//! Without the feature `toolkit-bindings` there is nothing to do: the bindings are committed.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    println!("cargo::rerun-if-changed=build.rs");
    #[cfg(feature = "toolkit-bindings")]
    return toolkit::generate();
    #[cfg(not(feature = "toolkit-bindings"))]
    ExitCode::SUCCESS
}

#[cfg(feature = "toolkit-bindings")]
#[path = "build/toolkit.rs"]
mod toolkit;
