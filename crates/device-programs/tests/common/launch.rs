use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::mem::transmute;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

use bytemuck::Zeroable as _;
use device_programs::Programs;
use device_runner::{Arch, CoreId, DevPtr, Launch, Topology};
use object_loader::SharedObject;
use task_interface::CoreType;

use super::Mode;

/// What goes wrong in a launch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// This core never comes.
    NoCore(CoreId),
    /// This core says that it is a physical core that no chip has.
    StrangeCore(CoreId),
}

/// Blocks of memory that stand for registers, in the order of physical core ids; filled with what a chip that was
/// used before has in them.
#[derive(Clone, Debug)]
pub(crate) struct Registers {
    chip: &'static dyn Arch,
    mode: Mode,
    /// A page for each core, as words.
    blocks: Arc<[AtomicU64]>,
    /// Their addresses by physical core id.
    table: Arc<[u64]>,
}

const BLOCK_WORDS: usize = 0x6000 / 8;

impl Registers {
    pub(super) fn new(chip: &'static dyn Arch, mode: Mode, topology: Topology) -> Self {
        let places = chip.limits().physical_core_ids as usize;
        let blocks: Arc<[AtomicU64]> = (0..places * BLOCK_WORDS).map(|_| AtomicU64::new(0)).collect();
        let mut table = vec![0u64; places];
        for core in 0..topology.cores() {
            let physical = Self::physical_of(chip, CoreId(core)) as usize;
            table[physical] = (&raw const blocks[physical * BLOCK_WORDS]).expose_provenance() as u64;
        }
        Self { chip, mode, blocks, table: table.into() }
    }

    /// Physical ids are nothing that can be guessed from worker ids.
    fn physical_of(chip: &dyn Arch, core: CoreId) -> u32 {
        chip.limits().physical_core_ids - 1 - core.0
    }

    pub(crate) fn get(&self, core: CoreId, name: &str) -> Option<u32> {
        let register = self.chip.registers().iter().find(|register| register.name == name)?;
        let offset = match self.mode {
            Mode::Onboard => register.offset,
            Mode::Simulated => self.chip.sim_register_offset(register.offset),
        };
        let physical = Self::physical_of(self.chip, core) as usize;
        let word = self.blocks[physical * BLOCK_WORDS + offset as usize / 8].load(Ordering::Acquire);
        Some(u32::try_from(word >> (offset % 8 * 8) & 0xffff_ffff).unwrap())
    }
}

/// The programs, loaded for one device.
#[derive(Debug)]
pub(crate) struct Entries {
    aicpu: SharedObject,
    aicore: SharedObject,
}

type Exec = unsafe extern "C" fn(*mut c_void) -> c_int;
type Core = unsafe extern "C" fn(*mut c_void);
type SetRegisters = unsafe extern "C" fn(u64);
type SimulatedCore = unsafe extern "C" fn(*mut c_void, c_int, i32, u32, u64, u32, u64);

/// The functions by which a core asks who it is.
#[repr(C)]
struct CoreFunctions {
    size: u32,
    reserved: u32,
    functions: [extern "C" fn() -> u32; 5],
    registers: extern "C" fn() -> *mut c_void,
    killed: extern "C" fn() -> u32,
}

thread_local! {
    /// block_idx, block_num, sub_block_id, sub_block_dim, core_id.
    static ME: Cell<[u32; 5]> = const { Cell::new([0; 5]) };
}

/// Two numbers and seven addresses.
const FUNCTIONS_BYTES: u32 = 64;
const _: () = assert!(size_of::<CoreFunctions>() == FUNCTIONS_BYTES as usize);

extern "C" fn me<const INDEX: usize>() -> u32 {
    ME.get()[INDEX]
}

extern "C" fn no_registers() -> *mut c_void {
    std::ptr::null_mut()
}

extern "C" fn not_killed() -> u32 {
    0
}

static FUNCTIONS: CoreFunctions = CoreFunctions {
    size: FUNCTIONS_BYTES,
    reserved: 0,
    functions: [me::<0>, me::<1>, me::<2>, me::<3>, me::<4>],
    registers: no_registers,
    killed: not_killed,
};

/// A launch under way.
#[derive(Debug)]
pub(super) struct Running {
    aicpu: Vec<JoinHandle<c_int>>,
    cores: Vec<JoinHandle<()>>,
    wall: Option<Arc<AtomicU64>>,
    _entries: Arc<Entries>,
    _registers: Registers,
    _kernel_args: Arc<Vec<u64>>,
}

impl Entries {
    pub(super) fn load(programs: &Programs) -> Self {
        let aicpu = SharedObject::load("AICPU program", &programs.aicpu).unwrap();
        let aicore = SharedObject::load("AICore program", &programs.aicore).unwrap();
        let entries = Self { aicpu, aicore };
        // SAFETY: the contract of that symbol, and the table is static.
        unsafe {
            let bind: extern "C" fn(*const CoreFunctions) =
                transmute(entries.symbol(&entries.aicore, "soft_cann_bind_core"));
            bind(&raw const FUNCTIONS);
        }
        entries
    }

    fn symbol(&self, program: &SharedObject, name: &str) -> *const c_void {
        let address = program.symbol_address(name).unwrap_or_else(|error| panic!("{error}"));
        std::ptr::with_exposed_provenance(address.0.get())
    }

