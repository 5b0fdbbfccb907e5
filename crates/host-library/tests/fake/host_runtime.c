/*
 * A libhost_runtime.so without a device behind it: it notes its calls in a file, and fails where it is told to.
 *
 * Compile with -DCALLS="path". Further: -DFAIL_<function> makes that function fail, -DTELLS adds the functions that
 * not every library has, -DPLATFORM="name" makes it tell its platform, -DNEEDS=name makes it need a function of the
 * log library, and -DBOUND makes it note which device the calling thread is bound to.
 *
 * A callable whose entry is called "refused" is refused, and "once" is accepted once. A run copies the first tensor
 * to the last one and adds the first scalar; a second scalar is the code it fails with.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct context {
    int device;
    char registered[64];
    size_t runs;
    char error[3000];
};

static int contexts, once;
static size_t allocations;

#ifdef NEEDS
int NEEDS(void);
int use(void) { return NEEDS(); }
#endif

#ifdef BOUND
int pto_cpu_sim_get_bound_device(void);
#endif

static void note(const char *format, ...) {
    FILE *calls = fopen(CALLS, "a");
    if (!calls) return; /* The test has ended, and its folder is gone. */
    va_list arguments;
    va_start(arguments, format);
    vfprintf(calls, format, arguments);
    va_end(arguments);
#ifdef BOUND
    fprintf(calls, " (bound to %d)", pto_cpu_sim_get_bound_device());
#endif
    fputc('\n', calls);
    fclose(calls);
}

__attribute__((destructor)) static void unloaded(void) { note("unloaded"); }

static int fail(struct context *context, const char *text, int code) {
    snprintf(context->error, sizeof context->error, "%s", text);
    return code;
}

void *create_device_context(void) {
    note("create_device_context");
#ifdef FAIL_create_device_context
    return NULL;
#else
    struct context *context = calloc(1, sizeof *context);
    context->device = -1;
    contexts += 1;
    return context;
#endif
}

void destroy_device_context(void *ctx) {
    contexts -= 1;
    note("destroy_device_context: %d contexts, %zu allocations left", contexts, allocations);
    free(ctx);
}

size_t get_runtime_size(void) {
    note("get_runtime_size");
#ifdef FAIL_get_runtime_size
    return SIZE_MAX;
#else
    return 1000;
#endif
}

int simpler_init(void *ctx, int device, const uint8_t *aicpu, size_t aicpu_size, const uint8_t *aicore,
                 size_t aicore_size, const uint8_t *dispatcher, size_t dispatcher_size) {
    note("simpler_init %d [%.*s] [%.*s] [%.*s]%s", device, (int)aicpu_size, (const char *)aicpu, (int)aicore_size,
         (const char *)aicore, (int)dispatcher_size, (const char *)dispatcher, dispatcher ? "" : " null");
    struct context *context = ctx;
#ifdef FAIL_simpler_init
    return fail(context, "no such device", -7);
#else
    context->device = device;
    return 0;
#endif
}

int finalize_device(void *ctx) {
    note("finalize_device");
#ifdef FAIL_finalize_device
    return fail(ctx, "the device does not let go", -9);
#else
    ((struct context *)ctx)->device = -1;
    allocations = 0;
    return 0;
#endif
}

void *device_malloc_ctx(void *ctx, size_t size) {
    note("device_malloc_ctx %zu", size);
#ifdef FAIL_device_malloc_ctx
    fail(ctx, "all used up", 0);
    return NULL;
#else
    (void)ctx;
    allocations += 1;
    return malloc(size);
#endif
}

void device_free_ctx(void *ctx, void *memory) {
    (void)ctx;
    note("device_free_ctx");
    allocations -= 1;
    free(memory);
}

int copy_to_device_ctx(void *ctx, void *device, const void *host, size_t size) {
    note("copy_to_device_ctx %zu", size);
#ifdef FAIL_copy_to_device_ctx
    return fail(ctx, "no way in", -3);
#else
    (void)ctx;
    memcpy(device, host, size);
    return 0;
#endif
}

int copy_from_device_ctx(void *ctx, void *host, const void *device, size_t size) {
    note("copy_from_device_ctx %zu", size);
#ifdef FAIL_copy_from_device_ctx
    return fail(ctx, "no way out", -4);
#else
    (void)ctx;
    memcpy(host, device, size);
    return 0;
#endif
}

