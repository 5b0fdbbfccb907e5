/* What the C programs of these tests have in common: a loaded library, a callable, and checks. */
#ifndef CLIENT_H_
#define CLIENT_H_

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "simpler/callable.h"
#include "simpler/host_runtime.h"

#define CHECK(condition)                                                                   \
    do {                                                                                   \
        if (!(condition)) {                                                                \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);        \
            exit(1);                                                                       \
        }                                                                                  \
    } while (0)

/* CHECK for two numbers, which are shown. */
#define CHECK_EQ(left, right)                                                              \
    do {                                                                                   \
        long long left_value = (long long)(left), right_value = (long long)(right);        \
        if (left_value != right_value) {                                                   \
            fprintf(stderr, "%s:%d: %s is %lld, not %lld\n", __FILE__, __LINE__, #left,    \
                left_value, right_value);                                                  \
            exit(1);                                                                       \
        }                                                                                  \
    } while (0)

#define API_FUNCTIONS(X)                                                                   \
    X(create_device_context)                                                               \
    X(destroy_device_context)                                                              \
    X(get_runtime_size)                                                                    \
    X(simpler_init)                                                                        \
    X(finalize_device)                                                                     \
    X(device_malloc_ctx)                                                                   \
    X(device_free_ctx)                                                                     \
    X(copy_to_device_ctx)                                                                  \
    X(copy_from_device_ctx)                                                                \
    X(prepare_callable)                                                                    \
    X(run_prepared)                                                                        \
    X(unregister_callable)                                                                 \
    X(get_aicpu_dlopen_count)                                                              \
    X(get_host_dlopen_count)                                                               \
    X(ensure_acl_ready_ctx)                                                                \
    X(create_comm_stream_ctx)                                                              \
    X(destroy_comm_stream_ctx)                                                             \
    X(comm_init)                                                                           \
    X(comm_alloc_windows)                                                                  \
    X(comm_get_local_window_base)                                                          \
    X(comm_get_window_size)                                                                \
    X(comm_derive_context)                                                                 \
    X(comm_alloc_domain_windows)                                                           \
    X(comm_release_domain_windows)                                                         \
    X(comm_barrier)                                                                        \
    X(comm_destroy)                                                                        \
    X(get_platform)                                                                        \
    X(get_incore_compiler)                                                                 \
    X(get_orchestration_compiler)                                                          \
    X(set_device)                                                                          \
    X(run_runtime)                                                                         \
    X(simpler_rs_version)                                                                  \
    X(simpler_rs_runtime)                                                                  \
    X(simpler_rs_last_error)                                                               \
    X(simpler_rs_resource_report)                                                          \
    X(simpler_rs_run_info)                                                                 \
    X(simpler_rs_set_option)                                                               \
    X(simpler_rs_set_log_sink)                                                             \
    X(simpler_rs_host_api)

struct api {
    void *library;
#ifdef __cplusplus
#define MEMBER(name) __typeof__(&::name) name;
#else
#define MEMBER(name) __typeof__(&name) name;
#endif
    API_FUNCTIONS(MEMBER)
#undef MEMBER
};

