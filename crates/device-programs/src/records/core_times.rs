use std::mem::offset_of;

use bytemuck::Zeroable;
use device_runner::{CoreId, DevPtr, GlobalMemory as _};
use task_interface::records::{CoreTimesMemory, TaskRecordHead};

use super::{RecordPlaces, table_entry};
use crate::chip::Chip;
use crate::memory::DeviceMemory;
use crate::word::{Word, load_u64, store_u64};

/// Where a core tells when its kernels ran, in a launch that asks for it.
#[derive(Debug)]
pub(super) struct CoreTimes {
    chip: &'static Chip,
    memory: DeviceMemory,
    /// Its rotation or ring.
    address: u64,
    /// Of a rotation: what was seen last, the buffer, and the records in it.
    generation: u32,
    buffer: u64,
    slot: usize,
}

impl CoreTimes {
    /// `None` if the launch does not want to know.
    ///
    /// # Safety
    /// The places must be those of the launch, and stay accessible while the result is used.
    pub(super) unsafe fn open(
        chip: &'static Chip,
        memory: DeviceMemory,
        places: &RecordPlaces,
        core: CoreId,
    ) -> Option<Self> {
        // SAFETY: as the caller promises.
        let address = unsafe { table_entry(places.core_times, core) };
        (address != 0).then_some(Self { chip, memory, address, generation: 0, buffer: 0, slot: 0 })
    }

    /// Tells when a kernel ran.
    pub(super) fn tell(&mut self, token: u32, start: u64, end: u64) {
        match &self.chip.records.swimlane.core_times {
            CoreTimesMemory::Rotation(unit) => {
                self.look();
                if self.buffer == 0 || self.slot >= unit.buffer.capacity {
                    return;
                }
                let record = arch_a2a3::records::CoreTimesRecord {
                    start_time: start,
                    end_time: end,
                    task_id: token,
                    ..Zeroable::zeroed()
                };
                let at = self.buffer + (unit.buffer.records + self.slot * unit.buffer.record_bytes) as u64;
                self.slot += 1;
                self.write(at, bytemuck::bytes_of(&record));
            }
            CoreTimesMemory::Ring { .. } => {
                let slot = u64::from(token % 2) * size_of::<arch_a5::records::TaskRecord>() as u64;
                self.write(self.address + slot, bytemuck::bytes_of(&[start, end]));
                let task = offset_of!(TaskRecordHead, task_id) as u64;
                // SAFETY: a field of the ring's record. It comes last, as it makes the others valid.
                unsafe { store_u64(self.address + slot + task, u64::from(token)) };
            }
        }
    }

    /// Takes over the buffer that the AICPU has put there.
    fn look(&mut self) {
        // SAFETY: a field of the rotation.
        let generation =
            unsafe { Word::at(self.address + offset_of!(arch_a2a3::records::Rotation, generation) as u64) }
                .load();
        if generation != self.generation {
            // SAFETY: likewise.
            self.buffer = unsafe { load_u64(self.address) };
            (self.generation, self.slot) = (generation, 0);
        }
    }

    fn write(&self, at: u64, bytes: &[u8]) {
        if let Err(error) = self.memory.copy_to_device(DevPtr::new(at), bytes) {
            log::error!("{error}");
        }
    }
}
