//! A table whose functions write down what they were called with, per thread, and return what the test wants.
#![allow(non_snake_case, reason = "the names are those of C")]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "small numbers of the tests' own"
)]

use std::cell::{Cell, RefCell};
use std::ffi::{CStr, c_char, c_int, c_uint, c_ulong, c_void};
use std::ptr;

use hal_sys::{Hal, RawTable, sys};

thread_local! {
    static JOURNAL: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    static RESULT: Cell<i32> = const { Cell::new(0) };
    static EMPTY: Cell<bool> = const { Cell::new(false) };
}

/// What the calls of this thread return from now on.
pub(crate) fn returns(code: i32) {
    RESULT.set(code);
}

/// Whether the calls of this thread succeed without making what they should.
pub(crate) fn makes_nothing(nothing: bool) {
    EMPTY.set(nothing);
}

/// What was called since the last time.
pub(crate) fn calls() -> Vec<String> {
    JOURNAL.take()
}

fn done(line: String) -> i32 {
    JOURNAL.with_borrow_mut(|journal| journal.push(line));
    RESULT.get()
}

/// Answers through an out pointer, unless the call fails.
///
/// # Safety
/// `out` may be written.
unsafe fn answer<T>(code: i32, out: *mut T, value: T) -> i32 {
    if code == 0 && !EMPTY.get() {
        // SAFETY: the caller vouches for it.
        unsafe { out.write(value) };
    }
    code
}

fn at(address: usize) -> *mut c_void {
    ptr::without_provenance_mut(address)
}

/// # Safety
/// There are so many bytes there.
unsafe fn bytes(from: *const c_void, count: usize) -> Vec<u8> {
    // SAFETY: the caller vouches for it.
    unsafe { std::slice::from_raw_parts(from.cast::<u8>(), count) }.to_vec()
}

/// # Safety
/// A zero-terminated string starts there.
unsafe fn text(from: *const c_char) -> String {
    // SAFETY: the caller vouches for it.
    unsafe { CStr::from_ptr(from) }.to_str().unwrap().to_owned()
}

macro_rules! fakes {
    ($($name:ident($($arg:ident: $type:ty),*) -> $result:ty = $body:expr;)*) => {
        $(unsafe extern "C" fn $name($($arg: $type),*) -> $result {
            // SAFETY: what is read and written is what the C interface says may be.
            #[allow(unused_unsafe, reason = "not each of them reads or writes")]
            let code: i32 = unsafe { $body };
            code as $result
        })*

        pub(crate) fn table() -> RawTable {
            RawTable { $($name: Some($name),)* ..RawTable::default() }
        }
    };
}

