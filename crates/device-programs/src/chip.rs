use device_runner::{Arch, CoreId, DeviceError, Topology};
use log::LevelFilter;
use task_interface::Handshake;
use task_interface::records::{RecordMemory, flags};

use crate::memory::DeviceMemory;
use crate::records::RecordPlaces;
use crate::word::{Word, load_u64};

/// A chip as device programs need to know it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chip {
    pub(crate) arch: &'static dyn Arch,
    pub(crate) records: &'static RecordMemory,
    kernel_args: fn(DeviceMemory, u64) -> Result<LaunchArgs, DeviceError>,
}

/// What a launch says to both programs (`spec/device-abi.md`, section 1.2); addresses are of device memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LaunchArgs {
    /// The runtime image.
    pub(crate) runtime: u64,
    /// The register blocks, a `u64` by physical core id.
    pub(crate) registers: u64,
    /// Where the run time goes, in nanoseconds; 0 for nowhere.
    pub(crate) device_wall: u64,
    /// Severity from which messages count.
    pub(crate) log_level: LevelFilter,
    /// Where records go, of those that are switched on.
    pub(crate) places: RecordPlaces,
}

/// Severity as in `KernelArgs`.
fn severity(log_level: u32) -> LevelFilter {
    match log_level {
        0 => LevelFilter::Debug,
        1 => LevelFilter::Info,
        2 => LevelFilter::Warn,
        3 => LevelFilter::Error,
        _ => LevelFilter::Off,
    }
}

/// What both chips have in their arguments, and the places that only this one has or calls so.
macro_rules! kernel_args_of {
    ($arch:ident, $($place:ident: $flag:ident $field:ident),+) => {
        |memory, address| {
            let args: $arch::KernelArgs = memory.read(address)?;
            // What an earlier launch has left in a place that is switched off is not this launch's.
            let on = |flag: u32, place: u64| if args.enable_profiling_flag & flag == 0 { 0 } else { place };
            Ok(LaunchArgs {
                runtime: args.runtime_args,
                registers: args.regs,
                device_wall: args.device_wall_data_base,
                log_level: severity(args.log_level),
                places: RecordPlaces {
                    swimlane: on(flags::SWIMLANE, args.l2_perf_data_base),
                    pmu: on(flags::PMU, args.pmu_data_base),
                    dump: on(flags::DUMP, args.dump_data_base),
                    scopes: on(flags::SCOPE_STATS, args.scope_stats_data_base),
                    $($place: on(flags::$flag, args.$field),)+
                    ..RecordPlaces::default()
                },
            })
        }
    };
}

pub(crate) static A2A3: Chip = Chip {
    arch: &arch_a2a3::CHIP,
    records: &arch_a2a3::records::RECORDS,
    kernel_args: kernel_args_of!(
        arch_a2a3,
        core_times: SWIMLANE aicore_ring_addr,
        counters: PMU pmu_reg_addrs,
        submits: DEP_GEN dep_gen_data_base
    ),
};
pub(crate) static A5: Chip = Chip {
    arch: &arch_a5::CHIP,
    records: &arch_a5::records::RECORDS,
    kernel_args: kernel_args_of!(
        arch_a5,
        core_times: SWIMLANE aicore_l2_perf_ring_addrs,
        counters: PMU regs,
        pmu_rings: PMU aicore_pmu_ring_addrs
    ),
};

/// How register offsets become addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RegisterMap {
    /// As on the chip: from the base of the core's block.
    Chip,
    /// As in the memory that stands for it in simulation.
    Simulated,
}

/// The registers of one core that both programs use.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Registers {
    /// The AICPU program's word to the core.
    pub(crate) data_main_base: Word,
    /// The core's answer.
    pub(crate) cond: Word,
    /// Opens and closes the way between them, on chips that have it.
    pub(crate) fast_path: Option<Word>,
}

impl Chip {
    /// Reads the arguments of a launch; `None` when there are none, or no image.
    pub(crate) fn launch_args(&self, memory: DeviceMemory, address: u64) -> Option<LaunchArgs> {
        let args = (self.kernel_args)(memory, address).ok()?;
        (args.runtime != 0).then_some(args)
    }

    /// The register block of the core with this physical id; `None` when the chip has no such core, or the table no
    /// address for it.
    ///
    /// # Safety
    /// `table` must be one of the device's tables of register blocks, and these must stay accessible while the result
    /// is used.
    pub(crate) unsafe fn block(&self, map: RegisterMap, table: u64, physical: u32) -> Option<Block> {
        if physical >= self.arch.limits().physical_core_ids || table == 0 {
            return None;
        }
        // SAFETY: the table has an entry for each physical core, as the caller promises.
        let base = unsafe { load_u64(table + u64::from(physical) * size_of::<u64>() as u64) };
        (base != 0).then_some(Block { arch: self.arch, map, base })
    }

