/*
 * Declarations of the calls that a host runtime for Ascend chips makes: names, layouts and numbers as facts, stated
 * in `spec/hal.md`, sections 1 and 2, in words of our own. No vendor header is needed, and none was copied.
 *
 * `cargo xtask bindings` makes `src/bindings.rs` from this file. Whatever is changed here is seen by the layout
 * tests (`src/layout.rs`) and, with a CANN installed, by `cargo test -p hal-sys --features toolkit-bindings`.
 *
 * Numbers that the vendor changes between versions (`*_MAX`, the end of an enumeration) are not declared.
 */
#ifndef HAL_SYS_H
#define HAL_SYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- libruntime.so: types ---------------------------------------------------------------------------------- */

typedef int32_t rtError_t;
typedef void *rtStream_t;
typedef void *rtBinHandle;
typedef void *rtFuncHandle;
typedef uint32_t rtMemType_t;
typedef char char_t;

#define RT_MEMORY_DEFAULT 0
#define RT_MEMORY_HBM 2
#define RT_MEMORY_DDR 4

typedef enum {
    RT_MEMCPY_HOST_TO_HOST = 0,
    RT_MEMCPY_HOST_TO_DEVICE = 1,
    RT_MEMCPY_DEVICE_TO_HOST = 2,
    RT_MEMCPY_DEVICE_TO_DEVICE = 3,
    RT_MEMCPY_MANAGED = 4
} rtMemcpyKind_t;

#define RT_DEV_BINARY_MAGIC_ELF 0x43554245
#define RT_DEV_BINARY_MAGIC_ELF_AICPU 0x41415243
#define RT_DEV_BINARY_MAGIC_ELF_AIVEC 0x41415246
#define RT_DEV_BINARY_MAGIC_ELF_AICUBE 0x41494343
#define RT_DEV_BINARY_MAGIC_PLAIN 0xABCEED50

typedef struct {
    uint32_t magic;
    uint32_t version;
    const void *data;
    uint64_t length;
} rtDevBinary_t;

typedef struct {
    uint32_t addrOffset;
    uint32_t dataOffset;
} rtHostInputInfo_t;

typedef struct {
    void *args;
    rtHostInputInfo_t *hostInputInfoPtr;
    uint32_t argsSize;
    uint32_t tilingAddrOffset;
    uint32_t tilingDataOffset;
    uint16_t hostInputInfoNum;
    uint8_t hasTiling;
    uint8_t isNoNeedH2DCopy;
    uint8_t reserved[4];
} rtArgsEx_t;

typedef struct {
    void *args;
    rtHostInputInfo_t *hostInputInfoPtr;
    rtHostInputInfo_t *kernelOffsetInfoPtr;
    uint32_t argsSize;
    uint16_t hostInputInfoNum;
    uint16_t kernelOffsetInfoNum;
    uint32_t soNameAddrOffset;
    uint32_t kernelNameAddrOffset;
    bool isNoNeedH2DCopy;
    uint16_t timeout;
    uint8_t reserved;
} rtAicpuArgsEx_t;

typedef struct {
    rtAicpuArgsEx_t baseArgs;
    size_t cpuParamHeadOffset;
    uint32_t rsv[4];
} rtCpuKernelArgs_t;

#define RT_SCHEM_MODE_NORMAL 0
#define RT_SCHEM_MODE_BATCH 1

typedef struct {
    uint8_t qos;
    uint8_t partId;
    uint8_t schemMode;
    bool d2dCrossFlag;
    uint32_t blockDimOffset;
    uint8_t dumpflag;
    uint8_t neverTimeout;
    uint8_t rev[2];
    uint32_t localMemorySize;
} rtTaskCfgInfo_t;

/* Only its size counts: the calls take a null pointer to it. */
typedef struct {
    uint64_t content[34];
} rtSmDesc_t;

#define RT_KERNEL_TYPE_CCE 0
#define RT_KERNEL_TYPE_FWK 1
#define RT_KERNEL_TYPE_AICPU 2
#define RT_KERNEL_TYPE_AICPU_CUSTOM 4
#define RT_KERNEL_TYPE_AICPU_KFC 5
#define RT_KERNEL_TYPE_CUSTOM_KFC 6

typedef enum {
    RT_LOAD_BINARY_OPT_LAZY_LOAD = 1,
    RT_LOAD_BINARY_OPT_MAGIC = 2,
    RT_LOAD_BINARY_OPT_CPU_KERNEL_MODE = 3
} rtLoadBinaryOption;