    pub(super) fn start(
        self: &Arc<Self>,
        chip: &'static dyn Arch,
        mode: Mode,
        launch: &Launch,
        runtime: DevPtr,
        registers: &Registers,
        fault: Option<Fault>,
    ) -> Running {
        let wall = Arc::new(AtomicU64::new(u64::MAX));
        let kernel_args = Arc::new(kernel_args(chip, runtime, registers, &wall));
        let args = kernel_args.as_ptr().expose_provenance();
        let aicpu = match mode {
            Mode::Onboard => self.start_aicpu(chip.limits().launched_aicpu_threads, args),
            Mode::Simulated => self.execute_aicpu(launch.aicpu_threads, runtime, registers),
        };
        let cores =
            (0..launch.topology.cores()).map(CoreId).filter(|&core| fault != Some(Fault::NoCore(core)));
        let cores = cores.map(|core| {
            let strange = fault == Some(Fault::StrangeCore(core));
            let physical = if strange { 0xfff } else { Registers::physical_of(chip, core) };
            match mode {
                Mode::Onboard => self.start_core(launch.topology, core, physical, args),
                Mode::Simulated => self.execute_core(launch.topology, core, physical, runtime, registers),
            }
        });
        Running {
            aicpu,
            cores: cores.collect(),
            wall: (mode == Mode::Onboard).then_some(wall),
            _entries: Arc::clone(self),
            _registers: registers.clone(),
            _kernel_args: kernel_args,
        }
    }

    fn start_aicpu(&self, threads: u32, args: usize) -> Vec<JoinHandle<c_int>> {
        // SAFETY: both have this signature.
        let entry = |name| unsafe { transmute::<*const c_void, Exec>(self.symbol(&self.aicpu, name)) };
        let (init, exec) = (entry("simpler_aicpu_init"), entry("simpler_aicpu_exec"));
        // SAFETY: the arguments and what they name outlive the threads.
        let call = move |entry: Exec| unsafe { entry(std::ptr::with_exposed_provenance_mut(args)) };
        assert_eq!(call(init), 0);
        (0..threads).map(|_| std::thread::spawn(move || call(exec))).collect()
    }

    fn execute_aicpu(&self, threads: u32, runtime: DevPtr, registers: &Registers) -> Vec<JoinHandle<c_int>> {
        let runtime = usize::try_from(runtime.addr()).unwrap();
        // SAFETY: both have these signatures, and image and registers outlive the threads.
        unsafe {
            let set: SetRegisters = transmute(self.symbol(&self.aicpu, "set_platform_regs"));
            let execute: Exec = transmute(self.symbol(&self.aicpu, "aicpu_execute"));
            set(registers.table.as_ptr().expose_provenance() as u64);
            let run = move || execute(std::ptr::with_exposed_provenance_mut(runtime));
            (0..threads).map(|_| std::thread::spawn(run)).collect()
        }
    }

    fn start_core(&self, topology: Topology, core: CoreId, physical: u32, args: usize) -> JoinHandle<()> {
        let entry = match topology.core_type(core) {
            CoreType::Aic => "aicore_kernel_0_mix_aic",
            CoreType::Aiv => "aicore_kernel_0_mix_aiv",
        };
        // SAFETY: both have this signature.
        let entry: Core = unsafe { transmute(self.symbol(&self.aicore, entry)) };
        let me = [topology.cluster(core), topology.block_dim(), topology.lane(core), 2, physical];
        std::thread::spawn(move || {
            ME.set(me);
            // SAFETY: the arguments and what they name outlive the thread.
            unsafe { entry(std::ptr::with_exposed_provenance_mut(args)) };
        })
    }

    fn execute_core(
        &self,
        topology: Topology,
        core: CoreId,
        physical: u32,
        runtime: DevPtr,
        registers: &Registers,
    ) -> JoinHandle<()> {
        // SAFETY: it has this signature.
        let execute: SimulatedCore =
            unsafe { transmute(self.symbol(&self.aicore, "aicore_execute_wrapper")) };
        let runtime = usize::try_from(runtime.addr()).unwrap();
        let table = registers.table.as_ptr().expose_provenance() as u64;
        let (worker, core_type) = (c_int::try_from(core.0).unwrap(), topology.core_type(core).raw());
        std::thread::spawn(move || {
            let runtime = std::ptr::with_exposed_provenance_mut(runtime);
            // SAFETY: image and registers outlive the thread.
            unsafe { execute(runtime, worker, core_type, physical, table, 0, 0) };
        })
    }
}

fn kernel_args(chip: &dyn Arch, runtime: DevPtr, registers: &Registers, wall: &Arc<AtomicU64>) -> Vec<u64> {
    let regs = registers.table.as_ptr().expose_provenance() as u64;
    let device_wall_data_base = Arc::as_ptr(wall).expose_provenance() as u64;
    // Nothing is logged: what goes wrong in these tests does so on purpose.
    let (runtime_args, log_level) = (runtime.addr(), 4);
    if chip.name() == "a5" {
        let args = arch_a5::KernelArgs {
            runtime_args,
            regs,
            log_level,
            device_wall_data_base,
            ..arch_a5::KernelArgs::zeroed()
        };
        bytemuck::cast_slice(&[args]).to_vec()
    } else {
        let args = arch_a2a3::KernelArgs {
            runtime_args,
            regs,
            log_level,
            device_wall_data_base,
            ..arch_a2a3::KernelArgs::zeroed()
        };
        bytemuck::cast_slice(&[args]).to_vec()
    }
}

impl Running {
    /// What the AICPU threads returned, and the run time that they wrote.
    pub(super) fn join(self) -> (Vec<c_int>, Option<u64>) {
        let codes = self.aicpu.into_iter().map(|thread| thread.join().unwrap()).collect();
        for core in self.cores {
            core.join().unwrap();
        }
        (codes, self.wall.map(|wall| wall.load(Ordering::Acquire)))
    }
}
