//! Which device a thread is attached to, and how a device's life begins and ends.

use std::cell::Cell;
use std::sync::Arc;

use crate::codes;
use crate::device::Device;
use crate::handle;
use crate::process::process;
use crate::report::{LeakReport, ViolationKind};

thread_local! {
    /// Device and context that this thread is attached to.
    static ATTACHED: Cell<Option<(i32, u64)>> = const { Cell::new(None) };
    /// The device that this thread had to do with last, for calls that name none.
    static LAST: Cell<Option<i32>> = const { Cell::new(None) };
}

/// The device to which a call without one is put down.
pub(crate) fn nearest() -> Arc<Device> {
    let id = ATTACHED.get().map(|(id, _)| id).or(LAST.get());
    id.and_then(|id| process().device(id)).unwrap_or_else(|| Arc::clone(&process().nobody))
}

/// From now on calls of this thread that name no device are put down to this one.
pub(crate) fn remember(id: i32) {
    LAST.set(Some(id));
}

/// Device and context of the calling thread; 107002 if it has none, or its context is gone.
pub(crate) fn current() -> Result<(Arc<Device>, u64), i32> {
    let (id, context) = ATTACHED.get().ok_or(codes::CONTEXT_NULL)?;
    let device = process().device(id).ok_or(codes::CONTEXT_NULL)?;
    let alive = device.life(|life| life.context) == Some(context);
    if alive { Ok((device, context)) } else { Err(codes::CONTEXT_NULL) }
}

/// Attaches the calling thread to another context, as synchronising a foreign stream does.
pub(crate) fn switch(device: &Device, context: u64) {
    ATTACHED.set(Some((device.id, context)));
}

/// Leaves the calling thread with a context that is nobody's.
pub(crate) fn confuse(device: &Device) {
    switch(device, handle::fresh());
}

/// One more reference to the device; the thread is attached to its context.
pub(crate) fn set(device: &Device) -> i32 {
    let context = device.life(|life| {
        life.references += 1;
        *life.context.get_or_insert_with(handle::fresh)
    });
    remember(device.id);
    switch(device, context);
    0
}

/// One reference less; with the last one, or by force, everything on the device ends.
pub(crate) fn reset(device: &Arc<Device>, by_force: bool) -> Result<(), i32> {
    let last = device.life(|life| match life.references {
        0 => None,
        1 => Some(true),
        _ => {
            life.references -= 1;
            Some(false)
        }
    });
    match last {
        None => {
            device.report(ViolationKind::Imbalance, "a reset without a set".to_owned());
            Err(codes::CONTEXT_RELEASE_ERROR)
        }
        Some(last) => {
            if last || by_force {
                tear_down(device, by_force);
            }
            Ok(())
        }
    }
}

fn tear_down(device: &Arc<Device>, by_force: bool) {
    let streams = process().streams.remove_all(|stream| Arc::ptr_eq(stream.device(), device));
    let mut left = holds(device);
    left.streams = streams.len() as u64;
    for stream in &streams {
        if by_force { stream.abandon() } else { stream.close() }
    }
    device.kill_tasks(codes::LOST_HEARTBEAT);
    drop_handles(device);
    device.memory.clear();
    device.set_op_timeout(0);
    device.life(|life| {
        // These outlive a context, and are not swept away with it.
        (left.device_references, left.acl_inits, left.running_tasks) = (0, 0, 0);
        if !by_force {
            life.swept.add(left);
        }
        life.references = 0;
        life.context = None;
        life.cascading = false;
    });
    if ATTACHED.get().is_some_and(|(id, _)| id == device.id) {
        ATTACHED.set(None);
    }
}

/// Removes everything of a device from the tables of handles.
pub(crate) fn drop_handles(device: &Arc<Device>) {
    for stream in process().streams.remove_all(|stream| Arc::ptr_eq(stream.device(), device)) {
        stream.abandon();
    }
    process().programs.remove_all(|program| Arc::ptr_eq(program.device(), device));
    process().functions.remove_all(|function| Arc::ptr_eq(function.device(), device));
    process().binaries.remove_all(|binary| Arc::ptr_eq(binary.device(), device));
    process().communicators.remove_all(|one| Arc::ptr_eq(one.device(), device));
    device.peers.clear();
}

/// What a device holds at this moment.
fn holds(device: &Arc<Device>) -> LeakReport {
    let (device_references, acl_inits) = device.life(|life| (life.references, life.acl_inits));
    LeakReport {
        device_references,
        allocations: device.memory.live(),
        streams: process().streams.count(|stream| Arc::ptr_eq(stream.device(), device)),
        programs: process().programs.count(|program| Arc::ptr_eq(program.device(), device)),
        binaries: process().binaries.count(|binary| Arc::ptr_eq(binary.device(), device)),
        host_mappings: device.memory.host_mapped().len() as u64,
        acl_inits,
        running_tasks: device.running(),
        ipc_keys: device.peers.keys(),
        communicators: process().communicators.count(|one| Arc::ptr_eq(one.device(), device)),
    }
}

/// What a device holds, and what its resets had to sweep away.
pub(crate) fn leaks(device: &Arc<Device>) -> LeakReport {
    let (lost, swept) = device.life(|life| (life.lost, life.swept.clone()));
    if lost {
        return LeakReport::default();
    }
    let mut report = holds(device);
    report.add(swept);
    report
}
