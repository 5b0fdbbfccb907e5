/* Contexts on threads of their own, and one context on several: LIBRARY PROGRAMS GRAPHS CONTEXTS RUNS */
#include <dirent.h>
#include <pthread.h>

#include "client.h"

enum { MAX_THREADS = 64 };

static struct api api;
static struct file image;
static int runs;
static void *shared;

static void *own_context(void *number) {
    int device = (int)(intptr_t)number;
    void *ctx = new_context(&api, device);
    int i;
    CHECK_EQ(api.prepare_callable(ctx, device, image.bytes), 0);
    for (i = 0; i < runs; i++) {
        struct data data;
        PtoRunTiming timing;
        /* Every tenth fails, each of them with a code of its own. */
        int fails = i % 10 == 9;
        int code = 1 + (device * runs + i) % 30000;
        fill(&data, fails ? RETURN : DOUBLE, (uint64_t)code);
        int expected = !fails ? 0 : is_hbg(&api) ? code : -code;
        CHECK_EQ(run(&api, ctx, device, &data, &timing), expected);
        if (fails) {
            char part[32];
            snprintf(part, sizeof(part), "%d", code);
            check_error(&api, ctx, SIMPLER_RS_ERROR_ORCHESTRATION, part);
            check_error(&api, NULL, SIMPLER_RS_ERROR_ORCHESTRATION, part);
            check_untouched(&data);
        } else {
            check_doubled(&data);
        }
    }
    CHECK_EQ(api.finalize_device(ctx), 0);
    CHECK_EQ(held(&api, ctx), 0);
    api.destroy_device_context(ctx);
    return NULL;
}

static void *shared_context(void *number) {
    int32_t id = (int32_t)(intptr_t)number;
    int i;
    CHECK_EQ(api.prepare_callable(shared, id, image.bytes), 0);
    for (i = 0; i < runs; i++) {
        void *memory = api.device_malloc_ctx(shared, 64);
        run_well(&api, shared, id);
        api.device_free_ctx(shared, memory);
        if (i % 16 == 15) {
            CHECK_EQ(api.unregister_callable(shared, id), 0);
            CHECK_EQ(api.prepare_callable(shared, id, image.bytes), 0);
        }
    }
    return NULL;
}

static void on_threads(int count, void *(*work)(void *)) {
    pthread_t threads[MAX_THREADS];
    int i;
    for (i = 0; i < count; i++) CHECK_EQ(pthread_create(&threads[i], NULL, work, (void *)(intptr_t)i), 0);
    for (i = 0; i < count; i++) CHECK_EQ(pthread_join(threads[i], NULL), 0);
}

static void *destroy_under_way(void *unused) {
    struct data data;
    (void)unused;
    fill(&data, DOUBLE, 0);
    /* Well, or refused because the context is gone. */
    for (;;) {
        int result = run(&api, shared, 0, &data, NULL);
        CHECK(result == 0 || result == -1);
        if (result != 0) return NULL;
    }
}

static uint64_t runs_under_way(void *ctx) {
    struct simpler_rs_report report;
    report.struct_size = sizeof(report);
    CHECK_EQ(api.simpler_rs_resource_report(ctx, &report), 0);
    return report.runs;
}

static int threads_of_this_process(void) {
    int count = 0;
    struct dirent *entry;
    DIR *tasks = opendir("/proc/self/task");
    CHECK(tasks != NULL);
    while ((entry = readdir(tasks)) != NULL) count += entry->d_name[0] != '.';
    closedir(tasks);
    return count;
}

static void pause_a_moment(void) {
    struct timespec moment = {0, 5 * 1000 * 1000};
    nanosleep(&moment, NULL);
}

static void *run_until_told(void *ctx) {
    struct data data;
    fill(&data, SPIN, 0);
    CHECK_EQ(run(&api, ctx, 0, &data, NULL), 0);
    return NULL;
}

/* A context with a run under way cannot be finalized. It can be destroyed, and is gone when the run has ended. */
static void end_while_a_run_is_under_way(void) {
    pthread_t thread;
    FILE *end;
    void *ctx = new_context(&api, 0);
    CHECK_EQ(api.prepare_callable(ctx, 0, image.bytes), 0);
    CHECK_EQ(pthread_create(&thread, NULL, run_until_told, ctx), 0);
    while (runs_under_way(ctx) == 0) pause_a_moment();
    CHECK_EQ(api.finalize_device(ctx), -1);
    check_error(&api, ctx, SIMPLER_RS_ERROR_BUSY, "run");
    CHECK_EQ(runs_under_way(ctx), 1);
    CHECK_EQ(api.finalize_device(NULL), -1);
    api.destroy_device_context(ctx);
    /* That was no error: the last one is that of the call before. */
    check_error(&api, NULL, SIMPLER_RS_ERROR_INVALID_HANDLE, "null");
    CHECK_EQ(api.finalize_device(ctx), -1);
    check_error(&api, NULL, SIMPLER_RS_ERROR_INVALID_HANDLE, "destroyed");
    end = fopen(getenv("SIMPLER_TEST_END_OF_SPIN"), "w");
    CHECK(end != NULL);
    fclose(end);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    while (threads_of_this_process() > 1) pause_a_moment();
}

int main(int argc, char **argv) {
    pthread_t thread;
    int count;
    CHECK_EQ(argc, 6);
    api = open_api(argv[1]);
    image = make_callable(&api, argv[3]);
    if (on_hardware(&api)) read_programs(&api, argv[2]);
    count = atoi(argv[4]);
    runs = atoi(argv[5]);
    CHECK(count > 0 && count <= MAX_THREADS);
    on_threads(count, own_context);
    CHECK_EQ(contexts(&api), 0);

    shared = new_context(&api, 0);
    on_threads(count < 8 ? count : 8, shared_context);
    api.destroy_device_context(shared);

    /* A context that is destroyed while a run is under way. */
    shared = new_context(&api, 0);
    CHECK_EQ(api.prepare_callable(shared, 0, image.bytes), 0);
    CHECK_EQ(pthread_create(&thread, NULL, destroy_under_way, NULL), 0);
    struct timespec moment = {0, 20 * 1000 * 1000};
    nanosleep(&moment, NULL);
    api.destroy_device_context(shared);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    end_while_a_run_is_under_way();
    CHECK_EQ(contexts(&api), 0);
    CHECK_EQ(held(&api, NULL), 0);
    free(image.bytes);
    forget_programs();
    CHECK_EQ(dlclose(api.library), 0);
    return 0;
}