    /// The registers of that core that both programs use; `None` likewise.
    ///
    /// # Safety
    /// As [`block`](Self::block), for the table of the control registers.
    pub(crate) unsafe fn registers(&self, map: RegisterMap, table: u64, physical: u32) -> Option<Registers> {
        // SAFETY: as the caller promises.
        let block = unsafe { self.block(map, table, physical) }?;
        Some(Registers {
            data_main_base: block.register("DATA_MAIN_BASE")?,
            cond: block.register("COND")?,
            fast_path: block.register("FAST_PATH_ENABLE"),
        })
    }
}

/// Registers of one core.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Block {
    arch: &'static dyn Arch,
    map: RegisterMap,
    base: u64,
}

impl Block {
    /// A register; `None` if the chip has none of that name.
    pub(crate) fn register(&self, name: &str) -> Option<Word> {
        let register = self.arch.registers().iter().find(|register| register.name == name)?;
        let offset = match self.map {
            RegisterMap::Chip => register.offset,
            RegisterMap::Simulated => self.arch.sim_register_offset(register.offset),
        };
        // SAFETY: the block has all registers of the chip, and they are used as 32-bit words only.
        Some(unsafe { Word::at(self.base + u64::from(offset)) })
    }
}

/// The start of a runtime image, equal in both runtimes: handshakes, number of cores, number of AICPU threads
/// (`spec/device-abi.md`, sections 2.1, 3.1 and 4.1).
#[derive(Clone, Copy, Debug)]
pub(crate) struct ImageHead {
    pub(crate) address: u64,
    pub(crate) topology: Topology,
    pub(crate) aicpu_threads: u32,
}

/// One core's handshake.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HandshakeWords {
    pub(crate) aicpu_ready: Word,
    pub(crate) aicore_done: Word,
    pub(crate) core_type: Word,
    pub(crate) physical_core_id: Word,
    pub(crate) aicpu_regs_ready: Word,
    pub(crate) aicore_regs_ready: Word,
    /// Address of the 64-bit word that is the core's payloads.
    pub(crate) task: u64,
}

impl ImageHead {
    /// Reads and checks it.
    ///
    /// # Errors
    /// Why it is no image for this chip.
    pub(crate) fn read(memory: DeviceMemory, chip: &Chip, address: u64) -> Result<Self, String> {
        let limits = chip.arch.limits();
        let places = Topology::new(limits.max_block_dim).cores();
        let counts = address.saturating_add(u64::from(places) * size_of::<Handshake>() as u64);
        let [cores, threads]: [i32; 2] = memory.read(counts).map_err(|error| error.to_string())?;
        let block_dim = u32::try_from(cores).unwrap_or(0) / Topology::CORES_PER_CLUSTER;
        let topology = Topology::new(block_dim);
        if !(1..=limits.max_block_dim).contains(&block_dim) || i64::from(topology.cores()) != i64::from(cores)
        {
            return Err(format!(
                "the image has {cores} cores; is it for another chip than {}?",
                chip.arch.name()
            ));
        }
        let aicpu_threads = u32::try_from(threads).unwrap_or(0);
        if !(1..=limits.max_aicpu_threads).contains(&aicpu_threads) {
            return Err(format!(
                "the image wants {threads} AICPU threads of 1 to {}",
                limits.max_aicpu_threads
            ));
        }
        Ok(Self { address, topology, aicpu_threads })
    }

    /// A core's handshake.
    ///
    /// # Safety
    /// The image must stay accessible while the result is used.
    pub(crate) unsafe fn handshake(&self, core: CoreId) -> HandshakeWords {
        // SAFETY: as the caller promises.
        unsafe { HandshakeWords::at(self.address, core) }
    }
}

impl HandshakeWords {
    /// The handshake of a core in the image at `runtime`.
    ///
    /// # Safety
    /// The image must have that core and stay accessible while the result is used.
    pub(crate) unsafe fn at(runtime: u64, core: CoreId) -> Self {
        let base = runtime + u64::from(core.0) * size_of::<Handshake>() as u64;
        macro_rules! word {
            ($field:ident) => {
                // SAFETY: a 32-bit field of the handshake, which is aligned and accessible.
                unsafe { Word::at(base + std::mem::offset_of!(Handshake, $field) as u64) }
            };
        }
        Self {
            aicpu_ready: word!(aicpu_ready),
            aicore_done: word!(aicore_done),
            core_type: word!(core_type),
            physical_core_id: word!(physical_core_id),
            aicpu_regs_ready: word!(aicpu_regs_ready),
            aicore_regs_ready: word!(aicore_regs_ready),
            task: base + std::mem::offset_of!(Handshake, task) as u64,
        }
    }
}
