//! Objects from bytes: distinct copies, and every way in which loading fails.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is the report of a test")]

mod common;

use std::ffi::c_void;
use std::ptr;

use common::{compile, shared};
use object_loader::elf::ElfError;
use object_loader::{LoadError, SharedObject, SymbolAddress, call::call_entry};

/// An object whose `value` returns `value` and whose `count` counts its own calls.
fn numbered(value: i32) -> Vec<u8> {
    shared(&format!(
        "extern \"C\" int value(void *, const void *) {{ return {value}; }}
         static int calls = 0;
         extern \"C\" int count(void *, const void *) {{ return ++calls; }}"
    ))
}

fn call(object: &SharedObject, symbol: &str) -> i32 {
    let f = object.symbol_address(symbol).unwrap();
    // SAFETY: all functions of these tests have this signature and ignore their arguments.
    unsafe { call_entry(f, ptr::null_mut::<c_void>(), ptr::null()) }.unwrap()
}

fn refused(bytes: &[u8]) -> ElfError {
    match SharedObject::load("broken", bytes) {
        Err(LoadError::NotLoadable { name, source }) => {
            assert_eq!(name, "broken");
            source
        }
        other => panic!("expected NotLoadable, got {other:?}"),
    }
}

#[test]
fn objects_with_the_same_symbols_do_not_mix() {
    let (a, b) = (numbered(1), numbered(2));
    let first = SharedObject::load("a", &a).unwrap();
    let second = SharedObject::load("b", &b).unwrap();
    let third = SharedObject::load("a", &a).unwrap();
    assert_eq!([call(&first, "value"), call(&second, "value"), call(&third, "value")], [1, 2, 1]);
    drop(first);
    let fourth = SharedObject::load("b", &b).unwrap();
    assert_eq!([call(&second, "value"), call(&third, "value"), call(&fourth, "value")], [2, 1, 2]);
}

#[test]
fn copies_of_one_object_have_their_own_statics() {
    let bytes = numbered(1);
    let first = SharedObject::load("same", &bytes).unwrap();
    let second = SharedObject::load("same", &bytes).unwrap();
    assert_ne!(first.symbol_address("count").unwrap(), second.symbol_address("count").unwrap());
    assert_eq!([call(&first, "count"), call(&first, "count"), call(&second, "count")], [1, 2, 1]);
    drop(first);
    let fresh = SharedObject::load("same", &bytes).unwrap();
    assert_eq!([call(&second, "count"), call(&fresh, "count")], [2, 1]);
}

/// A unique symbol keeps its object loaded after the drop; the next object must not be mistaken for it.
#[test]
fn an_object_that_cannot_be_unloaded_does_not_replace_later_ones() {
    let pinned = |value: i32| {
        let source = format!(
            "template <class T> int &unique() {{ static int x = 0; return x; }}
             extern \"C\" int value(void *, const void *) {{ unique<int>() = {value}; return {value}; }}"
        );
        compile(&source, &["-shared", "-fgnu-unique"])
    };
    let (a, b) = (pinned(1), pinned(2));
    for _ in 0..10 {
        assert_eq!(call(&SharedObject::load("a", &a).unwrap(), "value"), 1);
        assert_eq!(call(&SharedObject::load("b", &b).unwrap(), "value"), 2);
    }
}

#[test]
fn threads_load_at_the_same_time() {
    let objects = [numbered(0), numbered(1), numbered(2)];
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let objects = &objects;
            scope.spawn(move || {
                for round in 0..100 {
                    let index = (thread + round) % objects.len();
                    let object = SharedObject::load("parallel", &objects[index]).unwrap();
                    assert_eq!(usize::try_from(call(&object, "value")), Ok(index));
                    assert_eq!(call(&object, "count"), 1);
                }
            });
        }
    });
}

#[test]
fn objects_move_between_threads() {
    fn assert_send_and_sync<T: Send + Sync>() {}
    assert_send_and_sync::<SharedObject>();
    assert_send_and_sync::<object_loader::GlobalObject>();
    assert_send_and_sync::<SymbolAddress>();
    let object = SharedObject::load("moved", &numbered(5)).unwrap();
    assert_eq!(std::thread::spawn(move || call(&object, "value")).join().unwrap(), 5);
}

#[test]
fn the_name_hint_can_be_anything() {
    let bytes = numbered(3);
    for name in ["", "a\0b", "../../etc", "ünï\ncode", &"long".repeat(1000)] {
        assert_eq!(call(&SharedObject::load(name, &bytes).unwrap(), "value"), 3);
    }
}

#[test]
fn bytes_may_start_at_any_address() {
    let bytes = numbered(4);
    for shift in 1..8 {
        let shifted = [&vec![0; shift][..], &bytes].concat();
        assert_eq!(call(&SharedObject::load("shifted", &shifted[shift..]).unwrap(), "value"), 4);
    }
}

#[test]
fn missing_symbols_are_named() {
    let object = SharedObject::load("scale", &numbered(1)).unwrap();
    let error = object.symbol_address("kernel_entry").unwrap_err();
    assert!(
        matches!(&error, LoadError::MissingSymbol { name, symbol } if name == "scale" && symbol == "kernel_entry")
    );
    assert!(error.to_string().starts_with("object `scale` has no symbol `kernel_entry`"), "{error}");
    assert_eq!(object.optional_symbol("kernel_entry").unwrap(), None);
    assert_eq!(object.optional_symbol("").unwrap(), None);
    let found = object.optional_symbol("value").unwrap();
    assert_eq!(found, Some(object.symbol_address("value").unwrap()));
}

