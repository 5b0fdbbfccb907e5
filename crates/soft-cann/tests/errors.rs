//! Every function and every error that spec/hal.md, section 5.2, names.
#![allow(missing_docs, reason = "tests")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is the report of a test")]
#![allow(clippy::undocumented_unsafe_blocks, reason = "calls of C functions with pointers to locals or null")]

mod common;

use std::collections::BTreeSet;
use std::ffi::{CString, c_char, c_void};
use std::ptr::{null, null_mut};

use common::{Life, aicore, hal, write_json};
use hal_sys::{FUNCTIONS, RawTable, sys};
use soft_cann::{Chip, Devices, ViolationKind};

/// Calls functions of the table and compares what they return.
struct Checker {
    table: RawTable,
    failed: BTreeSet<&'static str>,
}

macro_rules! expect {
    ($checker:ident, $code:expr, $name:ident($($arg:expr),* $(,)?), $why:expr) => {{
        let function = $checker.table.$name.expect("the table is full");
        #[allow(clippy::unnecessary_cast, reason = "codes of the driver are unsigned")]
        let code = unsafe { function($($arg),*) } as i32;
        assert_eq!(code, $code, "{}: {}", stringify!($name), $why);
        if code != 0 {
            $checker.failed.insert(stringify!($name));
        }
    }};
}

fn checker() -> Checker {
    Checker { table: soft_cann::raw_table(), failed: BTreeSet::new() }
}

/// An address that is nobody's memory.
fn wild() -> *mut c_void {
    std::ptr::without_provenance_mut(0x1230)
}

#[test]
fn every_function_checks_what_it_is_given() {
    let mut checker = checker();
    without_a_context(&mut checker);
    devices(&mut checker);
    memory(&mut checker);
    streams(&mut checker);
    aicore_launches(&mut checker);
    built_in_launches(&mut checker);
    json_binaries(&mut checker);
    cpu_launches(&mut checker);
    settings(&mut checker);
    driver(&mut checker);
    driver_of_a5(&mut checker);
    sharing(&mut checker);
    groups(&mut checker);
    let all: BTreeSet<_> = FUNCTIONS.iter().map(|function| function.name).collect();
    let never: Vec<_> = all.difference(&checker.failed).collect();
    assert_eq!(never, [&"dlog_setlevel"], "functions of which no error was seen");
}

fn without_a_context(checker: &mut Checker) {
    std::thread::scope(|scope| {
        // A thread of its own has no context, and calls of it are nobody's.
        scope.spawn(|| {
            let (mut out, mut number, mut wide) = (null_mut(), 0, 0);
            let words = [0_u64; 2];
            expect!(checker, 107_002, rtMalloc(&raw mut out, 64, 2, 0), "not attached");
            expect!(checker, 107_002, aclrtMalloc(&raw mut out, 64, 0), "not attached");
            expect!(checker, 107_002, rtMemcpy(wild(), 8, words.as_ptr().cast(), 8, 1), "not attached");
            expect!(checker, 107_002, aclrtMemcpy(wild(), 8, words.as_ptr().cast(), 8, 1), "not attached");
            expect!(checker, 107_002, aclrtMemset(wild(), 8, 0, 8), "not attached");
            expect!(checker, 107_002, rtStreamCreate(&raw mut out, 0), "not attached");
            expect!(checker, 107_002, aclrtCreateStream(&raw mut out), "not attached");
            expect!(checker, 107_002, rtStreamDestroy(wild()), "not attached");
            expect!(checker, 107_002, aclrtSynchronizeStream(wild()), "not attached");
            expect!(checker, 107_002, aclrtSynchronizeStreamWithTimeout(wild(), 5), "not attached");
            expect!(checker, 107_002, aclrtSetOpExecuteTimeOutV2(1, &raw mut wide), "not attached");
            expect!(checker, 107_002, aclrtGetStreamResLimit(wild(), 0, &raw mut number), "not attached");
            expect!(checker, 107_002, rtsFuncGetByName(wild(), c"f".as_ptr(), &raw mut out), "not attached");
            expect!(
                checker,
                107_002,
                rtsLaunchCpuKernel(wild(), 1, wild(), null(), null_mut()),
                "not attached"
            );
            expect!(checker, 107_002, rtGetC2cCtrlAddr(&raw mut wide, &raw mut number), "not attached");
            let launch = (wild(), null_mut(), null_mut());
            expect!(
                checker,
                107_002,
                rtKernelLaunchWithHandleV2(launch.0, 0, 1, launch.1, launch.2, wild(), null()),
                "not attached"
            );
            let name = c"op".as_ptr();
            expect!(
                checker,
                107_002,
                rtAicpuKernelLaunchExWithArgs(5, name, 1, null(), null_mut(), wild(), 0),
                "not attached"
            );
            let mut id = 0;
            expect!(checker, 107_002, aclrtGetDevice(&raw mut id), "not attached");
            expect!(checker, 107_002, aclrtIpcMemGetExportKey(wild(), 8, null_mut(), 65, 0), "not attached");
            expect!(checker, 107_002, aclrtIpcMemImportByKey(&raw mut out, c"k".as_ptr(), 0), "not attached");
            expect!(checker, 107_002, aclrtDeviceEnablePeerAccess(0, 0), "not attached");
            expect!(checker, 15, HcclGetRootInfo(null_mut()), "not attached");
            expect!(checker, 15, HcclBarrier(wild(), wild()), "not attached");
        });
    });
}