int prepare_callable(void *ctx, int32_t id, const void *image) {
    const char *entry = (const char *)image + 520;
    note("prepare_callable %d %s", id, entry);
#ifdef FAIL_prepare_callable
    return fail(ctx, "nothing is good enough", -5);
#else
    struct context *context = ctx;
    if (id < 0 || id >= 64 || context->registered[id]) return fail(context, "that id cannot be had", -1);
    if (strcmp(entry, "refused") == 0) return fail(context, "the entry is refused", -1);
    if (strcmp(entry, "once") == 0 && once++) return fail(context, "once was enough", -1);
    context->registered[id] = 1;
    return 0;
#endif
}

int unregister_callable(void *ctx, int32_t id) {
    note("unregister_callable %d", id);
#ifdef FAIL_unregister_callable
    return fail(ctx, "it is stuck", -6);
#else
    if (id >= 0 && id < 64) ((struct context *)ctx)->registered[id] = 0;
    return 0;
#endif
}

struct tensor {
    uint64_t data;
    uint32_t shape[5];
    uint32_t ndims;
    uint8_t dtype, child_memory, unused[6];
};

struct arguments {
    struct tensor tensors[128];
    uint64_t scalars[128];
    int32_t tensor_count, scalar_count;
};

struct timing {
    uint64_t host_wall_ns, device_wall_ns;
};

int run_prepared(void *ctx, void *runtime, int32_t id, const void *args, int block_dim, int aicpu_thread_num,
                 int swimlane, int dump_tensor, int pmu, int dep_gen, int scope_stats, const char *output_prefix,
                 struct timing *out) {
    struct context *context = ctx;
    const struct arguments *arguments = args;
    note("run_prepared %d, %d blocks, %d threads, %d%d%d%d%d [%s]", id, block_dim, aicpu_thread_num, swimlane,
         dump_tensor, pmu, dep_gen, scope_stats, output_prefix);
    memset(out, 0, sizeof *out);
    if ((uintptr_t)runtime % 64 != 0) return fail(context, "the buffer is not aligned", -11);
    memset(runtime, 0xa5, 1000);
    if (id < 0 || id >= 64 || !context->registered[id]) return fail(context, "nothing is registered there", -1);
#ifdef FAIL_run_prepared
    /* A long text, to be fetched in two steps. */
    memset(context->error, 'x', 2000);
    context->error[2000] = 0;
    return -42;
#else
    context->runs += 1;
    if (arguments->scalar_count > 1) return fail(context, "as you wish", (int)(int64_t)arguments->scalars[1]);
    if (arguments->tensor_count > 1) {
        const struct tensor *in = arguments->tensors, *to = in + arguments->tensor_count - 1;
        const int64_t *from = (const int64_t *)(uintptr_t)in->data;
        for (uint32_t i = 0; i < in->shape[0]; ++i)
            ((int64_t *)(uintptr_t)to->data)[i] = from[i] + (int64_t)arguments->scalars[0];
    }
    out->host_wall_ns = 5000;
    out->device_wall_ns = 2000;
    return 0;
#endif
}

size_t get_aicpu_dlopen_count(void *ctx) { return ((struct context *)ctx)->runs; }
size_t get_host_dlopen_count(void *ctx) {
    size_t count = 0;
    for (int id = 0; id < 64; ++id) count += ((struct context *)ctx)->registered[id];
    return count;
}

#include "comm.h"

#ifdef PLATFORM
const char *get_platform(void) { return PLATFORM; }
#endif

#ifdef TELLS
const char *simpler_rs_version(void) { return "1.2.3"; }
const char *simpler_rs_runtime(void) { return "host_build_graph"; }

int simpler_rs_last_error(void *ctx, char *text, size_t capacity, size_t *length) {
    const char *error = ctx ? ((struct context *)ctx)->error : "no context today";
    *length = strlen(error);
    snprintf(text, capacity, "%s", error);
    return *error ? 7 : 0;
}

int simpler_rs_resource_report(void *ctx, uint64_t *out) {
    if (out[0] != 152) return -1;
    memset(out + 1, 0, 144);
    out[1] = (uint64_t)contexts;
    out[2] = allocations;
    if (ctx) out[7] = get_host_dlopen_count(ctx);
    return 0;
}

int simpler_rs_run_info(void *ctx, uint64_t *out) {
    if (out[0] != 48 || !ctx) return -1;
    uint64_t info[] = {5000, 2000, 100, 17, 3};
    memcpy(out + 1, info, sizeof info);
    return 0;
}
#endif
