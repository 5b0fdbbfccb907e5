//! `libhost_runtime.so`: the C API of `spec/public-abi.md`, section A.3; `include/simpler/host_runtime.h` is its C form.
//!
//! **Owns:** handles, the border between C and Rust (null pointers, panics, error texts), where log records go, and
//! the exported symbols.
//!
//! **Must not know:** how anything behind `chip-worker` works.
//!
//! # How a call goes
//!
//! Every exported function goes through `border`: a panic becomes an error, and whatever fails is kept as the last
//! error of its context and of its thread. A handle is looked up in `handles`, never dereferenced, so that a null,
//! stale or foreign one is an error too. What is left is a method of `context`.

mod border;
mod context;
mod error;
pub mod exports;
mod foreign;
mod handles;
mod logging;
mod options;
mod program;
mod selection;