fakes! {
    rtSetDevice(device: i32) -> i32 = done(format!("rtSetDevice {device}"));
    rtDeviceReset(device: i32) -> i32 = done(format!("rtDeviceReset {device}"));
    rtMalloc(out: *mut *mut c_void, size: u64, kind: u32, module: u16) -> i32 =
        answer(done(format!("rtMalloc {size} {kind} {module}")), out, at(0x1000));
    rtFree(address: *mut c_void) -> i32 = done(format!("rtFree {address:p}"));
    rtMemcpy(to: *mut c_void, max: u64, from: *const c_void, count: u64, kind: c_uint) -> i32 = {
        match kind {
            1 => done(format!("rtMemcpy {to:p} {max} {:?} {count} {kind}", bytes(from, count as usize))),
            _ => {
                to.cast::<u8>().write_bytes(7, max as usize);
                done(format!("rtMemcpy host {max} {from:p} {count} {kind}"))
            }
        }
    };
    rtStreamCreate(out: *mut *mut c_void, priority: i32) -> i32 =
        answer(done(format!("rtStreamCreate {priority}")), out, at(0x2000));
    rtStreamDestroy(stream: *mut c_void) -> i32 = done(format!("rtStreamDestroy {stream:p}"));
    rtRegisterAllKernel(binary: *const sys::rtDevBinary_t, out: *mut *mut c_void) -> i32 = {
        let binary = *binary;
        let content = bytes(binary.data, binary.length as usize);
        let line = format!("rtRegisterAllKernel {:#x} {} {content:?}", binary.magic, binary.version);
        answer(done(line), out, at(0x3000))
    };
    rtDevBinaryUnRegister(handle: *mut c_void) -> i32 = done(format!("rtDevBinaryUnRegister {handle:p}"));
    rtKernelLaunchWithHandleV2(
        handle: *mut c_void, key: u64, blocks: u32, args: *mut sys::rtArgsEx_t, sm: *mut sys::rtSmDesc_t,
        stream: *mut c_void, config: *const sys::rtTaskCfgInfo_t
    ) -> i32 = {
        let sys::rtArgsEx_t { args, argsSize, .. } = *args;
        let content = bytes(args, argsSize as usize);
        // The block is the call's own: what it writes there must not reach the caller.
        args.cast::<u8>().write_bytes(0xEE, argsSize as usize);
        let config = *config;
        done(format!(
            "rtKernelLaunchWithHandleV2 {handle:p} {key} {blocks} {content:?} aligned {} {sm:p} {stream:p} {config:?}",
            args.cast::<u64>().is_aligned()
        ))
    };
    rtAicpuKernelLaunchExWithArgs(
        kind: u32, op: *const c_char, blocks: u32, args: *const sys::rtAicpuArgsEx_t, sm: *mut sys::rtSmDesc_t,
        stream: *mut c_void, flags: u32
    ) -> i32 = {
        let mut shown = *args;
        let content = bytes(shown.args, shown.argsSize as usize);
        let kernel = text(shown.args.cast::<c_char>().add(shown.kernelNameAddrOffset as usize));
        let so = text(shown.args.cast::<c_char>().add(shown.soNameAddrOffset as usize));
        shown.args = ptr::null_mut();
        done(format!(
            "rtAicpuKernelLaunchExWithArgs {kind} {} {blocks} {} bytes {kernel} {so} {sm:p} {stream:p} {flags} {shown:?}",
            text(op), content.len()
        ))
    };
    rtsBinaryLoadFromFile(
        path: *const c_char, config: *const sys::rtLoadBinaryConfig_t, out: *mut *mut c_void
    ) -> i32 = {
        let config = *config;
        let option = *config.options;
        let line = format!(
            "rtsBinaryLoadFromFile {} {} {} {:?}",
            text(path), config.numOpt, option.optionId, option.value.rsv
        );
        answer(done(line), out, at(0x4000))
    };
    rtsFuncGetByName(binary: *mut c_void, name: *const c_char, out: *mut *mut c_void) -> i32 =
        answer(done(format!("rtsFuncGetByName {binary:p} {}", text(name))), out, at(0x5000));
    rtsLaunchCpuKernel(
        function: *mut c_void, blocks: u32, stream: *mut c_void, config: *const sys::rtKernelLaunchCfg_t,
        args: *mut sys::rtCpuKernelArgs_t
    ) -> i32 = {
        let config = *config;
        let mut shown = *args;
        let content = bytes(shown.baseArgs.args, shown.baseArgs.argsSize as usize);
        shown.baseArgs.args = ptr::null_mut();
        done(format!(
            "rtsLaunchCpuKernel {function:p} {blocks} {stream:p} {:p} {} {content:?} {shown:?}",
            config.attrs, config.numAttrs
        ))
    };
    rtsBinaryUnload(binary: *mut c_void) -> i32 = done(format!("rtsBinaryUnload {binary:p}"));
    rtGetC2cCtrlAddr(address: *mut u64, length: *mut u32) -> i32 = {
        length.write(64);
        answer(done("rtGetC2cCtrlAddr".to_owned()), address, 0x6000)
    };
    rtGetAiCpuCount(count: *mut u32) -> i32 = answer(done("rtGetAiCpuCount".to_owned()), count, 6);

    aclInit(path: *const c_char) -> i32 = done(format!("aclInit {path:p}"));
    aclFinalize() -> i32 = done("aclFinalize".to_owned());
    aclrtSetDevice(device: i32) -> i32 = done(format!("aclrtSetDevice {device}"));
    aclrtResetDevice(device: i32) -> i32 = done(format!("aclrtResetDevice {device}"));
    aclrtResetDeviceForce(device: i32) -> i32 = done(format!("aclrtResetDeviceForce {device}"));
    aclrtGetDevice(out: *mut i32) -> i32 = answer(done("aclrtGetDevice".to_owned()), out, 5);
    aclrtMalloc(out: *mut *mut c_void, size: usize, policy: c_uint) -> i32 =
        answer(done(format!("aclrtMalloc {size} {policy}")), out, at(0x7000));
    aclrtFree(address: *mut c_void) -> i32 = done(format!("aclrtFree {address:p}"));
    aclrtMemcpy(to: *mut c_void, max: usize, from: *const c_void, count: usize, kind: c_uint) -> i32 =
        done(format!("aclrtMemcpy {to:p} {max} {:?} {count} {kind}", bytes(from, count)));
    aclrtMemset(address: *mut c_void, max: usize, value: i32, count: usize) -> i32 =
        done(format!("aclrtMemset {address:p} {max} {value} {count}"));
    aclrtCreateStream(out: *mut *mut c_void) -> i32 =
        answer(done("aclrtCreateStream".to_owned()), out, at(0x8000));
    aclrtDestroyStream(stream: *mut c_void) -> i32 = done(format!("aclrtDestroyStream {stream:p}"));
    aclrtSynchronizeStream(stream: *mut c_void) -> i32 = done(format!("aclrtSynchronizeStream {stream:p}"));
    aclrtSynchronizeStreamWithTimeout(stream: *mut c_void, limit: i32) -> i32 =
        done(format!("aclrtSynchronizeStreamWithTimeout {stream:p} {limit}"));
    aclrtSetOpExecuteTimeOutV2(limit: u64, actual: *mut u64) -> i32 =
        answer(done(format!("aclrtSetOpExecuteTimeOutV2 {limit}")), actual, 1_048_576);
    aclrtGetStreamResLimit(stream: *mut c_void, kind: c_uint, value: *mut u32) -> i32 =
        answer(done(format!("aclrtGetStreamResLimit {stream:p} {kind}")), value, 24);
    aclrtIpcMemGetExportKey(
        address: *mut c_void, size: usize, key: *mut c_char, length: usize, flags: u64
    ) -> i32 = {
        key.cast::<u8>().write_bytes(b'k', length);
        done(format!("aclrtIpcMemGetExportKey {address:p} {size} {length} {flags}"))
    };
    aclrtIpcMemSetImportPid(key: *const c_char, pids: *mut i32, count: usize) -> i32 = {
        let pids = std::slice::from_raw_parts(pids, count);
        done(format!("aclrtIpcMemSetImportPid {} {pids:?}", text(key)))
    };
    aclrtIpcMemImportByKey(out: *mut *mut c_void, key: *const c_char, flags: u64) -> i32 =
        answer(done(format!("aclrtIpcMemImportByKey {} {flags}", text(key))), out, at(0x9000));
    aclrtIpcMemClose(key: *const c_char) -> i32 = done(format!("aclrtIpcMemClose {}", text(key)));
    aclrtDeviceEnablePeerAccess(peer: i32, flags: u32) -> i32 =
        done(format!("aclrtDeviceEnablePeerAccess {peer} {flags}"));
    aclrtDevicePeerAccessStatus(device: i32, peer: i32, status: *mut i32) -> i32 =
        answer(done(format!("aclrtDevicePeerAccessStatus {device} {peer}")), status, 1);

    halHostRegister(
        source: *mut c_void, size: u64, flag: c_uint, device: c_uint, out: *mut *mut c_void
    ) -> c_uint =
        answer(done(format!("halHostRegister {source:p} {size} {flag} {device}")), out, at(0xA000));
    halHostUnregister(source: *mut c_void, device: c_uint) -> c_uint =
        done(format!("halHostUnregister {source:p} {device}"));
    halGetDeviceInfoByBuff(device: u32, module: i32, info: i32, buffer: *mut c_void, size: *mut i32) -> c_uint = {
        let line = format!("halGetDeviceInfoByBuff {device} {module} {info} {}", *size);
        answer(done(line), buffer.cast::<[u64; 2]>(), [0x1FF_FFFF, 0])
    };
    halMemCtl(
        kind: c_int, input: *mut c_void, size: usize, output: *mut c_void, out_size: *mut usize
    ) -> c_uint = {
        let input = *input.cast::<sys::AddrMapInPara>();
        let line = format!("halMemCtl {kind} {input:?} {size} {out_size:p}");
        answer(done(line), output.cast(), sys::AddrMapOutPara { ptr: 0xB000, len: 0x800_0000 })
    };
    halResMap(device: c_uint, info: *mut sys::res_map_info, address: *mut c_ulong, length: *mut c_uint) -> c_uint =
        answer(done(format!("halResMap {device} {:?} {:#x}", *info, *length)), address, 0xC000);

    HcclGetRootInfo(info: *mut sys::HcclRootInfo) -> c_uint = {
        (*info).internal[4107] = 3;
        done("HcclGetRootInfo".to_owned())
    };
    HcclCommInitRootInfo(ranks: u32, info: *const sys::HcclRootInfo, rank: u32, out: *mut *mut c_void) -> c_uint =
        answer(done(format!("HcclCommInitRootInfo {ranks} {} {rank}", (*info).internal[4107])), out, at(0xD000));
    HcclBarrier(comm: *mut c_void, stream: *mut c_void) -> c_uint =
        done(format!("HcclBarrier {comm:p} {stream:p}"));
    HcclCommDestroy(comm: *mut c_void) -> c_uint = done(format!("HcclCommDestroy {comm:p}"));

    dlog_setlevel(module: i32, level: i32, event: i32) -> i32 =
        done(format!("dlog_setlevel {module} {level} {event}"));
}

/// A fresh start for this thread, which may have run another test before.
pub(crate) fn hal() -> Hal {
    returns(0);
    makes_nothing(false);
    calls();
    // SAFETY: the functions do what those of their names do, as far as host memory is concerned.
    unsafe { Hal::from_raw_table(table()) }
}
