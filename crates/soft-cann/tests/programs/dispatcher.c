/* Writes the inner program where devices look for it, as section 4.1 of spec/hal.md has it. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *directory;

void soft_cann_bind_kernel_dir(const char *given) { directory = given; }

int StaticTileFwkBackendKernelServer(void *args) { (void)args; return 0; }
uint32_t DynTileFwkBackendKernelServer(void *args) { (void)args; return 0; }

uint32_t DynTileFwkBackendKernelServerInit(void *args) {
    const char *from_environment = getenv("SIMPLER_AICPU_KERNEL_DIR");
    if (!directory || !from_environment || strcmp(directory, from_environment) != 0) return 2;
    uint64_t device_args, device, inner, size;
    memcpy(&device_args, (char *)args + 40, 8);
    memcpy(&device, (char *)device_args + 112, 8);
    memcpy(&inner, (char *)device_args + 120, 8);
    memcpy(&size, (char *)device_args + 128, 8);
    char path[4096];
    snprintf(path, sizeof path, "%s/inner_%llu.so", directory, (unsigned long long)device);
    FILE *file = fopen(path, "wb");
    if (!file) return 1;
    size_t written = fwrite((void *)inner, 1, size, file);
    return fclose(file) != 0 || written != size;
}
