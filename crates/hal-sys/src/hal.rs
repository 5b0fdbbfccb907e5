use std::ffi::c_void;
use std::ptr::NonNull;

use crate::code::{Code, Family};
use crate::error::HalError;
use crate::sys;
use crate::table::RawTable;

/// The calls as functions that take and return Rust values.
///
/// Share it in an [`Arc`](std::sync::Arc); it holds no lock and no state of its own.
#[derive(Debug)]
pub struct Hal {
    pub(crate) table: RawTable,
}

/// The function of a name, or the error that there is none.
macro_rules! function {
    ($hal:expr, $name:ident) => {
        $hal.table.$name.ok_or_else(|| $crate::error::HalError::missing(stringify!($name)))
    };
}
pub(crate) use function;

impl Hal {
    /// Takes a table as it is, for tests and for libraries that are linked.
    ///
    /// # Safety
    /// Each function does what the function of its name does in CANN (`spec/hal.md`): it reads and writes
    /// host memory only where the arguments say so, keeps no pointer to it longer than CANN does, may be
    /// called from any thread, and stays callable while the `Hal` exists.
    #[must_use]
    pub unsafe fn from_raw_table(table: RawTable) -> Self {
        Self { table }
    }

    /// The functions that it calls.
    #[must_use]
    pub fn raw_table(&self) -> &RawTable {
        &self.table
    }
}

/// What an `rt*`, `rts*` or `acl*` call returned.
pub(crate) fn acl(call: &'static str, code: sys::aclError) -> Result<(), HalError> {
    check(call, Family::Acl, code)
}

/// What a `hal*` call returned.
pub(crate) fn driver(call: &'static str, code: sys::drvError_t) -> Result<(), HalError> {
    check(call, Family::Driver, code.cast_signed())
}

/// What an `Hccl*` call returned.
pub(crate) fn hccl(call: &'static str, code: sys::HcclResult) -> Result<(), HalError> {
    check(call, Family::Hccl, code.cast_signed())
}

fn check(call: &'static str, family: Family, number: i32) -> Result<(), HalError> {
    if number == 0 { Ok(()) } else { Err(HalError::Call { call, code: Code::new(family, number) }) }
}

/// A handle that a call has made.
pub(crate) fn made(call: &'static str, handle: *mut c_void) -> Result<NonNull<c_void>, HalError> {
    NonNull::new(handle).ok_or(HalError::Empty { call })
}

/// A device address that a call has made.
pub(crate) fn made_address(call: &'static str, address: *mut c_void) -> Result<u64, HalError> {
    made(call, address).map(|address| address.as_ptr().expose_provenance() as u64)
}

/// A device address as C wants it. Nothing on the host follows it.
pub(crate) fn device_pointer(call: &'static str, address: u64) -> Result<*mut c_void, HalError> {
    let reason = "an address of the device does not fit into a pointer of the host";
    let address = usize::try_from(address).map_err(|_| HalError::Argument { call, reason })?;
    Ok(std::ptr::with_exposed_provenance_mut(address))
}

/// A size as those calls want it that take `size_t`.
pub(crate) fn host_size(call: &'static str, bytes: u64) -> Result<usize, HalError> {
    usize::try_from(bytes)
        .map_err(|_| HalError::Argument { call, reason: "more bytes than `size_t` can say" })
}
