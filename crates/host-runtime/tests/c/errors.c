/* Every kind of error, and that nothing is worse afterwards: LIBRARY OTHER_PROGRAMS_DIRECTORY GRAPHS_DIRECTORY
   OUTPUT_DIRECTORY */
#include <unistd.h>

#include "client.h"

static struct api api;
static struct file image;
/* What a context holds that has a device and nothing else: in simulation nothing. */
static uint64_t of_device;

static void handles(void) {
    struct data data;
    float value = 0;
    char text[8];
    size_t length = 0;
    void *bad[4];
    size_t i;
    void *destroyed = api.create_device_context();
    CHECK_EQ(api.simpler_rs_last_error(destroyed, NULL, 0, &length), SIMPLER_RS_ERROR_NONE);
    CHECK_EQ(length, 0);
    api.destroy_device_context(destroyed);
    api.destroy_device_context(destroyed);
    check_error(&api, NULL, SIMPLER_RS_ERROR_INVALID_HANDLE, "destroyed");
    bad[0] = NULL, bad[1] = destroyed, bad[2] = &value, bad[3] = (void *)(uintptr_t)0xdeadbeefcafe;
    for (i = 0; i < 4; i++) {
        fill(&data, DOUBLE, 0);
        CHECK_EQ(api.simpler_init(bad[i], 0, NULL, 0, NULL, 0, NULL, 0), -1);
        CHECK_EQ(api.set_device(bad[i], 0), -1);
        CHECK_EQ(api.finalize_device(bad[i]), -1);
        CHECK(api.device_malloc_ctx(bad[i], 8) == NULL);
        api.device_free_ctx(bad[i], &value);
        CHECK_EQ(api.copy_to_device_ctx(bad[i], &value, &value, 4), -1);
        CHECK_EQ(api.copy_from_device_ctx(bad[i], &value, &value, 4), -1);
        CHECK_EQ(api.prepare_callable(bad[i], 0, image.bytes), -1);
        CHECK_EQ(run(&api, bad[i], 0, &data, NULL), -1);
        CHECK_EQ(api.unregister_callable(bad[i], 0), -1);
        CHECK_EQ(api.get_aicpu_dlopen_count(bad[i]), 0);
        CHECK_EQ(api.get_host_dlopen_count(bad[i]), 0);
        CHECK_EQ(api.ensure_acl_ready_ctx(bad[i], 0), -1);
        CHECK(api.create_comm_stream_ctx(bad[i]) == NULL);
        CHECK_EQ(api.destroy_comm_stream_ctx(bad[i], NULL), -1);
        CHECK_EQ(api.simpler_rs_set_option(bad[i], "permits", "1"), -1);
        check_error(&api, NULL, SIMPLER_RS_ERROR_INVALID_HANDLE, "create_device_context");
        if (i > 0) check_error(&api, bad[i], SIMPLER_RS_ERROR_INVALID_HANDLE, "create_device_context");
        if (i > 1) api.destroy_device_context(bad[i]);
    }
    /* Texts are cut to what there is room for. */
    memset(text, 'x', sizeof(text));
    CHECK_EQ(api.simpler_rs_last_error(NULL, text, 5, &length), SIMPLER_RS_ERROR_INVALID_HANDLE);
    CHECK(strlen(text) == 4 && text[5] == 'x' && length > 20);
    CHECK_EQ(api.simpler_rs_last_error(NULL, text, 0, NULL), SIMPLER_RS_ERROR_INVALID_HANDLE);
    CHECK_EQ(contexts(&api), 0);
}

