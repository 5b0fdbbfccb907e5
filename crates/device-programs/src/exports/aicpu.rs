//! The AICPU program (`spec/device-abi.md`, sections 1.4 and 7.2).

use std::ffi::{c_int, c_void};
use std::sync::atomic::{AtomicU64, Ordering};

use super::selection::{CHIP, RUNTIME};
use super::{address, guarded};
use crate::aicpu::{Aicpu, Budgets};

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

/// Of a simulated device: the table of register blocks for the launches that follow.
static REGISTERS: AtomicU64 = AtomicU64::new(0);

/// Called by the threads that a run needs, on a simulated device.
///
/// # Safety
/// `runtime` is null or the image; it and the registers that were set stay until the launch is over.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn aicpu_execute(runtime: *mut c_void) -> c_int {
    let registers = REGISTERS.load(Ordering::Acquire);
    // SAFETY: as the caller promises.
    guarded(-1, || unsafe { AICPU.execute(address(runtime), registers) })
}

/// Called before [`aicpu_execute`].
#[unsafe(no_mangle)]
pub(crate) extern "C" fn set_platform_regs(table: u64) {
    REGISTERS.store(table, Ordering::Release);
}

/// Where diagnostics would go. This program collects none, but hosts look these up.
macro_rules! ignored {
    ($($(#[$attribute:meta])* $name:ident($type:ty);)+) => {
        $(
            #[doc = concat!("Taken note of, as hosts look `", stringify!($name), "` up; there are no diagnostics here.")]
            $(#[$attribute])*
            #[unsafe(no_mangle)]
            pub(crate) extern "C" fn $name(_value: $type) {}
        )+
    };
}

ignored! {
    set_platform_dump_base(u64);
    set_dump_tensor_enabled(bool);
    set_platform_l2_perf_base(u64);
    set_l2_swimlane_enabled(bool);
    set_platform_aicore_rotation_table(u64);
    set_platform_pmu_base(u64);
    set_pmu_enabled(bool);
    set_platform_pmu_reg_addrs(u64);
    set_platform_dep_gen_base(u64);
    set_dep_gen_enabled(bool);
    set_scope_stats_enabled(bool);
    set_platform_scope_stats_base(u64);
}
