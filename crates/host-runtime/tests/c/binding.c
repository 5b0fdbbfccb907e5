/* Functions without a context find that of the call they are made from, and no other: LIBRARY PROGRAMS GRAPHS */
#include <pthread.h>

#include "client.h"

static struct api api;
static const struct simpler_host_api *host;
static struct file image;
static void *outer, *inner;
static int calls;

/* Nothing is bound to this thread. */
static void check_unbound(void) {
    char byte = 0;
    CHECK(host->device_malloc(8) == NULL);
    check_error(&api, NULL, SIMPLER_RS_ERROR_NOT_INITIALIZED, "no worker is bound");
    host->device_free(&byte);
    check_error(&api, NULL, SIMPLER_RS_ERROR_NOT_INITIALIZED, "no worker is bound");
    CHECK_EQ(host->copy_to_device(&byte, &byte, 1), -1);
    CHECK_EQ(host->copy_from_device(&byte, &byte, 1), -1);
    CHECK_EQ(host->setup_static_arena(64, 64, 64), -1);
    CHECK(host->acquire_pooled_gm_heap() == NULL);
    CHECK(host->acquire_pooled_gm_sm() == NULL);
    CHECK(host->acquire_pooled_runtime_arena() == NULL);
    CHECK_EQ(host->upload_chip_callable_buffer(image.bytes), 0);
    check_error(&api, NULL, SIMPLER_RS_ERROR_NOT_INITIALIZED, "no worker is bound");
}

/* Memory allocated now belongs to `ctx`. */
static void check_bound(void *ctx, void *other) {
    char there[8] = "1234567", back[8] = {0};
    void *dev = host->device_malloc(sizeof(there));
    CHECK(dev != NULL);
    CHECK_EQ(host->copy_to_device(dev, there, sizeof(there)), 0);
    CHECK_EQ(host->copy_from_device(back, dev, sizeof(back)), 0);
    CHECK(memcmp(there, back, sizeof(back)) == 0);
    CHECK_EQ(api.copy_from_device_ctx(ctx, back, dev, sizeof(back)), 0);
    CHECK_EQ(api.copy_from_device_ctx(other, back, dev, sizeof(back)), -1);
    host->device_free(dev);
    CHECK_EQ(api.copy_from_device_ctx(ctx, back, dev, sizeof(back)), -1);
    CHECK_EQ(host->copy_to_device(NULL, there, 0), -1);
    CHECK_EQ(host->copy_from_device(back, NULL, 0), -1);
}

static int run_calling(void *ctx, int (*function)(void *), void *user) {
    struct data data;
    int code;
    fill(&data, CALL, 0);
    data.args.scalars[2] = (uint64_t)(uintptr_t)function;
    data.args.scalars[3] = (uint64_t)(uintptr_t)user;
    code = run(&api, ctx, 0, &data, NULL);
    if (code == 0) check_doubled(&data);
    return code;
}

static int everything(void *unused) {
    uint64_t place;
    (void)unused;
    calls++;
    check_bound(outer, inner);
    CHECK(host->acquire_pooled_gm_heap() == NULL);
    CHECK_EQ(host->setup_static_arena(4096, 2048, 1024), 0);
    CHECK(host->acquire_pooled_gm_heap() != NULL);
    CHECK(host->acquire_pooled_gm_sm() != NULL);
    CHECK(host->acquire_pooled_runtime_arena() != NULL);
    CHECK_EQ(host->setup_static_arena(0, 0, 0), 0);
    place = host->upload_chip_callable_buffer(image.bytes);
    CHECK(place != 0);
    CHECK_EQ(host->upload_chip_callable_buffer(image.bytes), place);
    CHECK_EQ(host->upload_chip_callable_buffer(NULL), 0);
    return 0;
}

static int fails(void *unused) {
    (void)unused;
    calls++;
    check_bound(outer, inner);
    return 11;
}

static int inside(void *unused) {
    (void)unused;
    calls++;
    check_bound(inner, outer);
    return 0;
}

/* A run within a run, on another context: well, and failing. */
static int nested(void *unused) {
    struct data data;
    (void)unused;
    calls++;
    check_bound(outer, inner);
    CHECK_EQ(run_calling(inner, inside, NULL), 0);
    check_bound(outer, inner);
    fill(&data, RETURN, 5);
    CHECK_EQ(run(&api, inner, 0, &data, NULL), 5);
    check_bound(outer, inner);
    fill(&data, THROW, 0);
    CHECK_EQ(run(&api, inner, 0, &data, NULL), -1);
    check_bound(outer, inner);
    CHECK_EQ(api.prepare_callable(inner, 0, image.bytes), -1);
    check_bound(outer, inner);
    return 0;
}

static void *on_this_thread(void *unused) {
    struct data data;
    (void)unused;
    check_unbound();
    CHECK_EQ(run_calling(outer, everything, NULL), 0);
    check_unbound();
    CHECK_EQ(run_calling(outer, fails, NULL), 11);
    check_unbound();
    CHECK_EQ(run_calling(outer, nested, NULL), 0);
    check_unbound();
    fill(&data, THROW, 0);
    CHECK_EQ(run(&api, outer, 0, &data, NULL), -1);
    check_unbound();
    fill(&data, CYCLE, 0);
    CHECK_EQ(run(&api, outer, 0, &data, NULL), -1);
    check_unbound();
    /* Failures before the orchestration, and in a registration. */
    CHECK_EQ(run(&api, outer, 3, &data, NULL), -1);
    check_unbound();
    CHECK_EQ(api.prepare_callable(outer, 0, image.bytes), -1);
    CHECK_EQ(api.prepare_callable(outer, 1, (void *)64), -1);
    check_unbound();
    CHECK_EQ(api.prepare_callable(outer, 1, image.bytes), 0);
    CHECK_EQ(api.unregister_callable(outer, 1), 0);
    check_unbound();
    return NULL;
}

int main(int argc, char **argv) {
    pthread_t thread;
    CHECK_EQ(argc, 4);
    api = open_api(argv[1]);
    host = api.simpler_rs_host_api();
    CHECK(is_hbg(&api));
    image = make_callable(&api, argv[3]);
    outer = new_context(&api, 0);
    inner = new_context(&api, 0);
    CHECK_EQ(api.prepare_callable(outer, 0, image.bytes), 0);
    CHECK_EQ(api.prepare_callable(inner, 0, image.bytes), 0);
    on_this_thread(NULL);
    CHECK_EQ(pthread_create(&thread, NULL, on_this_thread, NULL), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_EQ(calls, 2 * 4);
    api.destroy_device_context(outer);
    check_unbound();
    api.destroy_device_context(inner);
    CHECK_EQ(held(&api, NULL), 0);
    free(image.bytes);
    CHECK_EQ(dlclose(api.library), 0);
    return 0;
}
