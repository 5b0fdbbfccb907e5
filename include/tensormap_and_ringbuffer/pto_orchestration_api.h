// What a tensormap_and_ringbuffer orchestration may ask of the runtime; the one header it includes.
// Contract: spec/public-abi.md, sections D.1 to D.5 and I; layouts: spec/public-layouts.json.
//
// An orchestration is a shared object with one function, exported as extern "C" under the name its callable
// gives or as aicpu_orchestration_entry. It runs next to the execution: tasks start as soon as what they
// depend on is complete, usually while the orchestration is submitting others. The run is over when it has
// returned and all tasks are complete.
//
//     extern "C" void aicpu_orchestration_entry(const ChipStorageTaskArgs &args) {
//         Tensor a = from_tensor_arg(args.tensor(0));
//         Tensor out = from_tensor_arg(args.tensor(1));
//         TensorCreateInfo info(a.shapes, a.ndims, a.dtype);
//
//         Arg square;
//         square.add_input(a);
//         square.add_output(info);
//         TaskOutputTensors squared = rt_submit_aiv_task(SQUARE, square);
//
//         Arg sum;
//         sum.add_input(squared.get_ref(0), a);
//         sum.add_output(out);
//         rt_submit_aiv_task(ADD, sum);
//     }
//
// It may export a second function, PTO2OrchestrationConfig aicpu_orchestration_config(const
// ChipStorageTaskArgs &), that tells how many arguments it needs.
//
// A failure is fatal: the first one decides the result of the run, and from then on every call below does
// nothing and returns something empty, reports and logs excepted. An orchestration checks with rt_is_fatal
// where it could not go on. A failed assertion throws AssertionError.
//
// All functions may be called only by the thread that called the orchestration, and only until it returns.
#ifndef SIMPLER_TENSORMAP_AND_RINGBUFFER_PTO_ORCHESTRATION_API_H_
#define SIMPLER_TENSORMAP_AND_RINGBUFFER_PTO_ORCHESTRATION_API_H_

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "common.h"
#include "pto_runtime_status.h"
#include "pto_submit_types.h"
#include "pto_types.h"
#include "task_args.h"
#include "tensor.h"

/// An argument of the run as a tensor.
inline Tensor from_tensor_arg(const ContinuousTensor &t, bool manual_dep = false, int32_t version = 0) {
    return make_tensor_external(t.data_as<void>(), t.shapes, t.ndims, t.dtype, manual_dep, version);
}

struct PTO2Runtime;

/// The runtime's side of the calls below. Orchestrations use the functions, not the table.
struct PTO2RuntimeOps {
    TaskOutputTensors (*submit_task)(PTO2Runtime *rt, const MixedKernels &kernels, const Arg &args);
    void (*scope_begin)(PTO2Runtime *rt);
    void (*scope_end)(PTO2Runtime *rt);
    void (*orchestration_done)(PTO2Runtime *rt);
    bool (*is_fatal)(PTO2Runtime *rt);
    void (*report_fatal)(PTO2Runtime *rt, int32_t error_code, const char *func, const char *fmt, ...);
    void (*log_error)(const char *func, const char *fmt, ...);
    void (*log_warn)(const char *func, const char *fmt, ...);
    void (*log_debug)(const char *func, const char *fmt, ...);
    void (*log_info_v)(const char *func, int v, const char *fmt, ...);
    uint64_t (*get_tensor_data)(PTO2Runtime *rt, const Tensor &tensor, uint32_t ndims, const uint32_t indices[]);
    void (*set_tensor_data)(
        PTO2Runtime *rt, const Tensor &tensor, uint32_t ndims, const uint32_t indices[], uint64_t value);
    TaskOutputTensors (*alloc_tensors)(PTO2Runtime *rt, const Arg &args);
    TaskOutputTensors (*submit_dummy_task)(PTO2Runtime *rt, const Arg &args);
    void (*scope_set_site)(const char *file, int line);  ///< may be null
};

/// Stands for the run. The runtime has more behind these two.
struct PTO2Runtime {
    const PTO2RuntimeOps *ops;
    PTO2ScopeMode pending_scope_mode;  ///< of the next scope_begin, which sets it back to AUTO
};

/// What an orchestration says about itself before it runs.
#if !defined(PTO2_ORCHESTRATION_CONFIG_DEFINED)
#define PTO2_ORCHESTRATION_CONFIG_DEFINED
struct PTO2OrchestrationConfig {
    int expected_arg_count;  ///< tensors and scalars it needs; with fewer the run fails. 0: any number
};
#endif

#if defined(SIMPLER_TRB_OWN_SUPPORT)