static void without_device(void) {
    struct data data;
    float value = 0;
    void *ctx = api.create_device_context();
    fill(&data, DOUBLE, 0);
    CHECK(api.device_malloc_ctx(ctx, 8) == NULL);
    check_error(&api, ctx, SIMPLER_RS_ERROR_NOT_INITIALIZED, "simpler_init");
    CHECK_EQ(api.copy_to_device_ctx(ctx, &value, &value, 4), -1);
    CHECK_EQ(api.prepare_callable(ctx, 0, image.bytes), -1);
    CHECK_EQ(run(&api, ctx, 0, &data, NULL), -1);
    check_error(&api, ctx, SIMPLER_RS_ERROR_NOT_INITIALIZED, "simpler_init");
    CHECK_EQ(api.unregister_callable(ctx, 0), 0);
    CHECK_EQ(api.finalize_device(ctx), 0);
    CHECK_EQ(held(&api, ctx), 0);
    api.destroy_device_context(ctx);
}

static void options(void *ctx) {
    CHECK_EQ(api.simpler_rs_set_option(ctx, "speed", "1"), -1);
    check_error(&api, ctx, SIMPLER_RS_ERROR_INVALID_ARGUMENT, "watchdog_ms");
    CHECK_EQ(api.simpler_rs_set_option(ctx, "permits", "0"), -1);
    CHECK_EQ(api.simpler_rs_set_option(ctx, NULL, "0"), -1);
    CHECK_EQ(api.simpler_rs_set_option(ctx, "permits", NULL), -1);
    CHECK_EQ(api.simpler_rs_set_option(ctx, "permits", "2"), 0);
    CHECK_EQ(init(&api, ctx, 3), 0);
    CHECK_EQ(api.simpler_rs_set_option(ctx, "permits", "2"), -1);
    CHECK_EQ(init(&api, ctx, 4), -1);
    check_error(&api, ctx, SIMPLER_RS_ERROR_INVALID_ARGUMENT, "has device 3");
}

/* On hardware all programs are needed, and looked at by the device alone. */
static void devices_of_hardware(void) {
    void *ctx = api.create_device_context();
    CHECK_EQ(init(&api, ctx, -1), -1);
    check_error(&api, ctx, SIMPLER_RS_ERROR_INVALID_ARGUMENT, "negative");
    CHECK_EQ(init(&api, ctx, 1000), -1);
    check_error(&api, ctx, SIMPLER_RS_ERROR_DEVICE, "rtSetDevice");
    CHECK_EQ(api.simpler_init(ctx, 0, NULL, 0, NULL, 0, NULL, 0), -1);
    check_error(&api, ctx, SIMPLER_RS_ERROR_INVALID_ARGUMENT, "AICPU program, AICore program and dispatcher");
    CHECK_EQ(held(&api, ctx), 0);
    options(ctx);
    api.destroy_device_context(ctx);
}

static void devices_and_programs(const char *other_programs) {
    struct file aicpu = read_beside(other_programs, "libaicpu_kernel.so");
    struct file aicore = read_beside(other_programs, "libaicore_kernel.so");
    void *ctx = api.create_device_context();
    CHECK_EQ(api.simpler_init(ctx, -1, NULL, 0, NULL, 0, NULL, 0), -1);
    check_error(&api, ctx, SIMPLER_RS_ERROR_INVALID_ARGUMENT, "negative");
    CHECK_EQ(api.simpler_init(ctx, 0, NULL, 8, NULL, 0, NULL, 0), -1);
    check_error(&api, ctx, SIMPLER_RS_ERROR_INVALID_ARGUMENT, "AICPU program is null");
    CHECK_EQ(api.simpler_init(ctx, 0, image.bytes, image.size, NULL, 0, NULL, 0), -1);
    check_error(&api, ctx, SIMPLER_RS_ERROR_INVALID_ARGUMENT, "pass both");
    CHECK_EQ(api.simpler_init(ctx, 0, image.bytes, image.size, image.bytes, image.size, NULL, 0), -1);
    check_error(&api, ctx, SIMPLER_RS_ERROR_DEVICE, "AICPU program");
    /* Those of another chip, and in the wrong order. */
    CHECK_EQ(api.simpler_init(ctx, 0, aicpu.bytes, aicpu.size, aicore.bytes, aicore.size, NULL, 0), -1);
    check_error(&api, ctx, SIMPLER_RS_ERROR_INVALID_ARGUMENT, "beside this library");
    CHECK_EQ(api.simpler_init(ctx, 0, aicore.bytes, aicore.size, aicpu.bytes, aicpu.size, NULL, 0), -1);
    check_error(&api, ctx, SIMPLER_RS_ERROR_INVALID_ARGUMENT, "in order");
    CHECK_EQ(held(&api, ctx), 0);
    options(ctx);
    api.destroy_device_context(ctx);
    free(aicpu.bytes), free(aicore.bytes);
}

