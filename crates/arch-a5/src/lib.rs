//! The a5 chip as data.
//!
//! **Owns:** this chip's limits, register table, launch structure and hardware counters
//! (`spec/device-abi.md`, sections 1, 2.2 and 6.3), behind the [`Arch`] trait.
//!
//! **Must not know:** the other chip, any device, or any runtime variant. What both chips have in common
//! belongs to `device-runner`; the files here have the same names as the other chip's, so that
//! `diff -r` over both crates shows how the chips differ.
#![forbid(unsafe_code)]

mod diagnostics;
mod kernel_args;
mod limits;
#[cfg(feature = "onboard")]
mod onboard;
pub mod records;
mod registers;
mod sim_programs;

use device_runner::{Arch, Diagnostics, Limits, Register, SimPrograms};
use task_interface::records::RecordMemory;

pub use kernel_args::KernelArgs;

/// The chip, for whoever composes a worker.
pub static CHIP: Chip = Chip;

/// Type of [`CHIP`].
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Chip;

impl Arch for Chip {
    fn name(&self) -> &'static str {
        "a5"
    }

    fn limits(&self) -> &'static Limits {
        &limits::LIMITS
    }

    fn has_sdma_event_records(&self) -> bool {
        false
    }

    fn diagnostics(&self) -> &'static Diagnostics {
        &diagnostics::DIAGNOSTICS
    }

    fn registers(&self) -> &'static [Register] {
        &registers::REGISTERS
    }

    fn sim_register_bytes(&self) -> u32 {
        registers::SIM_BLOCK_BYTES
    }

    fn sim_register_offset(&self, offset: u32) -> u32 {
        registers::sim_block_offset(offset)
    }

    fn records(&self) -> &'static RecordMemory {
        &records::RECORDS
    }

    fn sim_programs(&self) -> &'static SimPrograms {
        &sim_programs::SIM_PROGRAMS
    }
}
