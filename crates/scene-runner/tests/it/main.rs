//! The runner as its users see it, among scenes that crash, hang, exit, and fail at times.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is the report of a test")]

mod bench;
mod compiling;
mod ending;
mod scenes;
mod terminal;
