use std::sync::{Mutex, PoisonError};

use bytemuck::Zeroable as _;
use device_runner::{ScopeBorder, ScopeSink, site_name};
use run_records::scope::{Border, RINGS};
use task_interface::records::{ScopeMemory, ScopeRecord};

use super::unit::{Ready, Unit};
use crate::memory::DeviceMemory;
use crate::word::{Word, store_u64};

/// How full rings are at the borders of scopes (`spec/device-abi.md`, section 6.4).
#[derive(Debug)]
pub(super) struct Scopes {
    layout: &'static ScopeMemory,
    header: u64,
    unit: Mutex<Unit>,
    /// The orchestrator's.
    thread: u32,
}

/// Numbers of records are 16-bit and 32-bit; larger ones are the largest.
fn number<N, T: TryFrom<N>>(value: N, most: T) -> T {
    T::try_from(value).unwrap_or(most)
}

impl Scopes {
    /// # Safety
    /// `header` must be of such memory, which stays accessible while the result is used.
    pub(super) unsafe fn open(
        layout: &'static ScopeMemory,
        memory: DeviceMemory,
        header: u64,
        thread: u32,
    ) -> Self {
        let state = header + layout.queues.header_bytes as u64;
        // SAFETY: the state follows the header, as the caller promises.
        let unit =
            unsafe { Unit::open(memory, &Ready::new(header, &layout.queues), (state, &layout.borders), 0) };
        Self { layout, header, unit: Mutex::new(unit), thread }
    }

    fn set(&self, offset: usize, value: u32) {
        // SAFETY: a field of the header, as whoever opened it has promised.
        unsafe { Word::at(self.header + offset as u64) }.store(value);
    }

    pub(super) fn flush(&self) {
        self.unit.lock().unwrap_or_else(PoisonError::into_inner).flush(self.thread);
    }
}

impl ScopeSink for Scopes {
    fn capacities(&self, tasks: u32, heap: u64, tensormap: usize) {
        for ring in 0..RINGS {
            self.set(self.layout.task_windows + ring * size_of::<i32>(), tasks);
            let place = self.header + (self.layout.heaps + ring * size_of::<u64>()) as u64;
            // SAFETY: as in `set`.
            unsafe { store_u64(place, heap) };
        }
        self.set(self.layout.tensormap, number(tensormap, u32::MAX));
    }

    fn border(&self, at: &ScopeBorder<'_>) {
        let mut record = ScopeRecord {
            heap_start: at.heap.0,
            heap_end: at.heap.1,
            task_start: number(at.tasks.0, i32::MAX),
            task_end: number(at.tasks.1, i32::MAX),
            tensormap_used: number(at.tensormap, i32::MAX),
            depth: number(at.depth, i16::MAX),
            ring_id: number(at.ring, i16::MAX),
            phase: i16::from(at.border == Border::End),
            ..ScopeRecord::zeroed()
        };
        if let Some((file, line)) = at.site {
            let name = site_name(file).as_bytes();
            record.site_file_basename[..name.len()].copy_from_slice(name);
            record.site_line = line;
        }
        let mut unit = self.unit.lock().unwrap_or_else(PoisonError::into_inner);
        unit.push(self.thread, bytemuck::bytes_of(&record));
    }

    fn fatal(&self) {
        self.set(self.layout.fatal, 1);
    }
}
