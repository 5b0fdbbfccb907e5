//! The AICPU program (`spec/device-abi.md`, sections 1.4 and 7.2).

use std::ffi::{c_int, c_void};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::selection::{CHIP, RUNTIME};
use super::{address, guarded};
use crate::aicpu::{Aicpu, Budgets};
use crate::records::RecordPlaces;

static AICPU: Aicpu = Aicpu::new(CHIP, RUNTIME, Budgets::USUAL);

/// Called by one thread before each launch.
///
/// # Safety
/// `kernel_args` is null or the chip's `KernelArgs`; what it names stays until the launch is over.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn simpler_aicpu_init(kernel_args: *mut c_void) -> c_int {
    // SAFETY: as the caller promises.
    guarded(-1, || unsafe { AICPU.init(address(kernel_args)) })
}

/// Called by all threads of a launch, of which those that the run does not need return at once.
///
/// # Safety
/// As [`simpler_aicpu_init`].
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn simpler_aicpu_exec(kernel_args: *mut c_void) -> c_int {
    // SAFETY: as the caller promises.
    guarded(-1, || unsafe { AICPU.exec(address(kernel_args)) })
}

/// Called by the threads that a run needs, on a simulated device.
///
/// # Safety
/// `runtime` is null or the image; it, and all that was set and is switched on, stay until the launch is over.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn aicpu_execute(runtime: *mut c_void) -> c_int {
    let registers = REGISTERS.load(Ordering::Acquire);
    // SAFETY: as the caller promises.
    guarded(-1, || unsafe { AICPU.execute(address(runtime), registers, places()) })
}

/// What a host sets for the launches that follow.
macro_rules! settings {
    ($($name:ident($cell:ident: $kind:ident $type:ident, $initial:literal);)+) => {
        $(
            static $cell: $kind = $kind::new($initial);

            #[doc = concat!("Called before [`aicpu_execute`]; until it is called again, `", stringify!($cell), "` stays.")]
            #[unsafe(no_mangle)]
            pub(crate) extern "C" fn $name(value: $type) {
                $cell.store(value, Ordering::Release);
            }
        )+
    };
}

settings! {
    set_platform_regs(REGISTERS: AtomicU64 u64, 0);
    set_platform_l2_perf_base(SWIMLANE: AtomicU64 u64, 0);
    set_l2_swimlane_enabled(SWIMLANE_ON: AtomicBool bool, false);
    set_platform_aicore_rotation_table(ROTATIONS: AtomicU64 u64, 0);
    set_platform_pmu_base(PMU: AtomicU64 u64, 0);
    set_pmu_enabled(PMU_ON: AtomicBool bool, false);
    set_platform_dump_base(DUMP: AtomicU64 u64, 0);
    set_dump_tensor_enabled(DUMP_ON: AtomicBool bool, false);
    set_platform_dep_gen_base(SUBMITS: AtomicU64 u64, 0);
    set_dep_gen_enabled(SUBMITS_ON: AtomicBool bool, false);
    set_platform_scope_stats_base(SCOPES: AtomicU64 u64, 0);
    set_scope_stats_enabled(SCOPES_ON: AtomicBool bool, false);
}

/// Taken note of, as hosts look it up. Cores of a simulated device know one block of registers each, and count in it.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn set_platform_pmu_reg_addrs(_table: u64) {}

/// Where records go, of those that are switched on: the place of what is off may be that of an earlier launch.
fn places() -> RecordPlaces {
    let on = |switch: &AtomicBool, place: &AtomicU64| {
        if switch.load(Ordering::Acquire) { place.load(Ordering::Acquire) } else { 0 }
    };
    RecordPlaces {
        swimlane: on(&SWIMLANE_ON, &SWIMLANE),
        core_times: on(&SWIMLANE_ON, &ROTATIONS),
        pmu: on(&PMU_ON, &PMU),
        // Rings are in the states of cores.
        pmu_rings: 0,
        counters: on(&PMU_ON, &REGISTERS),
        dump: on(&DUMP_ON, &DUMP),
        scopes: on(&SCOPES_ON, &SCOPES),
        submits: on(&SUBMITS_ON, &SUBMITS),
    }
}