typedef union {
    uint32_t isLazyLoad;
    uint32_t magic;
    int32_t cpuKernelMode;
    uint32_t rsv[4];
} rtLoadBinaryOptionValue_t;

typedef struct {
    rtLoadBinaryOption optionId;
    rtLoadBinaryOptionValue_t value;
} rtLoadBinaryOption_t;

typedef struct {
    rtLoadBinaryOption_t *options;
    size_t numOpt;
} rtLoadBinaryConfig_t;

typedef enum {
    RT_LAUNCH_KERNEL_ATTR_SCHEM_MODE = 1,
    RT_LAUNCH_KERNEL_ATTR_DYN_UBUF_SIZE = 2,
    RT_LAUNCH_KERNEL_ATTR_ENGINE_TYPE = 3,
    RT_LAUNCH_KERNEL_ATTR_BLOCKDIM_OFFSET = 4,
    RT_LAUNCH_KERNEL_ATTR_BLOCK_TASK_PREFETCH = 5,
    RT_LAUNCH_KERNEL_ATTR_DATA_DUMP = 6,
    RT_LAUNCH_KERNEL_ATTR_TIMEOUT = 7,
    RT_LAUNCH_KERNEL_ATTR_TIMEOUT_US = 8
} rtLaunchKernelAttrId;

typedef union {
    uint8_t schemMode;
    uint32_t blockDimOffset;
    uint16_t timeout;
    uint32_t rsv[4];
} rtLaunchKernelAttrVal_t;

typedef struct {
    rtLaunchKernelAttrId id;
    rtLaunchKernelAttrVal_t value;
} rtLaunchKernelAttr_t;

typedef struct {
    rtLaunchKernelAttr_t *attrs;
    size_t numAttrs;
} rtKernelLaunchCfg_t;

/* ---- libruntime.so: calls ---------------------------------------------------------------------------------- */

rtError_t rtSetDevice(int32_t device);
rtError_t rtDeviceReset(int32_t device);
rtError_t rtMalloc(void **address, uint64_t size, rtMemType_t type, uint16_t moduleId);
rtError_t rtFree(void *address);
rtError_t rtMemcpy(void *dst, uint64_t destMax, const void *src, uint64_t count, rtMemcpyKind_t kind);
rtError_t rtStreamCreate(rtStream_t *stream, int32_t priority);
rtError_t rtStreamDestroy(rtStream_t stream);
rtError_t rtRegisterAllKernel(const rtDevBinary_t *binary, void **handle);
rtError_t rtDevBinaryUnRegister(void *handle);
rtError_t rtKernelLaunchWithHandleV2(void *handle, uint64_t tilingKey, uint32_t numBlocks, rtArgsEx_t *args,
                                     rtSmDesc_t *sm, rtStream_t stream, const rtTaskCfgInfo_t *config);
rtError_t rtAicpuKernelLaunchExWithArgs(uint32_t kernelType, const char_t *opName, uint32_t numBlocks,
                                        const rtAicpuArgsEx_t *args, rtSmDesc_t *sm, rtStream_t stream,
                                        uint32_t flags);
rtError_t rtsBinaryLoadFromFile(const char_t *path, const rtLoadBinaryConfig_t *config, rtBinHandle *handle);
rtError_t rtsFuncGetByName(rtBinHandle binary, const char_t *name, rtFuncHandle *function);
rtError_t rtsLaunchCpuKernel(rtFuncHandle function, uint32_t numBlocks, rtStream_t stream,
                             const rtKernelLaunchCfg_t *config, rtCpuKernelArgs_t *args);
rtError_t rtsBinaryUnload(rtBinHandle binary);
rtError_t rtGetC2cCtrlAddr(uint64_t *address, uint32_t *length);
rtError_t rtGetAiCpuCount(uint32_t *count);

/* ---- libascendcl.so: types --------------------------------------------------------------------------------- */

typedef int32_t aclError;
typedef void *aclrtStream;

typedef enum {
    ACL_MEM_MALLOC_HUGE_FIRST = 0,
    ACL_MEM_MALLOC_HUGE_ONLY = 1,
    ACL_MEM_MALLOC_NORMAL_ONLY = 2,
    ACL_MEM_MALLOC_HUGE_FIRST_P2P = 3
} aclrtMemMallocPolicy;

