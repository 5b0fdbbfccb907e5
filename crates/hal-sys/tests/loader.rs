//! Libraries of this machine's own, under the vendor's names.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is the report of a test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use hal_sys::{Attempt, FUNCTIONS, Group, HalError, Library, Loader};
use tempfile::TempDir;

/// A library with functions that return 0, and options for the linker.
fn library(dir: &Path, file: &str, functions: &[&str], options: &[&str]) -> PathBuf {
    let source = dir.join(format!("{file}.cpp"));
    let body: String =
        functions.iter().map(|name| format!("extern \"C\" int {name}() {{ return 0; }}\n")).collect();
    fs::write(&source, body).unwrap();
    let path = dir.join(file);
    let compiler = std::env::var_os("CXX").unwrap_or_else(|| "c++".into());
    let mut command = Command::new(compiler);
    command
        .args(["-shared", "-fPIC", "-O1", "-x", "c++"])
        .arg(&source)
        .args(["-x", "none"])
        .arg("-o")
        .arg(&path);
    let soname = format!("-Wl,-soname,{file}");
    let output = command.arg(soname).arg(format!("-L{}", dir.display())).args(options).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    path
}

/// All functions of a library but some.
fn functions_of(library: Library, but: &[&str]) -> Vec<&'static str> {
    let wanted = |name: &&str| !but.contains(name);
    FUNCTIONS
        .iter()
        .filter(|function| function.library == library)
        .map(|function| function.name)
        .filter(wanted)
        .collect()
}

fn whole(dir: &Path, of: Library) -> PathBuf {
    library(dir, of.candidates()[0], &functions_of(of, &[]), &[])
}

fn loader(dir: &TempDir) -> Loader {
    Loader::new().search_dir(dir.path()).given_dirs_only()
}

#[test]
fn everything_is_found_where_everything_is() {
    let dir = TempDir::new().unwrap();
    for of in Library::ALL {
        whole(dir.path(), of);
    }
    let inventory = loader(&dir).inventory();
    for function in FUNCTIONS {
        assert!(inventory.table.has(function.name), "{}", function.name);
    }
    assert!(!inventory.table.has("rtNoSuchCall"));
    let loaded: Vec<_> =
        inventory.attempts.iter().map(|attempt| (attempt.library, attempt.error.is_none())).collect();
    assert_eq!(loaded, Library::ALL.map(|library| (library, true)));
    let hal = loader(&dir).require(Group::Base).require(Group::Hccl).load().unwrap();
    hal.set_device(0).unwrap();
}

#[test]
fn a_machine_without_cann_says_what_to_do() {
    let dir = TempDir::new().unwrap();
    let error = loader(&dir).require(Group::Base).require(Group::RegistersA5).load().unwrap_err();
    let text = error.to_string();
    for library in ["libruntime.so", "libascendcl.so", "libacl_rt.so", "libascend_hal.so"] {
        let path = dir.path().join(library);
        assert!(text.contains(&format!("{}: ", path.display())), "{text}");
    }
    assert!(text.contains("No such file or directory"), "{text}");
    for advice in ["set_env.sh", "ASCEND_HOME_PATH", "LD_LIBRARY_PATH", "driver"] {
        assert!(text.contains(advice), "{text}");
    }
    assert!(!text.contains("libhcomm"), "what is not required is not missed: {text}");
    assert_eq!(error.missing.iter().filter(|missing| missing.group == Group::RegistersA5).count(), 1);
}

#[test]
fn what_is_not_required_may_be_missing() {
    let dir = TempDir::new().unwrap();
    let hal = loader(&dir).load().unwrap();
    let error = hal.set_device(0).unwrap_err();
    assert_eq!(error, HalError::Missing { call: "rtSetDevice", library: Library::Runtime });
}

#[test]
fn a_missing_function_is_named_with_its_library() {
    let dir = TempDir::new().unwrap();
    let path = library(
        dir.path(),
        "libascend_hal.so",
        &functions_of(Library::Hal, &["halMemCtl", "halResMap"]),
        &[],
    );
    let loader = loader(&dir).require(Group::RegistersA2a3);
    let error = loader.load().unwrap_err();
    let names: Vec<_> = error.missing.iter().map(|missing| missing.name).collect();
    assert_eq!(names, ["halMemCtl"]);
    let expected = format!("libascend_hal.so: loaded from {}, but lacks halMemCtl\n", path.display());
    assert!(error.to_string().contains(&expected), "{error}");
    let inventory = loader.inventory();
    assert_eq!(inventory.missing(Group::RegistersA5).len(), 1);
    assert!(inventory.missing(Group::HostRegistration).is_empty());
}

#[test]
fn a_broken_file_is_told_with_the_loader_s_words() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("libruntime.so"), "no library").unwrap();
    let error = loader(&dir).require(Group::Ffts).load().unwrap_err();
    assert!(error.to_string().contains("libruntime.so: "), "{error}");
    let Attempt { error: Some(reason), .. } =
        error.attempts.iter().find(|attempt| attempt.library == Library::Runtime).unwrap()
    else {
        panic!("loaded: {error}");
    };
    assert!(error.to_string().contains(reason), "{error}");
}

#[test]
fn later_names_of_a_library_have_what_earlier_ones_lack() {
    let dir = TempDir::new().unwrap();
    library(dir.path(), "libascendcl.so", &functions_of(Library::AscendCl, &["aclrtResetDeviceForce"]), &[]);
    let inventory = loader(&dir).inventory();
    assert_eq!(inventory.missing(Group::Teardown).len(), 2);
    assert!(inventory.missing(Group::Ipc).is_empty());
    library(dir.path(), "libacl_rt.so", &["aclrtResetDeviceForce"], &[]);
    let inventory = loader(&dir).inventory();
    assert!(inventory.table.has("aclrtResetDeviceForce"));
    // CANN 8 has no libhcomm.so.
    library(dir.path(), "libhccl.so", &functions_of(Library::Hcomm, &[]), &[]);
    assert!(loader(&dir).inventory().missing(Group::Hccl).is_empty());
}

#[test]
fn libraries_find_each_other_outside_of_the_search_path() {
    let dir = TempDir::new().unwrap();
    whole(dir.path(), Library::Hal);
    let needs = ["-Wl,--no-as-needed", "-lascend_hal"];
    library(dir.path(), "libruntime.so", &functions_of(Library::Runtime, &[]), &needs);
    let inventory = loader(&dir).inventory();
    assert!(inventory.missing(Group::Ffts).is_empty(), "{:?}", inventory.attempts);
}

#[test]
fn the_first_directory_wins() {
    let (first, second) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let path = library(first.path(), "libunified_dlog.so", &["dlog_setlevel"], &[]);
    library(second.path(), "libunified_dlog.so", &["dlog_setlevel"], &[]);
    let loader = Loader::new().search_dir(first.path()).search_dir(second.path()).given_dirs_only();
    let attempts = loader.inventory().attempts;
    let dlog: Vec<_> = attempts.iter().filter(|attempt| attempt.library == Library::Dlog).collect();
    assert_eq!(dlog.len(), 1);
    assert_eq!((&dlog[0].path, &dlog[0].error), (&path, &None));
}