fn devices(checker: &mut Checker) {
    let device = Devices::lease(Chip::A2a3).unwrap();
    for wrong in [-1, Devices::count(), i32::MAX] {
        expect!(checker, 107_001, rtSetDevice(wrong), "no such device");
        expect!(checker, 107_001, aclrtSetDevice(wrong), "no such device");
        expect!(checker, 107_001, rtDeviceReset(wrong), "no such device");
        expect!(checker, 107_001, aclrtResetDevice(wrong), "no such device");
    }
    expect!(checker, 507_007, rtDeviceReset(device.id()), "a reset without a set");
    expect!(checker, 507_007, aclrtResetDevice(device.id()), "a reset without a set");
    expect!(checker, 507_007, aclrtResetDeviceForce(device.id()), "a reset without a set");
    expect!(checker, 0, rtSetDevice(device.id()), "attach");
    expect!(checker, 0, aclrtSetDevice(device.id()), "attach again");
    expect!(checker, 107_000, aclrtGetDevice(null_mut()), "null");
    expect!(checker, 107_000, rtGetAiCpuCount(null_mut()), "null");
    expect!(checker, 0, rtDeviceReset(device.id()), "one reference is left");
    let mut id = -1;
    expect!(checker, 0, aclrtGetDevice(&raw mut id), "still attached");
    assert_eq!((id, device.leaks().device_references), (device.id(), 1));
    expect!(checker, 0, aclrtResetDevice(device.id()), "the last reference");
    expect!(checker, 107_002, aclrtGetDevice(&raw mut id), "the context is gone");
    expect!(checker, 507_007, rtDeviceReset(device.id()), "one too many");
    assert_eq!(device.violations().len(), 4);
    expect!(checker, 0, rtSetDevice(device.id()), "attach");
    expect!(checker, 0, rtSetDevice(device.id()), "attach again");
    expect!(checker, 0, aclrtResetDeviceForce(device.id()), "whoever uses it");
    expect!(checker, 507_007, rtDeviceReset(device.id()), "nothing is left");
    assert!(device.leaks().is_empty());
}

fn memory(checker: &mut Checker) {
    let life = Life::start(Chip::A2a3);
    let mut out = null_mut();
    expect!(checker, 107_000, rtMalloc(null_mut(), 64, 2, 0), "null");
    expect!(checker, 107_000, rtMalloc(&raw mut out, 0, 2, 0), "nothing");
    expect!(checker, 107_000, aclrtMalloc(null_mut(), 64, 0), "null");
    expect!(checker, 100_000, aclrtMalloc(&raw mut out, 0, 0), "nothing");
    expect!(checker, 207_001, rtMalloc(&raw mut out, u64::MAX, 2, 0), "too much");
    expect!(checker, 207_001, rtMalloc(&raw mut out, 1 << 40, 2, 0), "too much");
    expect!(checker, 207_001, aclrtMalloc(&raw mut out, usize::MAX, 0), "too much");
    expect!(checker, 107_000, rtFree(null_mut()), "null");
    expect!(checker, 107_000, aclrtFree(null_mut()), "null");
    let buffer = life.hal.malloc(64).unwrap();
    assert_eq!(buffer % 64, 0);
    let at =
        |offset: u64| -> *mut c_void { std::ptr::with_exposed_provenance_mut((buffer + offset) as usize) };
    expect!(checker, 107_000, rtFree(at(8)), "inside of a buffer");
    expect!(checker, 107_000, rtFree(wild()), "no memory of a device");
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
        expect!(checker, 107_000, rtMemcpy(target, room, source, count, kind), why);
        expect!(checker, 107_000, aclrtMemcpy(target, room as usize, source, count as usize, kind), why);
    }
    for (target, source, kind) in
        [(at(0), to, 1), (to, at(0), 2), (at(0), at(32), 3), (to, at(0), 4), (at(0), to, 4)]
    {
        expect!(checker, 0, rtMemcpy(target, 32, source, 32, kind), "a good copy");
        expect!(checker, 0, aclrtMemcpy(target, 32, source, 32, kind), "a good copy");
    }
    expect!(checker, 207_000, rtMemcpy(at(0), 8, to, 8, 7), "a kind that is not there");
    for (why, target, room, count) in [
        ("null", null_mut(), 8, 8),
        ("nothing", at(0), 8, 0),
        ("no room", at(0), 0, 8),
        ("room", at(0), 8, 9),
    ] {
        expect!(checker, 107_000, aclrtMemset(target, room, 1, count), why);
    }
    expect!(checker, 107_000, aclrtMemset(at(0), 128, 1, 65), "over the end");
    expect!(checker, 107_000, aclrtMemset(to, 8, 1, 8), "host memory");
    expect!(checker, 0, aclrtMemset(at(0), 64, 0x107, 64), "a good fill");
    assert_eq!(life.read::<8>(buffer), [0x0707_0707_0707_0707; 8]);
    life.hal.free(buffer).unwrap();
    let before = life.device.violations().len();
    expect!(checker, 107_000, aclrtFree(at(0)), "twice");
    expect!(checker, 107_000, rtMemcpy(at(0), 8, to, 8, 1), "freed");
    let kinds: Vec<_> = life.device.violations()[before..].iter().map(|violation| violation.kind).collect();
    assert_eq!(kinds, [ViolationKind::UseAfterFree; 2]);
}

