/* Ranks of a job: as threads of this process, and as processes forked from it.
   LIBRARY PATH: the library, and where the ranks meet. */
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client.h"

enum { RANKS = 3, BYTES = 4096 };

/* As kernels see it (spec/public-abi.md, section A.6). */
struct comm_context {
    uint64_t work_space, work_space_size;
    uint32_t rank_id, rank_num;
    uint64_t win_size;
    uint64_t windows_in[64], windows_out[64];
};

static struct api api;
static const char *path;

static struct comm_context context_at(void *ctx, uint64_t address) {
    struct comm_context context;
    CHECK_EQ(api.copy_from_device_ctx(ctx, &context, (const void *)(uintptr_t)address, sizeof(context)), 0);
    CHECK_EQ(context.work_space, 0);
    CHECK(memcmp(context.windows_in, context.windows_out, sizeof(context.windows_in)) == 0);
    return context;
}

static uint64_t word_at(void *ctx, uint64_t address) {
    uint64_t word = 0;
    CHECK_EQ(api.copy_from_device_ctx(ctx, &word, (const void *)(uintptr_t)address, sizeof(word)), 0);
    return word;
}

static void store(void *ctx, uint64_t address, uint64_t word) {
    CHECK_EQ(api.copy_to_device_ctx(ctx, (void *)(uintptr_t)address, &word, sizeof(word)), 0);
}

static void domains(void *ctx, void *comm, uint32_t rank) {
    /* Ranks 2 and 0, in this order. */
    const uint32_t members[2] = {2, 0};
    const uint32_t own = rank == 2 ? 0 : 1;
    uint64_t address = 0, window = 0;
    if (rank == 1) {
        CHECK_EQ(api.comm_alloc_domain_windows(comm, 7, members, 2, 0, 64, &address, &window), -1);
        check_error(&api, NULL, SIMPLER_RS_ERROR_INVALID_ARGUMENT, "is not that of this rank, 1");
        return;
    }
    CHECK_EQ(api.comm_alloc_domain_windows(comm, 7, members, 2, own, 0, &address, &window), -1);
    CHECK_EQ(api.comm_alloc_domain_windows(comm, 7, members, 2, own, 64, &address, &window), 0);
    CHECK_EQ(api.comm_alloc_domain_windows(comm, 7, members, 2, own, 64, &address, &window), -1);
    check_error(&api, NULL, SIMPLER_RS_ERROR_INVALID_ARGUMENT, "allocation 7 is in use");
    struct comm_context context = context_at(ctx, address);
    CHECK_EQ(context.rank_id, own);
    CHECK_EQ(context.rank_num, 2);
    CHECK_EQ(context.win_size, 64);
    CHECK_EQ(context.windows_in[own], window);
    CHECK_EQ(word_at(ctx, window), 0);
    CHECK_EQ(api.comm_release_domain_windows(comm, 7, 3, own), -1);
    CHECK_EQ(api.comm_release_domain_windows(comm, 8, 2, own), -1);
    CHECK_EQ(api.comm_release_domain_windows(comm, 7, 2, own), 0);
    CHECK_EQ(api.comm_release_domain_windows(comm, 7, 2, own), -1);
}

static void derived(void *ctx, void *comm, uint32_t rank, const struct comm_context *base) {
    const uint32_t members[2] = {2, 1}, strangers[1] = {RANKS};
    uint64_t address = 0;
    CHECK_EQ(api.comm_derive_context(comm, members, 2, 1, 128, 256, &address), 0);
    struct comm_context context = context_at(ctx, address);
    CHECK_EQ(context.rank_id, 1);
    CHECK_EQ(context.win_size, 256);
    CHECK_EQ(context.windows_in[0], base->windows_in[2] + 128);
    CHECK_EQ(context.windows_in[1], base->windows_in[1] + 128);
    CHECK_EQ(api.comm_derive_context(comm, members, 2, 2, 0, 8, &address), -1);
    CHECK_EQ(api.comm_derive_context(comm, members, 0, 0, 0, 8, &address), -1);
    CHECK_EQ(api.comm_derive_context(comm, NULL, 2, 0, 0, 8, &address), -1);
    CHECK_EQ(api.comm_derive_context(comm, strangers, 1, 0, 0, 8, &address), -1);
    CHECK_EQ(api.comm_derive_context(comm, members, 2, 0, BYTES, 1, &address), -1);
    CHECK_EQ(api.comm_derive_context(comm, members, 2, 0, SIZE_MAX, SIZE_MAX, &address), -1);
    (void)rank;
}

