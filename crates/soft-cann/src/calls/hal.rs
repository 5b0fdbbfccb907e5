//! libascend_hal.so.

use std::ffi::c_void;
use std::sync::Arc;

use hal_sys::sys;

use super::{numbered, put};
use crate::border::exported;
use crate::chip::Chip;
use crate::codes;
use crate::context;
use crate::device::Device;
use crate::region::pointer;

/// From here on operations of halMemCtl are invalid.
const FIRST_INVALID_OPERATION: i32 = 9;
/// From here on flags of halHostRegister are invalid.
const FIRST_INVALID_FLAG: u32 = 6;
/// Bytes of the core bitmap.
const BITMAP_BYTES: i32 = 16;

exported! {
    /// Maps device memory into the host.
    Driver fn halHostRegister(address: *mut c_void, size: u64, flag: u32, device: u32,
        mapped: *mut *mut c_void) -> u32, on of_driver(device) => {
        if flag >= FIRST_INVALID_FLAG {
            return Err(codes::DRV_NOT_SUPPORT);
        }
        if mapped.is_null() || address.is_null() || size == 0 {
            return Err(codes::DRV_INVALID_VALUE);
        }
        let device = existing(device)?;
        if flag != sys::DEV_SVM_MAP_HOST {
            return Err(codes::DRV_NOT_SUPPORT);
        }
        let start = address.expose_provenance() as u64;
        let alias = device.memory.map_to_host(start, size).map_err(|refusal| device.refuse(refusal))?;
        // SAFETY: the pointer is the caller's.
        unsafe { put(mapped, pointer(alias).cast()) }
    }

    /// Takes the mapping of a device address away.
    Driver fn halHostUnregister(address: *mut c_void, device: u32) -> u32, on of_driver(device) => {
        let device = existing(device)?;
        let start = address.expose_provenance() as u64;
        device.memory.unmap_from_host(start).map_err(|refusal| device.refuse(refusal))
    }

    /// Which cores a chip has.
    Driver fn halGetDeviceInfoByBuff(device: u32, module: i32, info: i32, buffer: *mut c_void,
        size: *mut i32) -> u32, on of_driver(device) => {
        if buffer.is_null() || size.is_null() {
            return Err(codes::DRV_INVALID_VALUE);
        }
        let device = existing(device)?;
        let asked = (u32::try_from(module), u32::try_from(info));
        if asked != (Ok(sys::MODULE_TYPE_AICORE), Ok(sys::INFO_TYPE_OCCUPY)) {
            return Err(codes::DRV_NOT_SUPPORT);
        }
        // SAFETY: not null, hence the caller's.
        if unsafe { size.read() } < BITMAP_BYTES {
            return Err(codes::DRV_INVALID_VALUE);
        }
        // SAFETY: the caller says that there are 16 bytes; how they are aligned it does not say.
        unsafe { buffer.cast::<[u64; 2]>().write_unaligned([device.cores.bitmap(), 0]) };
        // SAFETY: the pointer is the caller's.
        unsafe { put(size, BITMAP_BYTES) }
    }

    /// Maps the registers of all cores of an a2a3.
    Driver fn halMemCtl(operation: i32, input: *mut c_void, input_size: usize, output: *mut c_void,
        output_size: *mut usize) -> u32, on {
        // SAFETY: the pointer is the caller's.
        let asked = unsafe { of_mapping(operation, input, input_size) };
        asked.map_or_else(context::nearest, |asked| of_driver(asked.devid))
    } => {
        if !(0..FIRST_INVALID_OPERATION).contains(&operation) {
            return Err(codes::DRV_NOT_SUPPORT);
        }
        if operation.cast_unsigned() != sys::CTRL_TYPE_ADDR_MAP {
            return Err(codes::DRV_NOT_SUPPORT);
        }
        // SAFETY: the pointer is the caller's.
        let asked = unsafe { of_mapping(operation, input, input_size) }.ok_or(codes::DRV_INVALID_VALUE)?;
        if output.is_null() {
            return Err(codes::DRV_INVALID_VALUE);
        }
        let (base, length) = map_registers(asked)?;
        // SAFETY: not null, hence the caller's struct.
        unsafe { put(output.cast(), sys::AddrMapOutPara { ptr: base, len: length }) }
    }

    /// Maps the registers of one cluster of an a5.
    Driver fn halResMap(device: u32, info: *mut sys::res_map_info, address: *mut u64,
        length: *mut u32) -> u32, on of_driver(device) => {
        if info.is_null() || address.is_null() || length.is_null() {
            return Err(codes::DRV_PARA_ERROR);
        }
        // SAFETY: not null, hence the caller's struct.
        let info = unsafe { info.read() };
        let device = existing(device)?;
        let core = info.target_proc_type == sys::PROCESS_CP1 && info.res_type == sys::RES_AICORE;
        if device.chip != Chip::A5 || !core || info.flag != 0 || info.rsv != [0] {
            return Err(codes::DRV_NOT_SUPPORT);
        }
        if info.res_id >= device.chip.clusters() {
            return Err(codes::DRV_INVALID_VALUE);
        }
        if !is_open(&device) {
            return Err(codes::DRV_INNER_ERR);
        }
        let base = device.registers.cluster(info.res_id).ok_or(codes::DRV_OUT_OF_MEMORY)?;
        // SAFETY: not null, hence the caller's.
        unsafe { put(address, base) }?;
        // SAFETY: as above.
        unsafe { put(length, u32::try_from(device.chip.cluster_registers()).unwrap_or(u32::MAX)) }
    }

    /// Allocates from a program on the AICPU, on its own device.
    Driver fn halMemAlloc(address: *mut *mut c_void, size: u64, flag: u64) -> u32, on context::nearest() => {
        if address.is_null() || size == 0 {
            return Err(codes::DRV_INVALID_VALUE);
        }
        let start = context::nearest().memory.allocate(size, size).map_err(|_| codes::DRV_OUT_OF_MEMORY)?;
        // SAFETY: not null, hence the caller's.
        unsafe { put(address, pointer(start).cast()) }
    }

    /// Frees what [`halMemAlloc`] has allocated.
    Driver fn halMemFree(address: *mut c_void) -> u32, on super::owner(address) => {
        super::release(&super::owner(address), address).map_err(|_| codes::DRV_INVALID_VALUE)
    }
}

