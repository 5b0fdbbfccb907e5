//! A process-wide object serves the objects that are loaded after it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is the report of a test")]

mod common;

use std::ptr;

use object_loader::{GlobalObject, LoadError, SharedObject, call::call_entry};

#[test]
fn a_global_object_serves_later_objects_until_the_end() {
    let shim = common::shared("static int calls = 0; extern \"C\" int shim_value() { return 10 + ++calls; }");
    let user = common::shared(
        "extern \"C\" int shim_value();
         extern \"C\" int value(void *, const void *) { return shim_value(); }",
    );
    let load_user = || SharedObject::load("user", &user);
    let call = |object: &SharedObject| {
        let f = object.symbol_address("value").unwrap();
        // SAFETY: `value` has this signature and ignores its arguments.
        unsafe { call_entry(f, ptr::null_mut(), ptr::null()) }.unwrap()
    };

    assert!(matches!(load_user(), Err(LoadError::UndefinedSymbol { .. })));
    // A private object serves nobody.
    let private = SharedObject::load("private", &shim).unwrap();
    assert!(matches!(load_user(), Err(LoadError::UndefinedSymbol { .. })));

    let global = GlobalObject::load(&shim).unwrap();
    let shim_value = global.symbol_address("shim_value").unwrap();
    assert_ne!(shim_value, private.symbol_address("shim_value").unwrap());
    assert!(matches!(global.symbol_address("other"), Err(LoadError::MissingSymbol { .. })));
    assert_eq!(global.optional_symbol("other").unwrap(), None);

    let first = load_user().unwrap();
    assert_eq!(call(&first), 11);
    drop(global);
    assert_eq!(call(&first), 12);
    drop(first);
    assert_eq!(call(&load_user().unwrap()), 13, "the object outlives its handle and its users");
}

#[test]
fn errors_name_the_process_wide_object() {
    let error = GlobalObject::load(b"no object").unwrap_err();
    assert!(
        error.to_string().starts_with("object `process-wide object` cannot be loaded: this is not an ELF")
    );
}