fn streams(checker: &mut Checker) {
    let (first, second) = (Life::start(Chip::A2a3), Life::start(Chip::A2a3));
    let raw = raw_stream(checker);
    expect!(checker, 107_000, rtStreamCreate(null_mut(), 0), "null");
    expect!(checker, 107_000, aclrtCreateStream(null_mut()), "null");
    expect!(checker, 107_000, rtStreamDestroy(null_mut()), "null");
    expect!(checker, 107_000, aclrtDestroyStream(null_mut()), "null");
    first.hal.set_device(first.device.id()).unwrap();
    expect!(checker, 107_003, rtStreamDestroy(raw), "a stream of another context");
    expect!(checker, 107_003, aclrtDestroyStream(raw), "a stream of another context");
    for wrong in [0, -2, i32::MIN] {
        expect!(checker, 107_000, aclrtSynchronizeStreamWithTimeout(raw, wrong), "no time");
    }
    // Waiting for a foreign stream is fine, and switches the thread.
    expect!(checker, 0, aclrtSynchronizeStream(raw), "a foreign stream");
    let mut id = -1;
    expect!(checker, 0, aclrtGetDevice(&raw mut id), "attached");
    assert_eq!(id, second.device.id());
    let mut limit = 0;
    for (kind, expected) in [(0, 24), (1, 48)] {
        expect!(checker, 0, aclrtGetStreamResLimit(raw, kind, &raw mut limit), "a limit");
        assert_eq!(limit, expected);
    }
    expect!(checker, 107_000, aclrtGetStreamResLimit(raw, 2, &raw mut limit), "no such kind");
    expect!(checker, 107_000, aclrtGetStreamResLimit(raw, 0, null_mut()), "null");
    expect!(checker, 0, rtStreamDestroy(raw), "a good end");
    expect!(checker, 107_003, rtStreamDestroy(raw), "twice");
    expect!(checker, 107_003, aclrtSynchronizeStream(raw), "destroyed");
    expect!(checker, 107_003, aclrtSynchronizeStreamWithTimeout(wild(), 5), "never was one");
    expect!(checker, 107_003, aclrtGetStreamResLimit(raw, 0, &raw mut limit), "destroyed");
    let stale =
        second.device.violations().iter().filter(|found| found.kind == ViolationKind::StaleHandle).count();
    assert_eq!(stale, 4);
}

fn raw_stream(checker: &mut Checker) -> *mut c_void {
    let mut stream = null_mut();
    expect!(checker, 0, rtStreamCreate(&raw mut stream, 0), "a stream");
    stream
}

