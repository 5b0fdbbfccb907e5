/*
 * Builds ChipCallable images, what prepare_callable takes: an orchestration library and its kernels.
 * Layout: spec/public-abi.md, section B.3. Nothing has to be linked.
 */
#ifndef SIMPLER_CALLABLE_H_
#define SIMPLER_CALLABLE_H_

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    SIMPLER_CALLABLE_MAX_KERNELS = 1024,
    SIMPLER_CALLABLE_NAME_BYTES = 64,
    SIMPLER_CALLABLE_KERNEL_ALIGN = 64,
    SIMPLER_CORE_CALLABLE_HEADER_BYTES = 128
};

/* A compiled kernel and the id that the orchestration names it by, 0 to 1023. */
struct simpler_kernel_binary {
    int32_t func_id;
    const void *bytes;
    size_t size;
};

/* First 8852 bytes of an image. */
struct simpler_chip_callable {
    int32_t signature[128];
    int32_t sig_count;
    uint32_t binary_size;
    char func_name[SIMPLER_CALLABLE_NAME_BYTES];
    uint32_t func_name_len;
    int32_t child_func_ids[SIMPLER_CALLABLE_MAX_KERNELS];
    uint32_t child_offsets[SIMPLER_CALLABLE_MAX_KERNELS];
    int32_t child_count;
    char config_name[SIMPLER_CALLABLE_NAME_BYTES];
    uint32_t config_name_len;
};

/* First bytes of a kernel in an image; its binary begins at byte 128. */
struct simpler_core_callable {
    int32_t signature[16];
    int32_t sig_count;
    uint32_t binary_size;
    uint64_t resolved_addr;
};

/* Offset of each kernel behind the header; returns the bytes behind the header. */
static inline size_t simpler_callable_layout(
    size_t orchestration_size, const struct simpler_kernel_binary *kernels, size_t count, uint32_t *offsets
) {
    size_t end = orchestration_size;
    size_t i;
    for (i = 0; i < count; i++) {
        end = (end + SIMPLER_CALLABLE_KERNEL_ALIGN - 1) / SIMPLER_CALLABLE_KERNEL_ALIGN * SIMPLER_CALLABLE_KERNEL_ALIGN;
        if (offsets != NULL) {
            offsets[i] = (uint32_t)end;
        }
        end += SIMPLER_CORE_CALLABLE_HEADER_BYTES + kernels[i].size;
    }
    return end;
}

/*
 * Writes the image of an orchestration library, entered at `entry`, and `count` kernels into `out`, and returns its
 * size. With `out` NULL it only returns the size. Returns 0, and writes nothing, if the image is not possible: more
 * than 1024 kernels, an entry of more than 63 bytes, content of 4 GiB or more, or a `capacity` that is too small.
 */
static inline size_t simpler_callable_write(
    void *out, size_t capacity, const char *entry, const void *orchestration, size_t orchestration_size,
    const struct simpler_kernel_binary *kernels, size_t count
) {
    struct simpler_chip_callable header;
    size_t content;
    size_t i;
    if (count > SIMPLER_CALLABLE_MAX_KERNELS || strlen(entry) >= SIMPLER_CALLABLE_NAME_BYTES) {
        return 0;
    }
    content = simpler_callable_layout(orchestration_size, kernels, count, NULL);
    if (content > UINT32_MAX) {
        return 0;
    }
    if (out == NULL) {
        return sizeof(header) + content;
    }
    if (capacity < sizeof(header) + content) {
        return 0;
    }
    memset(&header, 0, sizeof(header));
    memset(out, 0, sizeof(header) + content);
    header.binary_size = (uint32_t)orchestration_size;
    header.func_name_len = (uint32_t)strlen(entry);
    memcpy(header.func_name, entry, header.func_name_len);
    header.child_count = (int32_t)count;
    simpler_callable_layout(orchestration_size, kernels, count, header.child_offsets);
    memcpy((char *)out + sizeof(header), orchestration, orchestration_size);
    for (i = 0; i < count; i++) {
        struct simpler_core_callable kernel;
        char *place = (char *)out + sizeof(header) + header.child_offsets[i];
        memset(&kernel, 0, sizeof(kernel));
        kernel.binary_size = (uint32_t)kernels[i].size;
        header.child_func_ids[i] = kernels[i].func_id;
        memcpy(place, &kernel, sizeof(kernel));
        memcpy(place + SIMPLER_CORE_CALLABLE_HEADER_BYTES, kernels[i].bytes, kernels[i].size);
    }
    memcpy(out, &header, sizeof(header));
    return sizeof(header) + content;
}

#ifdef __cplusplus
}
#endif

#endif
