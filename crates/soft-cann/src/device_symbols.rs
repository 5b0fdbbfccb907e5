//! The functions that programs on an AICPU find without naming a library.

use std::ffi::c_void;
use std::sync::OnceLock;

use object_loader::{GlobalObject, LoadError, call::call_kernel};

use crate::calls::hal::{halMemAlloc, halMemFree};
use crate::control::check_log_level;

static OBJECT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/device_symbols.so"));

/// `struct functions` of `device_symbols.c`.
#[repr(C)]
struct Functions {
    allocate: unsafe extern "C" fn(*mut *mut c_void, u64, u64) -> u32,
    free: unsafe extern "C" fn(*mut c_void) -> u32,
    check_log_level: extern "C" fn(i32, i32) -> i32,
}

static FUNCTIONS: Functions = Functions { allocate: halMemAlloc, free: halMemFree, check_log_level };

/// Puts them into the global scope of the process, once. Of several copies of the stand-in the first one serves all.
pub(crate) fn provide() {
    static PROVIDED: OnceLock<()> = OnceLock::new();
    PROVIDED.get_or_init(|| {
        if let Err(error) = load() {
            log::error!("AICPU programs will miss functions of the device: {error}");
        }
    });
}

fn load() -> Result<(), LoadError> {
    let object = GlobalObject::load(OBJECT)?;
    let bind = object.symbol_address("soft_cann_bind_device")?;
    let functions = (&raw const FUNCTIONS).cast_mut().cast();
    // SAFETY: the symbol is a function `void f(const struct functions *)` of this crate's own object, which keeps
    // the address of a static and does not write there.
    if let Err(exception) = unsafe { call_kernel(bind, functions) } {
        log::error!("soft_cann_bind_device threw: {exception}");
    }
    Ok(())
}
