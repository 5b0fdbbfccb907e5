//! libhcomm.so, or libhccl.so.

use std::ffi::c_void;
use std::sync::Arc;

use hal_sys::sys;

use super::{behind, number, own_stream, put};
use crate::border::exported;
use crate::codes;
use crate::context;
use crate::device::Device;
use crate::group::{Communicator, new_group};
use crate::handle;
use crate::process::process;
use crate::rule::Effect;

const ROOT_BYTES: usize = sys::HCCL_ROOT_INFO_BYTES as usize;

exported! {
    /// Makes the identity of a new group.
    Hccl fn HcclGetRootInfo(info: *mut sys::HcclRootInfo) -> u32, on context::nearest() => {
        attached()?;
        if info.is_null() {
            return Err(codes::HCCL_PTR);
        }
        let name = new_group()?;
        let mut bytes = [0_u8; ROOT_BYTES];
        let (text, _) = bytes.split_at_mut_checked(name.len()).ok_or(codes::HCCL_RUNTIME)?;
        text.copy_from_slice(name.as_bytes());
        // SAFETY: not null, hence the caller's, and of this size.
        unsafe { put(info.cast(), bytes) }
    }

    /// Joins a group as one of its ranks, and waits for the others.
    Hccl fn HcclCommInitRootInfo(ranks: u32, info: *const sys::HcclRootInfo, rank: u32,
        comm: *mut *mut c_void) -> u32, on context::nearest() => {
        let device = attached()?;
        if info.is_null() || comm.is_null() {
            return Err(codes::HCCL_PTR);
        }
        // SAFETY: not null, hence the caller's, and of this size.
        let bytes = unsafe { info.cast::<[u8; ROOT_BYTES]>().read() };
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(0);
        let name = bytes.get(..end).and_then(|name| str::from_utf8(name).ok()).unwrap_or_default();
        let joined = process().communicators.insert(Communicator::join(&device, name, ranks, rank)?);
        switch_context(&device);
        // SAFETY: not null, hence the caller's.
        unsafe { put(comm, handle::to_pointer(joined)) }
    }

    /// Has a stream wait until all ranks have come to the same barrier.
    Hccl fn HcclBarrier(comm: *mut c_void, stream: *mut c_void) -> u32, on context::nearest() => {
        let device = attached()?;
        if comm.is_null() || stream.is_null() {
            return Err(codes::HCCL_PTR);
        }
        let comm = behind(&process().communicators, "communicator", comm, codes::HCCL_PARA)?;
        let (stream, ..) = own_stream(stream).map_err(|_| codes::HCCL_RUNTIME)?;
        stream.push(&[], comm.barrier());
        switch_context(&device);
        Ok(())
    }

    /// Leaves a group.
    Hccl fn HcclCommDestroy(comm: *mut c_void) -> u32, on context::nearest() => {
        if comm.is_null() {
            return Err(codes::HCCL_PTR);
        }
        behind(&process().communicators, "communicator", comm, codes::HCCL_PARA)?;
        process().communicators.remove(number(comm));
        Ok(())
    }
}

fn attached() -> Result<Arc<Device>, i32> {
    context::current().map(|(device, _)| device).map_err(|_| codes::HCCL_RUNTIME)
}

/// What reality may do.
fn switch_context(device: &Device) {
    if device.rules.on_event(|effect| matches!(effect, Effect::HcclSwitch).then_some(())).is_some() {
        context::confuse(device);
    }
}
