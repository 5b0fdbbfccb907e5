// What a kernel can ask about the task it runs for.
// Contract: spec/public-abi.md, section E.3; layouts: spec/public-layouts.json.
//
//     extern "C" void kernel_entry(__gm__ int64_t *args) {
//         const int32_t block = get_block_idx(args);
//         ...
//     }
//
// args holds one slot per argument, in the order of the Arg: the address of a Tensor for a tensor, the value
// for a scalar. The slots behind the last argument hold nothing of use, except the two that these functions
// read.
#ifndef SIMPLER_TENSORMAP_AND_RINGBUFFER_INTRINSIC_H_
#define SIMPLER_TENSORMAP_AND_RINGBUFFER_INTRINSIC_H_

#include <cstddef>
#include <cstdint>

#include "aicore_completion_mailbox.h"
#include "pto_task_id.h"

// The device compiler knows these words; a host compiler needs them to vanish.
#if !defined(__CCE_AICORE__)
#ifndef __gm__
#define __gm__
#endif
#ifndef __aicore__
#define __aicore__
#endif
#endif

static constexpr int32_t PTO2_EXT_PARAMS_COUNT = 2;      ///< slots behind those of tensors and scalars
static constexpr int32_t SPMD_LOCAL_CONTEXT_INDEX = 48;  ///< slot with the address of the LocalContext
static constexpr int32_t SPMD_GLOBAL_CONTEXT_INDEX = 49;  ///< slot with the address of the GlobalContext
static constexpr int32_t PAYLOAD_LOCAL_CONTEXT_INDEX = SPMD_LOCAL_CONTEXT_INDEX;
static constexpr int32_t PAYLOAD_GLOBAL_CONTEXT_INDEX = SPMD_GLOBAL_CONTEXT_INDEX;

/// What a core is told once per run.
struct GlobalContext {
    int32_t sub_block_id;  ///< which vector core of its cluster, 0 or 1; 0 on a cube core
};

/// Where a kernel registers completion conditions, see pto_async_kernel_api.h.
struct AsyncCtx {
    volatile __gm__ uint32_t *completion_count;
    volatile __gm__ int32_t *completion_error_code;
    volatile __gm__ DeferredCompletionEntry *completion_entries;
    uint32_t completion_capacity;  ///< entries there are
    PTO2TaskId task_token;         ///< the task

    /// The context over a slab; with a null slab one that refuses every condition.
    static inline AsyncCtx make(PTO2TaskId task_token, volatile __gm__ DeferredCompletionSlab *buffer) {
        if (buffer == nullptr) {
            return AsyncCtx{nullptr, nullptr, nullptr, 0, task_token};
        }
        const auto capacity = static_cast<uint32_t>(MAX_COMPLETIONS_PER_TASK);
        return AsyncCtx{&buffer->count, &buffer->error_code, &buffer->entries[0], capacity, task_token};
    }
};

/// What a core is told with every kernel it runs.
struct LocalContext {
#if defined(SIMPLER_ARCH_A5)
    int32_t s_block_idx;  ///< which of the blocks of the task this is, from 0
    int32_t s_block_num;  ///< blocks of the task
#else
    int32_t block_idx;  ///< which of the blocks of the task this is, from 0
    int32_t block_num;  ///< blocks of the task
#endif
    AsyncCtx async_ctx;
};

namespace simpler {
namespace detail {

static __aicore__ inline __gm__ LocalContext *local_context(__gm__ int64_t *args) {
    return reinterpret_cast<__gm__ LocalContext *>(args[SPMD_LOCAL_CONTEXT_INDEX]);
}

static __aicore__ inline __gm__ GlobalContext *global_context(__gm__ int64_t *args) {
    return reinterpret_cast<__gm__ GlobalContext *>(args[SPMD_GLOBAL_CONTEXT_INDEX]);
}

}  // namespace detail
}  // namespace simpler

/// Which of the two vector cores of its cluster runs this kernel, 0 or 1; 0 on a cube core.
static __aicore__ inline int32_t get_sub_block_id(__gm__ int64_t *args) {
    return simpler::detail::global_context(args)->sub_block_id;
}

/// Which block of the task this is: 0 for a task of one block, else 0 .. get_block_num(args) - 1. The kernels
/// of a mixed task that belong together get the same number.
static __aicore__ inline int32_t get_block_idx(__gm__ int64_t *args) {
#if defined(SIMPLER_ARCH_A5)
    return simpler::detail::local_context(args)->s_block_idx;
#else
    return simpler::detail::local_context(args)->block_idx;
#endif
}

/// How many blocks the task has, as its launch_spec said.
static __aicore__ inline int32_t get_block_num(__gm__ int64_t *args) {
#if defined(SIMPLER_ARCH_A5)
    return simpler::detail::local_context(args)->s_block_num;
#else
    return simpler::detail::local_context(args)->block_num;
#endif
}

static_assert(sizeof(GlobalContext) == 4 && alignof(GlobalContext) == 4, "spec/public-layouts.json");
static_assert(sizeof(AsyncCtx) == 40 && alignof(AsyncCtx) == 8, "spec/public-layouts.json");
static_assert(offsetof(AsyncCtx, completion_count) == 0, "spec/public-layouts.json");
static_assert(offsetof(AsyncCtx, completion_error_code) == 8, "spec/public-layouts.json");
static_assert(offsetof(AsyncCtx, completion_entries) == 16, "spec/public-layouts.json");
static_assert(offsetof(AsyncCtx, completion_capacity) == 24, "spec/public-layouts.json");
static_assert(offsetof(AsyncCtx, task_token) == 32, "spec/public-layouts.json");
static_assert(sizeof(LocalContext) == 48 && alignof(LocalContext) == 8, "spec/public-layouts.json");
static_assert(offsetof(LocalContext, async_ctx) == 8, "spec/public-layouts.json");

#endif  // SIMPLER_TENSORMAP_AND_RINGBUFFER_INTRINSIC_H_
