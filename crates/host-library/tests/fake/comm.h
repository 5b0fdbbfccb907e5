/*
 * Communication of the fake library: every rank has all windows to itself. Failures are told for no context. With
 * -DFAIL_comm everything but comm_init fails, and with -DFAIL_comm_init nobody can join.
 */
struct comm {
    uint64_t rank, ranks;
    uint64_t context[3][132];
    char windows[3][4096];
};

#ifdef FAIL_comm
#define COMM_CODE(code) (-8)
#else
#define COMM_CODE(code) (code)
#endif

static uint64_t address(const void *place) { return (uint64_t)(uintptr_t)place; }

/* Context number `which`: ranks share one window of it. */
static uint64_t fill(struct comm *comm, int which, uint64_t rank, uint64_t ranks, size_t size, uint64_t window) {
    uint64_t *context = comm->context[which];
    context[2] = rank | ranks << 32;
    context[3] = size;
    for (uint64_t i = 0; i < ranks; ++i) context[4 + i] = window;
    return address(context);
}

int ensure_acl_ready_ctx(void *ctx, int device) {
    note("ensure_acl_ready_ctx %d", device);
    return ctx && device >= 0 ? 0 : -1;
}

void *create_comm_stream_ctx(void *ctx) {
    note("create_comm_stream_ctx");
    return ctx;
}

int destroy_comm_stream_ctx(void *ctx, void *stream) {
    note("destroy_comm_stream_ctx");
    return ctx == stream ? 0 : -1;
}

void *comm_init(int rank, int nranks, void *stream, const char *path) {
    note("comm_init %d of %d at %s%s", rank, nranks, path, stream ? "" : " without a stream");
#ifdef FAIL_comm_init
    return NULL;
#else
    struct comm *comm = calloc(1, sizeof *comm);
    comm->rank = (uint64_t)rank;
    comm->ranks = (uint64_t)nranks;
    return comm;
#endif
}

int comm_alloc_windows(void *handle, size_t size, uint64_t *out) {
    struct comm *comm = handle;
    note("comm_alloc_windows %zu", size);
    *out = fill(comm, 0, comm->rank, comm->ranks, size, address(comm->windows[0]));
    return COMM_CODE(0);
}

int comm_get_local_window_base(void *handle, uint64_t *out) {
    *out = address(((struct comm *)handle)->windows[0]);
    return COMM_CODE(0);
}

int comm_get_window_size(void *handle, size_t *out) {
    *out = ((struct comm *)handle)->context[0][3];
    return COMM_CODE(0);
}

int comm_derive_context(void *handle, const uint32_t *ids, size_t count, uint32_t rank, size_t offset, size_t size,
                        uint64_t *out) {
    struct comm *comm = handle;
    note("comm_derive_context %zu from %u, %u, %zu + %zu", count, ids[0], rank, offset, size);
    *out = fill(comm, 1, rank, count, size, address(comm->windows[0] + offset));
    return COMM_CODE(0);
}

int comm_alloc_domain_windows(void *handle, uint64_t id, const uint32_t *ids, size_t count, uint32_t rank, size_t size,
                              uint64_t *out, uint64_t *base) {
    struct comm *comm = handle;
    note("comm_alloc_domain_windows %d: %zu from %u, %u, %zu", (int)id, count, ids[0], rank, size);
    *base = address(comm->windows[2]);
    *out = fill(comm, 2, rank, count, size, *base);
    return COMM_CODE(0);
}

int comm_release_domain_windows(void *handle, uint64_t id, size_t count, uint32_t rank) {
    (void)handle;
    note("comm_release_domain_windows %d: %zu, %u", (int)id, count, rank);
    return COMM_CODE(0);
}

int comm_barrier(void *handle) {
    (void)handle;
    note("comm_barrier");
    return COMM_CODE(0);
}

int comm_destroy(void *handle) {
    note("comm_destroy");
    free(handle);
    return COMM_CODE(0);
}