static void memory(void *ctx) {
    char host[16] = {0};
    char *dev = (char *)api.device_malloc_ctx(ctx, 16);
    CHECK_EQ(api.copy_to_device_ctx(ctx, NULL, host, 0), -1);
    CHECK_EQ(api.copy_to_device_ctx(ctx, dev, NULL, 0), -1);
    CHECK_EQ(api.copy_from_device_ctx(ctx, NULL, dev, 0), -1);
    CHECK_EQ(api.copy_from_device_ctx(ctx, host, NULL, 0), -1);
    check_error(&api, ctx, SIMPLER_RS_ERROR_INVALID_ARGUMENT, "dev_ptr is null");
    CHECK_EQ(api.copy_to_device_ctx(ctx, dev, host, 0), 0);
    CHECK_EQ(api.copy_to_device_ctx(ctx, dev + 1, host, 16), -1);
    check_error(&api, ctx, SIMPLER_RS_ERROR_INVALID_ARGUMENT, "16 bytes");
    CHECK_EQ(api.copy_from_device_ctx(ctx, host, dev, SIZE_MAX), -1);
    CHECK_EQ(api.copy_from_device_ctx(ctx, host, host, 16), -1);
    CHECK(api.device_malloc_ctx(ctx, SIZE_MAX) == NULL);
    check_error(&api, ctx, SIMPLER_RS_ERROR_OUT_OF_MEMORY, "cannot be allocated");
    api.device_free_ctx(ctx, host);
    check_error(&api, ctx, SIMPLER_RS_ERROR_INVALID_ARGUMENT, "free");
    api.device_free_ctx(ctx, dev);
    api.device_free_ctx(ctx, dev);
    CHECK_EQ(held(&api, ctx), of_device);
}

static void refuse_callable(void *ctx, int32_t id, const void *bytes, enum simpler_rs_error kind, const char *part) {
    CHECK_EQ(api.prepare_callable(ctx, id, bytes), -1);
    check_error(&api, ctx, kind, part);
    CHECK_EQ(held(&api, ctx), of_device);
}

