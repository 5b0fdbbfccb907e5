//! A ring: task slots, output memory and dependency entries that are handed out and given back in order.
//!
//! **Owns:** which slot and which bytes of the heap a new task gets, and when they are free again. The contract is
//! `spec/device-abi.md`, sections 4.9, 4.10 and 4.12. Positions are numbers: nothing here touches the memory itself.
//!
//! **Must not know:** scopes, consumers, or threads; the caller says when a task is consumed, and waits.
//!
//! A task is *alive* from its allocation until it and every task before it is consumed. Everything is freed in the
//! order it was handed out, so one task that stays alive holds back all that came after it.

#![forbid(unsafe_code)]

mod dep_pool;
mod error;
mod heap;
mod pack;
mod ring;
mod window;

#[cfg(test)]
mod ring_tests;

pub(crate) use {
    error::{ConfigError, Full},
    pack::{Packed, pack_outputs},
    ring::{Ring, RingConfig, Slot},
};

/// What is in use of something limited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// In use now.
    pub(crate) in_use: u64,
    /// The most that was in use at a time.
    pub(crate) high_water: u64,
    /// The most that can be in use at a time.
    pub(crate) capacity: u64,
}

impl Usage {
    const fn new(capacity: u64) -> Self {
        Self { in_use: 0, high_water: 0, capacity }
    }

    fn add(&mut self, amount: u64) {
        self.in_use += amount;
        self.high_water = self.high_water.max(self.in_use);
    }

    fn sub(&mut self, amount: u64) {
        self.in_use = self.in_use.saturating_sub(amount);
    }
}
