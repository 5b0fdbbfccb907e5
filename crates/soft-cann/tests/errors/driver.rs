//! The driver's functions.

use std::ffi::c_void;
use std::ptr::null_mut;

use hal_sys::sys;
use soft_cann::{Chip, Devices};

use super::common::{Life, hal};
use super::{Checker, pointer, wild};

pub(super) fn driver(checker: &mut Checker) {
    let life = Life::start(Chip::A2a3);
    let id = u32::try_from(life.device.id()).unwrap();
    let mut bitmap = [0_u64; 2];
    let buffer: *mut c_void = bitmap.as_mut_ptr().cast();
    let mut size = 16;
    returns!(checker, 3, halGetDeviceInfoByBuff(id, 4, 8, null_mut(), &raw mut size), "null");
    returns!(checker, 3, halGetDeviceInfoByBuff(id, 4, 8, buffer, null_mut()), "null");
    returns!(checker, 0xfffe, halGetDeviceInfoByBuff(id, 4, 3, buffer, &raw mut size), "another question");
    returns!(checker, 2, halGetDeviceInfoByBuff(u32::MAX, 4, 8, buffer, &raw mut size), "no such device");
    size = 15;
    returns!(checker, 3, halGetDeviceInfoByBuff(id, 4, 8, buffer, &raw mut size), "too small");
    size = 16;
    returns!(checker, 0, halGetDeviceInfoByBuff(id, 4, 8, buffer, &raw mut size), "good");
    assert_eq!((bitmap, size), ([0xFF_FFFF, 0], 16));

    let closed = Devices::lease(Chip::A2a3).unwrap();
    let closed_id = u32::try_from(closed.id()).unwrap();
    let mut out = sys::AddrMapOutPara::default();
    let to: *mut c_void = (&raw mut out).cast();
    for (why, code, operation, addr_type, devid, size, to) in [
        ("no such operation", 0xfffe, 9, 2, id, 8, to),
        ("no such operation", 0xfffe, -1, 2, id, 8, to),
        ("unmapping", 0xfffe, 1, 2, id, 8, to),
        ("no such registers", 3, 0, 4, id, 8, to),
        ("no such device", 3, 0, 2, u32::MAX, 8, to),
        ("a short question", 3, 0, 2, id, 4, to),
        ("null", 3, 0, 2, id, 8, null_mut()),
        ("a device that is not open", 4, 0, 2, closed_id, 8, to),
        ("good", 0, 0, 2, id, 8, to),
        ("good", 0, 0, 3, id, 8, to),
    ] {
        let mut asked = sys::AddrMapInPara { addr_type, devid };
        returns!(checker, code, halMemCtl(operation, (&raw mut asked).cast(), size, to, null_mut()), why);
    }
    returns!(checker, 3, halMemCtl(0, null_mut(), 8, to, null_mut()), "null");
    assert!(out.ptr != 0 && out.len == 25 * (8 << 20));
    let mut info = sys::res_map_info::default();
    let (mut va, mut len) = (0, 0x30_0000);
    returns!(checker, 0xfffe, halResMap(id, &raw mut info, &raw mut va, &raw mut len), "another chip");
    drop(closed);
    host_mappings(checker, &life, id);
}

