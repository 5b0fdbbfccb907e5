/* A client's day: LIBRARY PROGRAMS_DIRECTORY GRAPHS_DIRECTORY */
#include "client.h"

static void memory(const struct api *api, void *ctx) {
    float there[COUNT], back[COUNT];
    int i;
    char *dev = (char *)api->device_malloc_ctx(ctx, sizeof(there));
    void *empty = api->device_malloc_ctx(ctx, 0);
    CHECK(dev != NULL && empty != NULL && dev != empty);
    for (i = 0; i < COUNT; i++) there[i] = (float)i;
    CHECK_EQ(api->copy_to_device_ctx(ctx, dev, there, sizeof(there)), 0);
    CHECK_EQ(api->copy_from_device_ctx(ctx, back, dev, sizeof(back)), 0);
    CHECK(memcmp(there, back, sizeof(back)) == 0);
    CHECK_EQ(api->copy_from_device_ctx(ctx, back, dev + 4, 4), 0);
    CHECK_EQ(back[0], 1);
    api->device_free_ctx(ctx, dev);
    api->device_free_ctx(ctx, empty);
    api->device_free_ctx(ctx, NULL);
}

static void callables(const struct api *api, void *ctx, const struct file *image) {
    struct data data;
    PtoRunTiming timing = {1, 1};
    struct simpler_rs_run info;
    uint8_t *shifted = (uint8_t *)malloc(image->size + 1);
    int i;
    /* An image is read at any alignment, and only during the call. */
    memcpy(shifted + 1, image->bytes, image->size);
    CHECK_EQ(api->prepare_callable(ctx, 0, shifted + 1), 0);
    CHECK_EQ(api->prepare_callable(ctx, 63, image->bytes), 0);
    memset(shifted, 0xcc, image->size + 1);
    free(shifted);
    info.struct_size = sizeof(info);
    CHECK_EQ(api->simpler_rs_run_info(ctx, &info), -1);
    for (i = 0; i < 3; i++) {
        fill(&data, DOUBLE, 0);
        CHECK_EQ(run(api, ctx, i == 1 ? 63 : 0, &data, &timing), 0);
        check_doubled(&data);
        CHECK(timing.host_wall_ns > 1 && timing.device_wall_ns > 0);
    }
    CHECK_EQ(api->simpler_rs_run_info(ctx, &info), 0);
    CHECK_EQ(info.host_wall_ns, timing.host_wall_ns);
    CHECK_EQ(info.device_wall_ns, timing.device_wall_ns);
    CHECK_EQ(info.tasks, 1);
    CHECK_EQ(info.block_dim, 3);
    CHECK_EQ(info.struct_size, sizeof(info));
    CHECK_EQ(api->get_host_dlopen_count(ctx), is_hbg(api) ? 2 : 0);
    CHECK_EQ(api->get_aicpu_dlopen_count(ctx), is_hbg(api) ? 0 : 2);
    CHECK_EQ(api->unregister_callable(ctx, 63), 0);
    CHECK_EQ(api->unregister_callable(ctx, 63), 0);
    CHECK_EQ(api->prepare_callable(ctx, 63, image->bytes), 0);
    run_well(api, ctx, 63);
    CHECK_EQ(api->get_host_dlopen_count(ctx), is_hbg(api) ? 3 : 0);
    CHECK_EQ(api->get_aicpu_dlopen_count(ctx), is_hbg(api) ? 0 : 3);
}

/* run_runtime: the form without ids. */
static void earlier_form(const struct api *api, const struct file *image) {
    struct data data;
    char buffer[256];
    int i;
    void *ctx = api->create_device_context();
    if (on_hardware(api)) {
        /* Which has no place for the programs that hardware needs. */
        CHECK_EQ(api->set_device(ctx, 5), -1);
        check_error(api, ctx, SIMPLER_RS_ERROR_INVALID_ARGUMENT, "dispatcher");
        api->destroy_device_context(ctx);
        return;
    }
    CHECK_EQ(api->set_device(ctx, 5), 0);
    for (i = 0; i < 3; i++) {
        fill(&data, DOUBLE, 0);
        CHECK_EQ(
            api->run_runtime(ctx, buffer, image->bytes, &data.args, 3, 3, 5, NULL, 0, NULL, 0, 0), 0
        );
        check_doubled(&data);
    }
    /* It takes no id from the client. */
    for (i = 0; i < 64; i++) CHECK_EQ(api->prepare_callable(ctx, i, image->bytes), 0);
    run_well(api, ctx, 63);
    CHECK_EQ(api->run_runtime(ctx, buffer, image->bytes, &data.args, 3, 3, 5, NULL, 0, NULL, 0, 0), -1);
    check_error(api, ctx, SIMPLER_RS_ERROR_CALLABLE, "all 64 callable ids");
    CHECK_EQ(api->unregister_callable(ctx, 17), 0);
    CHECK_EQ(api->run_runtime(ctx, buffer, image->bytes, &data.args, 3, 3, 5, NULL, 0, NULL, 0, 0), 0);
    api->destroy_device_context(ctx);
}

int main(int argc, char **argv) {
    CHECK_EQ(argc, 4);
    struct api api = open_api(argv[1]);
    struct file image = make_callable(&api, argv[3]);
    void *ctx = api.create_device_context();
    CHECK(ctx != NULL);
    CHECK(strlen(api.simpler_rs_version()) >= 5);
    CHECK_EQ(api.get_incore_compiler(), on_hardware(&api) ? 0 : 1);
    CHECK_EQ(api.get_orchestration_compiler(), on_hardware(&api) ? 3 : 2);
    read_programs(&api, argv[2]);
    CHECK_EQ(init(&api, ctx, 2), 0);
    CHECK_EQ(init(&api, ctx, 2), 0);
    CHECK_EQ(api.ensure_acl_ready_ctx(ctx, 2), 0);
    if (!on_hardware(&api)) forget_programs();
    void *stream = api.create_comm_stream_ctx(ctx);
    CHECK(stream != NULL);
    CHECK_EQ(api.destroy_comm_stream_ctx(ctx, stream), 0);
    CHECK_EQ(api.destroy_comm_stream_ctx(ctx, stream), -1);
    CHECK_EQ(api.destroy_comm_stream_ctx(ctx, NULL), 0);
    memory(&api, ctx);
    callables(&api, ctx, &image);
    CHECK(held(&api, ctx) > 0);
    CHECK_EQ(api.finalize_device(ctx), 0);
    CHECK_EQ(held(&api, ctx), 0);
    CHECK_EQ(api.finalize_device(ctx), 0);
    /* The count of the host goes on, that of the device does not. */
    CHECK_EQ(api.get_host_dlopen_count(ctx), is_hbg(&api) ? 3 : 0);
    CHECK_EQ(api.get_aicpu_dlopen_count(ctx), 0);
    /* A finalized context may get a device again, also another one. */
    CHECK_EQ(init(&api, ctx, 7), 0);
    forget_programs();
    CHECK_EQ(api.prepare_callable(ctx, 0, image.bytes), 0);
    run_well(&api, ctx, 0);
    earlier_form(&api, &image);
    api.destroy_device_context(ctx);
    api.destroy_device_context(NULL);
    CHECK_EQ(held(&api, NULL), 0);
    CHECK_EQ(contexts(&api), 0);
    free(image.bytes);
    CHECK_EQ(dlclose(api.library), 0);
    return 0;
}
