//! The AICore program (`spec/device-abi.md`, sections 1.5 and 7.2).

use std::collections::HashMap;
use std::ffi::{c_int, c_void};
use std::mem::offset_of;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use device_runner::{CoreId, Topology};
use sim::CoreThread;
use task_interface::CoreType;
use task_interface::records::flags;

use super::selection::{CHIP, TASKS};
use super::{address, guarded};
use crate::aicore::{Budgets, Core, CoreError, Entries, Identity, Launch, LaunchKernels};
use crate::chip::RegisterMap;
use crate::memory::DeviceMemory;
use crate::records::RecordPlaces;

/// What a chip has instructions for: which core the calling thread is. The device gives it to each program that it
/// loads; fields that lie beyond `size` are not there.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct CoreFunctions {
    size: u32,
    reserved: u32,
    block_idx: Option<extern "C" fn() -> u32>,
    block_num: Option<extern "C" fn() -> u32>,
    sub_block_id: Option<extern "C" fn() -> u32>,
    sub_block_dim: Option<extern "C" fn() -> u32>,
    core_id: Option<extern "C" fn() -> u32>,
    registers: Option<extern "C" fn() -> *mut c_void>,
    killed: Option<extern "C" fn() -> u32>,
}

static FUNCTIONS: OnceLock<&'static CoreFunctions> = OnceLock::new();

/// Called once, before any kernel.
///
/// # Safety
/// `core` is null, or a table that stays as it is.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn soft_cann_bind_core(core: *const CoreFunctions) {
    // SAFETY: as the caller promises; the size comes first in every version of the table.
    let Some(functions) = (unsafe { core.as_ref() }) else { return };
    if functions.size as usize >= offset_of!(CoreFunctions, registers) {
        FUNCTIONS.get_or_init(|| functions);
    }
}

/// Entry of an AIC.
///
/// # Safety
/// `kernel_args` is the chip's `KernelArgs` in device memory; what it names stays until the launch is over.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn aicore_kernel_0_mix_aic(kernel_args: *mut c_void) {
    // SAFETY: as the caller promises.
    report(|| unsafe { run_kernel(address(kernel_args), CoreType::Aic) });
}

/// Entry of an AIV.
///
/// # Safety
/// As [`aicore_kernel_0_mix_aic`].
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn aicore_kernel_0_mix_aiv(kernel_args: *mut c_void) {
    // SAFETY: as the caller promises.
    report(|| unsafe { run_kernel(address(kernel_args), CoreType::Aiv) });
}

/// A kernel entry returns nothing: that a core has left early is what its AICPU program sees.
fn report(run: impl FnOnce() -> Result<(), String>) {
    if let Err(reason) = guarded(Ok(()), run) {
        log::error!("{reason}");
    }
}

/// # Safety
/// As [`aicore_kernel_0_mix_aic`].
unsafe fn run_kernel(kernel_args: u64, core_type: CoreType) -> Result<(), String> {
    // SAFETY: as the caller promises.
    let memory = unsafe { DeviceMemory::new() };
    let args = CHIP.launch_args(memory, kernel_args).ok_or("the AICore program was given no image")?;
    log::set_max_level(args.log_level);
    let functions = FUNCTIONS.get().ok_or("nobody has told the AICore program which core it is")?;
    let ask = |function: Option<extern "C" fn() -> u32>| function.map_or(0, |function| function());
    let topology = Topology::new(ask(functions.block_num));
    let block = ask(functions.block_idx);
    let worker = match core_type {
        CoreType::Aic => block,
        CoreType::Aiv => {
            topology.block_dim() + block * ask(functions.sub_block_dim) + ask(functions.sub_block_id)
        }
    };
    let identity = Identity { worker: CoreId(worker), core_type, physical: ask(functions.core_id) & 0xfff };
    if worker >= topology.cores() || topology.block_dim() > CHIP.arch.limits().max_block_dim {
        return Err(format!("{} is none of a launch of {} clusters", identity.worker, topology.block_dim()));
    }
    let has_killed = functions.size as usize >= size_of::<CoreFunctions>();
    let killed = || has_killed && ask(functions.killed) != 0;
    let kernels = kernels_of(args.runtime);
    let launch = Launch {
        runtime: args.runtime,
        registers: args.registers,
        map: RegisterMap::Chip,
        places: args.places,
    };
    let entries = Entries::Images(&kernels);
    let core = Core {
        chip: CHIP,
        launch,
        identity,
        tasks: TASKS,
        entries,
        budgets: Budgets::USUAL,
        killed: &killed,
    };
    let _thread = CoreThread::join(&kernels.clusters, topology, identity.worker);
    // SAFETY: as the caller promises.
    unsafe { core.run() }.map_err(|error: CoreError| error.to_string())
}