static void callables(void *ctx, const char *graphs) {
    struct simpler_chip_callable *header = (struct simpler_chip_callable *)malloc(image.size);
    struct file spin = read_beside(graphs, "spin.so");
    struct simpler_kernel_binary kernel;
    size_t size;
    void *other;
    /* What runs on the device itself is not opened here. */
    int host_looks = is_hbg(&api) || !on_hardware(&api);
    memcpy(header, image.bytes, image.size);
    refuse_callable(ctx, 0, NULL, SIMPLER_RS_ERROR_INVALID_ARGUMENT, "callable is null");
    refuse_callable(ctx, 0, (void *)64, SIMPLER_RS_ERROR_CALLABLE, "can be read");
    refuse_callable(ctx, -1, image.bytes, SIMPLER_RS_ERROR_INVALID_ARGUMENT, "0 to 63");
    refuse_callable(ctx, 64, image.bytes, SIMPLER_RS_ERROR_INVALID_ARGUMENT, "0 to 63");
    header->child_count = 1025;
    refuse_callable(ctx, 0, header, SIMPLER_RS_ERROR_CALLABLE, "1025");
    header->child_count = 2;
    header->child_func_ids[1] = 1024;
    refuse_callable(ctx, 0, header, SIMPLER_RS_ERROR_CALLABLE, "1024");
    header->child_func_ids[1] = 1;
    header->child_offsets[1] = UINT32_MAX - 63;
    refuse_callable(ctx, 0, header, SIMPLER_RS_ERROR_CALLABLE, "can be read");
    header->child_offsets[1] = 0;
    refuse_callable(ctx, 0, header, SIMPLER_RS_ERROR_CALLABLE, "not valid");
    memcpy(header, image.bytes, image.size);
    memcpy(header->func_name, "nowhere", 8);
    header->func_name_len = 7;
    if (host_looks) refuse_callable(ctx, 0, header, SIMPLER_RS_ERROR_CALLABLE, "nowhere");
    header->func_name_len = 64;
    refuse_callable(ctx, 0, header, SIMPLER_RS_ERROR_CALLABLE, "not valid");
    memcpy(header, image.bytes, image.size);
    memset((char *)header + sizeof(*header), 0, 64);
    if (host_looks) refuse_callable(ctx, 0, header, SIMPLER_RS_ERROR_CALLABLE, "cannot be loaded");
    /* Without orchestration, and with a kernel that is none. */
    kernel.func_id = 0, kernel.bytes = spin.bytes, kernel.size = spin.size;
    size = simpler_callable_write(header, image.size, "build", "", 0, &kernel, 1);
    CHECK(size > 0);
    refuse_callable(ctx, 0, header, SIMPLER_RS_ERROR_CALLABLE, "no orchestration");
    kernel.bytes = "not an object", kernel.size = 13;
    CHECK(simpler_callable_write(header, image.size, "build", spin.bytes, spin.size, &kernel, 1) > 0);
    if (!on_hardware(&api)) refuse_callable(ctx, 0, header, SIMPLER_RS_ERROR_CALLABLE, "kernel");
    /* The builder itself refuses what cannot be. */
    CHECK_EQ(simpler_callable_write(NULL, 0, "build", "", 0, &kernel, 1025), 0);
    CHECK_EQ(simpler_callable_write(header, 100, "build", "", 0, &kernel, 1), 0);
    CHECK_EQ(
        simpler_callable_write(
            NULL, 0, "a-name-of-64-bytes-which-is-one-too-many-for-the-place-that-it-has", "", 0, &kernel, 1
        ),
        0
    );
    free(header), free(spin.bytes);

    CHECK_EQ(api.prepare_callable(ctx, 9, image.bytes), 0);
    CHECK_EQ(api.prepare_callable(ctx, 9, image.bytes), -1);
    check_error(&api, ctx, SIMPLER_RS_ERROR_CALLABLE, "already registered");
    /* Another context has ids of its own. */
    other = new_context(&api, 0);
    CHECK_EQ(api.unregister_callable(other, 9), 0);
    api.destroy_device_context(other);
    run_well(&api, ctx, 9);
    CHECK_EQ(api.unregister_callable(ctx, 9), 0);
}

/* A run that fails: its code, its error, untouched results, and a good run after it. */
static void refuse_run(void *ctx, uint64_t what, uint64_t argument, int code, enum simpler_rs_error kind, const char *part) {
    struct data data;
    PtoRunTiming timing = {77, 77};
    fill(&data, what, argument);
    CHECK_EQ(run(&api, ctx, 0, &data, &timing), code);
    check_error(&api, ctx, kind, part);
    check_error(&api, NULL, kind, part);
    CHECK_EQ(timing.host_wall_ns + timing.device_wall_ns, 0);
    check_untouched(&data);
    run_well(&api, ctx, 0);
}

static int run_with(void *ctx, struct data *data, int block_dim, int threads, const int *flags, const char *prefix) {
    char buffer[256];
    return api.run_prepared(
        ctx, buffer, 0, &data->args, block_dim, threads, flags[0], flags[1], flags[2], flags[3], flags[4], prefix, NULL
    );
}

