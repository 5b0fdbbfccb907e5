//! Builds the C functions with variable arguments, which Rust cannot define.

fn main() {
    println!("cargo::rerun-if-changed=src/variadic.c");
    cc::Build::new().file("src/variadic.c").opt_level(2).warnings(true).compile("simpler_trb_variadic");
}