fn aicore_launches(checker: &mut Checker) {
    let life = Life::start(Chip::A2a3);
    let stream = raw_stream(checker);
    let object = aicore();
    let good = sys::rtDevBinary_t {
        magic: sys::RT_DEV_BINARY_MAGIC_ELF,
        version: 0,
        data: object.as_ptr().cast(),
        length: object.len() as u64,
    };
    let mut handle = null_mut();
    let plain = sys::rtDevBinary_t { magic: sys::RT_DEV_BINARY_MAGIC_PLAIN, ..good };
    let empty = sys::rtDevBinary_t { length: 0, ..good };
    let none = sys::rtDevBinary_t { data: null(), ..good };
    let cut = sys::rtDevBinary_t { length: 100, ..good };
    let inner = common::aicpu();
    let no_kernels = sys::rtDevBinary_t { data: inner.as_ptr().cast(), length: inner.len() as u64, ..good };
    for (why, binary) in
        [("magic", plain), ("empty", empty), ("null", none), ("cut", cut), ("no kernels", no_kernels)]
    {
        expect!(checker, 107_000, rtRegisterAllKernel(&raw const binary, &raw mut handle), why);
    }
    expect!(checker, 107_000, rtRegisterAllKernel(null(), &raw mut handle), "null");
    expect!(checker, 107_000, rtRegisterAllKernel(&raw const good, null_mut()), "null");
    expect!(checker, 0, rtRegisterAllKernel(&raw const good, &raw mut handle), "good");

    let meeting = life.bytes(&[0; 16 + 128 * 16 + 128 * 8]);
    let mut block = meeting;
    let good = sys::rtArgsEx_t { args: (&raw mut block).cast(), argsSize: 8, ..Default::default() };
    let batch = sys::rtTaskCfgInfo_t { schemMode: 1, ..Default::default() };
    let end = sys::rtTaskCfgInfo_t { schemMode: 2, ..Default::default() };
    let no_args = sys::rtArgsEx_t { args: null_mut(), ..good };
    let no_size = sys::rtArgsEx_t { argsSize: 0, ..good };
    let other = Life::start(Chip::A2a3);
    let foreign = raw_stream(checker);
    life.hal.set_device(life.device.id()).unwrap();
    for (why, code, handle, key, blocks, mut args, stream, config) in [
        ("null handle", 507_000, null_mut(), 0, 1, good, stream, batch),
        ("stale handle", 507_000, stream, 0, 1, good, stream, batch),
        ("no such key", 507_000, handle, 1, 1, good, stream, batch),
        ("no blocks", 107_000, handle, 0, 0, good, stream, batch),
        ("too many blocks", 107_000, handle, 0, 25, good, stream, batch),
        ("no arguments", 107_000, handle, 0, 1, no_args, stream, batch),
        ("no size", 107_000, handle, 0, 1, no_size, stream, batch),
        ("mode", 107_000, handle, 0, 1, good, stream, end),
        ("foreign stream", 107_003, handle, 0, 1, good, foreign, batch),
        ("no stream", 107_003, handle, 0, 1, good, null_mut(), batch),
    ] {
        let (args, config) = (&raw mut args, &raw const config);
        expect!(
            checker,
            code,
            rtKernelLaunchWithHandleV2(handle, key, blocks, args, null_mut(), stream, config),
            why
        );
    }
    let no = null_mut();
    expect!(
        checker,
        107_000,
        rtKernelLaunchWithHandleV2(handle, 0, 1, no, no.cast(), stream, null()),
        "null"
    );
    expect!(checker, 0, rtDevBinaryUnRegister(handle), "good");
    expect!(checker, 107_017, rtDevBinaryUnRegister(handle), "twice");
    drop(other);
}

fn built_in_launches(checker: &mut Checker) {
    let _life = Life::start(Chip::A2a3);
    let stream = raw_stream(checker);
    let mut block = [0_u64; 38];
    let good = sys::rtAicpuArgsEx_t {
        args: block.as_mut_ptr().cast(),
        argsSize: 304,
        kernelNameAddrOffset: 208,
        soNameAddrOffset: 240,
        ..Default::default()
    };
    let no_args = sys::rtAicpuArgsEx_t { args: null_mut(), ..good };
    let no_size = sys::rtAicpuArgsEx_t { argsSize: 0, ..good };
    let far = sys::rtAicpuArgsEx_t { soNameAddrOffset: 305, ..good };
    let op = c"AST_DYN_AICPU".as_ptr();
    for (why, code, kind, op, blocks, args, stream) in [
        ("kind 0", 107_000, 0, op, 1, good, stream),
        ("kind 3", 107_000, 3, op, 1, good, stream),
        ("kind 6", 107_000, 6, op, 1, good, stream),
        ("no name", 107_000, 5, null(), 1, good, stream),
        ("no blocks", 107_000, 5, op, 0, good, stream),
        ("too many blocks", 107_000, 5, op, 1 << 16, good, stream),
        ("no arguments", 107_000, 5, op, 1, no_args, stream),
        ("no size", 107_000, 5, op, 1, no_size, stream),
        ("a name outside", 107_000, 5, op, 1, far, stream),
        ("no stream", 107_003, 5, op, 1, good, null_mut()),
        ("not there, which is seen later", 0, 5, op, 1, good, stream),
    ] {
        let args = &raw const args;
        expect!(
            checker,
            code,
            rtAicpuKernelLaunchExWithArgs(kind, op, blocks, args, null_mut(), stream, 0),
            why
        );
    }
    expect!(checker, 107_000, rtAicpuKernelLaunchExWithArgs(5, op, 1, null(), null_mut(), stream, 0), "null");
    expect!(checker, 507_018, aclrtSynchronizeStream(stream), "no such built-in operator");
}