static int exists(const char *folder, const char *file) {
    char path[1200];
    snprintf(path, sizeof(path), "%s/%s", folder, file);
    return access(path, R_OK) == 0;
}

/* What is recorded is written, and results are in place even if it cannot be. */
static void diagnostics(void *ctx, struct data *data, const char *folder) {
    static const int all[5] = {4, 1, 2, 1, 1};
    static const int swimlane[5] = {1}, pmu[5] = {0, 0, 2}, scopes[5] = {0, 0, 0, 0, 1};
    const int *writing[3] = {swimlane, pmu, scopes};
    char buffer[256];
    int i;
    int has_deps = !is_hbg(&api) && !is_a5(&api);
    CHECK_EQ(run_with(ctx, data, 1, 3, all, folder), 0);
    check_doubled(data);
    CHECK(exists(folder, "l2_perf_records.json") && exists(folder, "pmu.csv"));
    CHECK(exists(folder, "scope_stats/scope_stats.jsonl"));
    CHECK_EQ(exists(folder, "deps.json"), has_deps);
    for (i = 0; i < 3; i++) {
        const int *flags = writing[i];
        PtoRunTiming timing = {7, 7};
        fill(data, DOUBLE, 0);
        CHECK_EQ(api.run_prepared(ctx, buffer, 0, &data->args, 1, 3, flags[0], flags[1], flags[2], flags[3], flags[4],
                     "/dev/null/below", &timing), -1);
        check_error(&api, ctx, SIMPLER_RS_ERROR_DIAGNOSTICS, "cannot write /dev/null/below");
        check_doubled(data);
        CHECK_EQ(timing.host_wall_ns + timing.device_wall_ns, 0);
    }
    fill(data, DOUBLE, 0);
}

