//! Calls into real objects that return, throw and call back.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is the report of a test")]

mod common;

use std::ffi::c_void;
use std::panic::catch_unwind;
use std::ptr;
use std::sync::OnceLock;

use object_loader::call::{CxxException, call_entry, call_kernel};
use object_loader::{SharedObject, SymbolAddress};

const SOURCE: &str = r#"
    #include <cstdint>
    #include <new>
    #include <stdexcept>
    #include <string>

    namespace tools {
    struct Plain { int code; };
    struct Assertion : std::logic_error { using std::logic_error::logic_error; };
    struct Silent : std::exception { const char *what() const noexcept override { return nullptr; } };
    struct Guard { int64_t *word; ~Guard() { *word = 99; } };
    }

    extern "C" {
    void add(int64_t *args) { args[2] = args[0] + args[1]; }
    void throw_chosen(int64_t *args) {
        tools::Guard guard{&args[1]};
        switch (args[0]) {
        case 0: throw std::runtime_error("tile 3 is out of range");
        case 1: throw 42;
        case 2: throw tools::Plain{7};
        case 3: throw tools::Assertion("assert: a < b");
        case 4: throw "text";
        case 5: throw tools::Silent();
        case 6: throw std::bad_alloc();
        case 7: throw std::runtime_error(std::string(100000, 'x'));
        case 8: throw std::runtime_error("\xff\xfe");
        case 9: throw std::runtime_error("");
        }
    }
    void catch_inside(int64_t *args) {
        try { throw_chosen(args); } catch (...) { args[2] = 1; }
    }
    int compare(void *a, const void *b) { return *(int *)a - *(const int *)b; }
    int throw_entry(void *, const void *) { throw std::out_of_range("index 9"); }
    void call_back(int64_t *args) {
        tools::Guard guard{&args[1]};
        ((void (*)(int64_t))args[0])(args[2]);
    }
    }
"#;

fn symbol(name: &str) -> SymbolAddress {
    static OBJECT: OnceLock<SharedObject> = OnceLock::new();
    let object = OBJECT.get_or_init(|| SharedObject::load("calls", &common::shared(SOURCE)).unwrap());
    object.symbol_address(name).unwrap()
}

fn throw_from(f: SymbolAddress, kind: i64) -> CxxException {
    let mut args = [kind, 0];
    // SAFETY: `f` is a throw_chosen: it takes two words.
    let exception = unsafe { call_kernel(f, args.as_mut_ptr()) }.unwrap_err();
    assert_eq!(args[1], 99, "destructors run on the way out");
    exception
}

fn thrown(kind: i64) -> (String, Option<String>) {
    let exception = throw_from(symbol("throw_chosen"), kind);
    (exception.type_name, exception.what)
}

#[test]
fn functions_that_return() {
    let mut args = [40, 2, 0];
    // SAFETY: `add` uses three words.
    unsafe { call_kernel(symbol("add"), args.as_mut_ptr()) }.unwrap();
    assert_eq!(args[2], 42);

    let (mut a, b) = (5_i32, 8_i32);
    // SAFETY: `compare` reads two ints.
    let result = unsafe { call_entry(symbol("compare"), (&raw mut a).cast(), (&raw const b).cast()) };
    assert_eq!(result, Ok(-3));
}

#[test]
fn exceptions_that_stay_inside_do_not_show() {
    let mut args = [0, 0, 0];
    // SAFETY: `catch_inside` uses three words.
    unsafe { call_kernel(symbol("catch_inside"), args.as_mut_ptr()) }.unwrap();
    assert_eq!(args, [0, 99, 1]);
}

#[test]
fn standard_exceptions_bring_their_text() {
    let some = |type_name: &str, what: &str| (type_name.to_owned(), Some(what.to_owned()));
    assert_eq!(thrown(0), some("std::runtime_error", "tile 3 is out of range"));
    assert_eq!(thrown(3), some("tools::Assertion", "assert: a < b"));
    assert_eq!(thrown(6), some("std::bad_alloc", "std::bad_alloc"));
    assert_eq!(thrown(8), some("std::runtime_error", "\u{fffd}\u{fffd}"));
    assert_eq!(thrown(9), some("std::runtime_error", ""));
}

#[test]
fn other_exceptions_bring_their_type() {
    assert_eq!(thrown(1), ("int".to_owned(), None));
    assert_eq!(thrown(2), ("tools::Plain".to_owned(), None));
    assert_eq!(thrown(4), ("char const*".to_owned(), None));
    assert_eq!(thrown(5), ("tools::Silent".to_owned(), None));
}

#[test]
fn long_texts_are_cut() {
    let (type_name, what) = thrown(7);
    let what = what.unwrap();
    assert_eq!(type_name, "std::runtime_error");
    assert!(what.len() > 1000 && what.bytes().all(|byte| byte == b'x'), "{} bytes", what.len());
}

#[test]
fn entries_throw_too() {
    // SAFETY: `throw_entry` ignores its arguments.
    let result = unsafe { call_entry(symbol("throw_entry"), ptr::null_mut(), ptr::null::<c_void>()) };
    let exception = result.unwrap_err();
    assert_eq!(exception.to_string(), "C++ exception std::out_of_range: index 9");
    assert_eq!(throw_from(symbol("throw_chosen"), 1).to_string(), "C++ exception of type int");
}

/// The exception outlives the object that threw it: everything was copied.
#[test]
fn exceptions_outlive_their_object() {
    let object = SharedObject::load("short-lived", &common::shared(SOURCE)).unwrap();
    let exception = throw_from(object.symbol_address("throw_chosen").unwrap(), 3);
    drop(object);
    assert_eq!(exception.to_string(), "C++ exception tools::Assertion: assert: a < b");
}

/// An object with a C++ runtime of its own inside throws exceptions of the same layout.
#[test]
fn exceptions_of_another_runtime_are_caught() {
    let flags = ["-shared", "-fno-gnu-unique", "-static-libstdc++", "-static-libgcc"];
    let object = SharedObject::load("static-runtime", &common::compile(SOURCE, &flags)).unwrap();
    let exception = throw_from(object.symbol_address("throw_chosen").unwrap(), 0);
    assert_eq!(exception.to_string(), "C++ exception std::runtime_error: tile 3 is out of range");
    assert_eq!(throw_from(object.symbol_address("throw_chosen").unwrap(), 1).type_name, "int");
}

extern "C-unwind" fn panicking(value: i64) {
    panic!("panic number {value}");
}

extern "C-unwind" fn calling_again(kind: i64) {
    assert_eq!(throw_from(symbol("throw_chosen"), kind).type_name, "int");
}

fn call_back(f: extern "C-unwind" fn(i64), value: i64) -> (Result<(), CxxException>, i64) {
    let f = i64::try_from(f as *const () as usize).unwrap();
    let mut args = [f, 0, value];
    // SAFETY: `call_back` uses three words, the first is a function that takes the third.
    let result = unsafe { call_kernel(symbol("call_back"), args.as_mut_ptr()) };
    (result, args[1])
}

#[test]
fn guarded_calls_nest() {
    assert_eq!(call_back(calling_again, 1), (Ok(()), 99));
}

#[test]
fn panics_pass_through_to_rust() {
    let payload = catch_unwind(|| call_back(panicking, 8)).unwrap_err();
    assert_eq!(payload.downcast_ref::<String>().unwrap(), "panic number 8");
    assert_eq!(throw_from(symbol("throw_chosen"), 1).type_name, "int", "the C++ runtime is still in order");
}
