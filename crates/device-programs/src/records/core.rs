use std::mem::offset_of;

use bytemuck::Zeroable;
use device_runner::{DevPtr, GlobalMemory as _};
use task_interface::records::PmuRecordHead;

use super::core_times::CoreTimes;
use super::{RecordPlaces, now, table_entry};
use crate::aicore::{Identity, Launch};
use crate::chip::{Block, Chip};
use crate::memory::DeviceMemory;
use crate::word::{Word, store_u64};

/// What a core tells of its tasks, in a launch that asks for it.
#[derive(Debug)]
pub(crate) struct Telling {
    chip: &'static Chip,
    times: Option<CoreTimes>,
    cycles: Option<Cycles>,
}

impl Telling {
    /// `None` if the launch does not want to know anything. To be asked for at the first task, when the AICPU has made
    /// everything ready.
    ///
    /// # Safety
    /// The places must be those of the launch, and stay accessible while the result is used.
    pub(crate) unsafe fn open(
        chip: &'static Chip,
        memory: DeviceMemory,
        launch: &Launch,
        identity: &Identity,
    ) -> Option<Self> {
        // SAFETY: as the caller promises.
        let (times, cycles) = unsafe {
            (
                CoreTimes::open(chip, memory, &launch.places, identity.worker),
                Cycles::open(chip, memory, launch, identity),
            )
        };
        (times.is_some() || cycles.is_some()).then_some(Self { chip, times, cycles })
    }

    /// Ticks now.
    pub(crate) fn now(&self) -> u64 {
        now(self.chip.arch)
    }

    /// Tells when a kernel began; it has just returned.
    pub(crate) fn tell(&mut self, token: u32, start: u64) {
        let end = self.now();
        if let Some(times) = &mut self.times {
            times.tell(token, start, end);
        }
        if let Some(cycles) = &self.cycles {
            cycles.tell(token, end.saturating_sub(start));
        }
    }
}

/// Stands for the hardware that counts: of a kernel that runs on this machine only its time is known.
#[derive(Debug)]
enum Cycles {
    /// In the registers that the AICPU reads.
    Registers([Word; 2]),
    /// In the core's own ring.
    Ring { memory: DeviceMemory, address: u64 },
}

impl Cycles {
    /// # Safety
    /// As [`Telling::open`].
    unsafe fn open(
        chip: &'static Chip,
        memory: DeviceMemory,
        launch: &Launch,
        identity: &Identity,
    ) -> Option<Self> {
        let RecordPlaces { counters, pmu_rings, .. } = launch.places;
        if counters == 0 {
            return None;
        }
        if chip.records.pmu.ring.is_some() {
            // SAFETY: as the caller promises.
            let address = unsafe { table_entry(pmu_rings, identity.worker) };
            return (address != 0).then_some(Self::Ring { memory, address });
        }
        // SAFETY: as the caller promises.
        let block: Block = unsafe { chip.block(launch.map, counters, identity.physical) }?;
        Some(Self::Registers([block.register("PMU_CNT_TOTAL0")?, block.register("PMU_CNT_TOTAL1")?]))
    }

    fn tell(&self, token: u32, cycles: u64) {
        match self {
            Self::Registers(total) => {
                let [low, high] = halves(cycles);
                total[0].store(low);
                total[1].store(high);
            }
            Self::Ring { memory, address } => {
                let place = address + u64::from(token % 2) * size_of::<arch_a5::records::PmuRecord>() as u64;
                let record = arch_a5::records::PmuRecord {
                    head: PmuRecordHead { pmu_total_cycles: cycles, ..PmuRecordHead::zeroed() },
                    ..Zeroable::zeroed()
                };
                let task = offset_of!(PmuRecordHead, task_id);
                let rest = &bytemuck::bytes_of(&record)[task + size_of::<u64>()..];
                let behind = place + (task + size_of::<u64>()) as u64;
                if let Err(error) = memory.copy_to_device(DevPtr::new(behind), rest) {
                    log::error!("{error}");
                }
                // SAFETY: a field of the ring's record. It comes last, as it makes the others valid.
                unsafe { store_u64(place + task as u64, u64::from(token)) };
            }
        }
    }
}

/// A number as two registers have it.
fn halves(value: u64) -> [u32; 2] {
    #[allow(clippy::cast_possible_truncation, reason = "one half each")]
    let halves = [value as u32, (value >> 32) as u32];
    halves
}
