/*
 * Symbols that kernels look up in the global scope (spec/public-abi.md, section E.6).
 *
 * The simulator is linked into its user's program or library, where dlsym(RTLD_DEFAULT) does not see it.
 * This object is loaded globally instead and passes each call on to whichever simulator bound the calling
 * thread; several simulators in one process share one copy of it.
 */
#include <stddef.h>
#include <stdint.h>

#define EXPORTED __attribute__((visibility("default")))

typedef uint32_t (*subblock_fn)(void);
typedef void *(*pipe_state_fn)(uint64_t key, size_t size);

static __thread subblock_fn thread_subblock;
static __thread pipe_state_fn thread_pipe_state;

EXPORTED void simpler_sim_bind_thread(subblock_fn subblock, pipe_state_fn pipe_state) {
    thread_subblock = subblock;
    thread_pipe_state = pipe_state;
}

EXPORTED uint32_t pto_sim_get_subblock_id(void) { return thread_subblock ? thread_subblock() : 0; }

EXPORTED void *pto_sim_get_pipe_shared_state(uint64_t key, size_t size) {
    return thread_pipe_state ? thread_pipe_state(key, size) : NULL;
}