extern "C" {
/// Called by the runtime before and after the orchestration, with the run and with null.
void framework_bind_runtime(PTO2Runtime *rt);
/// What framework_bind_runtime was given last.
PTO2Runtime *framework_current_runtime(void);
}

#else

namespace simpler {
namespace detail {

// A plain variable: one orchestration runs on one thread at a time. Hidden, as is its reader: with several
// orchestrations in a process each keeps its own.
__attribute__((visibility("hidden"))) inline PTO2Runtime *bound_runtime = nullptr;

}  // namespace detail
}  // namespace simpler

// Weak and not inline: they are in the library although nobody in it calls the first one, and both give way
// together to those of another source of the same library.
extern "C" {
/// Called by the runtime before and after the orchestration, with the run and with null.
__attribute__((weak, visibility("default"))) void framework_bind_runtime(PTO2Runtime *rt) {
    simpler::detail::bound_runtime = rt;
}
/// What framework_bind_runtime was given last.
__attribute__((weak, visibility("hidden"))) PTO2Runtime *framework_current_runtime(void) {
    return simpler::detail::bound_runtime;
}
}

#endif  // SIMPLER_TRB_OWN_SUPPORT

/// The run that this orchestration belongs to. Throws AssertionError outside of a run.
static inline PTO2Runtime *current_runtime() {
    PTO2Runtime *rt = framework_current_runtime();
    always_assert(rt != nullptr);
    return rt;
}

/// Whether the run has failed.
static inline bool rt_is_fatal() {
    PTO2Runtime *rt = current_runtime();
    return rt->ops->is_fatal(rt);
}

/// Fails the run, unless it has failed already: rt_report_fatal(code, format, ...), with a PTO2_ERROR_* code
/// or any other number but 0, and a printf format with its values. The format may be empty or null; the
/// message is cut after 1023 characters.
#define rt_report_fatal(code, ...)                                                                   \
    do {                                                                                             \
        PTO2Runtime *simpler_rt_ = current_runtime();                                                \
        simpler_rt_->ops->report_fatal(simpler_rt_, (code), static_cast<const char *>(__func__), __VA_ARGS__); \
    } while (false)

// Lines for the log: a printf format and its values. LOG_INFO_V0 to LOG_INFO_V9 have rising importance.
#define LOG_ERROR(...) current_runtime()->ops->log_error(__func__, __VA_ARGS__)
#define LOG_WARN(...) current_runtime()->ops->log_warn(__func__, __VA_ARGS__)
#define LOG_DEBUG(...) current_runtime()->ops->log_debug(__func__, __VA_ARGS__)
#define LOG_INFO_V0(...) current_runtime()->ops->log_info_v(__func__, 0, __VA_ARGS__)
#define LOG_INFO_V1(...) current_runtime()->ops->log_info_v(__func__, 1, __VA_ARGS__)
#define LOG_INFO_V2(...) current_runtime()->ops->log_info_v(__func__, 2, __VA_ARGS__)
#define LOG_INFO_V3(...) current_runtime()->ops->log_info_v(__func__, 3, __VA_ARGS__)
#define LOG_INFO_V4(...) current_runtime()->ops->log_info_v(__func__, 4, __VA_ARGS__)
#define LOG_INFO_V5(...) current_runtime()->ops->log_info_v(__func__, 5, __VA_ARGS__)
#define LOG_INFO_V6(...) current_runtime()->ops->log_info_v(__func__, 6, __VA_ARGS__)
#define LOG_INFO_V7(...) current_runtime()->ops->log_info_v(__func__, 7, __VA_ARGS__)
#define LOG_INFO_V8(...) current_runtime()->ops->log_info_v(__func__, 8, __VA_ARGS__)
#define LOG_INFO_V9(...) current_runtime()->ops->log_info_v(__func__, 9, __VA_ARGS__)

/// Submits a task that runs these kernels; at least one of them is set. It starts when what it depends on is
/// complete: in an AUTO scope the tasks that create its tensors and those that write memory it uses, and
/// everywhere those given to Arg::set_dependencies.
///
/// Waits while there is no room for another task or for its outputs; that room comes back when scopes end.
static inline TaskOutputTensors rt_submit_task(const MixedKernels &mixed_kernels, const Arg &args) {
    PTO2Runtime *rt = current_runtime();
    return rt->ops->is_fatal(rt) ? TaskOutputTensors() : rt->ops->submit_task(rt, mixed_kernels, args);
}

/// Submits a task with one kernel for a cube core.
static inline TaskOutputTensors rt_submit_aic_task(int32_t kernel_id, const Arg &args) {
    MixedKernels kernels;
    kernels.aic_kernel_id = kernel_id;
    return rt_submit_task(kernels, args);
}

