//! Memory that is shared, and groups of ranks.

use std::ffi::{c_char, c_void};
use std::ptr::{null, null_mut};

use hal_sys::sys;
use soft_cann::Chip;

use super::common::Life;
use super::{Checker, pointer, raw_stream, wild};

pub(super) fn sharing(checker: &mut Checker) {
    let (life, other) = (Life::start(Chip::A2a3), Life::start(Chip::A2a3));
    life.hal.set_device(life.device.id()).unwrap();
    let buffer = life.words(&[1, 2, 3, 4]);
    let at: *mut c_void = pointer(buffer);
    let mut key = [0 as c_char; 65];
    for (why, code, address, size, key, length, flags) in [
        ("null", 107_000, null_mut(), 32, key.as_mut_ptr(), 65, 0),
        ("nothing", 107_000, at, 0, key.as_mut_ptr(), 65, 0),
        ("no key", 107_000, at, 32, null_mut(), 65, 0),
        ("another length", 107_000, at, 32, key.as_mut_ptr(), 64, 0),
        ("no such flag", 107_000, at, 32, key.as_mut_ptr(), 65, 2),
        ("over the end", 107_000, at, 33, key.as_mut_ptr(), 65, 0),
        ("no memory of the device", 107_000, wild(), 32, key.as_mut_ptr(), 65, 0),
        ("good", 0, at, 32, key.as_mut_ptr(), 65, 0),
    ] {
        returns!(checker, code, aclrtIpcMemGetExportKey(address, size, key, length, flags), why);
    }
    let mut pids = [i32::try_from(std::process::id()).unwrap()];
    let (key, mut mapped) = (key.as_ptr(), null_mut());
    returns!(checker, 207_006, aclrtIpcMemImportByKey(&raw mut mapped, key, 0), "nobody is allowed to");
    returns!(checker, 107_000, aclrtIpcMemSetImportPid(null(), pids.as_mut_ptr(), 1), "null");
    returns!(checker, 107_000, aclrtIpcMemSetImportPid(key, null_mut(), 1), "null");
    returns!(checker, 107_000, aclrtIpcMemSetImportPid(key, pids.as_mut_ptr(), 0), "nobody");
    returns!(
        checker,
        107_000,
        aclrtIpcMemSetImportPid(c"other".as_ptr(), pids.as_mut_ptr(), 1),
        "no such key"
    );
    returns!(checker, 0, aclrtIpcMemSetImportPid(key, pids.as_mut_ptr(), 1), "good");
    other.hal.set_device(other.device.id()).unwrap();
    returns!(checker, 107_000, aclrtIpcMemImportByKey(null_mut(), key, 0), "null");
    returns!(checker, 107_000, aclrtIpcMemImportByKey(&raw mut mapped, null(), 0), "null");
    returns!(checker, 107_000, aclrtIpcMemImportByKey(&raw mut mapped, c"../x".as_ptr(), 0), "no such key");
    returns!(checker, 107_000, aclrtIpcMemImportByKey(&raw mut mapped, key, 2), "no such flag");
    returns!(checker, 0, aclrtIpcMemImportByKey(&raw mut mapped, key, 0), "good");
    returns!(checker, 107_000, aclrtIpcMemImportByKey(&raw mut mapped, key, 0), "twice");
    assert_eq!(other.read::<4>(mapped.expose_provenance() as u64), [1, 2, 3, 4]);
    let mut short = [0_u8; 33];
    assert!(other.hal.copy_from_device(&mut short, mapped.expose_provenance() as u64).is_err());
    assert_eq!((life.device.leaks().ipc_keys, other.device.leaks().ipc_keys), (1, 1));
    returns!(checker, 0, aclrtIpcMemClose(key), "the import");
    returns!(checker, 107_000, aclrtIpcMemClose(key), "twice");
    returns!(checker, 107_000, aclrtIpcMemClose(null()), "null");

    let (device, peer) = (other.device.id(), life.device.id());
    returns!(checker, 107_000, aclrtDeviceEnablePeerAccess(device, 0), "itself");
    returns!(checker, 107_000, aclrtDeviceEnablePeerAccess(peer, 1), "a flag");
    returns!(checker, 107_001, aclrtDeviceEnablePeerAccess(-1, 0), "no such device");
    let mut status = -1;
    assert!(other.hal.copy_from_device(&mut short[..8], buffer).is_err(), "memory of another device");
    returns!(checker, 0, aclrtDevicePeerAccessStatus(device, peer, &raw mut status), "good");
    assert_eq!(status, 0);
    returns!(checker, 0, aclrtDeviceEnablePeerAccess(peer, 0), "good");
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while status != 1 && std::time::Instant::now() < deadline {
        returns!(checker, 0, aclrtDevicePeerAccessStatus(device, peer, &raw mut status), "good");
    }
    assert_eq!((status, other.read::<4>(buffer)), (1, [1, 2, 3, 4]));
    returns!(checker, 107_001, aclrtDevicePeerAccessStatus(device, -1, &raw mut status), "no such device");
    returns!(checker, 107_001, aclrtDevicePeerAccessStatus(-1, peer, &raw mut status), "no such device");
    returns!(checker, 107_000, aclrtDevicePeerAccessStatus(device, peer, null_mut()), "null");
    life.hal.set_device(peer).unwrap();
    returns!(checker, 0, aclrtIpcMemClose(key), "the export");
    assert_eq!(life.device.leaks().ipc_keys, 0);
}

pub(super) fn groups(checker: &mut Checker) {
    let _life = Life::start(Chip::A2a3);
    let stream = raw_stream(checker);
    let (mut info, mut comm) = (sys::HcclRootInfo::default(), null_mut());
    returns!(checker, 2, HcclGetRootInfo(null_mut()), "null");
    returns!(checker, 1, HcclCommInitRootInfo(1, &raw const info, 0, &raw mut comm), "no root");
    returns!(checker, 0, HcclGetRootInfo(&raw mut info), "good");
    returns!(checker, 2, HcclCommInitRootInfo(1, null(), 0, &raw mut comm), "null");
    returns!(checker, 2, HcclCommInitRootInfo(1, &raw const info, 0, null_mut()), "null");
    returns!(checker, 1, HcclCommInitRootInfo(1, &raw const info, 1, &raw mut comm), "no such rank");
    returns!(checker, 1, HcclCommInitRootInfo(0, &raw const info, 0, &raw mut comm), "nobody");
    returns!(checker, 1, HcclCommInitRootInfo(2000, &raw const info, 0, &raw mut comm), "too many");
    returns!(checker, 0, HcclCommInitRootInfo(1, &raw const info, 0, &raw mut comm), "good");
    returns!(checker, 1, HcclCommInitRootInfo(1, &raw const info, 0, &raw mut comm), "once more");
    returns!(checker, 2, HcclBarrier(null_mut(), stream), "null");
    returns!(checker, 2, HcclBarrier(comm, null_mut()), "null");
    returns!(checker, 1, HcclBarrier(wild(), stream), "never was one");
    returns!(checker, 15, HcclBarrier(comm, wild()), "never was a stream");
    returns!(checker, 0, HcclBarrier(comm, stream), "good");
    returns!(checker, 0, aclrtSynchronizeStream(stream), "good");
    returns!(checker, 2, HcclCommDestroy(null_mut()), "null");
    returns!(checker, 0, HcclCommDestroy(comm), "good");
    returns!(checker, 1, HcclCommDestroy(comm), "twice");
}
