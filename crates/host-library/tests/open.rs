//! Opening host libraries: what is loaded in which order, and every way in which it can go wrong.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is the report of a test")]

mod fake;

use fake::Fake;
use host_library::{Companions, Functions, HostLibrary, HostLibraryError};

#[test]
fn a_library_is_opened_and_unloaded_with_the_last_reference() {
    let fake = Fake::new([]);
    let library = HostLibrary::open(&fake.library, &Companions::none()).unwrap();
    assert_eq!(library.path(), fake.library.canonicalize().unwrap());
    assert_eq!(library.runtime_size(), 1000);
    assert_eq!((library.platform(), library.runtime(), library.version()), (None, None, None));
    assert_eq!(library.resource_report(), None);
    assert!(library.additional().simpler_rs_last_error.is_none());
    let second = HostLibrary::open(&fake.library, &Companions::none()).unwrap();
    drop(library);
    assert_eq!(fake.calls(), ["get_runtime_size"]);
    drop(second);
    assert_eq!(fake.calls(), ["unloaded"]);
}

#[test]
fn a_library_tells_what_it_is() {
    let fake = Fake::new(["-DTELLS", "-DPLATFORM=\"a5sim\""]);
    let library = HostLibrary::open(&fake.library, &Companions::none()).unwrap();
    assert_eq!(library.platform().as_deref(), Some("a5sim"));
    assert_eq!(library.runtime().as_deref(), Some("host_build_graph"));
    assert_eq!(library.version().as_deref(), Some("1.2.3"));
    assert_eq!(library.resource_report().unwrap().contexts, 0);
}

#[test]
fn each_of_the_functions_is_required() {
    assert_eq!(Functions::SIGNATURES.len(), 26);
    for function in Functions::SIGNATURES {
        let renamed = format!("-D{0}=another_{0}", function.name);
        let fake = Fake::new([renamed.as_str()]);
        let error = HostLibrary::open(&fake.library, &Companions::none()).unwrap_err();
        let HostLibraryError::MissingSymbol { path, symbol } = &error else { panic!("{error}") };
        assert_eq!((*symbol, path), (function.name, &fake.library.canonicalize().unwrap()));
        assert!(error.to_string().contains(&format!("has no function {symbol}; ")), "{error}");
        assert_eq!(fake.calls(), ["unloaded"]);
    }
}

#[test]
fn what_is_no_library_is_refused_by_name() {
    let fake = Fake::new([]);
    let missing = HostLibrary::open("no/such/library.so", &Companions::none()).unwrap_err();
    assert!(matches!(missing, HostLibraryError::Unreadable { .. }), "{missing}");
    assert!(missing.to_string().starts_with("no/such/library.so cannot be read: "), "{missing}");

    let text = fake.file("text.so", "this is not an object file at all, but long enough to be looked into");
    for path in [text.as_path(), fake.folder()] {
        let error = HostLibrary::open(path, &Companions::none()).unwrap_err();
        let HostLibraryError::NotLoadable { reason, .. } = &error else { panic!("{error}") };
        assert!(!reason.is_empty() && error.to_string().contains("cannot be loaded: "), "{error}");
    }
}

#[test]
fn the_log_library_comes_first_and_serves_the_host_library() {
    let fake = Fake::new(["-DNEEDS=what_the_log_has"]);
    let error = HostLibrary::open(&fake.library, &Companions::none()).unwrap_err();
    assert!(error.to_string().contains("undefined symbol: what_the_log_has"), "{error}");
    assert!(error.to_string().contains("libsimpler_log.so"), "{error}");

    let log = fake.with("log.c", "libsimpler_log.so", ["-DCODE=0", "-DFROM_LOG=what_the_log_has"]);
    let companions = Companions::none().log(&log);
    let library = HostLibrary::open(&fake.library, &companions).unwrap();
    assert_eq!(fake.calls(), ["simpler_log_init 4 0"], "the log crate of this test is off");
    drop(library);
    // It is still there, although the host library that needed it is not.
    drop(HostLibrary::open(&fake.library, &Companions::none()).unwrap());
    assert_eq!(fake.calls(), ["unloaded", "unloaded"]);
}

#[test]
fn a_log_library_that_does_not_start_ends_it_all() {
    let fake = Fake::new([]);
    let log = fake.with("log.c", "libsimpler_log.so", ["-DCODE=-1", "-DFROM_LOG=from_a_bad_log"]);
    let error = HostLibrary::open(&fake.library, &Companions::none().log(&log)).unwrap_err();
    assert_eq!(error.code(), Some(-1));
    assert!(error.to_string().ends_with("failed with code -1"), "{error}");

    let no_log = fake.with("sim_context.c", "libno_log.so", []);
    let error = HostLibrary::open(&fake.library, &Companions::none().log(&no_log)).unwrap_err();
    assert!(matches!(&error, HostLibraryError::MissingSymbol { symbol: "simpler_log_init", .. }), "{error}");
    let error = HostLibrary::open(&fake.library, &Companions::none().log("no/such/log.so")).unwrap_err();
    assert!(matches!(&error, HostLibraryError::Unreadable { .. }), "{error}");
    let error = HostLibrary::open(&fake.library, &Companions::none().sim_context("no/such/sim.so"));
    assert!(matches!(error, Err(HostLibraryError::Unreadable { .. })));
    assert_eq!(fake.calls(), ["simpler_log_init 4 0"], "the host library was never loaded");
}
