//! Builds the shared objects under the vendor's names. Each exports the functions that its model has and
//! jumps from there into the core, which is this crate as a cdylib: so they share one state, and none has
//! what is not its own.

use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use hal_sys::{FUNCTIONS, Library};

/// The name that the core has among them.
const CORE: &str = "libsoft_cann_core.so";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=src/dlog.c");
    println!("cargo::rerun-if-changed=src/device_symbols.c");
    println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,{CORE}");
    // Threads of given-up programs and the exit handler are in it.
    println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");

    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    let libraries = out.join("lib");
    std::fs::create_dir_all(&libraries)?;
    let build = Build { stub: build_stub(&out)?, libraries, sources: out.clone() };
    for library in Library::ALL {
        for name in library.candidates() {
            build.library(name, &functions(library), sources(library), needed(library))?;
        }
    }
    build.library("libnnopbase.so", &["aclCreateTensor", "aclDestroyTensor"], &[], &[])?;
    build_device_symbols(&out)?;
    link_core(&build.libraries)
}

/// The object that brings functions of the device into the global scope.
fn build_device_symbols(out: &Path) -> Result<(), Box<dyn Error>> {
    let sources = ["src/device_symbols.c", "src/dlog.c"];
    run(compiler()?.args(sources).arg("-o").arg(out.join("device_symbols.so")))
}

fn functions(library: Library) -> Vec<&'static str> {
    let own = FUNCTIONS.iter().filter(|function| function.library == library).map(|function| function.name);
    let device_side: &[_] = if library == Library::Dlog { &["CheckLogLevel"] } else { &[] };
    own.chain(device_side.iter().copied()).collect()
}

/// What cannot be a jump: a function with a variable number of arguments.
fn sources(library: Library) -> &'static [&'static str] {
    if library == Library::Dlog { &["src/dlog.c"] } else { &[] }
}

/// Names looked up without a library are found in these, because programs are linked with the runtime.
fn needed(library: Library) -> &'static [&'static str] {
    if library == Library::Runtime { &["libascend_hal.so", "libunified_dlog.so"] } else { &[] }
}

struct Build {
    /// Folder of an empty library with the core's name, which is not built yet.
    stub: PathBuf,
    libraries: PathBuf,
    sources: PathBuf,
}

impl Build {
    fn library(
        &self,
        name: &str,
        functions: &[&str],
        sources: &[&str],
        needed: &[&str],
    ) -> Result<(), Box<dyn Error>> {
        let jumps = self.sources.join(format!("{name}.S"));
        std::fs::write(&jumps, assembly(functions)?)?;
        let mut command = compiler()?;
        command.arg(&jumps).args(sources).arg("-o").arg(self.libraries.join(name));
        command.arg(format!("-Wl,-soname,{name}"));
        command.arg("-L").arg(&self.stub).arg("-L").arg(&self.libraries);
        command.arg("-Wl,--no-as-needed").arg(format!("-l:{CORE}"));
        command.args(needed.iter().map(|needed| format!("-l:{needed}")));
        run(command.arg("-Wl,-rpath,$ORIGIN"))
    }
}

/// A jump per function. The arguments stay where they are, so no signature is needed.
fn assembly(functions: &[&str]) -> Result<String, Box<dyn Error>> {
    let jump = match std::env::var("CARGO_CFG_TARGET_ARCH")?.as_str() {
        "x86_64" => |name: &str| format!("jmp soft_cann_{name}@PLT"),
        "aarch64" => |name: &str| format!("b soft_cann_{name}"),
        other => return Err(format!("no jumps for {other}").into()),
    };
    let mut text = ".section .note.GNU-stack,\"\",%progbits\n.text\n".to_owned();
    for name in functions {
        writeln!(
            text,
            ".globl {name}\n.type {name}, %function\n{name}:\n    {}\n.size {name}, .-{name}",
            jump(name)
        )?;
    }
    Ok(text)
}

fn build_stub(out: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let folder = out.join("stub");
    std::fs::create_dir_all(&folder)?;
    let source = folder.join("empty.c");
    std::fs::write(&source, "")?;
    run(compiler()?.arg(&source).arg("-o").arg(folder.join(CORE)).arg(format!("-Wl,-soname,{CORE}")))?;
    Ok(folder)
}

/// The core lies where cargo puts it, three folders up, once it is built.
fn link_core(libraries: &Path) -> Result<(), Box<dyn Error>> {
    let link = libraries.join(CORE);
    if std::fs::symlink_metadata(&link).is_ok() {
        std::fs::remove_file(&link)?;
    }
    Ok(std::os::unix::fs::symlink("../../../../deps/libsoft_cann.so", link)?)
}

fn compiler() -> Result<Command, Box<dyn Error>> {
    let compiler = cc::Build::new().opt_level(1).pic(true).debug(false).try_get_compiler()?;
    let mut command = compiler.to_command();
    command.args(["-shared", "-fPIC"]);
    Ok(command)
}

fn run(command: &mut Command) -> Result<(), Box<dyn Error>> {
    let status = command.status()?;
    if status.success() { Ok(()) } else { Err(format!("{command:?}: {status}").into()) }
}