fn host_mappings(checker: &mut Checker, life: &Life, id: u32) {
    let buffer = life.words(&[1, 2, 3, 4]);
    let at = |offset: u64| -> *mut c_void { pointer(buffer + offset) };
    let mut mapped = null_mut();
    for (why, code, address, size, flag, device, mapped) in [
        ("no such flag", 0xfffe, at(0), 32, 6, id, &raw mut mapped),
        ("another flag", 0xfffe, at(0), 32, 0, id, &raw mut mapped),
        ("nowhere to put it", 3, at(0), 32, 2, id, null_mut()),
        ("null", 3, null_mut(), 32, 2, id, &raw mut mapped),
        ("nothing", 3, at(0), 0, 2, id, &raw mut mapped),
        ("no such device", 2, at(0), 32, 2, u32::MAX, &raw mut mapped),
        ("over the end", 3, at(8), 32, 2, id, &raw mut mapped),
        ("no memory of the device", 3, wild(), 32, 2, id, &raw mut mapped),
        ("good", 0, at(0), 32, 2, id, &raw mut mapped),
        ("twice", 12, at(8), 8, 2, id, &raw mut mapped),
    ] {
        returns!(checker, code, halHostRegister(address, size, flag, device, mapped), why);
    }
    // Another address for the same memory.
    assert_ne!(mapped, at(0));
    unsafe { mapped.cast::<u64>().add(3).write_volatile(9) };
    assert_eq!(life.read::<4>(buffer), [1, 2, 3, 9]);
    returns!(checker, 107_000, rtFree(at(0)), "mapped into the host");
    assert_eq!(life.device.leaks().host_mappings, 1);
    returns!(checker, 2, halHostUnregister(at(0), u32::MAX), "no such device");
    returns!(checker, 0, halHostUnregister(at(0), id), "good");
    returns!(checker, 3, halHostUnregister(at(0), id), "twice");
    returns!(checker, 3, halHostUnregister(wild(), id), "never mapped");
    returns!(checker, 0, rtFree(at(0)), "good");
    let mut device_side = null_mut();
    returns!(checker, 3, halMemAlloc(null_mut(), 64, 1 << 14), "null");
    returns!(checker, 3, halMemAlloc(&raw mut device_side, 0, 1 << 14), "nothing");
    returns!(checker, 6, halMemAlloc(&raw mut device_side, 1 << 50, 1 << 14), "too much");
    returns!(checker, 0, halMemAlloc(&raw mut device_side, 64, 1 << 14), "good");
    returns!(checker, 3, halMemFree(wild()), "no memory of a device");
    returns!(checker, 0, halMemFree(device_side), "good");
    returns!(checker, 3, halMemFree(device_side), "twice");
}

pub(super) fn driver_of_a5(checker: &mut Checker) {
    let device = Devices::lease(Chip::A5).unwrap();
    let id = u32::try_from(device.id()).unwrap();
    let good = sys::res_map_info::default();
    let (mut va, mut len) = (0, 0x30_0000);
    let mut info = good;
    returns!(
        checker,
        7,
        halResMap(id, &raw mut info, &raw mut va, &raw mut len),
        "a device that is not open"
    );
    let hal = hal();
    hal.set_device(device.id()).unwrap();
    for (why, code, mut info) in [
        ("process", 0xfffe, sys::res_map_info { target_proc_type: 1, ..good }),
        ("resource", 0xfffe, sys::res_map_info { res_type: 1, ..good }),
        ("flag", 0xfffe, sys::res_map_info { flag: 1, ..good }),
        ("reserved", 0xfffe, sys::res_map_info { rsv: [1], ..good }),
        ("core", 3, sys::res_map_info { res_id: 36, ..good }),
        ("good", 0, sys::res_map_info { res_id: 35, ..good }),
    ] {
        returns!(checker, code, halResMap(id, &raw mut info, &raw mut va, &raw mut len), why);
    }
    assert!(va != 0 && len == 0x30_0000);
    returns!(checker, 8, halResMap(id, null_mut(), &raw mut va, &raw mut len), "null");
    returns!(checker, 8, halResMap(id, &raw mut info, null_mut(), &raw mut len), "null");
    returns!(checker, 8, halResMap(id, &raw mut info, &raw mut va, null_mut()), "null");
    returns!(checker, 2, halResMap(u32::MAX, &raw mut info, &raw mut va, &raw mut len), "no such device");
    let mut asked = sys::AddrMapInPara { addr_type: 2, devid: id };
    let mut out = sys::AddrMapOutPara::default();
    let (from, to) = ((&raw mut asked).cast(), (&raw mut out).cast());
    returns!(checker, 0xfffe, halMemCtl(0, from, 8, to, null_mut()), "another chip");
    let (mut address, mut length) = (0, 0);
    returns!(checker, 0x0711_000D, rtGetC2cCtrlAddr(&raw mut address, &raw mut length), "another chip");
    hal.reset_device(device.id()).unwrap();
    assert!(device.leaks().is_empty());
}
