/* One of several processes that share memory and meet: rank FOLDER RANK RANKS. Rank r writes r + 1 to each. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "hal_sys.h"

#define CHECK(condition) \
    do { if (!(condition)) { fprintf(stderr, "line %d: %s\n", __LINE__, #condition); exit(1); } } while (0)

/* The libraries are linked, as a program on a chip has them. */
static const char *folder;

static void path(char *to, const char *name, int rank) { snprintf(to, 4096, "%s/%s.%d", folder, name, rank); }

static void publish(const char *name, int rank, const void *bytes, size_t size) {
    char fresh[4200], final[4096];
    path(final, name, rank);
    snprintf(fresh, sizeof fresh, "%s.new", final);
    FILE *file = fopen(fresh, "wb");
    CHECK(file && fwrite(bytes, 1, size, file) == size && fclose(file) == 0 && rename(fresh, final) == 0);
}

static void await(const char *name, int rank, void *bytes, size_t size) {
    char final[4096];
    path(final, name, rank);
    for (time_t start = time(0); time(0) - start < 60; usleep(1000)) {
        FILE *file = fopen(final, "rb");
        if (!file) continue;
        CHECK(fread(bytes, 1, size, file) == size && fclose(file) == 0);
        return;
    }
    CHECK(!"the other ranks are there");
}

struct announcement {
    int32_t pid, device;
    char key[65];
};

int main(int count, char **arguments) {
    CHECK(count == 4);
    folder = arguments[1];
    int rank = atoi(arguments[2]), ranks = atoi(arguments[3]);
    CHECK(aclInit(NULL) == 0 && aclrtSetDevice(rank) == 0);
    aclrtStream stream = NULL;
    CHECK(aclrtCreateStream(&stream) == 0);

    HcclRootInfo root;
    HcclComm comm = NULL;
    if (rank == 0) {
        CHECK(HcclGetRootInfo(&root) == HCCL_SUCCESS);
        publish("root", 0, &root, sizeof root);
    } else {
        await("root", 0, &root, sizeof root);
    }
    CHECK(HcclCommInitRootInfo((uint32_t)ranks, &root, (uint32_t)rank, &comm) == HCCL_SUCCESS);

    void *window = NULL;
    CHECK(aclrtMalloc(&window, 8 * 64, ACL_MEM_MALLOC_HUGE_FIRST) == 0);
    CHECK(aclrtMemset(window, 512, 0, 512) == 0);
    struct announcement own = {.pid = getpid(), .device = rank}, peers[8];
    CHECK(aclrtIpcMemGetExportKey(window, 512, own.key, sizeof own.key, 0) == 0);
    publish("announcement", rank, &own, sizeof own);
    int32_t pids[8];
    for (int i = 0; i < ranks; i++) {
        await("announcement", i, &peers[i], sizeof peers[i]);
        pids[i] = peers[i].pid;
        int32_t status = 0;
        if (i == rank) continue;
        CHECK(aclrtDeviceEnablePeerAccess(peers[i].device, 0) == 0);
        for (time_t start = time(0); status != 1 && time(0) - start < 30; usleep(1000))
            CHECK(aclrtDevicePeerAccessStatus(rank, peers[i].device, &status) == 0);
        CHECK(status == 1);
    }
    CHECK(aclrtIpcMemSetImportPid(own.key, pids, (size_t)ranks) == 0);
    CHECK(HcclBarrier(comm, stream) == HCCL_SUCCESS && aclrtSynchronizeStream(stream) == 0);
    for (int i = 0; i < ranks; i++) {
        void *imported = window;
        if (i != rank) CHECK(aclrtIpcMemImportByKey(&imported, peers[i].key, 0) == 0);
        uint64_t word = (uint64_t)rank + 1;
        CHECK(aclrtMemcpy((uint64_t *)imported + rank, 8, &word, 8, ACL_MEMCPY_HOST_TO_DEVICE) == 0);
    }
    CHECK(HcclBarrier(comm, stream) == HCCL_SUCCESS && aclrtSynchronizeStream(stream) == 0);
    uint64_t words[8];
    CHECK(aclrtMemcpy(words, sizeof words, window, sizeof words, ACL_MEMCPY_DEVICE_TO_HOST) == 0);
    for (int i = 0; i < 8; i++) CHECK(words[i] == (i < ranks ? (uint64_t)i + 1 : 0));

    for (int i = 0; i < ranks; i++)
        if (i != rank) CHECK(aclrtIpcMemClose(peers[i].key) == 0);
    CHECK(HcclBarrier(comm, stream) == HCCL_SUCCESS && aclrtSynchronizeStream(stream) == 0);
    CHECK(aclrtIpcMemClose(own.key) == 0 && aclrtFree(window) == 0);
    CHECK(HcclCommDestroy(comm) == HCCL_SUCCESS && aclrtDestroyStream(stream) == 0);
    CHECK(aclrtResetDevice(rank) == 0 && aclFinalize() == 0);
    return 0;
}