static void runs(void *ctx, const char *folder) {
    static const int none[5] = {0};
    struct data data;
    PtoRunTiming timing = {77, 77};
    char buffer[256];
    char prefix[1100];
    int i;
    int max_block_dim = is_a5(&api) ? 36 : 24;
    int max_threads = is_a5(&api) ? 7 : 4;
    CHECK_EQ(api.prepare_callable(ctx, 0, image.bytes), 0);
    fill(&data, DOUBLE, 0);
    CHECK_EQ(api.run_prepared(ctx, NULL, 0, &data.args, 0, 3, 0, 0, 0, 0, 0, NULL, &timing), -1);
    check_error(&api, ctx, SIMPLER_RS_ERROR_INVALID_ARGUMENT, "runtime");
    CHECK_EQ(timing.host_wall_ns + timing.device_wall_ns, 0);
    CHECK_EQ(api.run_prepared(ctx, buffer, 0, NULL, 0, 3, 0, 0, 0, 0, 0, NULL, NULL), -1);
    check_error(&api, ctx, SIMPLER_RS_ERROR_INVALID_ARGUMENT, "args is null");
    CHECK_EQ(run(&api, ctx, 1, &data, NULL), -1);
    check_error(&api, ctx, SIMPLER_RS_ERROR_UNKNOWN_CALLABLE, "not registered");
    CHECK_EQ(run(&api, ctx, -1, &data, NULL), -1);
    CHECK_EQ(run_with(ctx, &data, max_block_dim + 1, 3, none, NULL), -1);
    check_error(&api, ctx, SIMPLER_RS_ERROR_INVALID_ARGUMENT, "block_dim");
    CHECK_EQ(run_with(ctx, &data, -1, 3, none, NULL), -1);
    CHECK_EQ(run_with(ctx, &data, 1, max_threads + 1, none, NULL), -1);
    check_error(&api, ctx, SIMPLER_RS_ERROR_INVALID_ARGUMENT, "aicpu_thread_num");
    CHECK_EQ(run_with(ctx, &data, 1, 0, none, NULL), -1);
    for (i = 0; i < 5; i++) {
        int flags[5] = {0};
        int ignored = i == 3 && max_block_dim == 36;
        flags[i] = 1;
        CHECK_EQ(run_with(ctx, &data, 1, 3, flags, NULL), ignored ? 0 : -1);
        if (!ignored) check_error(&api, ctx, SIMPLER_RS_ERROR_INVALID_ARGUMENT, "output_prefix");
    }
    diagnostics(ctx, &data, folder);
    memset(prefix, 'p', sizeof(prefix));
    prefix[sizeof(prefix) - 1] = 0;
    CHECK_EQ(run_with(ctx, &data, 1, 3, none, prefix), -1);
    check_error(&api, ctx, SIMPLER_RS_ERROR_INVALID_ARGUMENT, "1023");
    CHECK_EQ(run_with(ctx, &data, 1, 3, none, "\xff"), -1);
    check_error(&api, ctx, SIMPLER_RS_ERROR_INVALID_ARGUMENT, "UTF-8");
    CHECK_EQ(run_with(ctx, &data, max_block_dim, max_threads, none, "not used"), 0);

    fill(&data, DOUBLE, 0);
    data.args.tensor_count = 129;
    CHECK_EQ(run(&api, ctx, 0, &data, NULL), -1);
    check_error(&api, ctx, SIMPLER_RS_ERROR_INVALID_ARGUMENT, "129");
    fill(&data, DOUBLE, 0);
    data.args.tensors[1].ndims = 6;
    CHECK_EQ(run(&api, ctx, 0, &data, NULL), -1);
    check_error(&api, ctx, SIMPLER_RS_ERROR_INVALID_ARGUMENT, "tensor argument 1");
    fill(&data, DOUBLE, 0);
    data.args.tensors[1].child_memory = 1;
    CHECK_EQ(run(&api, ctx, 0, &data, NULL), -1);
    check_error(&api, ctx, SIMPLER_RS_ERROR_INVALID_ARGUMENT, "device memory");

    if (is_hbg(&api)) {
        refuse_run(ctx, RETURN, 7, 7, SIMPLER_RS_ERROR_ORCHESTRATION, "returned 7");
        refuse_run(ctx, RETURN, (uint64_t)-5, -5, SIMPLER_RS_ERROR_ORCHESTRATION, "returned -5");
        refuse_run(ctx, THROW, 0, -1, SIMPLER_RS_ERROR_ORCHESTRATION, "thrown on purpose");
        refuse_run(ctx, CYCLE, 0, -1, SIMPLER_RS_ERROR_ORCHESTRATION, "task 0");
        refuse_run(ctx, UNKNOWN_KERNEL, 0, -1, SIMPLER_RS_ERROR_ORCHESTRATION, "7");
    } else if (on_hardware(&api)) {
        /* What the orchestration says is in the device's log. */
        refuse_run(ctx, RETURN, 9, -9, SIMPLER_RS_ERROR_ORCHESTRATION, "log");
        refuse_run(ctx, RETURN, 1234, -1234, SIMPLER_RS_ERROR_ORCHESTRATION, "log");
        refuse_run(ctx, UNKNOWN_KERNEL, 0, -5, SIMPLER_RS_ERROR_ORCHESTRATION, "log");
    } else {
        refuse_run(ctx, RETURN, 9, -9, SIMPLER_RS_ERROR_ORCHESTRATION, "ended on purpose");
        refuse_run(ctx, RETURN, 1234, -1234, SIMPLER_RS_ERROR_ORCHESTRATION, "ended on purpose");
        refuse_run(ctx, THROW, 0, -1, SIMPLER_RS_ERROR_ORCHESTRATION, "thrown on purpose");
        refuse_run(ctx, UNKNOWN_KERNEL, 0, -5, SIMPLER_RS_ERROR_ORCHESTRATION, "7");
    }
    CHECK_EQ(
        api.run_runtime(ctx, buffer, image.bytes, &data.args, 3, 3, 0, NULL, 0, NULL, 0, 1), -1
    );
    check_error(&api, ctx, SIMPLER_RS_ERROR_UNSUPPORTED, "run_prepared");
    CHECK_EQ(api.run_runtime(ctx, buffer, image.bytes, &data.args, 3, 3, 1, NULL, 0, NULL, 0, 0), -1);
    check_error(&api, ctx, SIMPLER_RS_ERROR_INVALID_ARGUMENT, "has device 0");
    CHECK_EQ(api.run_runtime(ctx, NULL, image.bytes, &data.args, 3, 3, 0, NULL, 0, NULL, 0, 0), -1);
    CHECK_EQ(api.run_runtime(ctx, buffer, NULL, &data.args, 3, 3, 0, NULL, 0, NULL, 0, 0), -1);
    CHECK_EQ(api.run_runtime(ctx, buffer, image.bytes, NULL, 3, 3, 0, NULL, 0, NULL, 0, 0), -1);
}

