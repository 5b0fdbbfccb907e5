use std::ffi::{c_int, c_void};

use host_library::ErrorKind;

use super::{bytes, code};
use crate::border::{bad_handle, contexts, enter, enter_context};
use crate::context::Context;
use crate::error::Failure;
use crate::handles::BadHandle;
use crate::logging;
use crate::program::Programs;
use crate::selection::PLATFORM;

/// Makes a context without a device; null once a library has made 2^40 of them.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn create_device_context() -> *mut c_void {
    enter(
        "create_device_context",
        |_| std::ptr::null_mut(),
        || {
            logging::start();
            contexts().insert(Context::default()).ok_or_else(|| {
                Failure::new(
                    ErrorKind::OutOfMemory,
                    "no numbers for contexts are left; load the library again",
                )
            })
        },
    )
}

/// Closes a context; its handle is dead from then on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn destroy_device_context(ctx: *mut c_void) {
    enter(
        "destroy_device_context",
        |_| (),
        || match contexts().remove(ctx) {
            Ok(context) => match context.finalize() {
                // A run is under way on another thread: all is given back when that ends.
                Err(failure) if failure.kind == ErrorKind::Busy => Ok(()),
                result => result,
            },
            Err(BadHandle::Null) => Ok(()),
            Err(why) => Err(bad_handle(why)),
        },
    );
}

/// Bytes of the buffer that `run_prepared` wants. This library needs none, but clients take the address of it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn get_runtime_size() -> usize {
    64
}

/// Takes a device into use.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simpler_init(
    ctx: *mut c_void,
    device_id: c_int,
    aicpu: *const u8,
    aicpu_size: usize,
    aicore: *const u8,
    aicore_size: usize,
    dispatcher: *const u8,
    dispatcher_size: usize,
) -> c_int {
    enter_context("simpler_init", ctx, code, |context| {
        // SAFETY: the client's arrays are valid during the call.
        let mut programs = unsafe { programs(aicpu, aicpu_size, aicore, aicore_size) }?;
        if !PLATFORM.is_simulated() {
            // SAFETY: as above. In simulation clients may give anything here.
            programs.dispatcher = unsafe { bytes("the dispatcher", dispatcher, dispatcher_size) }?;
        }
        context.attach(device_id, &programs)?;
        Ok(0)
    })
}

/// Earlier form: takes a device into use without device programs.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn set_device(ctx: *mut c_void, device_id: c_int) -> c_int {
    enter_context("set_device", ctx, code, |context| {
        context.attach(device_id, &Programs::default()).map(|()| 0)
    })
}

/// Gives back everything the context holds. It may get a device again afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn finalize_device(ctx: *mut c_void) -> c_int {
    enter_context("finalize_device", ctx, code, |context| context.finalize().map(|()| 0))
}

/// The device programs that a client gives, if this library can run them.
///
/// # Safety
/// As for [`bytes`].
pub(super) unsafe fn programs<'a>(
    aicpu: *const u8,
    aicpu_size: usize,
    aicore: *const u8,
    aicore_size: usize,
) -> Result<Programs<'a>, Failure> {
    let programs = Programs {
        // SAFETY: as for this function.
        aicpu: unsafe { bytes("the AICPU program", aicpu, aicpu_size) }?,
        // SAFETY: as for this function.
        aicore: unsafe { bytes("the AICore program", aicore, aicore_size) }?,
        dispatcher: &[],
    };
    programs.check()?;
    Ok(programs)
}
