use std::ffi::{c_char, c_int, c_void};

use chip_worker::{ResourceReport, RunOutcome};
use host_library::{ContextReport, ErrorKind, LogSink, RunInfo};

use super::{code, text};
use crate::border::{context, contexts, enter, enter_context, last_of_thread};
use crate::error::Failure;
use crate::logging;
use crate::selection::{PLATFORM, PLATFORM_NAME, RUNTIME_NAME};

/// The platform this library was built for.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn get_platform() -> *const c_char {
    PLATFORM_NAME.as_ptr()
}

/// The compiler for kernels: CCEC for a chip, else g++-15 or its like (`spec/public-abi.md`, section A.3).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn get_incore_compiler() -> c_int {
    if PLATFORM.is_simulated() { 1 } else { 0 }
}

/// The compiler for orchestrations: g++, for aarch64 if they run beside a chip.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn get_orchestration_compiler() -> c_int {
    if PLATFORM.is_simulated() { 2 } else { 3 }
}

/// Version of this implementation.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simpler_rs_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

/// The runtime variant this library was built for.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simpler_rs_runtime() -> *const c_char {
    RUNTIME_NAME.as_ptr()
}

/// Kind and text of the last failure of a context, or with null of the calling thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simpler_rs_last_error(
    ctx: *mut c_void,
    text: *mut c_char,
    capacity: usize,
    length_out: *mut usize,
) -> c_int {
    enter(
        "simpler_rs_last_error",
        |failure| failure.kind as c_int,
        || {
            let last = if ctx.is_null() {
                last_of_thread()
            } else {
                context(ctx).map_or_else(Some, |context| context.last_failure())
            };
            let (kind, message) =
                last.map_or((ErrorKind::None, String::new()), |last| (last.kind, last.text));
            if !length_out.is_null() {
                // SAFETY: the client's number, of any alignment.
                unsafe { length_out.write_unaligned(message.len()) };
            }
            // SAFETY: the client's buffer has room for `capacity` bytes.
            unsafe { give_text(text, capacity, &message) };
            Ok(kind as c_int)
        },
    )
}

/// What a context holds, or with null what all contexts hold.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simpler_rs_resource_report(ctx: *mut c_void, out: *mut ContextReport) -> c_int {
    enter("simpler_rs_resource_report", code, || {
        let held = if ctx.is_null() { contexts().all() } else { vec![context(ctx)?] };
        let report = held.iter().map(|context| context.report()).fold(ContextReport::default(), add);
        // SAFETY: the client's structure.
        unsafe { give(out, report) }
    })
}

/// Figures of the last run of a context that ended well.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simpler_rs_run_info(ctx: *mut c_void, out: *mut RunInfo) -> c_int {
    enter_context("simpler_rs_run_info", ctx, code, |context| {
        let last = context.last_run();
        let last = last.ok_or_else(|| Failure::invalid("no run of this context has ended well so far"))?;
        // SAFETY: the client's structure.
        unsafe { give(out, run_info(&last)) }
    })
}

/// Sets an option of a context that has no device yet.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simpler_rs_set_option(
    ctx: *mut c_void,
    name: *const c_char,
    value: *const c_char,
) -> c_int {
    enter_context("simpler_rs_set_option", ctx, code, |context| {
        // SAFETY: the client's texts are not written to during the call.
        let (name, value) = unsafe { (text(name), text(value)) };
        let name = name.ok_or_else(|| Failure::null("name"))?.to_string_lossy();
        let value = value.ok_or_else(|| Failure::null("value"))?.to_string_lossy();
        context.set_option(&name, &value).map(|()| 0)
    })
}

/// Chooses where log records of this library go.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simpler_rs_set_log_sink(
    sink: Option<LogSink>,
    user: *mut c_void,
    min_level: c_int,
) -> c_int {
    enter("simpler_rs_set_log_sink", code, || logging::set_sink(sink, user, min_level).map(|()| 0))
}

fn add(sum: ContextReport, one: ResourceReport) -> ContextReport {
    ContextReport {
        struct_size: size_of::<ContextReport>(),
        contexts: sum.contexts + 1,
        allocations: sum.allocations + one.allocations as u64,
        bytes: sum.bytes + one.bytes,
        gm_heap: sum.gm_heap + one.arenas.gm_heap as u64,
        gm_sm: sum.gm_sm + one.arenas.gm_sm as u64,
        runtime_arena: sum.runtime_arena + one.arenas.runtime_arena as u64,
        callables: sum.callables + one.callables as u64,
        kernels: sum.kernels + one.kernels as u64,
        images: sum.images + one.images as u64,
        orchestrations: sum.orchestrations + one.orchestrations as u64,
        runs: sum.runs + one.runs as u64,
        deferred_errors: sum.deferred_errors + one.deferred_errors as u64,
        device_allocations: sum.device_allocations + one.device.allocations as u64,
        device_kernels: sum.device_kernels + one.device.kernels as u64,
        threads: sum.threads + one.device.threads as u64,
        abandoned_threads: sum.abandoned_threads + one.device.abandoned_threads as u64,
        communicators: sum.communicators + one.communicators as u64,
        windows: sum.windows + one.windows as u64,
    }
}

fn run_info(outcome: &RunOutcome) -> RunInfo {
    let nanos = |time: std::time::Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    RunInfo {
        struct_size: size_of::<RunInfo>(),
        host_wall_ns: nanos(outcome.host_wall),
        device_wall_ns: nanos(outcome.device_wall),
        device_ticks: outcome.device_ticks,
        tasks: outcome.tasks,
        block_dim: u64::from(outcome.block_dim),
    }
}

/// Stores as many whole characters as there is room for, and a NUL; null takes none.
///
/// # Safety
/// `to` is null or leads to `capacity` bytes.
unsafe fn give_text(to: *mut c_char, capacity: usize, text: &str) {
    if to.is_null() || capacity == 0 {
        return;
    }
    let room = text.len().min(capacity - 1);
    let fitting = (0..=room).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
    // SAFETY: `fitting` bytes and the NUL are no more than `capacity`; a client's buffer is not our text.
    unsafe {
        std::ptr::copy_nonoverlapping(text.as_ptr(), to.cast(), fitting);
        to.add(fitting).write(0);
    }
}

/// Stores as much of a structure as the client knows of; the size it knows is the structure's first field.
///
/// # Safety
/// `out` is null or leads to as many bytes as its first field says.
unsafe fn give<T: Copy>(out: *mut T, value: T) -> Result<c_int, Failure> {
    if out.is_null() {
        return Err(Failure::null("out"));
    }
    // SAFETY: the first field of these structures is their size; any alignment will do.
    let known = unsafe { out.cast::<usize>().read_unaligned() };
    let header = size_of::<usize>();
    if known <= header {
        let text = format!("struct_size {known} is too small; set it to the sizeof of the structure");
        return Err(Failure::invalid(text));
    }
    let count = known.min(size_of::<T>()) - header;
    // SAFETY: inside of both structures, which are not the same; the client's own size stays.
    unsafe {
        let from = (&raw const value).cast::<u8>().add(header);
        std::ptr::copy_nonoverlapping(from, out.cast::<u8>().add(header), count);
    }
    Ok(0)
}