static void live(uint32_t rank, int with_stream) {
    void *ctx = api.create_device_context();
    CHECK_EQ(api.ensure_acl_ready_ctx(ctx, (int)rank), 0);
    CHECK_EQ(api.simpler_init(ctx, (int)rank, NULL, 0, NULL, 0, NULL, 0), 0);
    const uint64_t before = held(&api, ctx);
    void *stream = with_stream ? api.create_comm_stream_ctx(ctx) : NULL;
    void *comm = api.comm_init((int)rank, RANKS, stream, path);
    CHECK(comm != NULL);
    uint64_t address = 0, own = 0;
    size_t size = 1;
    CHECK_EQ(api.comm_get_window_size(comm, &size), 0);
    CHECK_EQ(size, 0);
    CHECK_EQ(api.comm_get_local_window_base(comm, &own), -1);
    CHECK_EQ(api.comm_barrier(comm), -1);
    CHECK_EQ(api.comm_alloc_windows(comm, BYTES, NULL), -1);
    CHECK_EQ(api.comm_alloc_windows(comm, BYTES, &address), 0);
    CHECK_EQ(api.comm_alloc_windows(comm, BYTES, &address), -1);
    CHECK_EQ(api.comm_get_window_size(comm, &size), 0);
    CHECK_EQ(size, BYTES);
    CHECK_EQ(api.comm_get_local_window_base(comm, &own), 0);

    struct comm_context base = context_at(ctx, address);
    CHECK_EQ(base.rank_id, rank);
    CHECK_EQ(base.rank_num, RANKS);
    CHECK_EQ(base.win_size, BYTES);
    CHECK_EQ(base.windows_in[rank], own);
    store(ctx, own + BYTES - 8, 100 + rank);
    CHECK_EQ(api.comm_barrier(comm), 0);
    for (uint32_t peer = 0; peer < RANKS; peer++) CHECK_EQ(word_at(ctx, base.windows_in[peer] + BYTES - 8), 100 + peer);
    CHECK_EQ(api.copy_from_device_ctx(ctx, &size, (const void *)(uintptr_t)(own + BYTES - 4), 8), -1);
    derived(ctx, comm, rank, &base);
    domains(ctx, comm, rank);
    CHECK_EQ(api.comm_barrier(comm), 0);
    /* What is left goes with the device, for some of them. */
    if (rank != 1) {
        CHECK_EQ(api.comm_destroy(comm), 0);
        CHECK_EQ(api.comm_destroy(comm), -1);
        CHECK_EQ(held(&api, ctx), before);
    }
    CHECK_EQ(api.destroy_comm_stream_ctx(ctx, stream), 0);
    CHECK_EQ(api.finalize_device(ctx), 0);
    CHECK_EQ(held(&api, ctx), 0);
    if (rank == 1) {
        CHECK_EQ(api.comm_barrier(comm), -1);
        CHECK_EQ(api.comm_destroy(comm), 0);
    }
    api.destroy_device_context(ctx);
}

static void *thread(void *rank) {
    live((uint32_t)(uintptr_t)rank, 1);
    return NULL;
}

static void threads(void) {
    pthread_t all[RANKS];
    for (uintptr_t rank = 0; rank < RANKS; rank++) CHECK_EQ(pthread_create(&all[rank], NULL, thread, (void *)rank), 0);
    for (int rank = 0; rank < RANKS; rank++) CHECK_EQ(pthread_join(all[rank], NULL), 0);
}

static void processes(void) {
    pid_t all[RANKS];
    for (uint32_t rank = 0; rank < RANKS; rank++) {
        all[rank] = fork();
        CHECK(all[rank] >= 0);
        if (all[rank] == 0) {
            live(rank, 0);
            exit(0);
        }
    }
    for (int rank = 0; rank < RANKS; rank++) {
        int status = 1;
        CHECK_EQ(waitpid(all[rank], &status, 0), all[rank]);
        CHECK_EQ(status, 0);
    }
}

/* Who does not come is named. */
static void alone(void) {
    uint64_t address = 0;
    void *ctx = api.create_device_context();
    CHECK_EQ(api.simpler_rs_set_option(ctx, "comm_limit_ms", "50"), 0);
    CHECK_EQ(api.simpler_init(ctx, 0, NULL, 0, NULL, 0, NULL, 0), 0);
    /* The only context there is. */
    void *comm = api.comm_init(1, 3, NULL, path);
    CHECK(comm != NULL);
    CHECK_EQ(api.comm_alloc_windows(comm, BYTES, &address), -1);
    check_error(&api, NULL, SIMPLER_RS_ERROR_DEVICE, "ranks 0, 2 did not come within 50");
    CHECK_EQ(api.comm_alloc_windows(comm, BYTES, &address), -1);
    check_error(&api, NULL, SIMPLER_RS_ERROR_DEVICE, "join again");
    CHECK_EQ(api.comm_destroy(comm), 0);
    api.destroy_device_context(ctx);
}

int main(int argc, char **argv) {
    CHECK_EQ(argc, 3);
    api = open_api(argv[1]);
    path = argv[2];
    /* Before this process has threads of its own. */
    processes();
    threads();
    alone();
    CHECK_EQ(held(&api, NULL), 0);
    CHECK_EQ(contexts(&api), 0);
    CHECK_EQ(dlclose(api.library), 0);
    return 0;
}
