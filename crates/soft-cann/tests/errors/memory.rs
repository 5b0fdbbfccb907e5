//! Devices, memory, streams and settings.

use std::ffi::c_void;
use std::ptr::{null, null_mut};

use soft_cann::{Chip, Devices, ViolationKind};

use super::common::Life;
use super::{Checker, pointer, raw_stream, wild};

pub(super) fn devices(checker: &mut Checker) {
    let device = Devices::lease(Chip::A2a3).unwrap();
    for wrong in [-1, Devices::count(), i32::MAX] {
        returns!(checker, 107_001, rtSetDevice(wrong), "no such device");
        returns!(checker, 107_001, aclrtSetDevice(wrong), "no such device");
        returns!(checker, 107_001, rtDeviceReset(wrong), "no such device");
        returns!(checker, 107_001, aclrtResetDevice(wrong), "no such device");
    }
    returns!(checker, 507_007, rtDeviceReset(device.id()), "a reset without a set");
    returns!(checker, 507_007, aclrtResetDevice(device.id()), "a reset without a set");
    returns!(checker, 507_007, aclrtResetDeviceForce(device.id()), "a reset without a set");
    returns!(checker, 0, rtSetDevice(device.id()), "attach");
    returns!(checker, 0, aclrtSetDevice(device.id()), "attach again");
    returns!(checker, 107_000, aclrtGetDevice(null_mut()), "null");
    returns!(checker, 107_000, rtGetAiCpuCount(null_mut()), "null");
    returns!(checker, 0, rtDeviceReset(device.id()), "one reference is left");
    let mut id = -1;
    returns!(checker, 0, aclrtGetDevice(&raw mut id), "still attached");
    assert_eq!((id, device.leaks().device_references), (device.id(), 1));
    returns!(checker, 0, aclrtResetDevice(device.id()), "the last reference");
    returns!(checker, 107_002, aclrtGetDevice(&raw mut id), "the context is gone");
    returns!(checker, 507_007, rtDeviceReset(device.id()), "one too many");
    assert_eq!(device.violations().len(), 4);
    returns!(checker, 0, rtSetDevice(device.id()), "attach");
    returns!(checker, 0, rtSetDevice(device.id()), "attach again");
    returns!(checker, 0, aclrtResetDeviceForce(device.id()), "whoever uses it");
    returns!(checker, 507_007, rtDeviceReset(device.id()), "nothing is left");
    assert!(device.leaks().is_empty());
}

pub(super) fn memory(checker: &mut Checker) {
    let life = Life::start(Chip::A2a3);
    let mut out = null_mut();
    returns!(checker, 107_000, rtMalloc(null_mut(), 64, 2, 0), "null");
    returns!(checker, 107_000, rtMalloc(&raw mut out, 0, 2, 0), "nothing");
    returns!(checker, 107_000, aclrtMalloc(null_mut(), 64, 0), "null");
    returns!(checker, 100_000, aclrtMalloc(&raw mut out, 0, 0), "nothing");
    returns!(checker, 207_001, rtMalloc(&raw mut out, u64::MAX, 2, 0), "too much");
    returns!(checker, 207_001, rtMalloc(&raw mut out, 1 << 40, 2, 0), "too much");
    returns!(checker, 207_001, aclrtMalloc(&raw mut out, usize::MAX, 0), "too much");
    returns!(checker, 107_000, rtFree(null_mut()), "null");
    returns!(checker, 107_000, aclrtFree(null_mut()), "null");
    let buffer = life.hal.malloc(64).unwrap();
    assert_eq!(buffer % 64, 0);
    let at = |offset: u64| -> *mut c_void { pointer(buffer + offset) };
    returns!(checker, 107_000, rtFree(at(8)), "inside of a buffer");
    returns!(checker, 107_000, rtFree(wild()), "no memory of a device");
    let mut host = [0_u8; 128];
    let to: *mut c_void = host.as_mut_ptr().cast();
    for (why, target, room, source, count, kind) in [
        ("null target", null_mut(), 8, to, 8, 1),
        ("null source", at(0), 8, null_mut(), 8, 1),
        ("nothing", at(0), 8, to, 0, 1),
        ("no room", at(0), 0, to, 8, 1),
        ("too little room", at(0), 8, to, 9, 1),
        ("no such kind", at(0), 8, to, 8, 9),
        ("over the end", at(0), 128, to, 65, 1),
        ("over the end", at(60), 128, to, 5, 1),
        ("before the start", at(0).wrapping_byte_sub(1), 8, to, 8, 1),
        ("from over the end", to, 128, at(0), 65, 2),
        ("to host memory", to, 8, to, 8, 1),
        ("from host memory", to, 8, to, 8, 2),
        ("device memory as host memory", at(0), 8, at(32), 8, 1),
        ("device memory as host memory", at(0), 8, at(32), 8, 2),
        ("host memory as device memory", at(0), 8, to, 8, 3),
    ] {
        returns!(checker, 107_000, rtMemcpy(target, room as u64, source, count as u64, kind), why);
        returns!(checker, 107_000, aclrtMemcpy(target, room, source, count, kind), why);
    }
    for (target, source, kind) in
        [(at(0), to, 1), (to, at(0), 2), (at(0), at(32), 3), (to, at(0), 4), (at(0), to, 4)]
    {
        returns!(checker, 0, rtMemcpy(target, 32, source, 32, kind), "a good copy");
        returns!(checker, 0, aclrtMemcpy(target, 32, source, 32, kind), "a good copy");
    }
    returns!(checker, 207_000, rtMemcpy(at(0), 8, to, 8, 7), "a kind that is not there");
    for (why, target, room, count) in [
        ("null", null_mut(), 8, 8),
        ("nothing", at(0), 8, 0),
        ("no room", at(0), 0, 8),
        ("room", at(0), 8, 9),
    ] {
        returns!(checker, 107_000, aclrtMemset(target, room, 1, count), why);
    }
    returns!(checker, 107_000, aclrtMemset(at(0), 128, 1, 65), "over the end");
    returns!(checker, 107_000, aclrtMemset(to, 8, 1, 8), "host memory");
    returns!(checker, 0, aclrtMemset(at(0), 64, 0x107, 64), "a good fill");
    assert_eq!(life.read::<8>(buffer), [0x0707_0707_0707_0707; 8]);
    life.hal.free(buffer).unwrap();
    let before = life.device.violations().len();
    returns!(checker, 107_000, aclrtFree(at(0)), "twice");
    returns!(checker, 107_000, rtMemcpy(at(0), 8, to, 8, 1), "freed");
    let kinds: Vec<_> = life.device.violations()[before..].iter().map(|violation| violation.kind).collect();
    assert_eq!(kinds, [ViolationKind::UseAfterFree; 2]);
}

