//! Random tensor programs for `tensormap_and_ringbuffer`, and what must come out of them.
//!
//! A seed becomes a [`Program`](program::Program) (module `generate`). The planner (module `plan`) makes it
//! free of races: it derives what the runtime promises to order, adds explicit dependencies for every other
//! conflict, drops what the rings have no room for, and computes the expected values in submission order.
//! Module `execute` runs the result on a worker and compares.
#![allow(dead_code, reason = "each user of the module uses a part")]

pub(crate) mod bits;
pub(crate) mod execute;
pub(crate) mod generate;
pub(crate) mod kernel;
pub(crate) mod minimise;
pub(crate) mod plan;
pub(crate) mod program;
pub(crate) mod rng;

/// Generates, plans and runs the program of a seed; the number of its tasks.
pub(crate) fn check_seed(seed: u64) -> Result<u64, String> {
    let plan = plan::plan(&generate::program(seed));
    execute::execute(&plan).map_err(|problem| format!("seed {seed}: {problem}"))
}
