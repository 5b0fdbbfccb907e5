/*
 * The C API of libhost_runtime.so: run task graphs on one chip.
 *
 * A library is for one platform and one runtime; `cargo xtask build-all` makes them all. It is loaded with dlopen:
 *
 *     void *library = dlopen("build/lib/a2a3/sim/host_build_graph/libhost_runtime.so", RTLD_NOW | RTLD_LOCAL);
 *     void *(*create)(void) = (void *(*)(void))dlsym(library, "create_device_context");
 *     ...
 *     void *ctx = create();
 *     simpler_init(ctx, 0, NULL, 0, NULL, 0, NULL, 0);
 *     prepare_callable(ctx, 0, image);
 *     run_prepared(ctx, buffer, 0, &args, 0, 3, 0, 0, 0, 0, 0, NULL, &timing);
 *     finalize_device(ctx);
 *     destroy_device_context(ctx);
 *
 * Results. Functions that return int return 0 for success. A negative number is an error: -1, or the status of a
 * tensormap_and_ringbuffer run (-1 to -103). run_prepared also hands on what a host_build_graph orchestration returns,
 * whatever its sign. simpler_rs_last_error tells what went wrong and what to do.
 *
 * Handles. A context is not the address of anything. A handle that is null, was destroyed, or belongs to another
 * library is an error. A context may be used from any thread, also from several at once: runs of one context take
 * place one after the other, those of different contexts at the same time.
 *
 * Failures. A call that fails gives back what it took, and leaves the context as it was. Only a kernel that never
 * returns cannot be taken back: its context then refuses further runs (SIMPLER_RS_ERROR_UNUSABLE) and stays good for
 * copying out what is there and for being destroyed; the library stays in the process after dlclose.
 *
 * Processes. A context that has a device belongs to the process that gave it one. After a fork the child gets an error
 * for it (SIMPLER_RS_ERROR_WRONG_PROCESS), and makes contexts of its own.
 *
 * Functions whose names begin with simpler_rs_ are additions; other libraries of this API do not have them.
 */
#ifndef SIMPLER_HOST_RUNTIME_H_
#define SIMPLER_HOST_RUNTIME_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Data ------------------------------------------------------------------------------------------------------- */

/* Element types. */
enum simpler_data_type {
    SIMPLER_FLOAT32 = 0,
    SIMPLER_FLOAT16 = 1,
    SIMPLER_INT32 = 2,
    SIMPLER_INT16 = 3,
    SIMPLER_INT8 = 4,
    SIMPLER_UINT8 = 5,
    SIMPLER_BFLOAT16 = 6,
    SIMPLER_INT64 = 7,
    SIMPLER_UINT64 = 8,
    SIMPLER_UINT16 = 9,
    SIMPLER_UINT32 = 10
};

/* A dense tensor of one to five dimensions. 40 bytes. */
struct simpler_tensor {
    uint64_t data;        /* address of the first element: in host memory, or in device memory if child_memory is set */
    uint32_t shapes[5];   /* elements per dimension */
    uint32_t ndims;       /* dimensions in use */
    uint8_t dtype;        /* enum simpler_data_type */
    uint8_t child_memory; /* not 0: data is device memory of the same context, and is neither copied nor freed */
    uint8_t reserved[6];
};

/* Arguments of a run. 6152 bytes; entries beyond the counts are not looked at. */
struct simpler_task_args {
    struct simpler_tensor tensors[128];
    uint64_t scalars[128];
    int32_t tensor_count;
    int32_t scalar_count;
};

/* How long a run took. */
typedef struct PtoRunTiming {
    uint64_t host_wall_ns;   /* from the beginning of the call to its end */
    uint64_t device_wall_ns; /* on the device's clock, from the launch to the end of the last task */
} PtoRunTiming;

/* ---- Life of a context ------------------------------------------------------------------------------------------ */

/* Makes a context without a device. NULL on failure. */
void *create_device_context(void);

/* Finalizes and frees a context; the handle is dead from then on. NULL is allowed. If a run is under way on another
   thread, all is given back when it ends. */
void destroy_device_context(void *ctx);

/* Bytes of the buffer that run_prepared and run_runtime want. Any alignment will do. */
size_t get_runtime_size(void);

/* Takes device `device_id` (from 0 on) into use. In simulation, the files beside this library (libaicpu_kernel.so,
   libaicore_kernel.so), or NULL and 0 for none, stand for its own engine; programs of another build run as they are, with
   a thread per core; the dispatcher is not used. On hardware, all three are needed: those for this chip and runtime. The
   bytes are read during the call only.
   Again with the same device: 0. With another device: -1. */
int simpler_init(
    void *ctx, int device_id, const uint8_t *aicpu, size_t aicpu_size, const uint8_t *aicore, size_t aicore_size,
    const uint8_t *dispatcher, size_t dispatcher_size
);