/// The device that a call of the driver is put down to.
fn of_driver(id: u32) -> Arc<Device> {
    numbered(i32::try_from(id).unwrap_or(-1))
}

fn existing(id: u32) -> Result<Arc<Device>, i32> {
    let id = i32::try_from(id).map_err(|_| codes::DRV_INVALID_DEVICE)?;
    crate::process::process().device(id).ok_or(codes::DRV_INVALID_DEVICE)
}

/// Whether its process runs, which a first `rtSetDevice` starts.
fn is_open(device: &Device) -> bool {
    device.life(|life| life.context.is_some())
}

/// What a mapping is asked of; `None` unless this is a mapping with an argument block.
unsafe fn of_mapping(operation: i32, input: *mut c_void, size: usize) -> Option<sys::AddrMapInPara> {
    let mapping = operation.cast_unsigned() == sys::CTRL_TYPE_ADDR_MAP;
    let complete = !input.is_null() && size >= size_of::<sys::AddrMapInPara>();
    // SAFETY: not null, and as large as the struct; for this operation it is one.
    (mapping && complete).then(|| unsafe { input.cast::<sys::AddrMapInPara>().read_unaligned() })
}

fn map_registers(asked: sys::AddrMapInPara) -> Result<(u64, u64), i32> {
    let device = existing(asked.devid).map_err(|_| codes::DRV_INVALID_VALUE)?;
    if asked.addr_type > sys::ADDR_MAP_TYPE_REG_AIC_PMU_CTRL {
        return Err(codes::DRV_INVALID_VALUE);
    }
    if device.chip != Chip::A2a3 {
        return Err(codes::DRV_NOT_SUPPORT);
    }
    if !is_open(&device) {
        return Err(codes::DRV_INVALID_HANDLE);
    }
    let mapped = match asked.addr_type {
        sys::ADDR_MAP_TYPE_REG_AIC_CTRL => device.registers.control(),
        sys::ADDR_MAP_TYPE_REG_AIC_PMU_CTRL => device.registers.pmu(),
        sys::ADDR_MAP_TYPE_REG_C2C_CTRL => device.registers.ffts(),
        _ => return Err(codes::DRV_NOT_SUPPORT),
    };
    mapped.ok_or(codes::DRV_OUT_OF_MEMORY)
}