#[test]
fn a_symbol_that_is_not_exported_is_missing() {
    let bytes = shared("extern \"C\" __attribute__((visibility(\"hidden\"))) void inner() {}");
    let object = SharedObject::load("hidden", &bytes).unwrap();
    assert!(matches!(object.symbol_address("inner"), Err(LoadError::MissingSymbol { .. })));
}

#[test]
fn symbol_names_with_nul_are_refused() {
    let object = SharedObject::load("nul", &numbered(1)).unwrap();
    for name in ["val\0ue", "value\0", "\0"] {
        let error = object.symbol_address(name).unwrap_err();
        assert!(matches!(&error, LoadError::InvalidSymbolName { symbol, .. } if symbol == name), "{error}");
        assert!(matches!(object.optional_symbol(name), Err(LoadError::InvalidSymbolName { .. })));
    }
}

#[test]
fn unresolved_symbols_are_named() {
    let bytes =
        shared("extern \"C\" int missing_helper(); extern \"C\" int value() { return missing_helper(); }");
    let error = SharedObject::load("lonely", &bytes).unwrap_err();
    assert!(
        matches!(&error, LoadError::UndefinedSymbol { name, symbol, reason }
            if name == "lonely" && symbol == "missing_helper" && reason.starts_with("lonely: undefined symbol")),
        "{error:?}"
    );
    assert!(!error.to_string().contains("/proc/"), "{error}");
}

#[test]
fn a_missing_library_is_named() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("libnotinstalled.so"), numbered(1)).unwrap();
    let search = format!("-L{}", directory.path().display());
    let flags = ["-shared", &search, "-Wl,--no-as-needed", "-lnotinstalled"];
    let bytes = compile("extern \"C\" void f() {}", &flags);
    let error = SharedObject::load("needy", &bytes).unwrap_err();
    assert!(
        matches!(&error, LoadError::Refused { reason, .. } if reason.contains("libnotinstalled.so")),
        "{error:?}"
    );
}

#[test]
fn what_is_not_a_shared_object_is_refused_before_it_is_mapped() {
    assert_eq!(refused(b""), ElfError::Empty);
    assert_eq!(refused(b"#!/bin/sh\n"), ElfError::NotElf);
    let relocatable = compile("extern \"C\" int value() { return 1; }", &["-c"]);
    assert_eq!(
        refused(&relocatable).to_string(),
        "this is not a shared object (ET_REL); link it with -shared"
    );
    let executable = compile("int main() { return 0; }", &["-pie"]);
    assert!(matches!(refused(&executable), ElfError::NotSharedObject { .. }));
    let fixed_executable = compile("int main() { return 0; }", &["-no-pie", "-fno-pic"]);
    assert_eq!(
        refused(&fixed_executable).to_string(),
        "this is not a shared object (ET_EXEC); link it with -shared"
    );
}

/// Runs another test of this file in a process where memory files do not exist, and later temporary files neither.
#[test]
fn loading_works_without_memory_files() {
    let directory = tempfile::tempdir().unwrap();
    let preload = directory.path().join("no_memfd.so");
    let source = "#include <cerrno>
        extern \"C\" int memfd_create(const char *, unsigned) noexcept { errno = ENOSYS; return -1; }";
    std::fs::write(&preload, shared(source)).unwrap();
    let run = |temp_directory: &std::path::Path| {
        std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "a_prebuilt_object_loads"])
            .env("LD_PRELOAD", &preload)
            .env("TMPDIR", temp_directory)
            .env(PREBUILT, directory.path().join("prebuilt.so"))
            .output()
            .unwrap()
    };
    std::fs::write(directory.path().join("prebuilt.so"), numbered(9)).unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let with_temp_files = run(scratch.path());
    assert!(with_temp_files.status.success(), "{}", String::from_utf8_lossy(&with_temp_files.stdout));
    assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 0);
    let without = run(&scratch.path().join("missing"));
    assert!(!without.status.success(), "the memory file was used after all");
    assert!(String::from_utf8_lossy(&without.stdout).contains("NotStored"));
}

/// Path of the object for `a_prebuilt_object_loads`, in the environment of that process.
const PREBUILT: &str = "OBJECT_LOADER_TEST_PREBUILT";

#[test]
fn a_prebuilt_object_loads() {
    let bytes = std::env::var_os(PREBUILT).map_or_else(|| numbered(9), |path| std::fs::read(path).unwrap());
    let objects = [(); 3].map(|()| SharedObject::load("prebuilt", &bytes).unwrap());
    for object in &objects {
        assert_eq!((call(object, "value"), call(object, "count")), (9, 1));
    }
}

#[test]
fn addresses_convert_to_abi_words() {
    assert_eq!(SymbolAddress::from_u64(0), None);
    let address = SymbolAddress::from_u64(0x1234_5678).unwrap();
    assert_eq!((address.0.get(), address.as_u64()), (0x1234_5678, 0x1234_5678));
}