/* Gives back everything: callables, kernels, device memory, threads. Of a context without a device: 0. While a run is
   under way on another thread: -1, and all stays as it is. simpler_init may follow. */
int finalize_device(void *ctx);

/* ---- Device memory ---------------------------------------------------------------------------------------------- */

/* Allocates `size` bytes (0 is fine) that live until they are freed or the context is finalized. NULL on failure. */
void *device_malloc_ctx(void *ctx, size_t size);

/* Frees what device_malloc_ctx returned. NULL and any other address change nothing. */
void device_free_ctx(void *ctx, void *dev_ptr);

/* Copies between host and device. The range has to be inside of one allocation of this context. -1 if a pointer is
   NULL, even for 0 bytes. */
int copy_to_device_ctx(void *ctx, void *dev_ptr, const void *host_ptr, size_t size);
int copy_from_device_ctx(void *ctx, void *host_ptr, const void *dev_ptr, size_t size);

/* ---- Callables -------------------------------------------------------------------------------------------------- */

/* Registers a ChipCallable image (see callable.h) under `callable_id`, 0 to 63. Kernels and orchestration are loaded
   here. The image is read during the call only, at any alignment. -1 if the id is taken or the image is not valid. */
int prepare_callable(void *ctx, int32_t callable_id, const void *callable);

/* Runs a registered callable and waits until it has ended.
     runtime           a buffer of get_runtime_size() bytes
     args              a struct simpler_task_args; tensors of tensormap_and_ringbuffer are copied back if the run
                       succeeds
     block_dim         clusters, 1 to 24 (a2a3) or 36 (a5); 0 for all
     aicpu_thread_num  1 to 4 (a2a3) or 7 (a5)
     enable_*          diagnostics: swimlane level 0 to 4, tensor dump, PMU event type, dependencies (ignored on a5),
                       scope statistics; 0 is off. What a platform cannot record: SIMPLER_RS_ERROR_UNSUPPORTED.
     output_prefix     the folder that diagnostics are written to, made when needed: l2_perf_records.json,
                       tensor_dump/, pmu.csv, deps.json and scope_stats/scope_stats.jsonl, each as a whole when the run
                       has ended well. NULL or empty only if all diagnostics are off. If a file cannot be written, the
                       results are in place all the same: -1 with SIMPLER_RS_ERROR_DIAGNOSTICS.
     out_timing        may be NULL; all zero if the run fails, or what it recorded cannot be written */
int run_prepared(
    void *ctx, void *runtime, int32_t callable_id, const void *args, int block_dim, int aicpu_thread_num,
    int enable_l2_swimlane, int enable_dump_tensor, int enable_pmu, int enable_dep_gen, int enable_scope_stats,
    const char *output_prefix, PtoRunTiming *out_timing
);

/* Forgets a callable. Runs under way keep it until they end. An unknown id: 0. */
int unregister_callable(void *ctx, int32_t callable_id);

/* tensormap_and_ringbuffer: how many callables were run for the first time since they were registered. Else 0. */
size_t get_aicpu_dlopen_count(void *ctx);

/* host_build_graph: how many callables were registered. Else 0. */
size_t get_host_dlopen_count(void *ctx);

/* ---- Communication between chips -------------------------------------------------------------------------------- */

/* Chips of several contexts, in one process or in several of one machine, are the ranks of a job. They find each other
   by a path that all of them name; in simulation nothing need be there, and nothing is left there. Ranks whose launcher
   says so (OpenMPI, MPICH, Slurm; else SIMPLER_COMM_JOB in the environment) are of different jobs even at the same path.

   Every wait ends after two minutes (option "comm_limit_ms"), or as soon as a rank that is waited for has ended or left;
   the error names the ranks. Windows are zeroed, and are memory like any of the context: copies, and tensors with
   child_memory, may be in them. What is not given back goes with finalize_device. */

/* Takes the device into use, as simpler_init does. comm_init on this thread is for this context then. */
int ensure_acl_ready_ctx(void *ctx, int device_id);

/* What comm_init finds its context by. destroy: also NULL is fine. */
void *create_comm_stream_ctx(void *ctx);
int destroy_comm_stream_ctx(void *ctx, void *stream);

/* Joins a job of 1 to 64 ranks. Without a stream (NULL) it is for the context that ensure_acl_ready_ctx was last called
   with on this thread, else for the only one there is. In simulation it waits for nobody yet. NULL on failure. */
void *comm_init(int rank, int nranks, void *stream, const char *rootinfo_path);

/* Waits for all ranks, which have to ask for the same size; stores the device address of the CommContext that kernels
   take. Once per communicator. */
int comm_alloc_windows(void *handle, size_t win_size, uint64_t *device_ctx_out);

