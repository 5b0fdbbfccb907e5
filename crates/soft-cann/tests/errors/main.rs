//! Every function and every error that spec/hal.md, section 5.2, names.
#![allow(missing_docs, reason = "tests")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is the report of a test")]
#![allow(clippy::undocumented_unsafe_blocks, reason = "calls of C functions with pointers to locals or null")]

#[path = "../common/mod.rs"]
mod common;

use std::collections::BTreeSet;
use std::ffi::c_void;
use std::ptr::{null, null_mut};

use hal_sys::{FUNCTIONS, RawTable};

/// Calls functions of the table and compares what they return.
struct Checker {
    table: RawTable,
    failed: BTreeSet<&'static str>,
}

macro_rules! returns {
    ($checker:ident, $code:expr, $name:ident($($arg:expr),* $(,)?), $why:expr) => {{
        let function = $checker.table.$name.expect("the table is full");
        let code = i64::from(unsafe { function($($arg),*) });
        assert_eq!(code, $code, "{}: {}", stringify!($name), $why);
        if code != 0 {
            $checker.failed.insert(stringify!($name));
        }
    }};
}

mod driver;
mod launches;
mod memory;
mod sharing;

fn checker() -> Checker {
    Checker { table: soft_cann::raw_table(), failed: BTreeSet::new() }
}

/// An address that is nobody's memory.
fn wild() -> *mut c_void {
    std::ptr::without_provenance_mut(0x1230)
}

/// A device address as C has it.
fn pointer(address: u64) -> *mut c_void {
    std::ptr::with_exposed_provenance_mut(usize::try_from(address).unwrap())
}

fn raw_stream(checker: &mut Checker) -> *mut c_void {
    let mut stream = null_mut();
    returns!(checker, 0, rtStreamCreate(&raw mut stream, 0), "a stream");
    stream
}

#[test]
fn every_function_checks_what_it_is_given() {
    let mut checker = checker();
    without_a_context(&mut checker);
    memory::devices(&mut checker);
    memory::memory(&mut checker);
    memory::streams(&mut checker);
    launches::aicore_launches(&mut checker);
    launches::built_in_launches(&mut checker);
    launches::json_binaries(&mut checker);
    launches::cpu_launches(&mut checker);
    memory::settings(&mut checker);
    driver::driver(&mut checker);
    driver::driver_of_a5(&mut checker);
    sharing::sharing(&mut checker);
    sharing::groups(&mut checker);
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
            returns!(checker, 107_002, rtMalloc(&raw mut out, 64, 2, 0), "not attached");
            returns!(checker, 107_002, aclrtMalloc(&raw mut out, 64, 0), "not attached");
            returns!(checker, 107_002, rtMemcpy(wild(), 8, words.as_ptr().cast(), 8, 1), "not attached");
            returns!(checker, 107_002, aclrtMemcpy(wild(), 8, words.as_ptr().cast(), 8, 1), "not attached");
            returns!(checker, 107_002, aclrtMemset(wild(), 8, 0, 8), "not attached");
            returns!(checker, 107_002, rtStreamCreate(&raw mut out, 0), "not attached");
            returns!(checker, 107_002, aclrtCreateStream(&raw mut out), "not attached");
            returns!(checker, 107_002, rtStreamDestroy(wild()), "not attached");
            returns!(checker, 107_002, aclrtSynchronizeStream(wild()), "not attached");
            returns!(checker, 107_002, aclrtSynchronizeStreamWithTimeout(wild(), 5), "not attached");
            returns!(checker, 107_002, aclrtSetOpExecuteTimeOutV2(1, &raw mut wide), "not attached");
            returns!(checker, 107_002, aclrtGetStreamResLimit(wild(), 0, &raw mut number), "not attached");
            returns!(checker, 107_002, rtsFuncGetByName(wild(), c"f".as_ptr(), &raw mut out), "not attached");
            returns!(
                checker,
                107_002,
                rtsLaunchCpuKernel(wild(), 1, wild(), null(), null_mut()),
                "not attached"
            );
            returns!(checker, 107_002, rtGetC2cCtrlAddr(&raw mut wide, &raw mut number), "not attached");
            let launch = (wild(), null_mut(), null_mut());
            returns!(
                checker,
                107_002,
                rtKernelLaunchWithHandleV2(launch.0, 0, 1, launch.1, launch.2, wild(), null()),
                "not attached"
            );
            let name = c"op".as_ptr();
            returns!(
                checker,
                107_002,
                rtAicpuKernelLaunchExWithArgs(5, name, 1, null(), null_mut(), wild(), 0),
                "not attached"
            );
            let mut id = 0;
            returns!(checker, 107_002, aclrtGetDevice(&raw mut id), "not attached");
            returns!(checker, 107_002, aclrtIpcMemGetExportKey(wild(), 8, null_mut(), 65, 0), "not attached");
            returns!(
                checker,
                107_002,
                aclrtIpcMemImportByKey(&raw mut out, c"k".as_ptr(), 0),
                "not attached"
            );
            returns!(checker, 107_002, aclrtDeviceEnablePeerAccess(0, 0), "not attached");
            returns!(checker, 15, HcclGetRootInfo(null_mut()), "not attached");
            returns!(checker, 15, HcclBarrier(wild(), wild()), "not attached");
        });
    });
}
