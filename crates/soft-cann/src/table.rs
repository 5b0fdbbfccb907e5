//! The functions as a table.

use hal_sys::RawTable;

use crate::calls::{acl::*, dlog::*, hal::*, hccl::*, ipc::*, rt::*};

macro_rules! table {
    ($($name:ident)*) => {
        RawTable { $($name: Some($name)),* }
    };
}

/// All functions of CANN that this stand-in has, for `hal_sys::Hal::from_raw_table`.
#[must_use]
pub fn raw_table() -> RawTable {
    table! {
        rtSetDevice rtDeviceReset rtMalloc rtFree rtMemcpy rtStreamCreate rtStreamDestroy rtRegisterAllKernel
        rtDevBinaryUnRegister rtKernelLaunchWithHandleV2 rtAicpuKernelLaunchExWithArgs rtsBinaryLoadFromFile
        rtsFuncGetByName rtsLaunchCpuKernel rtsBinaryUnload rtGetC2cCtrlAddr rtGetAiCpuCount
        aclInit aclFinalize aclrtSetDevice aclrtResetDevice aclrtResetDeviceForce aclrtGetDevice aclrtMalloc
        aclrtFree aclrtMemcpy aclrtMemset aclrtCreateStream aclrtDestroyStream aclrtSynchronizeStream
        aclrtSynchronizeStreamWithTimeout aclrtSetOpExecuteTimeOutV2 aclrtGetStreamResLimit
        halHostRegister halHostUnregister halGetDeviceInfoByBuff halMemCtl halResMap halMemAlloc halMemFree
        aclrtIpcMemGetExportKey aclrtIpcMemSetImportPid aclrtIpcMemImportByKey aclrtIpcMemClose
        aclrtDeviceEnablePeerAccess aclrtDevicePeerAccessStatus
        HcclGetRootInfo HcclCommInitRootInfo HcclBarrier HcclCommDestroy
        dlog_setlevel
    }
}
