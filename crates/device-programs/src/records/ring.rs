use bytemuck::Pod;
use task_interface::records::UnitLayout;

use super::unit::Unit;
use crate::memory::DeviceMemory;
use crate::word::{Word, load_u64};

/// Through which a core tells of its tasks, with room for two, where the host does not read it itself.
#[derive(Debug)]
pub(super) struct Ring {
    memory: DeviceMemory,
    address: u64,
    /// Counts what it has not told.
    mismatched: Word,
}

impl Ring {
    /// That of a unit, whose state has its address at this offset.
    ///
    /// # Safety
    /// The state must have this layout, and it and the ring stay accessible while the result is used.
    pub(super) unsafe fn open(
        memory: DeviceMemory,
        (state, layout): (u64, &UnitLayout),
        address: usize,
    ) -> Self {
        let mismatched = layout.mismatched.unwrap_or(layout.dropped);
        // SAFETY: fields of the state.
        unsafe {
            let mismatched = Word::at(state + mismatched as u64);
            Self { memory, address: load_u64(state + address as u64), mismatched }
        }
    }

    /// What the core says of the task with this token, at the start of a record of so many bytes; `None`, and counted
    /// for the unit, if it has not told.
    pub(super) fn read<R: Pod>(
        &self,
        unit: &mut Unit,
        (token, record_bytes): (u32, usize),
        task: impl Fn(&R) -> u64,
    ) -> Option<R> {
        let place = self.address + u64::from(token % 2) * record_bytes as u64;
        let told = (self.address != 0).then(|| self.memory.read::<R>(place).ok()).flatten();
        let told = told.filter(|record| task(record) & u64::from(u32::MAX) == u64::from(token));
        if told.is_none() {
            unit.tried();
            self.mismatched.store(self.mismatched.load().wrapping_add(1));
        }
        told
    }
}
