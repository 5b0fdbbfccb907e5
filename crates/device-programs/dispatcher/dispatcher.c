/*
 * libsimpler_aicpu_dispatcher.so: installs the AICPU program on a device (spec/device-abi.md, section 5.2).
 *
 * The bootstrap launch hands over the bytes of the AICPU program; from the file that is made of them here, the device
 * loads it at later launches. The file is called by the program's fingerprint and the device, so that equal programs
 * share one and others never meet it half written.
 *
 * For a device: aarch64-target-linux-gnu-gcc -std=c11 -O2 -shared -fPIC -fvisibility=hidden dispatcher.c
 */
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define EXPORTED __attribute__((visibility("default")))
#define DEVICE_DIRECTORY "/usr/lib64/aicpu_kernels/0/aicpu_kernels_device"

enum { DONE = 0, FAILED = 1 };

/* Offsets in the block that CANN hands on, and in the bootstrap's arguments (section 1.3). */
enum { DEVICE_ARGS = 40, DEVICE_ID = 112, INNER_BYTES = 120, INNER_LENGTH = 128 };

/* CANN's log, where there is one. */
extern void DlogRecord(int module, int level, const char *format, ...) __attribute__((weak));
enum { LOG_OF_AICPU = 3, LOG_ERROR = 3 };

#define COMPLAIN(...) \
    do { \
        if (DlogRecord) DlogRecord(LOG_OF_AICPU, LOG_ERROR, "AICPU program not installed: " __VA_ARGS__); \
    } while (0)

/* ---- The fingerprint: the build id, or a hash of all bytes ---- */

static uint64_t fnv1a64(const unsigned char *bytes, uint64_t length) {
    uint64_t hash = 0xcbf29ce484222325u;
    for (uint64_t at = 0; at < length; at++) hash = (hash ^ bytes[at]) * 0x100000001b3u;
    return hash;
}

/* The first 8 bytes of a GNU build id among the notes, which lie inside the file. */
static int find_build_id(const unsigned char *notes, uint64_t length, uint64_t *id) {
    while (length >= sizeof(Elf64_Nhdr)) {
        Elf64_Nhdr note;
        memcpy(&note, notes, sizeof note);
        uint64_t name = ((uint64_t)note.n_namesz + 3) & ~(uint64_t)3;
        uint64_t descriptor = ((uint64_t)note.n_descsz + 3) & ~(uint64_t)3;
        uint64_t whole = sizeof note + name + descriptor;
        if (whole > length) return 0;
        const unsigned char *text = notes + sizeof note;
        if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 && !memcmp(text, "GNU", 4) && note.n_descsz >= 8) {
            memcpy(id, text + name, sizeof *id);
            return 1;
        }
        notes += whole;
        length -= whole;
    }
    return 0;
}

static uint64_t fingerprint(const unsigned char *bytes, uint64_t length) {
    Elf64_Ehdr header;
    uint64_t id;
    if (length < sizeof header) return fnv1a64(bytes, length);
    memcpy(&header, bytes, sizeof header);
    int is_elf = !memcmp(header.e_ident, ELFMAG, SELFMAG) && header.e_ident[EI_CLASS] == ELFCLASS64 &&
                 header.e_phentsize == sizeof(Elf64_Phdr);
    for (unsigned index = 0; is_elf && index < header.e_phnum; index++) {
        Elf64_Phdr segment;
        uint64_t at = index * sizeof segment;
        if (header.e_phoff > length || length - header.e_phoff < at + sizeof segment) break;
        memcpy(&segment, bytes + header.e_phoff + at, sizeof segment);
        if (segment.p_type != PT_NOTE || segment.p_offset > length) continue;
        if (segment.p_filesz > length - segment.p_offset) continue;
        if (find_build_id(bytes + segment.p_offset, segment.p_filesz, &id)) return id;
    }
    return fnv1a64(bytes, length);
}

/* ---- The file ---- */

static char bound_directory[PATH_MAX];

/* Where to install, for whoever cannot use the environment; NULL takes it back. */
EXPORTED void soft_cann_bind_kernel_dir(const char *directory) {
    snprintf(bound_directory, sizeof bound_directory, "%s", directory ? directory : "");
}

static const char *directory(void) {
    if (bound_directory[0]) return bound_directory;
    const char *chosen = getenv("SIMPLER_AICPU_KERNEL_DIR");
    return chosen && chosen[0] ? chosen : DEVICE_DIRECTORY;
}

static int write_all(int file, const unsigned char *bytes, uint64_t length) {
    while (length > 0) {
        ssize_t written = write(file, bytes, length);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return 0;
        bytes += written;
        length -= (uint64_t)written;
    }
    return 1;
}

/* Whole or not at all: under another name until it is complete. */
static int install(const char *path, const unsigned char *bytes, uint64_t length) {
    static atomic_uint serial;
    char unfinished[PATH_MAX];
    int size = snprintf(unfinished, sizeof unfinished, "%s.tmp.%ld.%u", path, (long)getpid(),
                        atomic_fetch_add(&serial, 1));
    if (size < 0 || (size_t)size >= sizeof unfinished) return FAILED;
    int file = open(unfinished, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700);
    if (file < 0) {
        COMPLAIN("%s cannot be made: %s", unfinished, strerror(errno));
        return FAILED;
    }
    int good = write_all(file, bytes, length) && fchmod(file, 0755) == 0;
    good = close(file) == 0 && good;
    if (good && rename(unfinished, path) == 0) return DONE;
    COMPLAIN("%s cannot be written: %s", path, strerror(errno));
    unlink(unfinished);
    return FAILED;
}

static uint64_t word(const unsigned char *block, size_t offset) {
    uint64_t value;
    memcpy(&value, block + offset, sizeof value);
    return value;
}

EXPORTED uint32_t DynTileFwkBackendKernelServerInit(void *kernel_args) {
    if (!kernel_args) return FAILED;
    const unsigned char *device_args = (const unsigned char *)(uintptr_t)word(kernel_args, DEVICE_ARGS);
    if (!device_args) return FAILED;
    const unsigned char *inner = (const unsigned char *)(uintptr_t)word(device_args, INNER_BYTES);
    uint64_t length = word(device_args, INNER_LENGTH), device = word(device_args, DEVICE_ID);
    if (!inner || length == 0) {
        COMPLAIN("the launch has brought none");
        return FAILED;
    }
    char path[PATH_MAX];
    int size = snprintf(path, sizeof path, "%s/simpler_inner_%016llx_%llu.so", directory(),
                        (unsigned long long)fingerprint(inner, length), (unsigned long long)device);
    if (size < 0 || (size_t)size >= sizeof path) return FAILED;
    return (uint32_t)install(path, inner, length);
}

/* CANN asks for these two, and never calls them here. */
EXPORTED int StaticTileFwkBackendKernelServer(void *kernel_args) {
    (void)kernel_args;
    return DONE;
}

EXPORTED uint32_t DynTileFwkBackendKernelServer(void *kernel_args) {
    (void)kernel_args;
    return DONE;
}
