//! Declarations from C headers: our own, or those of an installed CANN (`spec/hal.md`, section 6).
//!
//! Written to `OUT_DIR`: `own.rs` from `include/hal_sys.h`, which `cargo xtask bindings` takes from there,
//! and `toolkit.rs` from `$ASCEND_HOME_PATH`, which `tests/toolkit.rs` compares with the committed ones.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const OWN_HEADER: &str = "include/hal_sys.h";

/// Set where no toolkit is: our own header stands for it. `cargo xtask bindings` wants no more.
const OWN_ONLY: &str = "HAL_SYS_OWN_BINDINGS_ONLY";

/// Where headers lie below a toolkit, those of CANN 9 first, then those of CANN 8.
const INCLUDE_DIRS: [&str; 12] = [
    "include",
    "pkg_inc",
    "pkg_inc/runtime",
    "pkg_inc/runtime/runtime",
    "pkg_inc/profiling",
    "pkg_inc/toolchain",
    "pkg_inc/driver",
    "include/driver",
    "include/experiment",
    "include/experiment/runtime",
    "include/experiment/ascend_hal/driver",
    "include/experiment/msprof",
];

/// What is included, by alternatives: a toolkit has one of each line. The headers of HCCL are C++ only.
const HEADERS: [&[&str]; 4] = [
    &["runtime/rt.h", "runtime/runtime/rt.h", "rt.h"],
    &["acl/acl.h"],
    &["ascend_hal.h"],
    &["dlog_pub.h", "base/dlog_pub.h", "slog.h", "toolchain/slog.h", "slog/toolchain/slog.h"],
];

/// The calls whose declarations are not looked for in a toolkit, by the start of their names.
const NOT_COMPARED: &str = "Hccl";

/// Structures that are compared although no call names their types.
const UNNAMED_TYPES: &str = "AddrMapInPara|AddrMapOutPara|AddrUnmapInPara";

pub(crate) fn generate() -> ExitCode {
    for name in [OWN_ONLY, "ASCEND_HOME_PATH", "LIBCLANG_PATH"] {
        println!("cargo::rerun-if-env-changed={name}");
    }
    println!("cargo::rerun-if-changed=build/toolkit.rs");
    println!("cargo::rerun-if-changed={OWN_HEADER}");
    match generate_or_explain() {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            reason.lines().for_each(|line| println!("cargo::error={line}"));
            ExitCode::FAILURE
        }
    }
}

fn generate_or_explain() -> Result<(), String> {
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo sets no OUT_DIR")?);
    let own = bind(bindgen::builder().header(OWN_HEADER).allowlist_file(format!(".*{OWN_HEADER}")), None)?;
    let functions = function_names(&own);
    let own = functions_as_types(&own)?;
    write(&out.join("own.rs"), &own)?;
    if env::var_os(OWN_ONLY).is_some() {
        // The comparison still compiles, and holds the committed declarations against the header.
        return write(&out.join("toolkit.rs"), &own);
    }
    let toolkit = find_toolkit()?;
    println!("cargo::rerun-if-changed={}", toolkit.display());
    let compared: Vec<&str> = functions.iter().map(String::as_str).filter(|name| is_compared(name)).collect();
    let (includes, found) = include_lines(&toolkit);
    let mut builder = bindgen::builder().header_contents("toolkit.h", &includes).clang_args(found);
    builder = builder.allowlist_type(UNNAMED_TYPES);
    for name in &compared {
        builder = builder.allowlist_function(name);
    }
    let mut theirs = bind(builder, Some(&toolkit))?;
    let declared = function_names(&theirs);
    theirs = functions_as_types(&theirs)?;
    // What a toolkit lacks is a type of its own, so that the test names it instead of not compiling.
    for name in compared.iter().filter(|name| !declared.iter().any(|declared| declared == *name)) {
        let _ = writeln!(theirs, "pub type {name} = crate::NotDeclared;");
    }
    write(&out.join("toolkit.rs"), &theirs)
}

fn is_compared(name: &str) -> bool {
    !name.starts_with(NOT_COMPARED)
}

