//! How the chips differ: cores, their numbers, and their register blocks (spec/hal.md, section 2).

use std::sync::{Condvar, Mutex, OnceLock};
use std::time::Instant;

use crate::region::{Sparse, pointer};
use crate::sync::{lock, wait_until};

/// A chip that a device can be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Chip {
    /// 25 places for cores, 24 of them present; registers by `halMemCtl`.
    #[default]
    A2a3,
    /// 36 cores on two dies; registers by `halResMap`.
    A5,
}

/// A core of a block: the cube core, or one of the two vector cores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SubCore {
    Aic,
    Aiv(u32),
}

impl SubCore {
    /// Position of the core's registers in the block of its cluster.
    fn register_page(self) -> u64 {
        match self {
            Self::Aic => 0,
            Self::Aiv(number) => 1 + u64::from(number),
        }
    }

    pub(crate) fn sub_block_id(self) -> u32 {
        match self {
            Self::Aic => 0,
            Self::Aiv(number) => number,
        }
    }
}

const REGISTER_PAGE: u64 = 0x10_0000;
const CORES_PER_DIE: u32 = 18;
/// Register value that tells an AICore program to leave, spec/device-abi.md, section 2.3.
const EXIT_SIGNAL: u32 = 0x7FFF_FFF0;

impl Chip {
    /// Places for clusters; the physical number of a cluster is less.
    pub(crate) fn clusters(self) -> u32 {
        match self {
            Self::A2a3 => 25,
            Self::A5 => 36,
        }
    }

    /// Clusters that are there unless a rule says something else.
    fn usual_bitmap(self) -> u64 {
        match self {
            Self::A2a3 => (1 << 24) - 1,
            Self::A5 => (1 << 36) - 1,
        }
    }

    /// Whether cores synchronise through memory whose address a host asks for.
    pub(crate) fn has_ffts(self) -> bool {
        self == Self::A2a3
    }

    pub(crate) fn aicpu_cores(self) -> u32 {
        match self {
            Self::A2a3 => 6,
            Self::A5 => 7,
        }
    }

    /// Bytes from the registers of one cluster to those of the next.
    fn cluster_stride(self) -> u64 {
        match self {
            Self::A2a3 => 8 << 20,
            Self::A5 => 4 << 20,
        }
    }

    /// Bytes of a cluster's registers.
    pub(crate) fn cluster_registers(self) -> u64 {
        3 * REGISTER_PAGE
    }

    fn data_main_base(self) -> u64 {
        match self {
            Self::A2a3 => 0xA0,
            Self::A5 => 0xD0,
        }
    }

    /// The number by which a core knows itself, which indexes the register table of a launch.
    pub(crate) fn core_id(self, cluster: u32, core: SubCore) -> u32 {
        let (first_aic, aics, local) = match self {
            Self::A2a3 => (0, self.clusters(), cluster),
            Self::A5 => (cluster / CORES_PER_DIE * 3 * CORES_PER_DIE, CORES_PER_DIE, cluster % CORES_PER_DIE),
        };
        match core {
            SubCore::Aic => first_aic + local,
            SubCore::Aiv(number) => first_aic + aics + 2 * local + number,
        }
    }
}

/// The clusters of a device, and which of them a launch holds.
#[derive(Debug)]
pub(crate) struct Cores {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    bitmap: u64,
    taken: u64,
}

impl Cores {
    pub(crate) fn new(chip: Chip) -> Self {
        Self { state: Mutex::new(State { bitmap: chip.usual_bitmap(), taken: 0 }), changed: Condvar::new() }
    }

    pub(crate) fn bitmap(&self) -> u64 {
        lock(&self.state).bitmap
    }

    pub(crate) fn set_bitmap(&self, bitmap: u64) {
        lock(&self.state).bitmap = bitmap;
    }

    pub(crate) fn count(&self) -> u32 {
        self.bitmap().count_ones()
    }

    /// Takes `count` clusters as soon as they are free, the lowest ones first; `None` if that takes too long.
    pub(crate) fn take(&self, count: u32, deadline: Option<Instant>) -> Option<Vec<u32>> {
        let free = |state: &State| (state.bitmap & !state.taken).count_ones() >= count;
        let (mut state, enough) = wait_until(&self.changed, lock(&self.state), deadline, free);
        if !enough {
            return None;
        }
        let free = state.bitmap & !state.taken;
        let taken: Vec<u32> =
            (0..u64::BITS).filter(|core| free >> core & 1 == 1).take(count as usize).collect();
        state.taken |= mask(&taken);
        Some(taken)
    }

    pub(crate) fn give_back(&self, cores: &[u32]) {
        lock(&self.state).taken &= !mask(cores);
        self.changed.notify_all();
    }
}

fn mask(cores: &[u32]) -> u64 {
    cores.iter().fold(0, |mask, core| mask | 1 << core)
}

/// The register blocks of a device's cores, and the other addresses that a host can have mapped.
#[derive(Debug)]
pub(crate) struct Registers {
    chip: Chip,
    control: OnceLock<Sparse>,
    pmu: OnceLock<Sparse>,
    ffts: OnceLock<Sparse>,
}

impl Registers {
    pub(crate) fn new(chip: Chip) -> Self {
        let (control, pmu, ffts) = (OnceLock::new(), OnceLock::new(), OnceLock::new());
        Self { chip, control, pmu, ffts }
    }

    /// Address and size of the blocks of all clusters.
    pub(crate) fn control(&self) -> Option<(u64, u64)> {
        reserved(&self.control, self.chip.cluster_stride() * u64::from(self.chip.clusters()))
    }

    /// The same for the counters of an a2a3.
    pub(crate) fn pmu(&self) -> Option<(u64, u64)> {
        reserved(&self.pmu, self.chip.cluster_stride() * u64::from(self.chip.clusters()))
    }

    /// Where cores synchronise with each other.
    pub(crate) fn ffts(&self) -> Option<(u64, u64)> {
        reserved(&self.ffts, 1 << 16)
    }

    /// Address of the block of one cluster.
    pub(crate) fn cluster(&self, cluster: u32) -> Option<u64> {
        Some(self.control()?.0 + u64::from(cluster) * self.chip.cluster_stride())
    }

    /// Address of the registers of one core.
    pub(crate) fn core(&self, cluster: u32, core: SubCore) -> Option<u64> {
        let block = self.control()?.0 + u64::from(cluster) * self.chip.cluster_stride();
        Some(block + core.register_page() * REGISTER_PAGE)
    }

    /// Tells the program on a core to leave, whatever the AICPU program wants of it.
    pub(crate) fn poison(&self, cluster: u32, core: SubCore) {
        if let Some(registers) = self.core(cluster, core) {
            let register = pointer(registers + self.chip.data_main_base()).cast::<u32>();
            // SAFETY: an aligned word in the mapping of this device's registers, which lives as long as it;
            // device programs access it at the same time by volatile accesses as this one.
            unsafe { register.write_volatile(EXIT_SIGNAL) };
        }
    }
}

fn reserved(place: &OnceLock<Sparse>, size: u64) -> Option<(u64, u64)> {
    if place.get().is_none() {
        match Sparse::reserve(size) {
            // Two threads may come here at once; the mapping that loses is dropped.
            Ok(mapping) => drop(place.set(mapping)),
            Err(error) => log::error!("this machine has no room for {size} bytes of registers: {error}"),
        }
    }
    place.get().map(|mapping| (mapping.base(), mapping.size()))
}
