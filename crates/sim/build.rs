//! Builds `libcpu_sim_context.so`, which carries the simulator's symbols into the process's global scope.
//! Its bytes are embedded into the crate, so that nothing has to be found at run time.

use std::path::PathBuf;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=src/global_hooks.c");
    let out = PathBuf::from(std::env::var("OUT_DIR")?).join("global_hooks.so");
    let compiler = cc::Build::new().opt_level(2).pic(true).debug(false).try_get_compiler()?;
    let status = compiler
        .to_command()
        .args(["-std=c11", "-Wall", "-Wextra", "-Werror=implicit-function-declaration", "-pthread"])
        .args(["-shared", "-fPIC", "-fvisibility=hidden", "-Wl,-soname,libcpu_sim_context.so"])
        // Kernels and simulators keep addresses into it, whoever loaded it and however.
        .args(["-Wl,--build-id=none", "-Wl,-z,nodelete", "-o"])
        .arg(&out)
        .arg("src/global_hooks.c")
        .status()?;
    if !status.success() {
        return Err(format!("the C compiler failed on src/global_hooks.c: {status}").into());
    }
    Ok(())
}
