/* Where records go: TRB_LIBRARY LOG_LIBRARY GRAPHS. What the log library writes is looked at by whoever runs this. */
#include "client.h"

static int records, last_level;
static char last_target[64], last_message[256];

static void sink(void *user, int level, const char *target, const char *message) {
    const struct api *api = (const struct api *)user;
    records++;
    last_level = level;
    snprintf(last_target, sizeof(last_target), "%s", target);
    snprintf(last_message, sizeof(last_message), "%s", message);
    /* A sink may call the library, but what that logs does not come back, and it cannot take itself away. */
    CHECK_EQ(api->finalize_device(NULL), -1);
    CHECK_EQ(api->simpler_rs_set_log_sink(NULL, NULL, 0), -1);
    check_error(api, NULL, SIMPLER_RS_ERROR_BUSY, "inside");
}

static void fail(const struct api *api, const char *why) {
    void *ctx = api->create_device_context();
    CHECK_EQ(api->simpler_rs_set_option(ctx, why, "1"), -1);
    api->destroy_device_context(ctx);
}

/* They keep their level, verbosity and function. */
static void messages_of_an_orchestration(const struct api *api, const char *graphs, int (*init)(int, int)) {
    struct file image = make_callable(api, graphs);
    void *ctx = new_context(api, 0);
    struct data data;
    int level;
    CHECK_EQ(api->prepare_callable(ctx, 0, image.bytes), 0);
    fill(&data, MESSAGES, 0);
    for (level = 0; level <= 4; level++) {
        CHECK_EQ(init(level, 6), 0);
        CHECK_EQ(run(api, ctx, 0, &data, NULL), 0);
    }
    CHECK_EQ(api->simpler_rs_set_log_sink(sink, (void *)api, 2), 0);
    records = 0;
    CHECK_EQ(run(api, ctx, 0, &data, NULL), 0);
    CHECK_EQ(records, 2);
    CHECK(strcmp(last_target, "build") == 0);
    CHECK(strcmp(last_message, "message of level 3") == 0);
    CHECK_EQ(api->simpler_rs_set_log_sink(NULL, NULL, 0), 0);
    api->destroy_device_context(ctx);
    free(image.bytes);
}

int main(int argc, char **argv) {
    struct api api;
    void *log;
    int (*init)(int, int);
    CHECK_EQ(argc, 4);
    api = open_api(argv[1]);
    fail(&api, "goes-nowhere");
    CHECK_EQ(api.simpler_rs_set_log_sink(sink, &api, 3), 0);
    fail(&api, "goes-to-the-sink");
    CHECK_EQ(records, 1);
    CHECK_EQ(last_level, 3);
    CHECK(strcmp(last_target, "simpler_rs_set_option") == 0);
    CHECK(strstr(last_message, "goes-to-the-sink") != NULL);
    CHECK_EQ(api.simpler_rs_set_log_sink(sink, &api, 4), 0);
    fail(&api, "is-not-wanted");
    CHECK_EQ(records, 1);
    CHECK_EQ(api.simpler_rs_set_log_sink(NULL, NULL, 0), 0);
    fail(&api, "goes-nowhere-again");
    CHECK_EQ(records, 1);

    log = dlopen(argv[2], RTLD_NOW | RTLD_GLOBAL);
    CHECK(log != NULL);
    *(void **)&init = dlsym(log, "simpler_log_init");
    CHECK(init != NULL);
    CHECK_EQ(init(5, 0), -1);
    CHECK_EQ(init(0, 10), -1);
    CHECK_EQ(init(1, 5), 0);
    fail(&api, "goes-to-the-library");
    CHECK_EQ(init(4, 0), 0);
    fail(&api, "is-below-the-level");
    CHECK_EQ(init(3, 0), 0);
    CHECK_EQ(api.simpler_rs_set_log_sink(sink, &api, 0), 0);
    fail(&api, "goes-to-the-sink-again");
    CHECK_EQ(records, 2);
    CHECK_EQ(api.simpler_rs_set_log_sink(NULL, NULL, 0), 0);
    fail(&api, "goes-to-the-library-again");
    CHECK_EQ(records, 2);
    messages_of_an_orchestration(&api, argv[3], init);
    return 0;
}
