//! Builds the dispatcher for this machine; its bytes are embedded into the crate.

use std::path::PathBuf;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=dispatcher/dispatcher.c");
    let out = PathBuf::from(std::env::var("OUT_DIR")?).join("dispatcher.so");
    let compiler = cc::Build::new().opt_level(2).pic(true).debug(false).try_get_compiler()?;
    let status = compiler
        .to_command()
        .args(["-std=c11", "-Wall", "-Wextra", "-Werror=implicit-function-declaration"])
        .args(["-shared", "-fPIC", "-fvisibility=hidden", "-Wl,-soname,libsimpler_aicpu_dispatcher.so"])
        .args(["-Wl,--build-id=none", "-o"])
        .arg(&out)
        .arg("dispatcher/dispatcher.c")
        .status()?;
    if !status.success() {
        return Err(format!("the C compiler failed on dispatcher/dispatcher.c: {status}").into());
    }
    Ok(())
}
