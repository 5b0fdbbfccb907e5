//! A client loads the context library as a file, then kernels run: the simulator uses that one.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "a panic is the report of a test")]

mod common;
mod context;

#[test]
fn the_simulator_uses_the_library_that_is_there() {
    let file = context::load(&context::installed("before"), libc::RTLD_GLOBAL);
    context::meet("before").unwrap();
    // A second library would serve nobody, so there must be none: the first one is what look-ups find.
    for name in ["simpler_sim_bind_thread", "pto_sim_get_subblock_id"] {
        assert_eq!(context::symbol(std::ptr::null_mut(), name), context::symbol(file, name));
    }
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    assert!(!maps.contains("process-wide object"), "{maps}");
    context::meet("before").unwrap();
}
