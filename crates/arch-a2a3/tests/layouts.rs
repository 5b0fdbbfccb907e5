//! Compares the data of this crate with the measured contract.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is the report of a test")]

use std::mem::size_of;

use arch_a2a3::{CHIP, KernelArgs};

#[test]
fn the_chip_is_the_contracts() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../spec/public-layouts.json");
    let contract = std::fs::read_to_string(path).unwrap();
    device_runner::testing::assert_chip_is_the_contracts(&CHIP, &contract, size_of::<KernelArgs>());
}
