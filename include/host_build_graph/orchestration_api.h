// What a host_build_graph orchestration may ask of the runtime.
// Contract: spec/public-abi.md, section C; layouts: spec/public-layouts.json.
//
// An orchestration is a shared object with one function of type OrchestrationFunc, exported as extern "C"
// under the name its callable gives. It runs on the host, once per run: it allocates device memory, copies
// inputs, adds tasks and the edges between them, and returns. The tasks execute after it returned 0.
//
//     extern "C" int build_graph(OrchestrationRuntime *rt, const ChipStorageTaskArgs &args) {
//         const ContinuousTensor &out = args.tensor(0);
//         void *dev = device_malloc(rt, out.nbytes());
//         record_tensor_pair(rt, out.data_as<void>(), dev, out.nbytes());
//         uint64_t slots[1] = {reinterpret_cast<uint64_t>(dev)};
//         return add_task(rt, slots, 1, /*func_id=*/0, CoreType::AIV) < 0 ? 1 : 0;
//     }
//
// Every call that fails marks the run: even if the orchestration looks at no result and returns 0, the run
// ends with an error whose message names the call and the reason. So an orchestration checks results only
// where it cannot go on without them. A thrown exception fails the run too, with its what() text.
#ifndef SIMPLER_HOST_BUILD_GRAPH_ORCHESTRATION_API_H_
#define SIMPLER_HOST_BUILD_GRAPH_ORCHESTRATION_API_H_

#include <cstddef>
#include <cstdint>

#include "common/core_type.h"
#include "task_args.h"
#include "tensor_info.h"

struct OrchestrationRuntime;

/// The runtime's side of the calls below. Orchestrations use the functions, not the table.
struct OrchestrationRuntimeOps {
    int (*add_task)(OrchestrationRuntime *rt, uint64_t *args, int num_args, int func_id, CoreType core_type);
    int (*set_tensor_info_to_task)(OrchestrationRuntime *rt, int task_id, const TensorInfo *infos, int count);
    void (*add_successor)(OrchestrationRuntime *rt, int from_task, int to_task);
    void (*record_tensor_pair)(OrchestrationRuntime *rt, void *host, void *dev, size_t bytes);
    int (*get_task_count)(OrchestrationRuntime *rt);
    void (*print_runtime)(OrchestrationRuntime *rt);
    void *(*device_malloc)(OrchestrationRuntime *rt, size_t bytes);
    void (*device_free)(OrchestrationRuntime *rt, void *dev);
    int (*copy_to_device)(OrchestrationRuntime *rt, void *dev, const void *host, size_t bytes);
};

/// Stands for the run being built. Opaque beyond the table: pass back the pointer that was received, only
/// during the call that received it, only on the thread that received it.
struct OrchestrationRuntime {
    const OrchestrationRuntimeOps *ops;
};

/// The entry of an orchestration. 0: the graph is complete. Anything else: the run ends without executing
/// a task and returns that number.
typedef int (*OrchestrationFunc)(OrchestrationRuntime *rt, const ChipStorageTaskArgs &args);

/// Adds a task that calls kernel `func_id` on a core of the given kind. The first `num_args` slots, at most
/// 16, are copied; the kernel sees them in that order and zeros after them. Tasks without an incoming edge
/// may start in any order.
///
/// Returns the task's id: 0, 1, 2, … in the order of the calls. Returns -1 for more than 16 arguments and
/// when 131072 tasks exist.
static inline int add_task(OrchestrationRuntime *rt, uint64_t *args, int num_args, int func_id, CoreType core_type) {
    return rt->ops->add_task(rt, args, num_args, func_id, core_type);
}

/// Describes the tensors of a task for the tensor dump, replacing an earlier description; execution does
/// not depend on it. Between 0 and 16 descriptions, copied.
///
/// Returns 0, or -1 for an unknown task, a count outside the range, or a null array with a count above 0.
static inline int set_tensor_info_to_task(OrchestrationRuntime *rt, int task_id, const TensorInfo *infos, int count) {
    return rt->ops->set_tensor_info_to_task(rt, task_id, infos, count);
}

