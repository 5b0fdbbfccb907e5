//! Compiles the C++ shim that keeps exceptions away from Rust frames.

fn main() {
    println!("cargo::rerun-if-changed=src/guard.cpp");
    cc::Build::new()
        .cpp(true)
        .std("c++17")
        // The shim sits in every kernel call, also in debug builds.
        .opt_level(2)
        .file("src/guard.cpp")
        .compile("object_loader_guard");
}