/// Submits a task with one kernel for a vector core.
static inline TaskOutputTensors rt_submit_aiv_task(int32_t kernel_id, const Arg &args) {
    MixedKernels kernels;
    kernels.aiv0_kernel_id = kernel_id;
    return rt_submit_task(kernels, args);
}

/// Submits a task without kernels: it is complete when what it depends on is. One id for many, for
/// set_dependencies.
static inline TaskOutputTensors rt_submit_dummy_task(const Arg &args) {
    PTO2Runtime *rt = current_runtime();
    return rt->ops->is_fatal(rt) ? TaskOutputTensors() : rt->ops->submit_dummy_task(rt, args);
}

/// Allocates tensors without running anything; they are there when it returns. The Arg has at least one
/// TensorCreateInfo and nothing else. The memory stays until the scope ends and its users are complete.
static inline TaskOutputTensors alloc_tensors(const Arg &args) {
    PTO2Runtime *rt = current_runtime();
    if (rt->ops->is_fatal(rt)) {
        return TaskOutputTensors();
    }
    if (args.has_error) {
        const char *message = args.error_msg != nullptr ? args.error_msg : "the arguments are wrong";
        rt->ops->report_fatal(rt, PTO2_ERROR_INVALID_ARGS, __func__, "%s", message);
        return TaskOutputTensors();
    }
    return rt->ops->alloc_tensors(rt, args);
}

/// alloc_tensors for an array of `count` infos.
static inline TaskOutputTensors alloc_tensors(const TensorCreateInfo create_infos[], uint32_t count) {
    Arg args;
    for (uint32_t i = 0; i < count; ++i) {
        args.add_output(create_infos[i]);
    }
    return alloc_tensors(args);
}

/// alloc_tensors for the infos themselves.
template <typename... CIs, typename = std::enable_if_t<(std::is_same_v<CIs, TensorCreateInfo> && ...)>>
static inline TaskOutputTensors alloc_tensors(const CIs &...cis) {
    Arg args;
    args.add_output(cis...);
    return alloc_tensors(args);
}

/// Begins a scope: the memory of the tensors that tasks in it create, and the tasks' own, may be used again
/// after its end. MANUAL scopes and AUTO scopes may lie in AUTO scopes, only MANUAL ones in MANUAL ones; the
/// orchestration as a whole is an AUTO scope. PTO2_SCOPE ends by itself.
static inline void rt_scope_begin(PTO2ScopeMode mode = PTO2ScopeMode::AUTO) {
    PTO2Runtime *rt = current_runtime();
    if (!rt->ops->is_fatal(rt)) {
        rt->pending_scope_mode = mode;
        rt->ops->scope_begin(rt);
    }
}

/// Ends the scope that began last. Waits for nothing.
static inline void rt_scope_end() {
    PTO2Runtime *rt = current_runtime();
    if (!rt->ops->is_fatal(rt)) {
        rt->ops->scope_end(rt);
    }
}

/// Tells that no more tasks follow. The runtime does this when the orchestration has returned.
static inline void rt_orchestration_done() {
    PTO2Runtime *rt = current_runtime();
    rt->ops->orchestration_done(rt);
}

/// Reads one element, by as many indices as are given; it is at 0 of the other dimensions. Waits until all
/// tasks that write it are complete. T is the element's own type: nothing is converted.
template <typename T = uint64_t>
static inline T get_tensor_data(const Tensor &tensor, uint32_t ndims, const uint32_t indices[]) {
    PTO2Runtime *rt = current_runtime();
    return from_u64<T>(rt->ops->is_fatal(rt) ? 0 : rt->ops->get_tensor_data(rt, tensor, ndims, indices));
}

/// Writes one element. Waits until all tasks that write or read it are complete; those submitted later see the
/// value. T is the element's own type: nothing is converted.
template <typename T = uint64_t>
static inline void set_tensor_data(const Tensor &tensor, uint32_t ndims, const uint32_t indices[], T value) {
    PTO2Runtime *rt = current_runtime();
    if (!rt->ops->is_fatal(rt)) {
        rt->ops->set_tensor_data(rt, tensor, ndims, indices, to_u64(value));
    }
}

/// Restricts the tensor dump to what is given to Arg::dump, for the Args made from now on.
static inline void enable_dump_tensor_selective() {
    set_tensor_dump_selective_requested(true);
}