static void communication(void) {
    uint64_t number = 0;
    uint32_t rank = 0;
    size_t size = 0;
    int i;
    const struct { int rank, ranks; const char *path, *text; } wrong[] = {
        {0, 1, NULL, "rootinfo_path is null"}, {-1, 2, "/tmp/somewhere", "rank -1 is negative"},
        {0, -2, "/tmp/somewhere", "nranks -2 is negative"}, {2, 2, "/tmp/somewhere", "rank 2 of 2 does not exist"},
        {0, 0, "/tmp/somewhere", "rank 0 of 0 does not exist"}, {0, 65, "/tmp/somewhere", "1 to 64 ranks"},
    };
    for (i = 0; i < (int)(sizeof(wrong) / sizeof(wrong[0])); i++) {
        CHECK(api.comm_init(wrong[i].rank, wrong[i].ranks, NULL, wrong[i].path) == NULL);
        check_error(&api, NULL, SIMPLER_RS_ERROR_INVALID_ARGUMENT, wrong[i].text);
    }
    CHECK(api.comm_init(0, 1, (void *)&number, "/tmp/somewhere") == NULL);
    check_error(&api, NULL, SIMPLER_RS_ERROR_INVALID_HANDLE, "not a stream of this library");
    CHECK_EQ(api.comm_alloc_windows(NULL, 8, &number), -1);
    CHECK_EQ(api.comm_get_local_window_base(NULL, &number), -1);
    CHECK_EQ(api.comm_get_window_size(NULL, &size), -1);
    CHECK_EQ(api.comm_derive_context(NULL, &rank, 1, 0, 0, 8, &number), -1);
    CHECK_EQ(api.comm_alloc_domain_windows(NULL, 1, &rank, 1, 0, 8, &number, &number), -1);
    CHECK_EQ(api.comm_release_domain_windows(NULL, 1, 1, 0), -1);
    CHECK_EQ(api.comm_barrier(NULL), -1);
    CHECK_EQ(api.comm_destroy(NULL), -1);
    check_error(&api, NULL, SIMPLER_RS_ERROR_INVALID_HANDLE, "the communicator is null");
    CHECK_EQ(api.comm_barrier((void *)&number), -1);
    check_error(&api, NULL, SIMPLER_RS_ERROR_INVALID_HANDLE, "not a communicator of this library");
}

