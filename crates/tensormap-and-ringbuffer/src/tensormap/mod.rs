//! Who wrote which part of which buffer last: the source of all dependencies that no author has to spell out.
//!
//! **Owns:** the overlap rule between two views of a buffer, and the set of writers that are still alive. The contract
//! is `spec/public-abi.md`, sections D.3 and D.5, and `spec/device-abi.md`, section 4.11.
//!
//! **Must not know:** argument tags, scopes, or when a task retires; the caller says which tasks are alive.

#![forbid(unsafe_code)]

mod list;
mod map;
mod overlap;
mod region;

#[cfg(test)]
mod map_tests;
#[cfg(test)]
mod overlap_tests;

pub(crate) use {
    map::{Handle, TensorMap},
    region::Region,
};