/// A scope as long as this object lives. The runtime hears where it was made, for its statistics.
class PTO2ScopeGuard {
public:
    explicit PTO2ScopeGuard(PTO2ScopeMode mode = PTO2ScopeMode::AUTO,
                            const char *file = __builtin_FILE(),
                            int line = __builtin_LINE())
        : rt_(current_runtime()) {
        if (rt_->ops->is_fatal(rt_)) {
            return;
        }
        rt_->pending_scope_mode = mode;
        if (rt_->ops->scope_set_site != nullptr) {
            rt_->ops->scope_set_site(file, line);
        }
        rt_->ops->scope_begin(rt_);
    }

    ~PTO2ScopeGuard() {
        if (!rt_->ops->is_fatal(rt_)) {
            rt_->ops->scope_end(rt_);
        }
    }

    PTO2ScopeGuard(const PTO2ScopeGuard &) = delete;
    PTO2ScopeGuard &operator=(const PTO2ScopeGuard &) = delete;

private:
    PTO2Runtime *rt_;
};

// A name for a guard that no other guard of the file has.
#define SIMPLER_TRB_PASTE(number) simpler_scope_##number
#define SIMPLER_TRB_NAME(number) SIMPLER_TRB_PASTE(number)
#define SIMPLER_TRB_GUARD(...) PTO2ScopeGuard SIMPLER_TRB_NAME(__COUNTER__){__VA_ARGS__}

// PTO2_SCOPE_GUARD(); makes a scope of the rest of the block. On a5 it takes a mode.
#if defined(SIMPLER_ARCH_A5)
#define PTO2_SCOPE_GUARD(...) SIMPLER_TRB_GUARD(__VA_ARGS__)
#else
#define PTO2_SCOPE_GUARD() SIMPLER_TRB_GUARD()
#endif

/// PTO2_SCOPE() { … } makes a scope of the block, PTO2_SCOPE(PTO2ScopeMode::MANUAL) { … } a manual one.
#define PTO2_SCOPE(...) if (SIMPLER_TRB_GUARD(__VA_ARGS__); true)

static_assert(CONTINUOUS_TENSOR_MAX_DIMS == RUNTIME_MAX_TENSOR_DIMS, "from_tensor_arg keeps all dimensions");
static_assert(sizeof(PTO2Runtime) == 16 && alignof(PTO2Runtime) == 8, "spec/public-layouts.json");
static_assert(offsetof(PTO2Runtime, ops) == 0, "spec/public-layouts.json");
static_assert(offsetof(PTO2Runtime, pending_scope_mode) == 8, "spec/public-layouts.json");
static_assert(sizeof(PTO2OrchestrationConfig) == 4, "spec/public-layouts.json");
static_assert(sizeof(PTO2RuntimeOps) == 120 && alignof(PTO2RuntimeOps) == 8, "spec/public-layouts.json");
static_assert(offsetof(PTO2RuntimeOps, submit_task) == 0, "spec/public-layouts.json");
static_assert(offsetof(PTO2RuntimeOps, scope_begin) == 8, "spec/public-layouts.json");
static_assert(offsetof(PTO2RuntimeOps, scope_end) == 16, "spec/public-layouts.json");
static_assert(offsetof(PTO2RuntimeOps, orchestration_done) == 24, "spec/public-layouts.json");
static_assert(offsetof(PTO2RuntimeOps, is_fatal) == 32, "spec/public-layouts.json");
static_assert(offsetof(PTO2RuntimeOps, report_fatal) == 40, "spec/public-layouts.json");
static_assert(offsetof(PTO2RuntimeOps, log_error) == 48, "spec/public-layouts.json");
static_assert(offsetof(PTO2RuntimeOps, log_warn) == 56, "spec/public-layouts.json");
static_assert(offsetof(PTO2RuntimeOps, log_debug) == 64, "spec/public-layouts.json");
static_assert(offsetof(PTO2RuntimeOps, log_info_v) == 72, "spec/public-layouts.json");
static_assert(offsetof(PTO2RuntimeOps, get_tensor_data) == 80, "spec/public-layouts.json");
static_assert(offsetof(PTO2RuntimeOps, set_tensor_data) == 88, "spec/public-layouts.json");
static_assert(offsetof(PTO2RuntimeOps, alloc_tensors) == 96, "spec/public-layouts.json");
static_assert(offsetof(PTO2RuntimeOps, submit_dummy_task) == 104, "spec/public-layouts.json");
static_assert(offsetof(PTO2RuntimeOps, scope_set_site) == 112, "spec/public-layouts.json");

#include "pto_arg_with_deps.h"

#endif  // SIMPLER_TENSORMAP_AND_RINGBUFFER_PTO_ORCHESTRATION_API_H_
