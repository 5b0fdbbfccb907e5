//! The committed declarations against those of an installed CANN, whose headers the build script has read.
//!
//! Types are compared by size, alignment and offsets, functions by the shape of each argument: names of types
//! differ between versions, and mean nothing to a call. What versions change at will (`rev`, ends of
//! enumerations) is not compared; nor is HCCL, whose headers are C++ (`spec/hal.md`, section 1.3).
#![cfg(feature = "toolkit-bindings")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is the report of a test")]

use std::ffi::c_void;
use std::mem::{align_of, offset_of, size_of};

use hal_sys::sys;

#[allow(
    non_camel_case_types,
    non_snake_case,
    non_upper_case_globals,
    dead_code,
    unreachable_pub,
    reason = "generated"
)]
#[allow(improper_ctypes_definitions, missing_debug_implementations, missing_docs, reason = "generated")]
#[allow(clippy::all, clippy::undocumented_unsafe_blocks, clippy::ptr_as_ptr, reason = "generated")]
mod toolkit {
    include!(concat!(env!("OUT_DIR"), "/toolkit.rs"));
}

/// Stands for a function that the toolkit does not declare.
struct NotDeclared;

/// What a type is to a call.
trait Shape {
    fn shape() -> String;
}

macro_rules! scalars {
    ($($type:ident)*) => { $(impl Shape for $type {
        fn shape() -> String {
            stringify!($type).to_owned()
        }
    })* };
}
scalars!(bool i8 u8 i16 u16 i32 u32 i64 u64 usize);

impl<T> Shape for *mut T {
    fn shape() -> String {
        pointer::<T>("mut")
    }
}

impl<T> Shape for *const T {
    fn shape() -> String {
        pointer::<T>("const")
    }
}

impl Shape for NotDeclared {
    fn shape() -> String {
        "not declared".to_owned()
    }
}

/// What a pointer is to counts by its size; `void` is as good as a structure that is nowhere said.
fn pointer<T>(kind: &str) -> String {
    match size_of::<T>() {
        0 | 1 => format!("*{kind}"),
        bytes => format!("*{kind} {bytes} bytes, {}-aligned", align_of::<T>()),
    }
}

macro_rules! functions {
    ($(($($argument:ident)*))*) => { $(impl<R: Shape, $($argument: Shape),*> Shape
        for unsafe extern "C" fn($($argument),*) -> R
    {
        fn shape() -> String {
            let arguments: &[String] = &[$($argument::shape()),*];
            format!("({}) -> {}", arguments.join(", "), R::shape())
        }
    })* };
}
functions!(() (A) (A B) (A B C) (A B C D) (A B C D E) (A B C D E F) (A B C D E F G));

macro_rules! differing_functions {
    ($($name:ident)*) => {
        [$((stringify!($name), <sys::$name>::shape(), <toolkit::$name>::shape())),*]
            .into_iter()
            .filter(|(_, ours, theirs)| ours != theirs)
            .map(|(name, ours, theirs)| format!("{name}\n  ours:   {ours}\n  theirs: {theirs}\n"))
            .collect::<String>()
    };
}

#[test]
fn functions_are_called_as_the_toolkit_says() {
    let differing = differing_functions!(
        rtSetDevice rtDeviceReset rtMalloc rtFree rtMemcpy rtStreamCreate rtStreamDestroy rtRegisterAllKernel
        rtDevBinaryUnRegister rtKernelLaunchWithHandleV2 rtAicpuKernelLaunchExWithArgs rtsBinaryLoadFromFile
        rtsFuncGetByName rtsLaunchCpuKernel rtsBinaryUnload rtGetC2cCtrlAddr rtGetAiCpuCount
        aclInit aclFinalize aclrtSetDevice aclrtResetDevice aclrtResetDeviceForce aclrtGetDevice aclrtMalloc aclrtFree
        aclrtMemcpy aclrtMemset aclrtCreateStream aclrtDestroyStream aclrtSynchronizeStream
        aclrtSynchronizeStreamWithTimeout aclrtSetOpExecuteTimeOutV2 aclrtGetStreamResLimit aclrtIpcMemGetExportKey
        aclrtIpcMemSetImportPid aclrtIpcMemImportByKey aclrtIpcMemClose aclrtDeviceEnablePeerAccess
        aclrtDevicePeerAccessStatus
        halHostRegister halHostUnregister halGetDeviceInfoByBuff halMemCtl halResMap halMemAlloc halMemFree
        dlog_setlevel
    );
    assert!(differing.is_empty(), "\n{differing}");
}

macro_rules! differing_layouts {
    ($($type:ident { $($field:ident)* })*) => {{
        let mut differing = String::new();
        $(
            let ours = [size_of::<sys::$type>(), align_of::<sys::$type>(), $(offset_of!(sys::$type, $field)),*];
            let theirs =
                [size_of::<toolkit::$type>(), align_of::<toolkit::$type>(), $(offset_of!(toolkit::$type, $field)),*];
            if ours != theirs {
                let fields: &[&str] = &[$(stringify!($field)),*];
                let fields = fields.join(", ");
                differing += &format!(
                    "{} (size, alignment, {fields})\n  ours:   {ours:?}\n  theirs: {theirs:?}\n",
                    stringify!($type)
                );
            }
        )*
        differing
    }};
}

#[test]
fn structures_lie_as_in_the_toolkit() {
    let differing = differing_layouts! {
        rtDevBinary_t { magic version data length }
        rtHostInputInfo_t { addrOffset dataOffset }
        rtArgsEx_t { args hostInputInfoPtr argsSize tilingAddrOffset tilingDataOffset hostInputInfoNum hasTiling
            isNoNeedH2DCopy }
        rtAicpuArgsEx_t { args hostInputInfoPtr kernelOffsetInfoPtr argsSize hostInputInfoNum kernelOffsetInfoNum
            soNameAddrOffset kernelNameAddrOffset isNoNeedH2DCopy timeout }
        rtCpuKernelArgs_t { baseArgs cpuParamHeadOffset }
        rtTaskCfgInfo_t { qos partId schemMode d2dCrossFlag blockDimOffset dumpflag neverTimeout localMemorySize }
        rtSmDesc_t {}
        rtLoadBinaryOption_t { optionId value }
        rtLoadBinaryConfig_t { options numOpt }
        rtLaunchKernelAttr_t { id value }
        rtKernelLaunchCfg_t { attrs numAttrs }
        AddrMapInPara { addr_type devid }
        AddrMapOutPara { ptr len }
        AddrUnmapInPara { addr_type devid ptr len }
        res_map_info { target_proc_type res_type res_id flag }
    };
    assert!(differing.is_empty(), "\n{differing}");
}

#[test]
fn the_comparison_tells_what_differs() {
    type Ours = unsafe extern "C" fn(i32, *mut u64) -> i32;
    type Theirs = unsafe extern "C" fn(i32, *mut u32) -> i32;
    assert_eq!(Ours::shape(), "(i32, *mut 8 bytes, 8-aligned) -> i32");
    assert_ne!(Ours::shape(), Theirs::shape());
    assert_ne!(<unsafe extern "C" fn(i32) -> i32>::shape(), Ours::shape());
    assert_ne!(<*mut c_void>::shape(), <*const c_void>::shape());
    assert_eq!(<*mut [u8; 0]>::shape(), <*mut c_void>::shape());
    assert_eq!(NotDeclared::shape(), "not declared");
}