/* This rank's own window; an error before there are any. */
int comm_get_local_window_base(void *handle, uint64_t *base_out);

/* Bytes of each window; 0 before there are any. */
int comm_get_window_size(void *handle, size_t *size_out);

/* A CommContext of some ranks, in this order, and a part of their windows. domain_rank: this rank's place among them. It
   lives as long as the communicator. */
int comm_derive_context(
    void *handle, const uint32_t *rank_ids, size_t rank_count, uint32_t domain_rank, size_t window_offset,
    size_t window_size, uint64_t *device_ctx_out
);

/* Windows of their own for some ranks, in this order, under an id that is not in use; waits for those ranks, which all
   have to call it alike. */
int comm_alloc_domain_windows(
    void *handle, uint64_t allocation_id, const uint32_t *rank_ids, size_t rank_count, uint32_t domain_rank,
    size_t window_size, uint64_t *device_ctx_out, uint64_t *local_base_out
);

/* Gives them back. In simulation it waits for nobody, and the memory goes with the last rank; on hardware it waits for
   those ranks, as the memory is of their devices. */
int comm_release_domain_windows(void *handle, uint64_t allocation_id, size_t rank_count, uint32_t domain_rank);

/* Waits for all ranks. On hardware the device waits, and the call returns at once. Needs windows. */
int comm_barrier(void *handle);

/* Leaves the job; the handle is dead from then on. Waits for nobody: others notice if they still need this rank. */
int comm_destroy(void *handle);

/* ---- What a library is ------------------------------------------------------------------------------------------ */

/* "a2a3sim", "a5sim", "a2a3" or "a5". */
const char *get_platform(void);

/* Compilers for kernels and orchestrations: 0 CCEC, 1 g++-15, 2 g++, 3 g++ for aarch64. In simulation 1 and 2, on
   hardware 0 and 3. */
int get_incore_compiler(void);
int get_orchestration_compiler(void);

/* ---- Earlier form ----------------------------------------------------------------------------------------------- */

/* simpler_init without device programs; on hardware that fails. */
int set_device(void *ctx, int device_id);

/* Takes the device into use, if the context has none, and runs a callable without an id. The callable stays loaded
   until another one is run this way, so that running the same again is quick. `enable_profiling` has to be 0. */
int run_runtime(
    void *ctx, void *runtime, const void *callable, const void *args, int block_dim, int aicpu_thread_num,
    int device_id, const uint8_t *aicpu, size_t aicpu_size, const uint8_t *aicore, size_t aicore_size,
    int enable_profiling
);

/* ---- Additions -------------------------------------------------------------------------------------------------- */

/* Kinds of errors. More may be added. */
enum simpler_rs_error {
    SIMPLER_RS_ERROR_NONE = 0,
    SIMPLER_RS_ERROR_INVALID_ARGUMENT = 1, /* null, out of range, or not possible in this state */
    SIMPLER_RS_ERROR_INVALID_HANDLE = 2,   /* null, destroyed, or of another library */
    SIMPLER_RS_ERROR_NOT_INITIALIZED = 3,  /* the context has no device, or the thread has no context */
    SIMPLER_RS_ERROR_UNKNOWN_CALLABLE = 4, /* nothing is registered under the id */
    SIMPLER_RS_ERROR_CALLABLE = 5,         /* a callable cannot be registered */
    SIMPLER_RS_ERROR_ORCHESTRATION = 6,    /* the orchestration failed, or its graph cannot be run */
    SIMPLER_RS_ERROR_DEVICE = 7,           /* the device or a kernel failed */
    SIMPLER_RS_ERROR_OUT_OF_MEMORY = 8,    /* no device memory is left */
    SIMPLER_RS_ERROR_STALLED = 9,          /* the run could not go on, or a kernel never returned */
    SIMPLER_RS_ERROR_UNUSABLE = 10,        /* no run is possible since an earlier error */
    SIMPLER_RS_ERROR_BUSY = 11,            /* in use on another thread */
    SIMPLER_RS_ERROR_UNSUPPORTED = 12,     /* this version or platform does not have it */
    SIMPLER_RS_ERROR_WRONG_PROCESS = 13,   /* the context belongs to the process this one was forked from */
    SIMPLER_RS_ERROR_INTERNAL = 14,        /* a mistake in this library; please report it */
    SIMPLER_RS_ERROR_DIAGNOSTICS = 15      /* the run went well, but its diagnostics could not be written */
};

/* Version of this implementation, "major.minor.patch", and its runtime, such as "host_build_graph". */
const char *simpler_rs_version(void);
const char *simpler_rs_runtime(void);

