//! Kernels run, then a client loads the context library as a file: the simulator's own copy goes on serving.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "a panic is the report of a test")]

mod common;
mod context;

#[test]
fn a_library_that_comes_later_changes_nothing() {
    context::meet("after").unwrap();
    let own = context::symbol(std::ptr::null_mut(), "pto_sim_get_subblock_id");
    let file = context::load(&context::installed("after"), libc::RTLD_GLOBAL);
    assert_ne!(context::symbol(file, "pto_sim_get_subblock_id"), own);
    assert_eq!(context::symbol(std::ptr::null_mut(), "pto_sim_get_subblock_id"), own);
    context::meet("after").unwrap();
}