static void additions(void *ctx) {
    struct simpler_rs_report report;
    struct {
        struct simpler_rs_run info;
        uint64_t behind;
    } larger;
    report.struct_size = 0;
    CHECK_EQ(api.simpler_rs_resource_report(ctx, &report), -1);
    check_error(&api, NULL, SIMPLER_RS_ERROR_INVALID_ARGUMENT, "struct_size");
    CHECK_EQ(api.simpler_rs_resource_report(ctx, NULL), -1);
    CHECK_EQ(api.simpler_rs_resource_report(&report, &report), -1);
    check_error(&api, NULL, SIMPLER_RS_ERROR_INVALID_HANDLE, "not a context");
    /* A client that knows less gets less, and one that knows more keeps the rest. */
    memset(&report, 0x55, sizeof(report));
    report.struct_size = 2 * sizeof(uint64_t);
    CHECK_EQ(api.simpler_rs_resource_report(ctx, &report), 0);
    CHECK_EQ(report.contexts, 1);
    CHECK_EQ(report.allocations, 0x5555555555555555);
    larger.info.struct_size = sizeof(larger);
    larger.behind = 42;
    CHECK_EQ(api.simpler_rs_run_info(ctx, &larger.info), 0);
    CHECK_EQ(larger.behind, 42);
    CHECK_EQ(api.simpler_rs_run_info(ctx, NULL), -1);
    CHECK_EQ(api.simpler_rs_set_log_sink(NULL, NULL, 5), -1);
    CHECK_EQ(api.simpler_rs_set_log_sink(NULL, NULL, -1), -1);
}

/* A kernel that does not return ends the run and the device, not the process. */
static void never_returns(void) {
    struct data data;
    float value = 0;
    void *ctx = api.create_device_context();
    CHECK_EQ(api.simpler_rs_set_option(ctx, "watchdog_ms", "300"), 0);
    CHECK_EQ(init(&api, ctx, 0), 0);
    CHECK_EQ(api.prepare_callable(ctx, 0, image.bytes), 0);
    void *dev = api.device_malloc_ctx(ctx, sizeof(value));
    fill(&data, SPIN, 0);
    CHECK_EQ(run(&api, ctx, 0, &data, NULL), -1);
    check_error(&api, ctx, SIMPLER_RS_ERROR_STALLED, "watchdog");
    check_untouched(&data);
    fill(&data, DOUBLE, 0);
    CHECK_EQ(run(&api, ctx, 0, &data, NULL), -1);
    check_error(&api, ctx, SIMPLER_RS_ERROR_UNUSABLE, "unusable");
    /* What is there can still be had. */
    CHECK_EQ(api.copy_from_device_ctx(ctx, &value, dev, sizeof(value)), 0);
    api.destroy_device_context(ctx);
    CHECK_EQ(contexts(&api), 0);
    ctx = new_context(&api, 0);
    CHECK_EQ(api.prepare_callable(ctx, 0, image.bytes), 0);
    run_well(&api, ctx, 0);
    api.destroy_device_context(ctx);
}

int main(int argc, char **argv) {
    void *ctx;
    CHECK_EQ(argc, 5);
    api = open_api(argv[1]);
    image = make_callable(&api, argv[3]);
    handles();
    without_device();
    if (on_hardware(&api)) {
        read_programs(&api, argv[2]);
        devices_of_hardware();
    } else {
        devices_and_programs(argv[2]);
    }
    ctx = new_context(&api, 0);
    of_device = held(&api, ctx);
    CHECK(of_device == 0 || on_hardware(&api));
    memory(ctx);
    callables(ctx, argv[3]);
    runs(ctx, argv[4]);
    communication();
    additions(ctx);
    CHECK_EQ(api.finalize_device(ctx), 0);
    CHECK_EQ(held(&api, ctx), 0);
    api.destroy_device_context(ctx);
    if (on_hardware(&api)) {
        /* A kernel that does not return is the device's matter there. */
        CHECK_EQ(contexts(&api), 0);
        forget_programs();
        free(image.bytes);
        CHECK_EQ(dlclose(api.library), 0);
        return 0;
    }
    never_returns();
    /* The kernel that was given up returns into the library, which is therefore still there. */
    CHECK_EQ(dlclose(api.library), 0);
    FILE *end = fopen(getenv("SIMPLER_TEST_END_OF_SPIN"), "w");
    CHECK(end != NULL);
    fclose(end);
    struct timespec moment = {0, 300 * 1000 * 1000};
    nanosleep(&moment, NULL);
    free(image.bytes);
    return 0;
}