fn json_binaries(checker: &mut Checker) {
    let _life = Life::start(Chip::A2a3);
    let scratch = tempfile::tempdir().unwrap();
    let c_path = |path: &std::path::Path| CString::new(path.to_str().unwrap()).unwrap();
    let path = c_path(&write_json(scratch.path(), "inner_0.so", &[c"gather"]));
    let broken = scratch.path().join("broken.json");
    std::fs::write(&broken, "{").unwrap();
    let (broken, absent) = (c_path(&broken), c_path(&scratch.path().join("absent.json")));
    let option = |id: u32, mode: i32| sys::rtLoadBinaryOption_t {
        optionId: id,
        value: sys::rtLoadBinaryOptionValue_t { cpuKernelMode: mode },
    };
    let mut json = option(sys::RT_LOAD_BINARY_OPT_CPU_KERNEL_MODE, 0);
    let mut upload = option(sys::RT_LOAD_BINARY_OPT_CPU_KERNEL_MODE, 1);
    let good = sys::rtLoadBinaryConfig_t { options: &raw mut json, numOpt: 1 };
    let other = sys::rtLoadBinaryConfig_t { options: &raw mut upload, numOpt: 1 };
    let none = sys::rtLoadBinaryConfig_t { options: null_mut(), numOpt: 1 };
    let mut handle = null_mut();
    for (why, code, path, config, handle) in [
        ("no path", 107_000, null(), &raw const good, &raw mut handle),
        ("no config", 107_000, path.as_ptr(), null(), &raw mut handle),
        ("no handle", 107_000, path.as_ptr(), &raw const good, null_mut()),
        ("no options", 107_000, path.as_ptr(), &raw const none, &raw mut handle),
        ("another mode", 207_000, path.as_ptr(), &raw const other, &raw mut handle),
        ("no file", 107_000, absent.as_ptr(), &raw const good, &raw mut handle),
        ("a broken file", 107_000, broken.as_ptr(), &raw const good, &raw mut handle),
        ("good", 0, path.as_ptr(), &raw const good, &raw mut handle),
    ] {
        expect!(checker, code, rtsBinaryLoadFromFile(path, config, handle), why);
    }
    let mut function = null_mut();
    let name: *const c_char = c"gather".as_ptr();
    expect!(checker, 107_000, rtsFuncGetByName(handle, null(), &raw mut function), "no name");
    expect!(checker, 107_000, rtsFuncGetByName(handle, name, null_mut()), "null");
    expect!(
        checker,
        107_000,
        rtsFuncGetByName(handle, c"other".as_ptr(), &raw mut function),
        "no such function"
    );
    expect!(checker, 107_000, rtsFuncGetByName(wild(), name, &raw mut function), "never was a binary");
    expect!(checker, 0, rtsBinaryUnload(handle), "good");
    expect!(checker, 107_000, rtsBinaryUnload(handle), "twice");
    expect!(checker, 107_000, rtsFuncGetByName(handle, name, &raw mut function), "unloaded");
    let path = c_path(&write_json(scratch.path(), "a name.so", &[c"gather"]));
    expect!(checker, 0, rtsBinaryLoadFromFile(path.as_ptr(), &raw const good, &raw mut handle), "good");
    expect!(
        checker,
        107_000,
        rtsFuncGetByName(handle, name, &raw mut function),
        "a name that no device takes"
    );
}

fn cpu_launches(checker: &mut Checker) {
    let life = Life::start(Chip::A2a3);
    let stream = raw_stream(checker);
    let (binary, _) = life.aicpu(&[c"gather"]);
    let scratch = tempfile::tempdir().unwrap();
    let json = write_json(scratch.path(), &format!("inner_{}.so", life.device.id()), &[c"gather"]);
    let json = CString::new(json.to_str().unwrap()).unwrap();
    let mut option = sys::rtLoadBinaryOption_t { optionId: 3, ..Default::default() };
    let config = sys::rtLoadBinaryConfig_t { options: &raw mut option, numOpt: 1 };
    let (mut handle, mut function) = (null_mut(), null_mut());
    expect!(checker, 0, rtsBinaryLoadFromFile(json.as_ptr(), &raw const config, &raw mut handle), "good");
    expect!(checker, 0, rtsFuncGetByName(handle, c"gather".as_ptr(), &raw mut function), "good");
    let mut block = [life.words(&[0, 1, 0, 0])];
    let mut good = sys::rtCpuKernelArgs_t::default();
    good.baseArgs.args = block.as_mut_ptr().cast();
    good.baseArgs.argsSize = 8;
    let (mut no_args, mut no_size) = (good, good);
    no_args.baseArgs.args = null_mut();
    no_size.baseArgs.argsSize = 0;
    let attribute = |id| sys::rtLaunchKernelAttr_t { id, value: sys::rtLaunchKernelAttrVal_t { timeout: 5 } };
    let mut attributes = [attribute(7), attribute(8)];
    let one = sys::rtKernelLaunchCfg_t { attrs: attributes.as_mut_ptr(), numAttrs: 1 };
    let both = sys::rtKernelLaunchCfg_t { attrs: attributes.as_mut_ptr(), numAttrs: 2 };
    let lost = sys::rtKernelLaunchCfg_t { attrs: null_mut(), numAttrs: 1 };
    let other = Life::start(Chip::A2a3);
    let foreign = raw_stream(checker);
    life.hal.set_device(life.device.id()).unwrap();
    for (why, code, function, blocks, stream, config, mut args) in [
        ("no function", 107_000, null_mut(), 1, stream, one, good),
        ("no blocks", 107_000, function, 0, stream, one, good),
        ("no arguments", 107_000, function, 1, stream, one, no_args),
        ("no size", 107_000, function, 1, stream, one, no_size),
        ("two timeouts", 107_000, function, 1, stream, both, good),
        ("no attributes", 107_000, function, 1, stream, lost, good),
        ("never was a function", 107_017, wild(), 1, stream, one, good),
        ("a foreign stream", 107_003, function, 1, foreign, one, good),
        ("good", 0, function, 1, stream, one, good),
    ] {
        expect!(
            checker,
            code,
            rtsLaunchCpuKernel(function, blocks, stream, &raw const config, &raw mut args),
            why
        );
    }
    expect!(checker, 107_000, rtsLaunchCpuKernel(function, 1, stream, null(), null_mut()), "null");
    expect!(checker, 0, rtsBinaryUnload(handle), "good");
    expect!(checker, 107_017, rtsLaunchCpuKernel(function, 1, stream, null(), &raw mut good), "unloaded");
    expect!(checker, 0, aclrtSynchronizeStream(stream), "good");
    life.hal.unload_cpu_binary(binary).unwrap();
    drop(other);
}

