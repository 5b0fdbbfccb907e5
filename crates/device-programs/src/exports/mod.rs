//! The entry points by which hosts start a device program, for the chip and the runtime that it is built for.

#[cfg(feature = "aicore")]
mod aicore;
#[cfg(feature = "aicpu")]
mod aicpu;
mod note;
mod output;
mod selection;

use std::panic::{AssertUnwindSafe, catch_unwind};

/// What `f` returns, or `otherwise` when it panics: nothing may unwind into whoever started this program.
fn guarded<R>(otherwise: R, f: impl FnOnce() -> R) -> R {
    output::install();
    catch_unwind(AssertUnwindSafe(f)).unwrap_or_else(|_| {
        log::error!("a device program has a bug; please report it");
        otherwise
    })
}

fn address(pointer: *mut std::ffi::c_void) -> u64 {
    pointer.expose_provenance() as u64
}