typedef enum {
    ACL_MEMCPY_HOST_TO_HOST = 0,
    ACL_MEMCPY_HOST_TO_DEVICE = 1,
    ACL_MEMCPY_DEVICE_TO_HOST = 2,
    ACL_MEMCPY_DEVICE_TO_DEVICE = 3,
    ACL_MEMCPY_DEFAULT = 4
} aclrtMemcpyKind;

typedef enum {
    ACL_RT_DEV_RES_CUBE_CORE = 0,
    ACL_RT_DEV_RES_VECTOR_CORE = 1
} aclrtDevResLimitType;

/* Bytes of a key that memory is exported under, with its final zero. */
#define ACL_IPC_KEY_LENGTH 65
#define ACL_IPC_EXPORT_DISABLE_PID_VALIDATION 1
#define ACL_IPC_IMPORT_ENABLE_PEER_ACCESS 1
#define ACL_PEER_ACCESS_ENABLED 1

/* ---- libascendcl.so: calls --------------------------------------------------------------------------------- */

aclError aclInit(const char *configPath);
aclError aclFinalize(void);
aclError aclrtSetDevice(int32_t device);
aclError aclrtResetDevice(int32_t device);
aclError aclrtResetDeviceForce(int32_t device);
aclError aclrtGetDevice(int32_t *device);
aclError aclrtMalloc(void **address, size_t size, aclrtMemMallocPolicy policy);
aclError aclrtFree(void *address);
aclError aclrtMemcpy(void *dst, size_t destMax, const void *src, size_t count, aclrtMemcpyKind kind);
aclError aclrtMemset(void *address, size_t maxCount, int32_t value, size_t count);
aclError aclrtCreateStream(aclrtStream *stream);
aclError aclrtDestroyStream(aclrtStream stream);
aclError aclrtSynchronizeStream(aclrtStream stream);
aclError aclrtSynchronizeStreamWithTimeout(aclrtStream stream, int32_t milliseconds);
aclError aclrtSetOpExecuteTimeOutV2(uint64_t microseconds, uint64_t *actual);
aclError aclrtGetStreamResLimit(aclrtStream stream, aclrtDevResLimitType type, uint32_t *value);
aclError aclrtIpcMemGetExportKey(void *address, size_t size, char *key, size_t length, uint64_t flags);
aclError aclrtIpcMemSetImportPid(const char *key, int32_t *pids, size_t count);
aclError aclrtIpcMemImportByKey(void **address, const char *key, uint64_t flags);
aclError aclrtIpcMemClose(const char *key);
aclError aclrtDeviceEnablePeerAccess(int32_t peer, uint32_t flags);
aclError aclrtDevicePeerAccessStatus(int32_t device, int32_t peer, int32_t *status);

/* ---- libascend_hal.so: types ------------------------------------------------------------------------------- */

typedef unsigned long long UINT64;
typedef unsigned int UINT32;

typedef enum {
    DRV_ERROR_NONE = 0,
    DRV_ERROR_NO_DEVICE = 1,
    DRV_ERROR_INVALID_DEVICE = 2,
    DRV_ERROR_INVALID_VALUE = 3,
    DRV_ERROR_INVALID_HANDLE = 4,
    DRV_ERROR_OUT_OF_MEMORY = 6,
    DRV_ERROR_INNER_ERR = 7,
    DRV_ERROR_PARA_ERROR = 8,
    DRV_ERROR_NOT_EXIST = 11,
    DRV_ERROR_REPEATED_USERD = 12,
    DRV_ERROR_BUSY = 13,
    DRV_ERROR_NO_RESOURCES = 14,
    DRV_ERROR_WAIT_TIMEOUT = 16,
    DRV_ERROR_IOCRL_FAIL = 17,
    DRV_ERROR_OPER_NOT_PERMITTED = 46,
    DRV_ERROR_NOT_SUPPORT = 0xfffe
} drvError_t;

/* What halMemCtl does. */
#define CTRL_TYPE_ADDR_MAP 0
#define CTRL_TYPE_ADDR_UNMAP 1
#define CTRL_TYPE_SUPPORT_FEATURE 2

/* What halMemCtl maps. */
#define ADDR_MAP_TYPE_L2_BUFF 0
#define ADDR_MAP_TYPE_REG_C2C_CTRL 1
#define ADDR_MAP_TYPE_REG_AIC_CTRL 2
#define ADDR_MAP_TYPE_REG_AIC_PMU_CTRL 3

struct AddrMapInPara {
    unsigned int addr_type;
    unsigned int devid;
};