fn settings(checker: &mut Checker) {
    let life = Life::start(Chip::A2a3);
    expect!(checker, 100_037, aclFinalize(), "a finalize without an init");
    expect!(checker, 0, aclInit(null()), "first");
    expect!(checker, 100_002, aclInit(null()), "once more");
    assert_eq!(life.device.leaks().acl_inits, 2);
    expect!(checker, 0, aclFinalize(), "one");
    expect!(checker, 0, aclFinalize(), "two");
    expect!(checker, 100_037, aclFinalize(), "three");
    let (mut actual, mut address, mut length) = (0, 0, 0);
    expect!(checker, 0, aclrtSetOpExecuteTimeOutV2(1_000_001, &raw mut actual), "good");
    assert_eq!(actual, 1_001_000);
    expect!(checker, 107_000, aclrtSetOpExecuteTimeOutV2(1, null_mut()), "null");
    expect!(checker, 107_000, aclrtSetOpExecuteTimeOutV2(u64::MAX, &raw mut actual), "for ever");
    expect!(checker, 107_000, rtGetC2cCtrlAddr(null_mut(), &raw mut length), "null");
    expect!(checker, 107_000, rtGetC2cCtrlAddr(&raw mut address, null_mut()), "null");
    expect!(checker, 0, rtGetC2cCtrlAddr(&raw mut address, &raw mut length), "good");
    assert!(address != 0 && length > 0);
    let mut count = 0;
    expect!(checker, 0, rtGetAiCpuCount(&raw mut count), "good");
    assert_eq!(count, 6);
    expect!(checker, 0, dlog_setlevel(-1, 2, 0), "good");
    assert_eq!(life.device.log_level(-1), Some((2, 0)));
}

fn driver(checker: &mut Checker) {
    let life = Life::start(Chip::A2a3);
    let id = u32::try_from(life.device.id()).unwrap();
    let mut bitmap = [0_u64; 2];
    let buffer: *mut c_void = bitmap.as_mut_ptr().cast();
    let mut size = 16;
    expect!(checker, 3, halGetDeviceInfoByBuff(id, 4, 8, null_mut(), &raw mut size), "null");
    expect!(checker, 3, halGetDeviceInfoByBuff(id, 4, 8, buffer, null_mut()), "null");
    expect!(checker, 0xfffe, halGetDeviceInfoByBuff(id, 4, 3, buffer, &raw mut size), "another question");
    expect!(checker, 2, halGetDeviceInfoByBuff(u32::MAX, 4, 8, buffer, &raw mut size), "no such device");
    size = 15;
    expect!(checker, 3, halGetDeviceInfoByBuff(id, 4, 8, buffer, &raw mut size), "too small");
    size = 16;
    expect!(checker, 0, halGetDeviceInfoByBuff(id, 4, 8, buffer, &raw mut size), "good");
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
        expect!(checker, code, halMemCtl(operation, (&raw mut asked).cast(), size, to, null_mut()), why);
    }
    expect!(checker, 3, halMemCtl(0, null_mut(), 8, to, null_mut()), "null");
    assert!(out.ptr != 0 && out.len == 25 * (8 << 20));
    let mut info = sys::res_map_info::default();
    let (mut va, mut len) = (0, 0x30_0000);
    expect!(checker, 0xfffe, halResMap(id, &raw mut info, &raw mut va, &raw mut len), "another chip");
    drop(closed);
    host_mappings(checker, &life, id);
}

