//! Copies: which addresses they may have, and on which device.

use std::ffi::c_void;
use std::sync::Arc;

use crate::codes;
use crate::context;
use crate::device::Device;
use crate::memory::Refusal;
use crate::process::process;
use crate::region::pointer;
use crate::report::ViolationKind;

/// Kinds of copies; the same numbers in rt* and acl*.
const HOST_TO_HOST: u32 = 0;
const HOST_TO_DEVICE: u32 = 1;
const DEVICE_TO_HOST: u32 = 2;
const DEVICE_TO_DEVICE: u32 = 3;
/// Decided by where the addresses are.
const BY_ADDRESS: u32 = 4;
/// From here on kinds are invalid.
const FIRST_INVALID: u32 = 9;

/// One side of a copy.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Host,
    Device,
}

/// What `rtMemcpy` and `aclrtMemcpy` do.
///
/// # Safety
///
/// The host side is valid for the copy; the device side is checked.
pub(crate) unsafe fn copy(
    to: *mut c_void,
    room: u64,
    from: *const c_void,
    count: u64,
    kind: u32,
) -> Result<(), i32> {
    let (device, _) = context::current()?;
    if to.is_null() || from.is_null() || count == 0 || room == 0 || count > room || kind >= FIRST_INVALID {
        return Err(codes::PARAM_INVALID);
    }
    let (target, source) = (to.expose_provenance() as u64, from.expose_provenance() as u64);
    let of = |address| {
        let on_device = process().owner_of(address).is_some() || device.peers.has_imported(address, count);
        if on_device { Side::Device } else { Side::Host }
    };
    let (target_side, source_side) = match kind {
        HOST_TO_HOST => (Side::Host, Side::Host),
        HOST_TO_DEVICE => (Side::Device, Side::Host),
        DEVICE_TO_HOST => (Side::Host, Side::Device),
        DEVICE_TO_DEVICE => (Side::Device, Side::Device),
        BY_ADDRESS => (of(target), of(source)),
        _ => return Err(codes::FEATURE_NOT_SUPPORT),
    };
    check(&device, "a copy to", target, count, target_side).map_err(|refusal| device.refuse(refusal))?;
    check(&device, "a copy from", source, count, source_side).map_err(|refusal| device.refuse(refusal))?;
    let size = usize::try_from(count).map_err(|_| codes::PARAM_INVALID)?;
    // SAFETY: the device sides lie in live buffers, the host sides are valid by this function's contract;
    // `copy` because a copy within the device may overlap.
    unsafe { from.cast::<u8>().copy_to(to.cast(), size) };
    Ok(())
}

/// What `aclrtMemset` does.
pub(crate) fn set(address: *mut c_void, room: u64, value: i32, count: u64) -> Result<(), i32> {
    let (device, _) = context::current()?;
    if address.is_null() || count == 0 || room == 0 || count > room {
        return Err(codes::PARAM_INVALID);
    }
    let start = address.expose_provenance() as u64;
    check(&device, "a memset", start, count, Side::Device).map_err(|refusal| device.refuse(refusal))?;
    let size = usize::try_from(count).map_err(|_| codes::PARAM_INVALID)?;
    let [byte, ..] = value.to_le_bytes();
    // SAFETY: the range lies in a live buffer.
    unsafe { pointer(start).write_bytes(byte, size) };
    Ok(())
}

fn check(device: &Arc<Device>, what: &str, address: u64, size: u64, side: Side) -> Result<(), Refusal> {
    let owner = process().owner_of(address);
    match (side, owner) {
        (Side::Host, None) => Ok(()),
        (Side::Host, Some(owner)) => {
            let text = format!("{what} host memory of {address:#x}, which is memory of device {}", owner.id);
            Err(Refusal::new(codes::PARAM_INVALID, ViolationKind::UnknownPointer, text))
        }
        (Side::Device, Some(owner)) if owner.id == device.id || device.peers.reaches(owner.id) => {
            owner.memory.check(what, address, size)
        }
        (Side::Device, _) if device.peers.has_imported(address, size) => Ok(()),
        (Side::Device, _) => device.memory.check(what, address, size),
    }
}
