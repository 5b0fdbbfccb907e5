//! Without the feature `toolkit-bindings` there is nothing to do: the bindings are committed.

#![forbid(unsafe_code)]

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    #[cfg(feature = "toolkit-bindings")]
    toolkit::generate();
}

#[cfg(feature = "toolkit-bindings")]
#[path = "build/toolkit.rs"]
mod toolkit;