fn host_mappings(checker: &mut Checker, life: &Life, id: u32) {
    let buffer = life.words(&[1, 2, 3, 4]);
    let at =
        |offset: u64| -> *mut c_void { std::ptr::with_exposed_provenance_mut((buffer + offset) as usize) };
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
        expect!(checker, code, halHostRegister(address, size, flag, device, mapped), why);
    }
    // Another address for the same memory.
    assert_ne!(mapped, at(0));
    unsafe { mapped.cast::<u64>().add(3).write_volatile(9) };
    assert_eq!(life.read::<4>(buffer), [1, 2, 3, 9]);
    expect!(checker, 107_000, rtFree(at(0)), "mapped into the host");
    assert_eq!(life.device.leaks().host_mappings, 1);
    expect!(checker, 2, halHostUnregister(at(0), u32::MAX), "no such device");
    expect!(checker, 0, halHostUnregister(at(0), id), "good");
    expect!(checker, 3, halHostUnregister(at(0), id), "twice");
    expect!(checker, 3, halHostUnregister(wild(), id), "never mapped");
    expect!(checker, 0, rtFree(at(0)), "good");
    let mut device_side = null_mut();
    expect!(checker, 3, halMemAlloc(null_mut(), 64, 1 << 14), "null");
    expect!(checker, 3, halMemAlloc(&raw mut device_side, 0, 1 << 14), "nothing");
    expect!(checker, 6, halMemAlloc(&raw mut device_side, 1 << 50, 1 << 14), "too much");
    expect!(checker, 0, halMemAlloc(&raw mut device_side, 64, 1 << 14), "good");
    expect!(checker, 3, halMemFree(wild()), "no memory of a device");
    expect!(checker, 0, halMemFree(device_side), "good");
    expect!(checker, 3, halMemFree(device_side), "twice");
}

fn driver_of_a5(checker: &mut Checker) {
    let device = Devices::lease(Chip::A5).unwrap();
    let id = u32::try_from(device.id()).unwrap();
    let good = sys::res_map_info::default();
    let (mut va, mut len) = (0, 0x30_0000);
    let mut info = good;
    expect!(checker, 7, halResMap(id, &raw mut info, &raw mut va, &raw mut len), "a device that is not open");
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
        expect!(checker, code, halResMap(id, &raw mut info, &raw mut va, &raw mut len), why);
    }
    assert!(va != 0 && len == 0x30_0000);
    expect!(checker, 8, halResMap(id, null_mut(), &raw mut va, &raw mut len), "null");
    expect!(checker, 8, halResMap(id, &raw mut info, null_mut(), &raw mut len), "null");
    expect!(checker, 8, halResMap(id, &raw mut info, &raw mut va, null_mut()), "null");
    expect!(checker, 2, halResMap(u32::MAX, &raw mut info, &raw mut va, &raw mut len), "no such device");
    let mut asked = sys::AddrMapInPara { addr_type: 2, devid: id };
    let mut out = sys::AddrMapOutPara::default();
    let (from, to) = ((&raw mut asked).cast(), (&raw mut out).cast());
    expect!(checker, 0xfffe, halMemCtl(0, from, 8, to, null_mut()), "another chip");
    let (mut address, mut length) = (0, 0);
    expect!(checker, 0x0711_000D, rtGetC2cCtrlAddr(&raw mut address, &raw mut length), "another chip");
    hal.reset_device(device.id()).unwrap();
    assert!(device.leaks().is_empty());
}

