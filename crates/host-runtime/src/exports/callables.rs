use std::ffi::{c_char, c_int, c_void};

use bytemuck::Zeroable as _;
use chip_worker::{CallConfig, ChipStorageTaskArgs};
use task_interface::PtoRunTiming;

use super::lifecycle::programs;
use super::{code, text};
use crate::border::enter_context;
use crate::error::Failure;
use crate::foreign::read_callable;
use crate::selection::HAS_DEP_GEN;

/// Registers a `ChipCallable` image under an id.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn prepare_callable(
    ctx: *mut c_void,
    callable_id: i32,
    callable: *const c_void,
) -> c_int {
    enter_context("prepare_callable", ctx, code, |context| {
        // SAFETY: the client's image is not written to during the call.
        let callable = unsafe { read_callable(callable) }?;
        context.prepare_callable(callable_id, &callable)?;
        Ok(0)
    })
}

/// Runs a registered callable and waits for it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn run_prepared(
    ctx: *mut c_void,
    runtime: *mut c_void,
    callable_id: i32,
    args: *const c_void,
    block_dim: c_int,
    aicpu_thread_num: c_int,
    enable_l2_swimlane: c_int,
    enable_dump_tensor: c_int,
    enable_pmu: c_int,
    enable_dep_gen: c_int,
    enable_scope_stats: c_int,
    output_prefix: *const c_char,
    out_timing: *mut PtoRunTiming,
) -> c_int {
    let mut timing = PtoRunTiming::default();
    let result = enter_context("run_prepared", ctx, code, |context| {
        check_runtime(runtime)?;
        let mut config = CallConfig {
            block_dim,
            aicpu_thread_num,
            enable_l2_swimlane,
            enable_dump_tensor,
            enable_pmu,
            enable_dep_gen: if HAS_DEP_GEN { enable_dep_gen } else { 0 },
            enable_scope_stats,
            ..CallConfig::zeroed()
        };
        // SAFETY: the client's text is not written to during the call.
        if let Some(prefix) = unsafe { text(output_prefix) } {
            let prefix = prefix.to_str().map_err(|_| Failure::invalid("output_prefix is not valid UTF-8"))?;
            config.set_output_prefix(prefix).map_err(|error| Failure::invalid(error.to_string()))?;
        }
        // SAFETY: the client's arguments are not written to during the call.
        timing = unsafe { with_args(args, |args| context.run(callable_id, args, &config)) }?;
        Ok(0)
    });
    if !out_timing.is_null() {
        // SAFETY: the client's structure, of any alignment.
        unsafe { out_timing.write_unaligned(timing) };
    }
    result
}

/// Earlier form: runs a callable that is not registered.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn run_runtime(
    ctx: *mut c_void,
    runtime: *mut c_void,
    callable: *const c_void,
    args: *const c_void,
    block_dim: c_int,
    aicpu_thread_num: c_int,
    device_id: c_int,
    aicpu: *const u8,
    aicpu_size: usize,
    aicore: *const u8,
    aicore_size: usize,
    enable_profiling: c_int,
) -> c_int {
    enter_context("run_runtime", ctx, code, |context| {
        check_runtime(runtime)?;
        if enable_profiling != 0 {
            return Err(Failure::unsupported(
                "run_runtime cannot say where a profile is to be written; use run_prepared with enable_l2_swimlane \
                 and output_prefix",
            ));
        }
        // SAFETY: the client's arrays are valid during the call.
        let programs = unsafe { programs(aicpu, aicpu_size, aicore, aicore_size) }?;
        // SAFETY: the client's image is not written to during the call.
        let callable = unsafe { read_callable(callable) }?;
        context.attach(device_id, &programs)?;
        let config = CallConfig { block_dim, aicpu_thread_num, ..CallConfig::zeroed() };
        // SAFETY: the client's arguments are not written to during the call.
        unsafe { with_args(args, |args| context.run_once(&callable, args, &config)) }?;
        Ok(0)
    })
}

/// Forgets a callable; unknown ids are fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn unregister_callable(ctx: *mut c_void, callable_id: i32) -> c_int {
    enter_context("unregister_callable", ctx, code, |context| {
        context.unregister_callable(callable_id).map(|()| 0)
    })
}

/// First runs, since its registration, of a callable whose orchestration runs on the device.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn get_aicpu_dlopen_count(ctx: *mut c_void) -> usize {
    enter_context("get_aicpu_dlopen_count", ctx, |_| 0, |context| Ok(context.aicpu_dlopens()))
}

/// Registrations of callables whose orchestration runs on the host.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn get_host_dlopen_count(ctx: *mut c_void) -> usize {
    enter_context("get_host_dlopen_count", ctx, |_| 0, |context| Ok(context.host_dlopens()))
}

/// The contract has a client bring memory for the run. Nothing is in it here, but a client without is mistaken.
fn check_runtime(runtime: *mut c_void) -> Result<(), Failure> {
    if runtime.is_null() {
        return Err(Failure::null("runtime (a buffer of get_runtime_size() bytes)"));
    }
    Ok(())
}

/// Hands on a client's arguments.
///
/// # Safety
/// `args` is null or leads to a `ChipStorageTaskArgs` that nobody writes to during the call.
unsafe fn with_args<T>(
    args: *const c_void,
    use_them: impl FnOnce(&ChipStorageTaskArgs) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let args = args.cast::<ChipStorageTaskArgs>();
    if args.is_null() {
        return Err(Failure::null("args"));
    }
    if args.is_aligned() {
        // SAFETY: neither null nor misaligned, any bytes make one, and the caller vouches for the rest.
        use_them(unsafe { &*args })
    } else {
        // SAFETY: as above, of any alignment.
        use_them(&unsafe { args.read_unaligned() })
    }
}