struct AddrMapOutPara {
    unsigned long long ptr;
    unsigned long long len;
};

struct AddrUnmapInPara {
    unsigned int addr_type;
    unsigned int devid;
    unsigned long long ptr;
    unsigned long long len;
};

/* How halHostRegister maps. */
#define HOST_MEM_MAP_DEV 0
#define HOST_SVM_MAP_DEV 1
#define DEV_SVM_MAP_HOST 2
#define HOST_MEM_MAP_DEV_PCIE_TH 3
#define DEV_MEM_MAP_HOST 4
#define HOST_MEM_MAP_DMA 5

typedef enum {
    PROCESS_CP1 = 0,
    PROCESS_CP2 = 1,
    PROCESS_DEV_ONLY = 2,
    PROCESS_QS = 3,
    PROCESS_HCCP = 4,
    PROCESS_USER = 5
} processType_t;

enum res_map_type {
    RES_AICORE = 0,
    RES_HSCB_AICORE = 1,
    RES_L2BUFF = 2,
    RES_C2C = 3
};

struct res_map_info {
    processType_t target_proc_type;
    enum res_map_type res_type;
    unsigned int res_id;
    unsigned int flag;
    unsigned int rsv[1];
};

/* Whom halGetDeviceInfoByBuff asks, and for what. */
#define MODULE_TYPE_SYSTEM 0
#define MODULE_TYPE_AICPU 1
#define MODULE_TYPE_AICORE 4
#define MODULE_TYPE_VECTOR_CORE 7
#define INFO_TYPE_VERSION 1
#define INFO_TYPE_CORE_NUM 3
#define INFO_TYPE_OCCUPY 8
#define INFO_TYPE_PHY_CHIP_ID 18
#define INFO_TYPE_PHY_DIE_ID 19

/* ---- libascend_hal.so: calls ------------------------------------------------------------------------------- */

drvError_t halHostRegister(void *src, UINT64 size, UINT32 flag, UINT32 device, void **dst);
drvError_t halHostUnregister(void *src, UINT32 device);
drvError_t halGetDeviceInfoByBuff(uint32_t device, int32_t moduleType, int32_t infoType, void *buffer,
                                  int32_t *size);
drvError_t halMemCtl(int type, void *in, size_t inSize, void *out, size_t *outSize);
drvError_t halResMap(unsigned int device, struct res_map_info *info, unsigned long *address, unsigned int *length);
/* Called on the device, by AICPU programs. */
drvError_t halMemAlloc(void **address, unsigned long long size, unsigned long long flag);
drvError_t halMemFree(void *address);

/* ---- libhcomm.so ------------------------------------------------------------------------------------------- */

typedef enum {
    HCCL_SUCCESS = 0,
    HCCL_E_PARA = 1,
    HCCL_E_PTR = 2,
    HCCL_E_MEMORY = 3,
    HCCL_E_INTERNAL = 4,
    HCCL_E_NOT_SUPPORT = 5,
    HCCL_E_NOT_FOUND = 6,
    HCCL_E_UNAVAIL = 7,
    HCCL_E_SYSCALL = 8,
    HCCL_E_TIMEOUT = 9,
    HCCL_E_RUNTIME = 15,
    HCCL_E_DRV = 16,
    HCCL_E_AGAIN = 20,
    HCCL_E_REMOTE = 21,
    HCCL_E_SUSPENDING = 22,
    HCCL_E_OPRETRY_FAIL = 23,
    HCCL_E_OOM = 24,
    HCCL_E_IN_STATUS = 1041
} HcclResult;

#define HCCL_ROOT_INFO_BYTES 4108

typedef struct {
    char internal[HCCL_ROOT_INFO_BYTES];
} HcclRootInfo;

typedef void *HcclComm;

HcclResult HcclGetRootInfo(HcclRootInfo *rootInfo);
HcclResult HcclCommInitRootInfo(uint32_t ranks, const HcclRootInfo *rootInfo, uint32_t rank, HcclComm *comm);
HcclResult HcclBarrier(HcclComm comm, aclrtStream stream);
HcclResult HcclCommDestroy(HcclComm comm);

/* ---- libunified_dlog.so ------------------------------------------------------------------------------------ */

#define DLOG_DEBUG 0
#define DLOG_INFO 1
#define DLOG_WARN 2
#define DLOG_ERROR 3
#define DLOG_NULL 4

int32_t dlog_setlevel(int32_t moduleId, int32_t level, int32_t enableEvent);

#endif
