/* Several libraries in one process, loaded and closed again, and in children: GRAPHS LIBRARY... */
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client.h"

enum { MAX_LIBRARIES = 8, RUNS = 50 };

static const char *graphs;

static void use(const struct api *api, int device) {
    struct file image = make_callable(api, graphs);
    void *ctx = new_context(api, device);
    int i;
    CHECK_EQ(api->prepare_callable(ctx, 0, image.bytes), 0);
    for (i = 0; i < RUNS; i++) run_well(api, ctx, 0);
    CHECK_EQ(api->finalize_device(ctx), 0);
    CHECK_EQ(held(api, ctx), 0);
    api->destroy_device_context(ctx);
    free(image.bytes);
}

static void *use_on_thread(void *api) {
    use((const struct api *)api, 0);
    return NULL;
}

static void wait_for(pid_t child) {
    int status = 0;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status));
    CHECK_EQ(WEXITSTATUS(status), 0);
}

/* Children with a device each, of a library that the parent only loaded. */
static void children(const struct api *api) {
    pid_t child[3];
    int i;
    /* A context may be made before, as long as it has no device. */
    void *ctx = api->create_device_context();
    for (i = 0; i < 3; i++) {
        child[i] = fork();
        CHECK(child[i] >= 0);
        if (child[i] == 0) {
            use(api, i);
            CHECK_EQ(api->simpler_init(ctx, i, NULL, 0, NULL, 0, NULL, 0), 0);
            api->destroy_device_context(ctx);
            exit(0);
        }
    }
    for (i = 0; i < 3; i++) wait_for(child[i]);
    api->destroy_device_context(ctx);
}

/* A child gets an error for its parent's device, and may have its own. */
static void child_of_a_user(const struct api *api) {
    struct file image = make_callable(api, graphs);
    void *ctx = new_context(api, 0);
    pid_t child;
    CHECK_EQ(api->prepare_callable(ctx, 0, image.bytes), 0);
    run_well(api, ctx, 0);
    child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        struct data data;
        fill(&data, DOUBLE, 0);
        CHECK_EQ(run(api, ctx, 0, &data, NULL), -1);
        check_error(api, ctx, SIMPLER_RS_ERROR_WRONG_PROCESS, "forked");
        CHECK_EQ(api->prepare_callable(ctx, 1, image.bytes), -1);
        CHECK(api->device_malloc_ctx(ctx, 8) == NULL);
        CHECK_EQ(api->finalize_device(ctx), 0);
        CHECK_EQ(api->simpler_init(ctx, 0, NULL, 0, NULL, 0, NULL, 0), 0);
        CHECK_EQ(api->prepare_callable(ctx, 0, image.bytes), 0);
        run_well(api, ctx, 0);
        api->destroy_device_context(ctx);
        /* What was the parent's is still in memory; as another program it is not looked at for leaks. */
        execlp("true", "true", (char *)NULL);
        exit(1);
    }
    wait_for(child);
    run_well(api, ctx, 0);
    api->destroy_device_context(ctx);
    free(image.bytes);
}

int main(int argc, char **argv) {
    struct api apis[MAX_LIBRARIES];
    pthread_t threads[2 * MAX_LIBRARIES];
    int count = argc - 2;
    int i, round;
    CHECK(count >= 2 && count <= MAX_LIBRARIES);
    graphs = argv[1];
    for (i = 0; i < count; i++) {
        struct api api = open_api(argv[2 + i]);
        children(&api);
        CHECK_EQ(dlclose(api.library), 0);
    }
    for (round = 0; round < 3; round++) {
        void *ctx;
        for (i = 0; i < count; i++) apis[i] = open_api(argv[2 + i]);
        /* Each library has handles of its own. */
        ctx = apis[0].create_device_context();
        CHECK_EQ(apis[1].finalize_device(ctx), -1);
        check_error(&apis[1], NULL, SIMPLER_RS_ERROR_INVALID_HANDLE, "not a context of this library");
        CHECK_EQ(apis[0].finalize_device(ctx), 0);
        apis[0].destroy_device_context(ctx);
        for (i = 0; i < 2 * count; i++) {
            CHECK_EQ(pthread_create(&threads[i], NULL, use_on_thread, &apis[i % count]), 0);
        }
        for (i = 0; i < 2 * count; i++) CHECK_EQ(pthread_join(threads[i], NULL), 0);
        for (i = 0; i < count; i++) {
            use(&apis[i], i);
            CHECK_EQ(contexts(&apis[i]), 0);
            CHECK_EQ(dlclose(apis[i].library), 0);
        }
    }
    for (i = 0; i < count; i++) {
        struct api api = open_api(argv[2 + i]);
        child_of_a_user(&api);
        CHECK_EQ(dlclose(api.library), 0);
    }
    return 0;
}