pub(super) fn streams(checker: &mut Checker) {
    let (first, second) = (Life::start(Chip::A2a3), Life::start(Chip::A2a3));
    let raw = raw_stream(checker);
    returns!(checker, 107_000, rtStreamCreate(null_mut(), 0), "null");
    returns!(checker, 107_000, aclrtCreateStream(null_mut()), "null");
    returns!(checker, 107_000, rtStreamDestroy(null_mut()), "null");
    returns!(checker, 107_000, aclrtDestroyStream(null_mut()), "null");
    first.hal.set_device(first.device.id()).unwrap();
    returns!(checker, 107_003, rtStreamDestroy(raw), "a stream of another context");
    returns!(checker, 107_003, aclrtDestroyStream(raw), "a stream of another context");
    for wrong in [0, -2, i32::MIN] {
        returns!(checker, 107_000, aclrtSynchronizeStreamWithTimeout(raw, wrong), "no time");
    }
    // Waiting for a foreign stream is fine, and switches the thread.
    returns!(checker, 0, aclrtSynchronizeStream(raw), "a foreign stream");
    let mut id = -1;
    returns!(checker, 0, aclrtGetDevice(&raw mut id), "attached");
    assert_eq!(id, second.device.id());
    let mut limit = 0;
    for (kind, expected) in [(0, 24), (1, 48)] {
        returns!(checker, 0, aclrtGetStreamResLimit(raw, kind, &raw mut limit), "a limit");
        assert_eq!(limit, expected);
    }
    returns!(checker, 107_000, aclrtGetStreamResLimit(raw, 2, &raw mut limit), "no such kind");
    returns!(checker, 107_000, aclrtGetStreamResLimit(raw, 0, null_mut()), "null");
    returns!(checker, 0, rtStreamDestroy(raw), "a good end");
    returns!(checker, 107_003, rtStreamDestroy(raw), "twice");
    returns!(checker, 107_003, aclrtSynchronizeStream(raw), "destroyed");
    returns!(checker, 107_003, aclrtSynchronizeStreamWithTimeout(wild(), 5), "never was one");
    returns!(checker, 107_003, aclrtGetStreamResLimit(raw, 0, &raw mut limit), "destroyed");
    let stale =
        second.device.violations().iter().filter(|found| found.kind == ViolationKind::StaleHandle).count();
    assert_eq!(stale, 4);
}

pub(super) fn settings(checker: &mut Checker) {
    let life = Life::start(Chip::A2a3);
    returns!(checker, 100_037, aclFinalize(), "a finalize without an init");
    returns!(checker, 0, aclInit(null()), "first");
    returns!(checker, 100_002, aclInit(null()), "once more");
    assert_eq!(life.device.leaks().acl_inits, 2);
    returns!(checker, 0, aclFinalize(), "one");
    returns!(checker, 0, aclFinalize(), "two");
    returns!(checker, 100_037, aclFinalize(), "three");
    let (mut actual, mut address, mut length) = (0, 0, 0);
    returns!(checker, 0, aclrtSetOpExecuteTimeOutV2(1_000_001, &raw mut actual), "good");
    assert_eq!(actual, 1_001_000);
    returns!(checker, 107_000, aclrtSetOpExecuteTimeOutV2(1, null_mut()), "null");
    returns!(checker, 107_000, aclrtSetOpExecuteTimeOutV2(u64::MAX, &raw mut actual), "for ever");
    returns!(checker, 107_000, rtGetC2cCtrlAddr(null_mut(), &raw mut length), "null");
    returns!(checker, 107_000, rtGetC2cCtrlAddr(&raw mut address, null_mut()), "null");
    returns!(checker, 0, rtGetC2cCtrlAddr(&raw mut address, &raw mut length), "good");
    assert!(address != 0 && length > 0);
    let mut count = 0;
    returns!(checker, 0, rtGetAiCpuCount(&raw mut count), "good");
    assert_eq!(count, 6);
    returns!(checker, 0, dlog_setlevel(-1, 2, 0), "good");
    assert_eq!(life.device.log_level(-1), Some((2, 0)));
}