fn sharing(checker: &mut Checker) {
    let (life, other) = (Life::start(Chip::A2a3), Life::start(Chip::A2a3));
    life.hal.set_device(life.device.id()).unwrap();
    let buffer = life.words(&[1, 2, 3, 4]);
    let at: *mut c_void = std::ptr::with_exposed_provenance_mut(buffer as usize);
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
        expect!(checker, code, aclrtIpcMemGetExportKey(address, size, key, length, flags), why);
    }
    let mut pids = [i32::try_from(std::process::id()).unwrap()];
    let (key, mut mapped) = (key.as_ptr(), null_mut());
    expect!(checker, 207_006, aclrtIpcMemImportByKey(&raw mut mapped, key, 0), "nobody is allowed to");
    expect!(checker, 107_000, aclrtIpcMemSetImportPid(null(), pids.as_mut_ptr(), 1), "null");
    expect!(checker, 107_000, aclrtIpcMemSetImportPid(key, null_mut(), 1), "null");
    expect!(checker, 107_000, aclrtIpcMemSetImportPid(key, pids.as_mut_ptr(), 0), "nobody");
    expect!(
        checker,
        107_000,
        aclrtIpcMemSetImportPid(c"other".as_ptr(), pids.as_mut_ptr(), 1),
        "no such key"
    );
    expect!(checker, 0, aclrtIpcMemSetImportPid(key, pids.as_mut_ptr(), 1), "good");
    other.hal.set_device(other.device.id()).unwrap();
    expect!(checker, 107_000, aclrtIpcMemImportByKey(null_mut(), key, 0), "null");
    expect!(checker, 107_000, aclrtIpcMemImportByKey(&raw mut mapped, null(), 0), "null");
    expect!(checker, 107_000, aclrtIpcMemImportByKey(&raw mut mapped, c"../x".as_ptr(), 0), "no such key");
    expect!(checker, 107_000, aclrtIpcMemImportByKey(&raw mut mapped, key, 2), "no such flag");
    expect!(checker, 0, aclrtIpcMemImportByKey(&raw mut mapped, key, 0), "good");
    expect!(checker, 107_000, aclrtIpcMemImportByKey(&raw mut mapped, key, 0), "twice");
    assert_eq!(other.read::<4>(mapped.expose_provenance() as u64), [1, 2, 3, 4]);
    let mut short = [0_u8; 33];
    assert!(other.hal.copy_from_device(&mut short, mapped.expose_provenance() as u64).is_err());
    assert_eq!((life.device.leaks().ipc_keys, other.device.leaks().ipc_keys), (1, 1));
    expect!(checker, 0, aclrtIpcMemClose(key), "the import");
    expect!(checker, 107_000, aclrtIpcMemClose(key), "twice");
    expect!(checker, 107_000, aclrtIpcMemClose(null()), "null");

    let (device, peer) = (other.device.id(), life.device.id());
    expect!(checker, 107_000, aclrtDeviceEnablePeerAccess(device, 0), "itself");
    expect!(checker, 107_000, aclrtDeviceEnablePeerAccess(peer, 1), "a flag");
    expect!(checker, 107_001, aclrtDeviceEnablePeerAccess(-1, 0), "no such device");
    let mut status = -1;
    assert!(other.hal.copy_from_device(&mut short[..8], buffer).is_err(), "memory of another device");
    expect!(checker, 0, aclrtDevicePeerAccessStatus(device, peer, &raw mut status), "good");
    assert_eq!(status, 0);
    expect!(checker, 0, aclrtDeviceEnablePeerAccess(peer, 0), "good");
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while status != 1 && std::time::Instant::now() < deadline {
        expect!(checker, 0, aclrtDevicePeerAccessStatus(device, peer, &raw mut status), "good");
    }
    assert_eq!((status, other.read::<4>(buffer)), (1, [1, 2, 3, 4]));
    expect!(checker, 107_001, aclrtDevicePeerAccessStatus(device, -1, &raw mut status), "no such device");
    expect!(checker, 107_001, aclrtDevicePeerAccessStatus(-1, peer, &raw mut status), "no such device");
    expect!(checker, 107_000, aclrtDevicePeerAccessStatus(device, peer, null_mut()), "null");
    life.hal.set_device(peer).unwrap();
    expect!(checker, 0, aclrtIpcMemClose(key), "the export");
    assert_eq!(life.device.leaks().ipc_keys, 0);
}

fn groups(checker: &mut Checker) {
    let _life = Life::start(Chip::A2a3);
    let stream = raw_stream(checker);
    let (mut info, mut comm) = (sys::HcclRootInfo::default(), null_mut());
    expect!(checker, 2, HcclGetRootInfo(null_mut()), "null");
    expect!(checker, 1, HcclCommInitRootInfo(1, &raw const info, 0, &raw mut comm), "no root");
    expect!(checker, 0, HcclGetRootInfo(&raw mut info), "good");
    expect!(checker, 2, HcclCommInitRootInfo(1, null(), 0, &raw mut comm), "null");
    expect!(checker, 2, HcclCommInitRootInfo(1, &raw const info, 0, null_mut()), "null");
    expect!(checker, 1, HcclCommInitRootInfo(1, &raw const info, 1, &raw mut comm), "no such rank");
    expect!(checker, 1, HcclCommInitRootInfo(0, &raw const info, 0, &raw mut comm), "nobody");
    expect!(checker, 1, HcclCommInitRootInfo(2000, &raw const info, 0, &raw mut comm), "too many");
    expect!(checker, 0, HcclCommInitRootInfo(1, &raw const info, 0, &raw mut comm), "good");
    expect!(checker, 1, HcclCommInitRootInfo(1, &raw const info, 0, &raw mut comm), "once more");
    expect!(checker, 2, HcclBarrier(null_mut(), stream), "null");
    expect!(checker, 2, HcclBarrier(comm, null_mut()), "null");
    expect!(checker, 1, HcclBarrier(wild(), stream), "never was one");
    expect!(checker, 15, HcclBarrier(comm, wild()), "never was a stream");
    expect!(checker, 0, HcclBarrier(comm, stream), "good");
    expect!(checker, 0, aclrtSynchronizeStream(stream), "good");
    expect!(checker, 2, HcclCommDestroy(null_mut()), "null");
    expect!(checker, 0, HcclCommDestroy(comm), "good");
    expect!(checker, 1, HcclCommDestroy(comm), "twice");
}
