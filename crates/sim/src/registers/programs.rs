//! Device programs in this process: what they export, and calls of it (`spec/device-abi.md`, section 7.2).

use std::ffi::{c_int, c_void};
use std::num::NonZero;

use collectors::RecordPlaces;
use device_runner::{AicoreRings, Arch, CoreId, Programs, RecordPlace, Topology};
use object_loader::call::{CxxException, call_entry};
use object_loader::{LoadError, SharedObject, SymbolAddress};

use super::blocks::RegisterBlocks;
use crate::identity;

/// Why programs cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(super) enum ProgramError {
    /// A file in the place of another.
    #[error("the {program} is another kind of program; give AICPU and AICore program in this order")]
    Another { program: &'static str },
    /// A program for something else.
    #[error("the {program} is for \"{found}\" (chip, runtime, version), this device is for \"{device}\"")]
    For { program: &'static str, found: String, device: String },
    /// It cannot be loaded, or lacks a function.
    #[error("the {program} cannot be used: {source}")]
    Load { program: &'static str, source: LoadError },
}

/// A pair of programs, loaded as copies of their own.
#[derive(Debug)]
pub(super) struct LoadedPrograms {
    aicpu: AicpuProgram,
    aicore: AicoreProgram,
}

#[derive(Debug)]
struct AicpuProgram {
    execute: SymbolAddress,
    set_registers: SymbolAddress,
    addresses: Vec<(SymbolAddress, RecordPlace)>,
    /// By the bit of the collector.
    switches: Vec<(SymbolAddress, u32)>,
    _object: SharedObject,
}

#[derive(Debug)]
struct AicoreProgram {
    execute: SymbolAddress,
    rings: AicoreRings,
    _object: SharedObject,
}

/// A core of a launch, as its program is told.
#[derive(Clone, Copy, Debug)]
pub(super) struct CoreLaunch {
    /// Address of the image.
    pub(super) runtime: u64,
    pub(super) topology: Topology,
    pub(super) core: CoreId,
    /// Address of the table of register blocks.
    pub(super) registers: u64,
    /// Of collectors.
    pub(super) places: RecordPlaces,
}

impl LoadedPrograms {
    pub(super) fn load(programs: &Programs, arch: &dyn Arch) -> Result<Self, ProgramError> {
        let failed = |program| move |source| ProgramError::Load { program, source };
        Ok(Self {
            aicpu: AicpuProgram::load(&programs.aicpu, arch).map_err(failed("AICPU program"))?,
            aicore: AicoreProgram::load(&programs.aicore, arch).map_err(failed("AICore program"))?,
        })
    }

    /// Sets what holds for the next launch. All of it is said each time, also that a collector is off: a program keeps
    /// what it was told last, and that memory is gone by now.
    pub(super) fn set_up(&self, registers: &RegisterBlocks, places: &RecordPlaces) {
        type SetAddress = extern "C" fn(u64);
        type SetSwitch = extern "C" fn(bool);
        let set_address = |address: SymbolAddress, value| {
            // SAFETY: the functions of spec/device-abi.md, section 7.2, have this signature; the object is loaded.
            let set = unsafe { std::mem::transmute::<usize, SetAddress>(address.0.get()) };
            set(value);
        };
        set_address(self.aicpu.set_registers, registers.table());
        for &(set, place) in &self.aicpu.addresses {
            let address = match place {
                RecordPlace::Swimlane => places.swimlane,
                RecordPlace::CoreTimes => places.core_times,
                RecordPlace::Dump => places.dump,
                RecordPlace::Pmu => places.pmu,
                RecordPlace::PmuRegisters => registers.counters(),
                RecordPlace::Scopes => places.scopes,
                RecordPlace::Submits => places.submits,
            };
            set_address(set, address);
        }
        for &(switch, bit) in &self.aicpu.switches {
            // SAFETY: as above.
            let set = unsafe { std::mem::transmute::<usize, SetSwitch>(switch.0.get()) };
            set(places.flags & bit != 0);
        }
    }

    /// One AICPU thread's part of a launch, on the calling thread: what the program returns.
    ///
    /// # Safety
    /// `runtime` must be the address of an image of this chip and runtime, which stays until all threads of the launch
    /// are back.
    pub(super) unsafe fn run_aicpu(&self, runtime: u64) -> Result<i32, CxxException> {
        let function = std::ptr::with_exposed_provenance(self.aicpu.execute.0.get());
        // SAFETY: the function calls the program's, which has that signature; the rest is the caller's promise.
        unsafe { call_entry(entry_of(call_aicpu), pointer(runtime), function) }
    }

    /// One core's part of a launch, on the calling thread.
    ///
    /// # Safety
    /// As [`run_aicpu`](Self::run_aicpu), and for the registers.
    pub(super) unsafe fn run_aicore(&self, launch: CoreLaunch) -> Result<(), CxxException> {
        let call = AicoreCall { program: &self.aicore, launch };
        // SAFETY: the function takes such a call, and otherwise as above.
        unsafe { call_entry(entry_of(call_aicore), std::ptr::null_mut(), (&raw const call).cast()) }
            .map(|_| ())
    }
}

impl AicpuProgram {
    fn load(bytes: &[u8], arch: &dyn Arch) -> Result<Self, LoadError> {
        let object = SharedObject::load("AICPU program", bytes)?;
        Ok(Self {
            execute: object.symbol_address("aicpu_execute")?,
            set_registers: object.symbol_address("set_platform_regs")?,
            addresses: all(&object, arch.sim_programs().addresses)?,
            switches: all(&object, arch.sim_programs().switches)?,
            _object: object,
        })
    }
}

/// Functions, each with what it is for.
fn all<T: Copy>(object: &SharedObject, names: &[(&str, T)]) -> Result<Vec<(SymbolAddress, T)>, LoadError> {
    names.iter().map(|&(name, what)| Ok((object.symbol_address(name)?, what))).collect()
}

impl AicoreProgram {
    fn load(bytes: &[u8], arch: &dyn Arch) -> Result<Self, LoadError> {
        let object = SharedObject::load("AICore program", bytes)?;
        let execute = object.symbol_address("aicore_execute_wrapper")?;
        identity::give_setters(&object)?;
        Ok(Self { execute, rings: arch.sim_programs().rings, _object: object })
    }
}

type Entry = extern "C-unwind" fn(*mut c_void, *const c_void) -> c_int;

/// A function is never at 0.
fn entry_of(function: Entry) -> SymbolAddress {
    SymbolAddress(NonZero::new(function as usize).unwrap_or(NonZero::<usize>::MAX))
}

fn pointer(address: u64) -> *mut c_void {
    std::ptr::with_exposed_provenance_mut(usize::try_from(address).unwrap_or(0))
}

/// Calls an `aicpu_execute`. What it throws passes through here to whoever guards the call.
extern "C-unwind" fn call_aicpu(runtime: *mut c_void, function: *const c_void) -> c_int {
    type Execute = unsafe extern "C-unwind" fn(*mut c_void) -> c_int;
    // SAFETY: only `run_aicpu` calls this, with that function.
    unsafe { std::mem::transmute::<*const c_void, Execute>(function)(runtime) }
}

struct AicoreCall<'a> {
    program: &'a AicoreProgram,
    launch: CoreLaunch,
}

/// Calls an `aicore_execute_wrapper`. Likewise.
extern "C-unwind" fn call_aicore(_: *mut c_void, call: *const c_void) -> c_int {
    // SAFETY: only `run_aicore` calls this, with such a call that lives meanwhile.
    let AicoreCall { program, launch } = unsafe { &*call.cast::<AicoreCall<'_>>() };
    let CoreLaunch { runtime, topology, core, registers, places } = *launch;
    let runtime = pointer(runtime);
    let worker = c_int::try_from(core.0).unwrap_or(c_int::MAX);
    let core_type = topology.core_type(core).raw();
    // A core's physical id is its number.
    let (physical, collectors, times) = (core.0, places.flags, places.core_times);
    let function = program.execute.0.get();
    match program.rings {
        AicoreRings::Swimlane => {
            type Execute = unsafe extern "C-unwind" fn(*mut c_void, c_int, i32, u32, u64, u32, u64);
            // SAFETY: the chip says that this is the signature, and the caller of `run_aicore` the rest.
            unsafe {
                std::mem::transmute::<usize, Execute>(function)(
                    runtime, worker, core_type, physical, registers, collectors, times,
                );
            }
        }
        AicoreRings::SwimlaneAndPmu => {
            type Execute = unsafe extern "C-unwind" fn(*mut c_void, c_int, i32, u32, u64, u32, u64, u64);
            // SAFETY: as above.
            unsafe {
                std::mem::transmute::<usize, Execute>(function)(
                    runtime,
                    worker,
                    core_type,
                    physical,
                    registers,
                    collectors,
                    times,
                    places.pmu_rings,
                );
            }
        }
    }
    0
}
