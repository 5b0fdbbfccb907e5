/* Stores the AICPU program where the device looks for it, under the name of its build id and the device
   (spec/device-abi.md, section 5.2). */
#include <elf.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static const char *directory;

void soft_cann_bind_kernel_dir(const char *given) { directory = given; }

int StaticTileFwkBackendKernelServer(void *args) { (void)args; return 0; }
uint32_t DynTileFwkBackendKernelServer(void *args) { (void)args; return 0; }

static int build_id(const char *object, uint64_t *id) {
    Elf64_Ehdr header;
    memcpy(&header, object, sizeof header);
    for (int i = 0; i < header.e_phnum; i++) {
        Elf64_Phdr segment;
        memcpy(&segment, object + header.e_phoff + i * sizeof segment, sizeof segment);
        if (segment.p_type != PT_NOTE) continue;
        for (uint64_t at = segment.p_offset; at < segment.p_offset + segment.p_filesz;) {
            Elf64_Nhdr note;
            memcpy(&note, object + at, sizeof note);
            const char *name = object + at + sizeof note;
            if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 && memcmp(name, "GNU", 4) == 0) {
                memcpy(id, name + 4, 8);
                return 1;
            }
            at += sizeof note + ((note.n_namesz + 3) & ~3u) + ((note.n_descsz + 3) & ~3u);
        }
    }
    return 0;
}

uint32_t DynTileFwkBackendKernelServerInit(void *args) {
    uint64_t device_args, device, inner, size, id;
    memcpy(&device_args, (char *)args + 40, 8);
    memcpy(&device, (char *)device_args + 112, 8);
    memcpy(&inner, (char *)device_args + 120, 8);
    memcpy(&size, (char *)device_args + 128, 8);
    if (!directory || size < sizeof(Elf64_Ehdr) || !build_id((const char *)inner, &id)) return 1;
    char path[4096];
    snprintf(path, sizeof path, "%s/simpler_inner_%016llx_%llu.so", directory, (unsigned long long)id,
             (unsigned long long)device);
    FILE *file = fopen(path, "wb");
    if (!file) return 1;
    size_t written = fwrite((void *)inner, 1, size, file);
    return fclose(file) != 0 || written != size;
}
