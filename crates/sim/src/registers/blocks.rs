use device_runner::{Arch, CoreId, DeviceError};

use super::word::Word;
use crate::memory::Block;

/// Memory that stands for the registers of all cores (`spec/device-abi.md`, sections 2.2 and 7.3).
#[derive(Debug)]
pub(super) struct RegisterBlocks {
    control: Bank,
    /// Counters, of a chip whose programs look for them elsewhere; there they are all that is used of it.
    counters: Bank,
    data_main_base: usize,
    cond: usize,
}

/// Registers by physical core id, and the table of where each core's are.
#[derive(Debug)]
struct Bank {
    table: Block,
    blocks: Block,
    bytes_per_core: usize,
    cores: u32,
}

/// Values of the two registers that hand over tasks (`spec/device-abi.md`, section 2.3).
pub(super) const EXIT: u32 = 0x7fff_fff0;
const NO_TASK: u32 = 0x7fff_fffd;
const ENDED: u32 = 1 << 31;
const LEFT: u32 = 0xffff_fffe;

impl Bank {
    fn new(arch: &dyn Arch) -> Result<Self, DeviceError> {
        let cores = arch.limits().physical_core_ids;
        let bytes_per_core = arch.sim_register_bytes() as usize;
        // Programs for a5 look for counters beyond the last core's block (`spec/device-abi.md`, section 7.4).
        let bytes = bytes_per_core * (cores as usize + 2);
        let table = cores as usize * size_of::<u64>();
        let none = |requested: usize| DeviceError::OutOfMemory {
            requested: requested as u64,
            in_use: 0,
            capacity: None,
            source: None,
        };
        let bank = Self {
            table: Block::zeroed(table).ok_or_else(|| none(table))?,
            blocks: Block::zeroed(bytes).ok_or_else(|| none(bytes))?,
            bytes_per_core,
            cores,
        };
        for core in 0..cores {
            let address = bank.block(core).expose_provenance() as u64;
            // SAFETY: the table has an entry for each core, and is aligned.
            unsafe { bank.table.as_ptr().cast::<u64>().add(core as usize).write(address) };
        }
        Ok(bank)
    }

    fn block(&self, core: u32) -> *mut u8 {
        let core = core.min(self.cores - 1) as usize;
        self.blocks.as_ptr().wrapping_add(core * self.bytes_per_core)
    }

    /// The address of the table.
    fn table(&self) -> u64 {
        self.table.as_ptr().expose_provenance() as u64
    }

    /// Sets all registers of the first `cores` cores to 0, which no thread uses.
    fn clear(&self, cores: u32) {
        let bytes = cores.min(self.cores) as usize * self.bytes_per_core;
        // SAFETY: so many blocks are there.
        unsafe { std::ptr::write_bytes(self.blocks.as_ptr(), 0, bytes) };
    }
}

impl RegisterBlocks {
    /// Those of a chip, where a core's physical id is its number.
    pub(super) fn new(arch: &dyn Arch) -> Result<Self, DeviceError> {
        Ok(Self {
            control: Bank::new(arch)?,
            counters: Bank::new(arch)?,
            data_main_base: place(arch, "DATA_MAIN_BASE")?,
            cond: place(arch, "COND")?,
        })
    }

    /// The address of the table of all registers.
    pub(super) fn table(&self) -> u64 {
        self.control.table()
    }

    /// The address of the table of counters.
    pub(super) fn counters(&self) -> u64 {
        self.counters.table()
    }

    /// Sets all registers of the first `cores` cores to 0, which no thread uses.
    pub(super) fn clear(&self, cores: u32) {
        self.control.clear(cores);
        self.counters.clear(cores);
    }

    fn register(&self, core: CoreId, offset: usize) -> Word {
        // SAFETY: the block of a core has all registers of the chip, aligned, and lives as long as this.
        unsafe { Word::at(self.control.block(core.0).wrapping_add(offset)) }
    }

    /// What the core says about itself.
    pub(super) fn cond(&self, core: CoreId) -> u32 {
        self.register(core, self.cond).load()
    }

    /// Tells a core to leave.
    pub(super) fn tell_exit(&self, core: CoreId) {
        self.register(core, self.data_main_base).store(EXIT);
    }

    /// Plays the core for the AICPU program: every task ends as soon as it comes. `None` once the core was told to
    /// leave; otherwise whether there was a task.
    pub(super) fn answer(&self, core: CoreId) -> Option<bool> {
        let cond = self.register(core, self.cond);
        match self.register(core, self.data_main_base).load() {
            EXIT => {
                cond.store(LEFT);
                None
            }
            NO_TASK => Some(false),
            token => {
                let ended = token | ENDED;
                let is_new = cond.load() != ended;
                cond.store(ended);
                Some(is_new)
            }
        }
    }
}

fn place(arch: &dyn Arch, name: &'static str) -> Result<usize, DeviceError> {
    let register = arch.registers().iter().find(|register| register.name == name);
    let register = register
        .ok_or(DeviceError::Unsupported { what: "handing tasks over by registers", device: arch.name() })?;
    Ok(arch.sim_register_offset(register.offset) as usize)
}