/// add_task, then set_tensor_info_to_task for it. Returns the task's id, or -1 when one of them failed;
/// when it was the second, the task exists nevertheless.
static inline int add_task_with_tensor_info(OrchestrationRuntime *rt,
                                            uint64_t *args,
                                            int num_args,
                                            int func_id,
                                            CoreType core_type,
                                            const TensorInfo *infos,
                                            int count) {
    const int id = add_task(rt, args, num_args, func_id, core_type);
    const bool described = id >= 0 && set_tensor_info_to_task(rt, id, infos, count) == 0;
    return described ? id : -1;
}

/// Lets `to_task` start only after `from_task` has finished; what the first wrote, the second sees. Both
/// tasks exist already. A task may have any number of successors and predecessors. An edge given twice is
/// counted twice and released twice. A cycle, or an edge from a task to itself, fails the run with a
/// message that names the tasks.
static inline void add_successor(OrchestrationRuntime *rt, int from_task, int to_task) {
    rt->ops->add_successor(rt, from_task, to_task);
}

/// Makes `dev` an output of the run: after a successful run its first `bytes` bytes are copied to `host`,
/// pair by pair in the order of recording. The runtime then frees `dev`, after a failed run too, so
/// the orchestration must not. Inputs need no pair.
static inline void record_tensor_pair(OrchestrationRuntime *rt, void *host, void *dev, size_t bytes) {
    rt->ops->record_tensor_pair(rt, host, dev, bytes);
}

/// Number of tasks added so far; the next id.
static inline int get_task_count(OrchestrationRuntime *rt) {
    return rt->ops->get_task_count(rt);
}

/// Writes the graph built so far to the log, at debug level.
static inline void print_runtime(OrchestrationRuntime *rt) {
    rt->ops->print_runtime(rt);
}

/// Allocates device memory for this run; its content is undefined. Null when there is none left. What is
/// neither freed nor recorded in a pair is freed at the end of the run.
static inline void *device_malloc(OrchestrationRuntime *rt, size_t bytes) {
    return rt->ops->device_malloc(rt, bytes);
}

/// Frees memory of device_malloc before the run does. Tasks execute after the orchestration has returned:
/// free only what no task uses. Null is ignored.
static inline void device_free(OrchestrationRuntime *rt, void *dev) {
    rt->ops->device_free(rt, dev);
}

/// Copies host bytes to device memory; done when it returns, so the host bytes may change afterwards.
/// Returns 0, or a non-zero code for null pointers and failed copies.
static inline int copy_to_device(OrchestrationRuntime *rt, void *dev, const void *host, size_t bytes) {
    return rt->ops->copy_to_device(rt, dev, host, bytes);
}

static_assert(sizeof(OrchestrationRuntime) == 8, "spec/public-layouts.json");
static_assert(sizeof(OrchestrationRuntimeOps) == 72, "spec/public-layouts.json");
static_assert(offsetof(OrchestrationRuntimeOps, add_task) == 0, "spec/public-layouts.json");
static_assert(offsetof(OrchestrationRuntimeOps, set_tensor_info_to_task) == 8, "spec/public-layouts.json");
static_assert(offsetof(OrchestrationRuntimeOps, add_successor) == 16, "spec/public-layouts.json");
static_assert(offsetof(OrchestrationRuntimeOps, record_tensor_pair) == 24, "spec/public-layouts.json");
static_assert(offsetof(OrchestrationRuntimeOps, get_task_count) == 32, "spec/public-layouts.json");
static_assert(offsetof(OrchestrationRuntimeOps, print_runtime) == 40, "spec/public-layouts.json");
static_assert(offsetof(OrchestrationRuntimeOps, device_malloc) == 48, "spec/public-layouts.json");
static_assert(offsetof(OrchestrationRuntimeOps, device_free) == 56, "spec/public-layouts.json");
static_assert(offsetof(OrchestrationRuntimeOps, copy_to_device) == 64, "spec/public-layouts.json");

#endif  // SIMPLER_HOST_BUILD_GRAPH_ORCHESTRATION_API_H_
