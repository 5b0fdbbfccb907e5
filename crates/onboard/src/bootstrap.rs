use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use device_runner::Programs;
use hal_sys::{Hal, HalError};

use crate::error::OnboardError;
use crate::lane::Lane;
use crate::memory::DeviceMemory;
use crate::sync::lock;

/// AICPU programs that devices have got from this process (`spec/hal.md`, section 4.1). Devices keep them.
static DELIVERED: Mutex<Vec<Delivery>> = Mutex::new(Vec::new());

struct Delivery {
    hal: Weak<Hal>,
    fingerprint: u64,
    device: u32,
}

impl Delivery {
    fn is(&self, hal: &Arc<Hal>, fingerprint: u64, device: u32) -> bool {
        self.device == device
            && self.fingerprint == fingerprint
            && std::ptr::eq(self.hal.as_ptr(), Arc::as_ptr(hal))
    }
}

/// Storing a file on the device and loading another takes far less, but nothing tells how long it may take.
const LIMIT: Duration = Duration::from_secs(30);

/// Has the dispatcher store the AICPU program on the device, unless the device has it from this process.
///
/// What it works with is kept until the end, if the stream was not seen to become idle.
pub(crate) fn deliver(
    hal: &Arc<Hal>,
    memory: &DeviceMemory,
    lane: &Lane,
    programs: &Programs,
    fingerprint: u64,
    device: u32,
) -> Result<(), OnboardError> {
    if lock(&DELIVERED).iter().any(|delivery| delivery.is(hal, fingerprint, device)) {
        return Ok(());
    }
    let mut buffers = Vec::with_capacity(3);
    let result = upload(memory, programs, device, &mut buffers)
        .and_then(|device_args| Ok(launch(hal, lane, &argument_block(device_args))?));
    if lane.is_idle() {
        buffers.into_iter().for_each(|buffer| memory.free_or_log(buffer));
    }
    result?;
    let mut delivered = lock(&DELIVERED);
    delivered.retain(|delivery| delivery.hal.strong_count() > 0);
    delivered.push(Delivery { hal: Arc::downgrade(hal), fingerprint, device });
    Ok(())
}

/// Makes the next [`deliver`] do its work again: a device that was lost may have lost its files, too.
pub(crate) fn forget(hal: &Arc<Hal>, fingerprint: u64, device: u32) {
    lock(&DELIVERED).retain(|delivery| !delivery.is(hal, fingerprint, device));
}

/// Bytes of the device arguments that the dispatcher reads (`spec/device-abi.md`, section 1.3).
const DEVICE_ARGS_BYTES: usize = 160;

fn upload(
    memory: &DeviceMemory,
    programs: &Programs,
    device: u32,
    buffers: &mut Vec<u64>,
) -> Result<u64, OnboardError> {
    let mut keep = |address| {
        buffers.push(address);
        address
    };
    let dispatcher = keep(memory.upload(&programs.dispatcher)?);
    let aicpu = keep(memory.upload(&programs.aicpu)?);
    let mut args = [0; DEVICE_ARGS_BYTES];
    let (dispatcher_len, aicpu_len) = (programs.dispatcher.len() as u64, programs.aicpu.len() as u64);
    let words = [dispatcher, dispatcher_len, u64::from(device), aicpu, aicpu_len];
    for (place, word) in args[96..].chunks_exact_mut(8).zip(words) {
        place.copy_from_slice(&word.to_le_bytes());
    }
    Ok(keep(memory.upload(&args)?))
}

const KERNEL_NAME_OFFSET: u32 = 208;
const SO_NAME_OFFSET: u32 = 240;

/// What the driver's own AICPU library is called with: the address of the device arguments, and three names.
fn argument_block(device_args: u64) -> [u8; 304] {
    let mut block = [0; 304];
    block[40..48].copy_from_slice(&device_args.to_le_bytes());
    let names: [(u32, &[u8]); 2] = [
        (KERNEL_NAME_OFFSET, b"DynTileFwkKernelServerInit"),
        (SO_NAME_OFFSET, b"libaicpu_extend_kernels.so"),
    ];
    for (offset, name) in names {
        let place = &mut block[offset as usize..][..name.len()];
        place.copy_from_slice(name);
    }
    block
}

fn launch(hal: &Hal, lane: &Lane, block: &[u8]) -> Result<(), HalError> {
    lane.enqueue(|stream| {
        hal.launch_aicpu_op(c"AST_DYN_AICPU", 1, block, KERNEL_NAME_OFFSET, SO_NAME_OFFSET, stream)
    })?;
    lane.drain(hal, LIMIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_argument_block_has_everything_in_its_place() {
        let block = argument_block(0x1122_3344_5566_7788);
        assert_eq!(block[40..48], 0x1122_3344_5566_7788u64.to_le_bytes());
        assert_eq!(&block[208..235], b"DynTileFwkKernelServerInit\0");
        assert_eq!(&block[240..267], b"libaicpu_extend_kernels.so\0");
        let used = [40..48, 208..234, 240..266];
        let is_used = |index: &usize| used.iter().any(|range| range.contains(index));
        assert!((0..304).filter(|index| !is_used(index)).all(|index| block[index] == 0));
    }
}
