/* A small life on the libraries of the vendor's names: life DISPATCHER AICPU AICORE JSON [careless] */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hal_sys.h"
#include "soft_cann.h"

#define CHECK(condition) \
    do { if (!(condition)) { fprintf(stderr, "line %d: %s\n", __LINE__, #condition); exit(1); } } while (0)

static void *runtime, *acl, *hal, *hcomm, *dlog, *core;

/* The function of a library, which no other library has. */
static void *own(void *library, const char *name) {
    void *libraries[] = {runtime, acl, hal, hcomm, dlog};
    for (size_t i = 0; i < sizeof libraries / sizeof *libraries; i++) {
        /* The runtime brings the driver's library and the log library along, as it does on a chip. */
        if (libraries[i] == library || libraries[i] == runtime) continue;
        CHECK(!dlsym(libraries[i], name));
    }
    void *function = dlsym(library, name);
    CHECK(function);
    return function;
}

#define CALL(library, name, ...) (((__typeof__(name) *)own(library, #name))(__VA_ARGS__))

static void *load(const char *name) {
    void *library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (!library) fprintf(stderr, "%s\n", dlerror());
    CHECK(library);
    return library;
}

static char *contents(const char *path, size_t *size) {
    FILE *file = fopen(path, "rb");
    CHECK(file && fseek(file, 0, SEEK_END) == 0);
    *size = (size_t)ftell(file);
    rewind(file);
    char *bytes = malloc(*size);
    CHECK(bytes && fread(bytes, 1, *size, file) == *size && fclose(file) == 0);
    return bytes;
}

static uint64_t upload(const void *bytes, size_t size) {
    void *address = NULL;
    CHECK(CALL(acl, aclrtMalloc, &address, size, ACL_MEM_MALLOC_HUGE_FIRST) == 0);
    CHECK(CALL(acl, aclrtMemcpy, address, size, bytes, size, ACL_MEMCPY_HOST_TO_DEVICE) == 0);
    return (uint64_t)address;
}

static void bootstrap(rtStream_t stream, const char *dispatcher_path, const char *inner_path) {
    size_t dispatcher_size, inner_size;
    char *dispatcher = contents(dispatcher_path, &dispatcher_size);
    char *inner = contents(inner_path, &inner_size);
    uint64_t device_args[20] = {0}, block[38] = {0};
    device_args[12] = upload(dispatcher, dispatcher_size);
    device_args[13] = dispatcher_size;
    device_args[15] = upload(inner, inner_size);
    device_args[16] = inner_size;
    block[5] = upload(device_args, sizeof device_args);
    strcpy((char *)block + 208, "DynTileFwkKernelServerInit");
    strcpy((char *)block + 240, "libaicpu_extend_kernels.so");
    rtAicpuArgsEx_t args = {
        .args = block, .argsSize = 304, .kernelNameAddrOffset = 208, .soNameAddrOffset = 240};
    CHECK(CALL(runtime, rtAicpuKernelLaunchExWithArgs, 5, "AST_DYN_AICPU", 1, &args, NULL, stream, 0) == 0);
    CHECK(CALL(acl, aclrtSynchronizeStream, stream) == 0);
    uint64_t buffers[] = {device_args[12], device_args[15], block[5]};
    for (int i = 0; i < 3; i++) CHECK(CALL(acl, aclrtFree, (void *)buffers[i]) == 0);
    free(dispatcher);
    free(inner);
}

static void run_aicpu(rtStream_t stream, const char *json, void *block) {
    rtLoadBinaryOption_t option = {.optionId = RT_LOAD_BINARY_OPT_CPU_KERNEL_MODE, .value.cpuKernelMode = 0};
    rtLoadBinaryConfig_t config = {.options = &option, .numOpt = 1};
    rtBinHandle binary = NULL;
    rtFuncHandle function = NULL;
    CHECK(CALL(runtime, rtsBinaryLoadFromFile, json, &config, &binary) == 0);
    CHECK(CALL(runtime, rtsFuncGetByName, binary, "gather", &function) == 0);
    rtCpuKernelArgs_t args = {.baseArgs = {.args = &block, .argsSize = sizeof block}};
    rtKernelLaunchCfg_t none = {0};
    CHECK(CALL(runtime, rtsLaunchCpuKernel, function, 6, stream, &none, &args) == 0);
    CHECK(CALL(acl, aclrtSynchronizeStreamWithTimeout, stream, 2000) == 0);
    CHECK(CALL(runtime, rtsBinaryUnload, binary) == 0);
    CHECK(CALL(runtime, rtsLaunchCpuKernel, function, 6, stream, &none, &args) == 107017);
}

static void run_aicore(rtStream_t stream, const char *path, void *meeting) {
    size_t size;
    char *bytes = contents(path, &size);
    rtDevBinary_t binary = {.magic = RT_DEV_BINARY_MAGIC_ELF, .data = bytes, .length = size};
    void *handle = NULL;
    CHECK(CALL(runtime, rtRegisterAllKernel, &binary, &handle) == 0);
    free(bytes);
    rtArgsEx_t args = {.args = &meeting, .argsSize = sizeof meeting};
    rtTaskCfgInfo_t config = {.schemMode = RT_SCHEM_MODE_BATCH};
    CHECK(CALL(runtime, rtKernelLaunchWithHandleV2, handle, 0, 2, &args, NULL, stream, &config) == 0);
    CHECK(CALL(acl, aclrtSynchronizeStreamWithTimeout, stream, 2000) == 0);
    CHECK(CALL(runtime, rtDevBinaryUnRegister, handle) == 0);
}

static void control(void) {
    __typeof__(soft_cann_inject) *inject = dlsym(core, "soft_cann_inject");
    __typeof__(soft_cann_fired) *fired = dlsym(core, "soft_cann_fired");
    __typeof__(soft_cann_calls) *calls = dlsym(core, "soft_cann_calls");
    CHECK(inject && fired && calls);
    /* Rules that the environment brought come first. */
    int32_t rule = inject(0, "fn=rtMalloc:nth=1:rc=207001");
    CHECK(rule >= 0 && inject(0, "nonsense") == -1 && inject(10000, "cascade") == -1);
    void *address = NULL;
    CHECK(CALL(runtime, rtMalloc, &address, 64, RT_MEMORY_HBM, 0) == 207001);
    CHECK(fired(0, rule) == 1 && fired(0, rule + 1) == UINT64_MAX);
    CHECK(CALL(runtime, rtMalloc, &address, 64, RT_MEMORY_HBM, 0) == 0);
    CHECK(CALL(runtime, rtFree, address) == 0);
    CHECK(calls(0, "rtMalloc") == 2);
}

int main(int count, char **arguments) {
    CHECK(count >= 5);
    runtime = load("libruntime.so");
    acl = load("libascendcl.so");
    hal = load("libascend_hal.so");
    hcomm = load("libhcomm.so");
    dlog = load("libunified_dlog.so");
    core = load("libsoft_cann_core.so");
    CHECK(dlsym(load("libacl_rt.so"), "aclrtMalloc") && dlsym(load("libnnopbase.so"), "aclCreateTensor"));
    CHECK(dlsym(dlog, "DlogRecord") && dlsym(runtime, "halMemCtl") && dlsym(runtime, "dlog_setlevel"));
    CHECK(!dlsym(acl, "rtMalloc") && !dlsym(hal, "dlog_setlevel"));

    CHECK(CALL(dlog, dlog_setlevel, -1, 3, 0) == 0);
    void *address = NULL;
    CHECK(CALL(runtime, rtMalloc, &address, 64, RT_MEMORY_HBM, 0) == 107002);
    CHECK(CALL(runtime, rtSetDevice, 4) == 107001);
    CHECK(CALL(runtime, rtSetDevice, 0) == 0);
    rtStream_t stream = NULL;
    CHECK(CALL(runtime, rtStreamCreate, &stream, 0) == 0);
    bootstrap(stream, arguments[1], arguments[2]);
    static unsigned char meeting[16 + 128 * 16 + 128 * 8];
    meeting[8] = 6;
    void *block = (void *)upload(meeting, sizeof meeting);
    run_aicpu(stream, arguments[4], block);
    CHECK(CALL(acl, aclrtMemcpy, block, 16, meeting, 16, ACL_MEMCPY_HOST_TO_DEVICE) == 0);
    run_aicore(stream, arguments[3], block);
    control();
    if (count > 5) return 0;
    CHECK(CALL(acl, aclrtFree, block) == 0);
    CHECK(CALL(runtime, rtStreamDestroy, stream) == 0);
    CHECK(CALL(runtime, rtDeviceReset, 0) == 0);
    char report[256];
    __typeof__(soft_cann_report) *write_report = dlsym(core, "soft_cann_report");
    CHECK(write_report && write_report(report, sizeof report) == strlen(report));
    /* The function handle of an unloaded binary was used above, on purpose. */
    CHECK(strstr(report, "StaleHandle") && !strchr(strchr(report, '\n') + 1, '\n'));
    return 0;
}
