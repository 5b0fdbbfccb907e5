pub const RT_MEMORY_DEFAULT: u32 = 0;
pub const RT_MEMORY_HBM: u32 = 2;
pub const RT_MEMORY_DDR: u32 = 4;
pub const RT_DEV_BINARY_MAGIC_ELF: u32 = 1129660997;
pub const RT_DEV_BINARY_MAGIC_ELF_AICPU: u32 = 1094799939;
pub const RT_DEV_BINARY_MAGIC_ELF_AIVEC: u32 = 1094799942;
pub const RT_DEV_BINARY_MAGIC_ELF_AICUBE: u32 = 1095320387;
pub const RT_DEV_BINARY_MAGIC_PLAIN: u32 = 2882465104;
pub const RT_SCHEM_MODE_NORMAL: u32 = 0;
pub const RT_SCHEM_MODE_BATCH: u32 = 1;
pub const RT_KERNEL_TYPE_CCE: u32 = 0;
pub const RT_KERNEL_TYPE_FWK: u32 = 1;
pub const RT_KERNEL_TYPE_AICPU: u32 = 2;
pub const RT_KERNEL_TYPE_AICPU_CUSTOM: u32 = 4;
pub const RT_KERNEL_TYPE_AICPU_KFC: u32 = 5;
pub const RT_KERNEL_TYPE_CUSTOM_KFC: u32 = 6;
pub const ACL_IPC_KEY_LENGTH: u32 = 65;
pub const ACL_IPC_EXPORT_DISABLE_PID_VALIDATION: u32 = 1;
pub const ACL_IPC_IMPORT_ENABLE_PEER_ACCESS: u32 = 1;
pub const ACL_PEER_ACCESS_ENABLED: u32 = 1;
pub const CTRL_TYPE_ADDR_MAP: u32 = 0;
pub const CTRL_TYPE_ADDR_UNMAP: u32 = 1;
pub const CTRL_TYPE_SUPPORT_FEATURE: u32 = 2;
pub const ADDR_MAP_TYPE_L2_BUFF: u32 = 0;
pub const ADDR_MAP_TYPE_REG_C2C_CTRL: u32 = 1;
pub const ADDR_MAP_TYPE_REG_AIC_CTRL: u32 = 2;
pub const ADDR_MAP_TYPE_REG_AIC_PMU_CTRL: u32 = 3;
pub const HOST_MEM_MAP_DEV: u32 = 0;
pub const HOST_SVM_MAP_DEV: u32 = 1;
pub const DEV_SVM_MAP_HOST: u32 = 2;
pub const HOST_MEM_MAP_DEV_PCIE_TH: u32 = 3;
pub const DEV_MEM_MAP_HOST: u32 = 4;
pub const HOST_MEM_MAP_DMA: u32 = 5;
pub const MODULE_TYPE_SYSTEM: u32 = 0;
pub const MODULE_TYPE_AICPU: u32 = 1;
pub const MODULE_TYPE_AICORE: u32 = 4;
pub const MODULE_TYPE_VECTOR_CORE: u32 = 7;
pub const INFO_TYPE_VERSION: u32 = 1;
pub const INFO_TYPE_CORE_NUM: u32 = 3;
pub const INFO_TYPE_OCCUPY: u32 = 8;
pub const INFO_TYPE_PHY_CHIP_ID: u32 = 18;
pub const INFO_TYPE_PHY_DIE_ID: u32 = 19;
pub const HCCL_ROOT_INFO_BYTES: u32 = 4108;
pub const DLOG_DEBUG: u32 = 0;
pub const DLOG_INFO: u32 = 1;
pub const DLOG_WARN: u32 = 2;
pub const DLOG_ERROR: u32 = 3;
pub const DLOG_NULL: u32 = 4;
pub type rtError_t = i32;
pub type rtStream_t = *mut ::core::ffi::c_void;
pub type rtBinHandle = *mut ::core::ffi::c_void;
pub type rtFuncHandle = *mut ::core::ffi::c_void;
pub type rtMemType_t = u32;
pub type char_t = ::core::ffi::c_char;
pub const RT_MEMCPY_HOST_TO_HOST: rtMemcpyKind_t = 0;
pub const RT_MEMCPY_HOST_TO_DEVICE: rtMemcpyKind_t = 1;
pub const RT_MEMCPY_DEVICE_TO_HOST: rtMemcpyKind_t = 2;
pub const RT_MEMCPY_DEVICE_TO_DEVICE: rtMemcpyKind_t = 3;
pub const RT_MEMCPY_MANAGED: rtMemcpyKind_t = 4;
pub type rtMemcpyKind_t = ::core::ffi::c_uint;
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct rtDevBinary_t {
    pub magic: u32,
    pub version: u32,
    pub data: *const ::core::ffi::c_void,
    pub length: u64,
}
impl Default for rtDevBinary_t {
    fn default() -> Self {
        let mut s = ::core::mem::MaybeUninit::<Self>::uninit();
        unsafe {
            ::core::ptr::write_bytes(s.as_mut_ptr(), 0, 1);
            s.assume_init()
        }
    }
}
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct rtHostInputInfo_t {
    pub addrOffset: u32,
    pub dataOffset: u32,
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct rtArgsEx_t {
    pub args: *mut ::core::ffi::c_void,
    pub hostInputInfoPtr: *mut rtHostInputInfo_t,
    pub argsSize: u32,
    pub tilingAddrOffset: u32,
    pub tilingDataOffset: u32,
    pub hostInputInfoNum: u16,
    pub hasTiling: u8,
    pub isNoNeedH2DCopy: u8,
    pub reserved: [u8; 4usize],
}
impl Default for rtArgsEx_t {
    fn default() -> Self {
        let mut s = ::core::mem::MaybeUninit::<Self>::uninit();
        unsafe {
            ::core::ptr::write_bytes(s.as_mut_ptr(), 0, 1);
            s.assume_init()
        }
    }
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct rtAicpuArgsEx_t {
    pub args: *mut ::core::ffi::c_void,
    pub hostInputInfoPtr: *mut rtHostInputInfo_t,
    pub kernelOffsetInfoPtr: *mut rtHostInputInfo_t,
    pub argsSize: u32,
    pub hostInputInfoNum: u16,
    pub kernelOffsetInfoNum: u16,
    pub soNameAddrOffset: u32,
    pub kernelNameAddrOffset: u32,
    pub isNoNeedH2DCopy: bool,
    pub timeout: u16,
    pub reserved: u8,
}
impl Default for rtAicpuArgsEx_t {
    fn default() -> Self {
        let mut s = ::core::mem::MaybeUninit::<Self>::uninit();
        unsafe {
            ::core::ptr::write_bytes(s.as_mut_ptr(), 0, 1);
            s.assume_init()
        }
    }
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct rtCpuKernelArgs_t {
    pub baseArgs: rtAicpuArgsEx_t,
    pub cpuParamHeadOffset: usize,
    pub rsv: [u32; 4usize],
}
impl Default for rtCpuKernelArgs_t {
    fn default() -> Self {
        let mut s = ::core::mem::MaybeUninit::<Self>::uninit();
        unsafe {
            ::core::ptr::write_bytes(s.as_mut_ptr(), 0, 1);
            s.assume_init()
        }
    }
}
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct rtTaskCfgInfo_t {
    pub qos: u8,
    pub partId: u8,
    pub schemMode: u8,
    pub d2dCrossFlag: bool,
    pub blockDimOffset: u32,
    pub dumpflag: u8,
    pub neverTimeout: u8,
    pub rev: [u8; 2usize],
    pub localMemorySize: u32,
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct rtSmDesc_t {
    pub content: [u64; 34usize],
}
impl Default for rtSmDesc_t {
    fn default() -> Self {
        let mut s = ::core::mem::MaybeUninit::<Self>::uninit();
        unsafe {
            ::core::ptr::write_bytes(s.as_mut_ptr(), 0, 1);
            s.assume_init()
        }
    }
}
pub const RT_LOAD_BINARY_OPT_LAZY_LOAD: rtLoadBinaryOption = 1;
pub const RT_LOAD_BINARY_OPT_MAGIC: rtLoadBinaryOption = 2;
pub const RT_LOAD_BINARY_OPT_CPU_KERNEL_MODE: rtLoadBinaryOption = 3;
pub type rtLoadBinaryOption = ::core::ffi::c_uint;
#[repr(C)]
#[derive(Copy, Clone)]
pub union rtLoadBinaryOptionValue_t {
    pub isLazyLoad: u32,
    pub magic: u32,
    pub cpuKernelMode: i32,
    pub rsv: [u32; 4usize],
}
impl Default for rtLoadBinaryOptionValue_t {
    fn default() -> Self {
        let mut s = ::core::mem::MaybeUninit::<Self>::uninit();
        unsafe {
            ::core::ptr::write_bytes(s.as_mut_ptr(), 0, 1);
            s.assume_init()
        }
    }
}
impl ::core::fmt::Debug for rtLoadBinaryOptionValue_t {
    fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
        write!(f, "rtLoadBinaryOptionValue_t {{ union }}")
    }
}
#[repr(C)]
#[derive(Copy, Clone)]
pub struct rtLoadBinaryOption_t {
    pub optionId: rtLoadBinaryOption,
    pub value: rtLoadBinaryOptionValue_t,
}
impl Default for rtLoadBinaryOption_t {
    fn default() -> Self {
        let mut s = ::core::mem::MaybeUninit::<Self>::uninit();
        unsafe {
            ::core::ptr::write_bytes(s.as_mut_ptr(), 0, 1);
            s.assume_init()
        }
    }
}
impl ::core::fmt::Debug for rtLoadBinaryOption_t {
    fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
        write!(
            f,
            "rtLoadBinaryOption_t {{ optionId: {:?}, value: {:?} }}",
            self.optionId,
            self.value,
        )
    }
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct rtLoadBinaryConfig_t {
    pub options: *mut rtLoadBinaryOption_t,
    pub numOpt: usize,
}
impl Default for rtLoadBinaryConfig_t {
    fn default() -> Self {
        let mut s = ::core::mem::MaybeUninit::<Self>::uninit();
        unsafe {
            ::core::ptr::write_bytes(s.as_mut_ptr(), 0, 1);
            s.assume_init()
        }
    }
}
pub const RT_LAUNCH_KERNEL_ATTR_SCHEM_MODE: rtLaunchKernelAttrId = 1;
pub const RT_LAUNCH_KERNEL_ATTR_DYN_UBUF_SIZE: rtLaunchKernelAttrId = 2;
pub const RT_LAUNCH_KERNEL_ATTR_ENGINE_TYPE: rtLaunchKernelAttrId = 3;
pub const RT_LAUNCH_KERNEL_ATTR_BLOCKDIM_OFFSET: rtLaunchKernelAttrId = 4;
pub const RT_LAUNCH_KERNEL_ATTR_BLOCK_TASK_PREFETCH: rtLaunchKernelAttrId = 5;
pub const RT_LAUNCH_KERNEL_ATTR_DATA_DUMP: rtLaunchKernelAttrId = 6;
pub const RT_LAUNCH_KERNEL_ATTR_TIMEOUT: rtLaunchKernelAttrId = 7;
pub const RT_LAUNCH_KERNEL_ATTR_TIMEOUT_US: rtLaunchKernelAttrId = 8;
pub type rtLaunchKernelAttrId = ::core::ffi::c_uint;
#[repr(C)]
#[derive(Copy, Clone)]
pub union rtLaunchKernelAttrVal_t {
    pub schemMode: u8,
    pub blockDimOffset: u32,
    pub timeout: u16,
    pub rsv: [u32; 4usize],
}
impl Default for rtLaunchKernelAttrVal_t {
    fn default() -> Self {
        let mut s = ::core::mem::MaybeUninit::<Self>::uninit();
        unsafe {
            ::core::ptr::write_bytes(s.as_mut_ptr(), 0, 1);
            s.assume_init()
        }
    }
}
impl ::core::fmt::Debug for rtLaunchKernelAttrVal_t {
    fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
        write!(f, "rtLaunchKernelAttrVal_t {{ union }}")
    }
}
#[repr(C)]
#[derive(Copy, Clone)]
pub struct rtLaunchKernelAttr_t {
    pub id: rtLaunchKernelAttrId,
    pub value: rtLaunchKernelAttrVal_t,
}
impl Default for rtLaunchKernelAttr_t {
    fn default() -> Self {
        let mut s = ::core::mem::MaybeUninit::<Self>::uninit();
        unsafe {
            ::core::ptr::write_bytes(s.as_mut_ptr(), 0, 1);
            s.assume_init()
        }
    }
}
impl ::core::fmt::Debug for rtLaunchKernelAttr_t {
    fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
        write!(
            f,
            "rtLaunchKernelAttr_t {{ id: {:?}, value: {:?} }}",
            self.id,
            self.value,
        )
    }
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct rtKernelLaunchCfg_t {
    pub attrs: *mut rtLaunchKernelAttr_t,
    pub numAttrs: usize,
}
impl Default for rtKernelLaunchCfg_t {
    fn default() -> Self {
        let mut s = ::core::mem::MaybeUninit::<Self>::uninit();
        unsafe {
            ::core::ptr::write_bytes(s.as_mut_ptr(), 0, 1);
            s.assume_init()
        }
    }
}
pub type rtSetDevice = unsafe extern "C" fn(device: i32) -> rtError_t;
pub type rtDeviceReset = unsafe extern "C" fn(device: i32) -> rtError_t;
pub type rtMalloc = unsafe extern "C" fn(
    address: *mut *mut ::core::ffi::c_void,
    size: u64,
    type_: rtMemType_t,
    moduleId: u16,
) -> rtError_t;
pub type rtFree = unsafe extern "C" fn(address: *mut ::core::ffi::c_void) -> rtError_t;
pub type rtMemcpy = unsafe extern "C" fn(
    dst: *mut ::core::ffi::c_void,
    destMax: u64,
    src: *const ::core::ffi::c_void,
    count: u64,
    kind: rtMemcpyKind_t,
) -> rtError_t;
pub type rtStreamCreate = unsafe extern "C" fn(stream: *mut rtStream_t, priority: i32) -> rtError_t;
pub type rtStreamDestroy = unsafe extern "C" fn(stream: rtStream_t) -> rtError_t;
pub type rtRegisterAllKernel = unsafe extern "C" fn(
    binary: *const rtDevBinary_t,
    handle: *mut *mut ::core::ffi::c_void,
) -> rtError_t;
pub type rtDevBinaryUnRegister = unsafe extern "C" fn(handle: *mut ::core::ffi::c_void) -> rtError_t;
pub type rtKernelLaunchWithHandleV2 = unsafe extern "C" fn(
    handle: *mut ::core::ffi::c_void,
    tilingKey: u64,
    numBlocks: u32,
    args: *mut rtArgsEx_t,
    sm: *mut rtSmDesc_t,
    stream: rtStream_t,
    config: *const rtTaskCfgInfo_t,
) -> rtError_t;
pub type rtAicpuKernelLaunchExWithArgs = unsafe extern "C" fn(
    kernelType: u32,
    opName: *const char_t,
    numBlocks: u32,
    args: *const rtAicpuArgsEx_t,
    sm: *mut rtSmDesc_t,
    stream: rtStream_t,
    flags: u32,
) -> rtError_t;
pub type rtsBinaryLoadFromFile = unsafe extern "C" fn(
    path: *const char_t,
    config: *const rtLoadBinaryConfig_t,
    handle: *mut rtBinHandle,
) -> rtError_t;
pub type rtsFuncGetByName = unsafe extern "C" fn(
    binary: rtBinHandle,
    name: *const char_t,
    function: *mut rtFuncHandle,
) -> rtError_t;
pub type rtsLaunchCpuKernel = unsafe extern "C" fn(
    function: rtFuncHandle,
    numBlocks: u32,
    stream: rtStream_t,
    config: *const rtKernelLaunchCfg_t,
    args: *mut rtCpuKernelArgs_t,
) -> rtError_t;
pub type rtsBinaryUnload = unsafe extern "C" fn(binary: rtBinHandle) -> rtError_t;
pub type rtGetC2cCtrlAddr = unsafe extern "C" fn(address: *mut u64, length: *mut u32) -> rtError_t;
pub type rtGetAiCpuCount = unsafe extern "C" fn(count: *mut u32) -> rtError_t;
pub type aclError = i32;
pub type aclrtStream = *mut ::core::ffi::c_void;
pub const ACL_MEM_MALLOC_HUGE_FIRST: aclrtMemMallocPolicy = 0;
pub const ACL_MEM_MALLOC_HUGE_ONLY: aclrtMemMallocPolicy = 1;
pub const ACL_MEM_MALLOC_NORMAL_ONLY: aclrtMemMallocPolicy = 2;
pub const ACL_MEM_MALLOC_HUGE_FIRST_P2P: aclrtMemMallocPolicy = 3;
pub type aclrtMemMallocPolicy = ::core::ffi::c_uint;
pub const ACL_MEMCPY_HOST_TO_HOST: aclrtMemcpyKind = 0;
pub const ACL_MEMCPY_HOST_TO_DEVICE: aclrtMemcpyKind = 1;
pub const ACL_MEMCPY_DEVICE_TO_HOST: aclrtMemcpyKind = 2;
pub const ACL_MEMCPY_DEVICE_TO_DEVICE: aclrtMemcpyKind = 3;
pub const ACL_MEMCPY_DEFAULT: aclrtMemcpyKind = 4;
pub type aclrtMemcpyKind = ::core::ffi::c_uint;
pub const ACL_RT_DEV_RES_CUBE_CORE: aclrtDevResLimitType = 0;
pub const ACL_RT_DEV_RES_VECTOR_CORE: aclrtDevResLimitType = 1;
pub type aclrtDevResLimitType = ::core::ffi::c_uint;
pub type aclInit = unsafe extern "C" fn(configPath: *const ::core::ffi::c_char) -> aclError;
pub type aclFinalize = unsafe extern "C" fn() -> aclError;
pub type aclrtSetDevice = unsafe extern "C" fn(device: i32) -> aclError;
pub type aclrtResetDevice = unsafe extern "C" fn(device: i32) -> aclError;
pub type aclrtResetDeviceForce = unsafe extern "C" fn(device: i32) -> aclError;
pub type aclrtGetDevice = unsafe extern "C" fn(device: *mut i32) -> aclError;
pub type aclrtMalloc = unsafe extern "C" fn(
    address: *mut *mut ::core::ffi::c_void,
    size: usize,
    policy: aclrtMemMallocPolicy,
) -> aclError;
pub type aclrtFree = unsafe extern "C" fn(address: *mut ::core::ffi::c_void) -> aclError;
pub type aclrtMemcpy = unsafe extern "C" fn(
    dst: *mut ::core::ffi::c_void,
    destMax: usize,
    src: *const ::core::ffi::c_void,
    count: usize,
    kind: aclrtMemcpyKind,
) -> aclError;
pub type aclrtMemset = unsafe extern "C" fn(
    address: *mut ::core::ffi::c_void,
    maxCount: usize,
    value: i32,
    count: usize,
) -> aclError;
pub type aclrtCreateStream = unsafe extern "C" fn(stream: *mut aclrtStream) -> aclError;
pub type aclrtDestroyStream = unsafe extern "C" fn(stream: aclrtStream) -> aclError;
pub type aclrtSynchronizeStream = unsafe extern "C" fn(stream: aclrtStream) -> aclError;
pub type aclrtSynchronizeStreamWithTimeout = unsafe extern "C" fn(
    stream: aclrtStream,
    milliseconds: i32,
) -> aclError;
pub type aclrtSetOpExecuteTimeOutV2 = unsafe extern "C" fn(microseconds: u64, actual: *mut u64) -> aclError;
pub type aclrtGetStreamResLimit = unsafe extern "C" fn(
    stream: aclrtStream,
    type_: aclrtDevResLimitType,
    value: *mut u32,
) -> aclError;
pub type aclrtIpcMemGetExportKey = unsafe extern "C" fn(
    address: *mut ::core::ffi::c_void,
    size: usize,
    key: *mut ::core::ffi::c_char,
    length: usize,
    flags: u64,
) -> aclError;
pub type aclrtIpcMemSetImportPid = unsafe extern "C" fn(
    key: *const ::core::ffi::c_char,
    pids: *mut i32,
    count: usize,
) -> aclError;
pub type aclrtIpcMemImportByKey = unsafe extern "C" fn(
    address: *mut *mut ::core::ffi::c_void,
    key: *const ::core::ffi::c_char,
    flags: u64,
) -> aclError;
pub type aclrtIpcMemClose = unsafe extern "C" fn(key: *const ::core::ffi::c_char) -> aclError;
pub type aclrtDeviceEnablePeerAccess = unsafe extern "C" fn(peer: i32, flags: u32) -> aclError;
pub type aclrtDevicePeerAccessStatus = unsafe extern "C" fn(
    device: i32,
    peer: i32,
    status: *mut i32,
) -> aclError;
pub type UINT64 = ::core::ffi::c_ulonglong;
pub type UINT32 = ::core::ffi::c_uint;
pub const DRV_ERROR_NONE: drvError_t = 0;
pub const DRV_ERROR_NO_DEVICE: drvError_t = 1;
pub const DRV_ERROR_INVALID_DEVICE: drvError_t = 2;
pub const DRV_ERROR_INVALID_VALUE: drvError_t = 3;
pub const DRV_ERROR_INVALID_HANDLE: drvError_t = 4;
pub const DRV_ERROR_OUT_OF_MEMORY: drvError_t = 6;
pub const DRV_ERROR_INNER_ERR: drvError_t = 7;
pub const DRV_ERROR_PARA_ERROR: drvError_t = 8;
pub const DRV_ERROR_NOT_EXIST: drvError_t = 11;
pub const DRV_ERROR_REPEATED_USERD: drvError_t = 12;
pub const DRV_ERROR_BUSY: drvError_t = 13;
pub const DRV_ERROR_NO_RESOURCES: drvError_t = 14;
pub const DRV_ERROR_WAIT_TIMEOUT: drvError_t = 16;
pub const DRV_ERROR_IOCRL_FAIL: drvError_t = 17;
pub const DRV_ERROR_OPER_NOT_PERMITTED: drvError_t = 46;
pub const DRV_ERROR_NOT_SUPPORT: drvError_t = 65534;
pub type drvError_t = ::core::ffi::c_uint;
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct AddrMapInPara {
    pub addr_type: ::core::ffi::c_uint,
    pub devid: ::core::ffi::c_uint,
}
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct AddrMapOutPara {
    pub ptr: ::core::ffi::c_ulonglong,
    pub len: ::core::ffi::c_ulonglong,
}
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct AddrUnmapInPara {
    pub addr_type: ::core::ffi::c_uint,
    pub devid: ::core::ffi::c_uint,
    pub ptr: ::core::ffi::c_ulonglong,
    pub len: ::core::ffi::c_ulonglong,
}
pub const PROCESS_CP1: processType_t = 0;
pub const PROCESS_CP2: processType_t = 1;
pub const PROCESS_DEV_ONLY: processType_t = 2;
pub const PROCESS_QS: processType_t = 3;
pub const PROCESS_HCCP: processType_t = 4;
pub const PROCESS_USER: processType_t = 5;
pub type processType_t = ::core::ffi::c_uint;
pub const RES_AICORE: res_map_type = 0;
pub const RES_HSCB_AICORE: res_map_type = 1;
pub const RES_L2BUFF: res_map_type = 2;
pub const RES_C2C: res_map_type = 3;
pub type res_map_type = ::core::ffi::c_uint;
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct res_map_info {
    pub target_proc_type: processType_t,
    pub res_type: res_map_type,
    pub res_id: ::core::ffi::c_uint,
    pub flag: ::core::ffi::c_uint,
    pub rsv: [::core::ffi::c_uint; 1usize],
}
impl Default for res_map_info {
    fn default() -> Self {
        let mut s = ::core::mem::MaybeUninit::<Self>::uninit();
        unsafe {
            ::core::ptr::write_bytes(s.as_mut_ptr(), 0, 1);
            s.assume_init()
        }
    }
}
pub type halHostRegister = unsafe extern "C" fn(
    src: *mut ::core::ffi::c_void,
    size: UINT64,
    flag: UINT32,
    device: UINT32,
    dst: *mut *mut ::core::ffi::c_void,
) -> drvError_t;
pub type halHostUnregister = unsafe extern "C" fn(
    src: *mut ::core::ffi::c_void,
    device: UINT32,
) -> drvError_t;
pub type halGetDeviceInfoByBuff = unsafe extern "C" fn(
    device: u32,
    moduleType: i32,
    infoType: i32,
    buffer: *mut ::core::ffi::c_void,
    size: *mut i32,
) -> drvError_t;
pub type halMemCtl = unsafe extern "C" fn(
    type_: ::core::ffi::c_int,
    in_: *mut ::core::ffi::c_void,
    inSize: usize,
    out: *mut ::core::ffi::c_void,
    outSize: *mut usize,
) -> drvError_t;
pub type halResMap = unsafe extern "C" fn(
    device: ::core::ffi::c_uint,
    info: *mut res_map_info,
    address: *mut ::core::ffi::c_ulong,
    length: *mut ::core::ffi::c_uint,
) -> drvError_t;
pub type halMemAlloc = unsafe extern "C" fn(
    address: *mut *mut ::core::ffi::c_void,
    size: ::core::ffi::c_ulonglong,
    flag: ::core::ffi::c_ulonglong,
) -> drvError_t;
pub type halMemFree = unsafe extern "C" fn(address: *mut ::core::ffi::c_void) -> drvError_t;
pub const HCCL_SUCCESS: HcclResult = 0;
pub const HCCL_E_PARA: HcclResult = 1;
pub const HCCL_E_PTR: HcclResult = 2;
pub const HCCL_E_MEMORY: HcclResult = 3;
pub const HCCL_E_INTERNAL: HcclResult = 4;
pub const HCCL_E_NOT_SUPPORT: HcclResult = 5;
pub const HCCL_E_NOT_FOUND: HcclResult = 6;
pub const HCCL_E_UNAVAIL: HcclResult = 7;
pub const HCCL_E_SYSCALL: HcclResult = 8;
pub const HCCL_E_TIMEOUT: HcclResult = 9;
pub const HCCL_E_RUNTIME: HcclResult = 15;
pub const HCCL_E_DRV: HcclResult = 16;
pub const HCCL_E_AGAIN: HcclResult = 20;
pub const HCCL_E_REMOTE: HcclResult = 21;
pub const HCCL_E_SUSPENDING: HcclResult = 22;
pub const HCCL_E_OPRETRY_FAIL: HcclResult = 23;
pub const HCCL_E_OOM: HcclResult = 24;
pub const HCCL_E_IN_STATUS: HcclResult = 1041;
pub type HcclResult = ::core::ffi::c_uint;
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct HcclRootInfo {
    pub internal: [::core::ffi::c_char; 4108usize],
}
impl Default for HcclRootInfo {
    fn default() -> Self {
        let mut s = ::core::mem::MaybeUninit::<Self>::uninit();
        unsafe {
            ::core::ptr::write_bytes(s.as_mut_ptr(), 0, 1);
            s.assume_init()
        }
    }
}
pub type HcclComm = *mut ::core::ffi::c_void;
pub type HcclGetRootInfo = unsafe extern "C" fn(rootInfo: *mut HcclRootInfo) -> HcclResult;
pub type HcclCommInitRootInfo = unsafe extern "C" fn(
    ranks: u32,
    rootInfo: *const HcclRootInfo,
    rank: u32,
    comm: *mut HcclComm,
) -> HcclResult;
pub type HcclBarrier = unsafe extern "C" fn(comm: HcclComm, stream: aclrtStream) -> HcclResult;
pub type HcclCommDestroy = unsafe extern "C" fn(comm: HcclComm) -> HcclResult;
pub type dlog_setlevel = unsafe extern "C" fn(moduleId: i32, level: i32, enableEvent: i32) -> i32;