/// What the cores of a launch share. All of them are there before any is told to run something, so it lasts from the
/// first one to the last.
fn kernels_of(runtime: u64) -> Arc<LaunchKernels> {
    static LAUNCHES: Mutex<Option<HashMap<u64, Weak<LaunchKernels>>>> = Mutex::new(None);
    let mut launches = LAUNCHES.lock().unwrap_or_else(PoisonError::into_inner);
    let launches = launches.get_or_insert_default();
    if let Some(kernels) = launches.get(&runtime).and_then(Weak::upgrade) {
        return kernels;
    }
    launches.retain(|_, kernels| kernels.strong_count() > 0);
    let kernels = Arc::default();
    launches.insert(runtime, Arc::downgrade(&kernels));
    kernels
}

type SetIdentity = extern "C" fn(u32);

/// How a core tells kernels of a simulated device who it is; null for nobody who wants to know.
static SET_SUB_BLOCK: Mutex<[Option<SetIdentity>; 2]> = Mutex::new([None; 2]);

/// Of a simulated device: functions that take the sub-block and the cluster of the calling thread.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn set_sim_core_identity_helpers(
    set_sub_block_id: Option<SetIdentity>,
    set_cluster_id: Option<SetIdentity>,
) {
    *SET_SUB_BLOCK.lock().unwrap_or_else(PoisonError::into_inner) = [set_sub_block_id, set_cluster_id];
}

/// Defines the entry of every core of a simulated device, with what the chip has in addition.
macro_rules! simulated_entry {
    ($($pmu_rings:ident: u64)?) => {
        /// Entry of every core of a simulated device.
        ///
        /// # Safety
        /// `runtime` is the image, `registers` the table of register blocks, and the tables of those diagnostics that
        /// are on have a place for each core; all stay until the launch is over.
        #[unsafe(no_mangle)]
        pub(crate) unsafe extern "C" fn aicore_execute_wrapper(
            runtime: *mut c_void,
            worker: c_int,
            core_type: i32,
            physical_core_id: u32,
            registers: u64,
            profiling_flags: u32,
            core_times: u64,
            $($pmu_rings: u64,)?
        ) {
            let on = |flag: u32, place: u64| if profiling_flags & flag == 0 { 0 } else { place };
            let places = RecordPlaces {
                core_times: on(flags::SWIMLANE, core_times),
                counters: on(flags::PMU, registers),
                $($pmu_rings: on(flags::PMU, $pmu_rings),)?
                ..RecordPlaces::default()
            };
            let launch =
                Launch { runtime: address(runtime), registers, map: RegisterMap::Simulated, places };
            // SAFETY: as the caller promises.
            report(|| unsafe { run_simulated(launch, worker, core_type, physical_core_id) });
        }
    };
}

// As for the chip that is chosen.
#[cfg(not(all(feature = "a5", not(feature = "a2a3"))))]
simulated_entry!();
#[cfg(all(feature = "a5", not(feature = "a2a3")))]
simulated_entry!(pmu_rings: u64);

/// # Safety
/// As [`aicore_execute_wrapper`].
unsafe fn run_simulated(launch: Launch, worker: c_int, core_type: i32, physical: u32) -> Result<(), String> {
    let core_type = CoreType::try_from(core_type).map_err(|error| error.to_string())?;
    let worker = u32::try_from(worker).map_err(|_| format!("there is no core {worker}"))?;
    // SAFETY: as the caller promises.
    let memory = unsafe { DeviceMemory::new() };
    let topology = crate::chip::ImageHead::read(memory, CHIP, launch.runtime)?.topology;
    let identity = Identity { worker: CoreId(worker), core_type, physical };
    let helpers = *SET_SUB_BLOCK.lock().unwrap_or_else(PoisonError::into_inner);
    let values = [topology.lane(identity.worker), topology.cluster(identity.worker)];
    for (set, value) in helpers.into_iter().zip(values) {
        if let Some(set) = set {
            set(value);
        }
    }
    let core = Core {
        chip: CHIP,
        launch,
        identity,
        tasks: TASKS,
        entries: Entries::Functions,
        budgets: Budgets::USUAL,
        killed: &|| false,
    };
    // SAFETY: as the caller promises.
    unsafe { core.run() }.map_err(|error: CoreError| error.to_string())
}
