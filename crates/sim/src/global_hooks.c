/*
 * libcpu_sim_context.so: what device programs and kernels of a simulation look up in the global scope
 * (spec/public-abi.md, sections A.7 and E.6; spec/device-abi.md, section 7.4).
 *
 * It answers two kinds of threads:
 *
 * - Threads that run kernels for our simulator. The simulator is linked into its user's program or library,
 *   where dlsym(RTLD_DEFAULT) does not see it; so it binds the thread to functions of its own, and calls are
 *   passed on to them. Several simulators in one process share one copy of this object.
 * - All other threads, those of device programs from elsewhere. They say which device, cluster and lane they
 *   play, and memory is kept here, by device.
 *
 * The object is never unloaded (it is linked with -z nodelete): kernels and simulators keep addresses into it.
 */
#define _GNU_SOURCE /* tdestroy */
#include <pthread.h>
#include <search.h>
#include <stdalign.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#define EXPORTED __attribute__((visibility("default")))
#define NO_DEVICE (-1)

/* ---- The calling thread ---- */

typedef uint32_t (*subblock_fn)(void);
typedef void *(*pipe_state_fn)(uint64_t key, size_t size);

static __thread subblock_fn thread_subblock;
static __thread pipe_state_fn thread_pipe_state;

static __thread int thread_device = NO_DEVICE;
static __thread uint32_t thread_subblock_id;
static __thread uint32_t thread_cluster_id;

/* Ours: from now on these functions answer for the calling thread. NULL for both lets the thread go. */
EXPORTED void simpler_sim_bind_thread(subblock_fn subblock, pipe_state_fn pipe_state) {
    thread_subblock = subblock;
    thread_pipe_state = pipe_state;
}

EXPORTED void pto_cpu_sim_bind_device(int device) { thread_device = device < 0 ? NO_DEVICE : device; }

EXPORTED int pto_cpu_sim_get_bound_device(void) { return thread_device; }

/* The contract has the C++ functions sim_context_set_subblock_id(uint32_t), sim_context_set_cluster_id(uint32_t)
 * and clear_cpu_sim_shared_storage(); for the linker they are nothing but names. */
EXPORTED void _Z27sim_context_set_subblock_idj(uint32_t id) { thread_subblock_id = id; }

EXPORTED void _Z26sim_context_set_cluster_idj(uint32_t id) { thread_cluster_id = id; }

EXPORTED uint32_t pto_sim_get_subblock_id(void) {
    return thread_subblock ? thread_subblock() : thread_subblock_id;
}

/* ---- Memory that the cores of a cluster share, by device ---- */

struct block {
    uint32_t cluster;
    uint64_t key;
    /* Kernels build mutexes in it: aligned like what malloc returns. */
    alignas(max_align_t) unsigned char bytes[];
};

struct device {
    int id;
    void *blocks; /* a tree of tsearch(3) */
    struct device *next;
};

static pthread_mutex_t devices_lock = PTHREAD_MUTEX_INITIALIZER;
static struct device *devices;

static int compare_blocks(const void *left, const void *right) {
    const struct block *a = left, *b = right;
    if (a->cluster != b->cluster) return a->cluster < b->cluster ? -1 : 1;
    if (a->key != b->key) return a->key < b->key ? -1 : 1;
    return 0;
}

/* Where the pointer to the device is, or where it would be. Needs the lock, as everything down to the exports. */
static struct device **find_device(int id) {
    struct device **place = &devices;
    while (*place && (*place)->id != id) place = &(*place)->next;
    return place;
}

static struct device *make_device(int id) {
    struct device **place = find_device(id);
    if (!*place && (*place = calloc(1, sizeof **place))) (*place)->id = id;
    return *place;
}

static void free_blocks(struct device *device) {
    tdestroy(device->blocks, free);
    device->blocks = NULL;
}

static struct block *make_block(struct device *device, uint32_t cluster, uint64_t key, size_t size) {
    if (size > SIZE_MAX - sizeof(struct block)) return NULL;
    struct block *block = calloc(1, sizeof *block + size);
    if (!block) return NULL;
    block->cluster = cluster;
    block->key = key;
    if (tsearch(block, &device->blocks, compare_blocks)) return block;
    free(block);
    return NULL;
}

static struct block *find_or_make_block(int id, uint32_t cluster, uint64_t key, size_t size) {
    struct device *device = make_device(id);
    if (!device) return NULL;
    struct block wanted = {.cluster = cluster, .key = key};
    struct block **found = tfind(&wanted, &device->blocks, compare_blocks);
    return found ? *found : make_block(device, cluster, key, size);
}

/* A device that nobody acquired is made at its first block: the contract knows two reasons for NULL, and this is
 * not one of them. */
EXPORTED void *pto_sim_get_pipe_shared_state(uint64_t key, size_t size) {
    if (thread_pipe_state) return thread_pipe_state(key, size);
    if (thread_device == NO_DEVICE || size == 0) return NULL;
    pthread_mutex_lock(&devices_lock);
    struct block *block = find_or_make_block(thread_device, thread_cluster_id, key, size);
    pthread_mutex_unlock(&devices_lock);
    return block ? block->bytes : NULL;
}

/* Not counted: the first release frees, however often the device was acquired. */
EXPORTED void pto_cpu_sim_acquire_device(int id) {
    if (id < 0) return;
    pthread_mutex_lock(&devices_lock);
    make_device(id);
    pthread_mutex_unlock(&devices_lock);
}

EXPORTED void pto_cpu_sim_release_device(int id) {
    pthread_mutex_lock(&devices_lock);
    struct device **place = find_device(id);
    struct device *device = *place;
    if (device) {
        *place = device->next;
        free_blocks(device);
        free(device);
    }
    pthread_mutex_unlock(&devices_lock);
}

/* Of the device that the calling thread is bound to. */
EXPORTED void _Z28clear_cpu_sim_shared_storagev(void) {
    pthread_mutex_lock(&devices_lock);
    struct device *device = *find_device(thread_device);
    if (device) free_blocks(device);
    pthread_mutex_unlock(&devices_lock);
}