/* The last error of a context, or with NULL that of the calling thread (the only way for functions without a context).
   Returns its kind; stores at most `capacity` bytes of its text, cut to whole characters and always ended by a NUL, and
   in length_out the bytes of the whole text without the NUL. `text` and `length_out` may be NULL. A call that succeeds
   leaves the last error as it is. */
int simpler_rs_last_error(void *ctx, char *text, size_t capacity, size_t *length_out);

/* What a context holds, or with NULL what all contexts of this library hold together. All but struct_size and contexts
   are 0 after finalize_device. */
struct simpler_rs_report {
    size_t struct_size;         /* set by the caller: sizeof(struct simpler_rs_report) */
    uint64_t contexts;          /* contexts that were counted */
    uint64_t allocations;       /* of device memory, those of the library itself included */
    uint64_t bytes;             /* in them */
    uint64_t gm_heap;           /* bytes of the pooled GM heap */
    uint64_t gm_sm;             /* bytes of the pooled shared memory */
    uint64_t runtime_arena;     /* bytes of the pooled runtime arena */
    uint64_t callables;         /* registered */
    uint64_t kernels;           /* loaded; equal ones are loaded once */
    uint64_t images;            /* of callables in device memory */
    uint64_t orchestrations;    /* kept; equal ones are kept once */
    uint64_t runs;              /* under way */
    uint64_t deferred_errors;   /* of clean-ups, to be returned by the next call */
    uint64_t device_allocations;/* by the device's own count */
    uint64_t device_kernels;    /* by the device's own count */
    uint64_t threads;           /* that exist to run kernels */
    uint64_t abandoned_threads; /* inside of kernels that were given up */
    uint64_t communicators;     /* not destroyed */
    uint64_t windows;           /* sets of them */
};
int simpler_rs_resource_report(void *ctx, struct simpler_rs_report *out);

/* Figures of the last run of a context that succeeded; -1 if there was none. */
struct simpler_rs_run {
    size_t struct_size;      /* set by the caller: sizeof(struct simpler_rs_run) */
    uint64_t host_wall_ns;   /* as in PtoRunTiming */
    uint64_t device_wall_ns; /* as in PtoRunTiming */
    uint64_t device_ticks;   /* device_wall_ns in ticks of the chip's counter: 50 MHz (a2a3), 1 GHz (a5) */
    uint64_t tasks;          /* that ran */
    uint64_t block_dim;      /* clusters the run had */
};
int simpler_rs_run_info(void *ctx, struct simpler_rs_run *out);

/* Sets an option of a context that has no device yet. Values are decimal numbers.
     watchdog_ms      a run in which no kernel ends for so long is given up; 0 waits for ever (60000)
     comm_limit_ms    how long a call waits for other ranks of a job (120000)
     permits          kernels that run at once while none is blocked (all CPUs)
     memory_capacity  bytes of device memory (64 GiB; what is not used costs nothing)
     task_window, heap, dep_pool
                      sizes of the rings of tensormap_and_ringbuffer, before PTO2_RING_* of the environment
   In libraries for hardware also
     op_timeout_ms, stream_timeout_ms
                      how long one kernel may run (1000), and each of the two streams of a run (2000) */
int simpler_rs_set_option(void *ctx, const char *name, const char *value);

/* Receives a log record: level 0 debug, 1 info, 2 warn, 3 error. Both texts are valid during the call. It is called on
   any thread, also on several at once, and must not let an exception out. What it causes to be logged is dropped. */
typedef void (*simpler_rs_log_sink)(void *user, int level, const char *target, const char *message);

/* Sends the records of this library from `min_level` on (4: none) to `sink`. NULL takes it back: then they go to
   libsimpler_log.so if that is loaded RTLD_GLOBAL, with the level and verbosity of simpler_log_init, else nowhere.
   When this returns, an earlier sink is no longer in use. */
int simpler_rs_set_log_sink(simpler_rs_log_sink sink, void *user, int min_level);

/* Functions without a context, for code that runs inside of prepare_callable or run_prepared: they work on the context
   of that call, on the thread that made it. Elsewhere they fail. 72 bytes. */
struct simpler_host_api {
    void *(*device_malloc)(size_t size);
    void (*device_free)(void *dev_ptr);
    int (*copy_to_device)(void *dev_ptr, const void *host_ptr, size_t size);
    int (*copy_from_device)(void *host_ptr, const void *dev_ptr, size_t size);
    int (*setup_static_arena)(size_t gm_heap, size_t gm_sm, size_t runtime_arena);
    void *(*acquire_pooled_gm_heap)(void);
    void *(*acquire_pooled_gm_sm)(void);
    void *(*acquire_pooled_runtime_arena)(void);
    uint64_t (*upload_chip_callable_buffer)(const void *callable);
};
const struct simpler_host_api *simpler_rs_host_api(void);

#ifdef __cplusplus
}
#endif

#endif