fn find_toolkit() -> Result<PathBuf, String> {
    let home = env::var_os("ASCEND_HOME_PATH").map(PathBuf::from).ok_or(
        "feature toolkit-bindings compares our declarations with those of an installed CANN, and ASCEND_HOME_PATH \
         is not set.\nSource set_env.sh of the toolkit, or build without the feature: nothing else needs it.",
    )?;
    let missing: Vec<_> = HEADERS
        .iter()
        .filter(|names| locate(&home, names).is_none())
        .map(|names| names.join(" or "))
        .collect();
    if missing.is_empty() {
        return Ok(home);
    }
    Err(format!(
        "feature toolkit-bindings finds no {} below ASCEND_HOME_PATH={} (in {}).\n\
         Install the toolkit with its headers (the -devel part), or build without the feature.",
        missing.join(", no "),
        home.display(),
        INCLUDE_DIRS.join(", ")
    ))
}

/// The first of a header's names that lies in one of the include directories.
fn locate<'a>(home: &Path, names: &[&'a str]) -> Option<&'a str> {
    let exists = |name: &&&str| INCLUDE_DIRS.iter().any(|dir| home.join(dir).join(name).is_file());
    names.iter().find(exists).copied()
}

/// The text that includes everything, and the options that make it be found.
fn include_lines(home: &Path) -> (String, Vec<String>) {
    let lines =
        HEADERS.iter().filter_map(|names| locate(home, names)).fold(String::new(), |mut text, name| {
            let _ = writeln!(text, "#include \"{name}\"");
            text
        });
    let dirs = INCLUDE_DIRS.iter().map(|dir| home.join(dir)).filter(|dir| dir.is_dir());
    (lines, dirs.map(|dir| format!("-I{}", dir.display())).collect())
}

/// Runs bindgen with everything fixed that would make its output depend on who runs it.
fn bind(builder: bindgen::Builder, toolkit: Option<&Path>) -> Result<String, String> {
    let target = bindgen::RustTarget::stable(85, 0).map_err(|error| error.to_string())?;
    let bindings = builder
        .rust_target(target)
        .rust_edition(bindgen::RustEdition::Edition2024)
        .clang_args(["-x", "c", "-std=gnu11"])
        .prepend_enum_name(false)
        .use_core()
        .impl_debug(true)
        .derive_default(true)
        .generate_comments(false)
        // The layouts are held against the numbers of the spec instead.
        .layout_tests(false)
        .formatter(bindgen::Formatter::Prettyplease)
        .disable_header_comment();
    let of = toolkit.map_or_else(|| OWN_HEADER.to_owned(), |home| home.display().to_string());
    // Where there is no libclang, it panics.
    match panic::catch_unwind(AssertUnwindSafe(|| bindings.generate())) {
        Ok(Ok(bindings)) => Ok(bindings.to_string()),
        Ok(Err(error)) => Err(format!("the headers of {of} are not understood: {error}")),
        Err(_) => Err(
            "bindgen gave up, as said above. It needs libclang: install it (Debian: libclang-dev), or set \
             LIBCLANG_PATH to the directory that has it."
                .to_owned(),
        ),
    }
}

/// The names of the functions in what bindgen writes.
fn function_names(bindings: &str) -> Vec<String> {
    let after = |line: &str| {
        line.strip_prefix("    pub fn ").and_then(|rest| rest.split('(').next()).map(str::to_owned)
    };
    bindings.lines().filter_map(after).collect()
}

/// Turns each declared function into a type of its name, so that nothing can link against it by mistake.
fn functions_as_types(bindings: &str) -> Result<String, String> {
    const OPENING: &str = "unsafe extern \"C\" {\n    pub fn ";
    let mut out = String::new();
    let mut rest = bindings;
    while let Some(start) = rest.find(OPENING) {
        out.push_str(&rest[..start]);
        let declaration = &rest[start + OPENING.len()..];
        let end =
            declaration.find(";\n}").ok_or("bindgen writes functions in a form this build does not know")?;
        let (name, signature) =
            declaration[..end].split_once('(').ok_or("bindgen writes a function without arguments list")?;
        let _ =
            write!(out, "pub type {name} = unsafe extern \"C\" fn({};", signature.replace("\n    ", "\n"));
        rest = &declaration[end + ";\n}".len()..];
    }
    out.push_str(rest);
    Ok(out)
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|error| format!("{} cannot be written: {error}", path.display()))
}