static inline struct api open_api(const char *path) {
    struct api api;
    api.library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (api.library == NULL) {
        fprintf(stderr, "%s\n", dlerror());
        exit(1);
    }
#define LOOK_UP(name)                                                                      \
    *(void **)&api.name = dlsym(api.library, #name);                                       \
    CHECK(api.name != NULL);
    API_FUNCTIONS(LOOK_UP)
#undef LOOK_UP
    return api;
}

struct file {
    uint8_t *bytes;
    size_t size;
};

static inline struct file read_file(const char *path) {
    struct file file = {NULL, 0};
    FILE *stream = fopen(path, "rb");
    CHECK(stream != NULL);
    CHECK(fseek(stream, 0, SEEK_END) == 0);
    file.size = (size_t)ftell(stream);
    rewind(stream);
    file.bytes = (uint8_t *)malloc(file.size + 1);
    CHECK(fread(file.bytes, 1, file.size, stream) == file.size);
    fclose(stream);
    return file;
}

static inline struct file read_beside(const char *directory, const char *name) {
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s", directory, name);
    return read_file(path);
}

/* Whether the library is for chips on hardware, be it a stand-in. */
static inline int on_hardware(const struct api *api) { return strstr(api->get_platform(), "sim") == NULL; }

static inline int is_a5(const struct api *api) { return strncmp(api->get_platform(), "a5", 2) == 0; }

/* What contexts get with their device; the simulator needs none of them. */
static struct file aicpu_program, aicore_program, dispatcher;

static inline void read_programs(const struct api *api, const char *directory) {
    aicpu_program = read_beside(directory, "libaicpu_kernel.so");
    aicore_program = read_beside(directory, on_hardware(api) ? "aicore_kernel.o" : "libaicore_kernel.so");
    if (on_hardware(api)) {
        dispatcher = read_beside(directory, "../../dispatcher/libsimpler_aicpu_dispatcher.so");
    }
}

static inline void forget_programs(void) {
    static const struct file none = {NULL, 0};
    free(aicpu_program.bytes), free(aicore_program.bytes), free(dispatcher.bytes);
    aicpu_program = aicore_program = dispatcher = none;
}

static inline int init(const struct api *api, void *ctx, int device) {
    return api->simpler_init(
        ctx, device, aicpu_program.bytes, aicpu_program.size, aicore_program.bytes, aicore_program.size,
        dispatcher.bytes, dispatcher.size
    );
}

static inline int is_hbg(const struct api *api) { return strcmp(api->simpler_rs_runtime(), "host_build_graph") == 0; }

/* The callable of these tests: kernel 0 doubles, kernel 1 does not return. */
static inline struct file make_callable(const struct api *api, const char *graphs) {
    struct file graph = read_beside(graphs, is_hbg(api) ? "hbg.so" : "trb.so");
    struct file twice = read_beside(graphs, is_hbg(api) ? "hbg_double.so" : "trb_double.so");
    struct file spin = read_beside(graphs, "spin.so");
    struct simpler_kernel_binary kernels[2];
    struct file image;
    kernels[0].func_id = 0, kernels[0].bytes = twice.bytes, kernels[0].size = twice.size;
    kernels[1].func_id = 1, kernels[1].bytes = spin.bytes, kernels[1].size = spin.size;
    image.size = simpler_callable_write(NULL, 0, "build", graph.bytes, graph.size, kernels, 2);
    CHECK(image.size > 0);
    image.bytes = (uint8_t *)malloc(image.size);
    CHECK_EQ(simpler_callable_write(image.bytes, image.size, "build", graph.bytes, graph.size, kernels, 2), image.size);
    free(graph.bytes), free(twice.bytes), free(spin.bytes);
    return image;
}

enum { COUNT = 64 };

/* What the orchestration is to do; see graphs/. */
enum { DOUBLE = 0, RETURN = 1, THROW = 2, CALL = 3, SPIN = 4, UNKNOWN_KERNEL = 5, CYCLE = 6, MESSAGES = 7 };

struct data {
    float in[COUNT], out[COUNT];
    struct simpler_task_args args;
};

static inline struct simpler_tensor tensor_of(float *values) {
    struct simpler_tensor tensor;
    memset(&tensor, 0, sizeof(tensor));
    tensor.data = (uint64_t)(uintptr_t)values;
    tensor.shapes[0] = COUNT;
    tensor.ndims = 1;
    tensor.dtype = SIMPLER_FLOAT32;
    return tensor;
}

static inline void fill(struct data *data, uint64_t what, uint64_t argument) {
    int i;
    for (i = 0; i < COUNT; i++) {
        data->in[i] = (float)i;
        data->out[i] = -1;
    }
    memset(&data->args, 0, sizeof(data->args));
    data->args.tensors[0] = tensor_of(data->in);
    data->args.tensors[1] = tensor_of(data->out);
    data->args.tensor_count = 2;
    data->args.scalars[0] = what;
    data->args.scalars[1] = argument;
    data->args.scalar_count = 4;
}

static inline int run(const struct api *api, void *ctx, int32_t id, struct data *data, PtoRunTiming *timing) {
    char buffer[256];
    CHECK(api->get_runtime_size() <= sizeof(buffer));
    return api->run_prepared(ctx, buffer, id, &data->args, 3, 3, 0, 0, 0, 0, 0, NULL, timing);
}

static inline void check_doubled(const struct data *data) {
    int i;
    for (i = 0; i < COUNT; i++) CHECK_EQ(data->out[i], 2 * i);
}

static inline void check_untouched(const struct data *data) {
    int i;
    for (i = 0; i < COUNT; i++) CHECK_EQ(data->out[i], -1);
}

/* A run that has to succeed. */
static inline void run_well(const struct api *api, void *ctx, int32_t id) {
    struct data data;
    fill(&data, DOUBLE, 0);
    CHECK_EQ(run(api, ctx, id, &data, NULL), 0);
    check_doubled(&data);
}

static inline void *new_context(const struct api *api, int device) {
    void *ctx = api->create_device_context();
    CHECK(ctx != NULL);
    CHECK_EQ(init(api, ctx, device), 0);
    return ctx;
}

static inline void check_error(const struct api *api, void *ctx, enum simpler_rs_error kind, const char *part) {
    char text[2048];
    int found = api->simpler_rs_last_error(ctx, text, sizeof(text), NULL);
    if (found != (int)kind || strstr(text, part) == NULL) {
        fprintf(stderr, "the last error is of kind %d, not %d, or lacks \"%s\": %s\n", found, (int)kind, part, text);
        exit(1);
    }
}

/* What is held, all of it. */
static inline uint64_t held(const struct api *api, void *ctx) {
    struct simpler_rs_report report;
    memset(&report, 0xff, sizeof(report));
    report.struct_size = sizeof(report);
    CHECK_EQ(api->simpler_rs_resource_report(ctx, &report), 0);
    return report.allocations + report.bytes + report.gm_heap + report.gm_sm + report.runtime_arena + report.callables +
        report.kernels + report.images + report.orchestrations + report.runs + report.deferred_errors +
        report.device_allocations + report.device_kernels + report.threads + report.abandoned_threads +
        report.communicators + report.windows;
}

static inline uint64_t contexts(const struct api *api) {
    struct simpler_rs_report report;
    report.struct_size = sizeof(report);
    CHECK_EQ(api->simpler_rs_resource_report(NULL, &report), 0);
    return report.contexts;
}

#endif
