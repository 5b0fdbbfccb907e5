// Includes every header of tensormap_and_ringbuffer, each twice, and checks names and numbers that layouts do
// not show.
#include "aicore_completion_mailbox.h"
#include "intrinsic.h"
#include "pto_arg_with_deps.h"
#include "pto_async_kernel_api.h"
#include "pto_completion_token.h"
#include "pto_orchestration_api.h"
#include "pto_runtime_status.h"
#include "pto_submit_types.h"
#include "pto_task_id.h"
#include "pto_types.h"
#include "runtime.h"
#include "tensor.h"

#include "common.h"
#include "intrinsic.h"
#include "pto_async_kernel_api.h"
#include "pto_orchestration_api.h"
#include "tensor.h"

template <typename A, typename B>
inline constexpr bool same = std::is_same_v<A, B>;

static_assert(PTO2_ERROR_NONE == 0 && PTO2_ERROR_SCOPE_DEADLOCK == 1 && PTO2_ERROR_HEAP_RING_DEADLOCK == 2);
static_assert(PTO2_ERROR_FLOW_CONTROL_DEADLOCK == 3 && PTO2_ERROR_DEP_POOL_OVERFLOW == 4);
static_assert(PTO2_ERROR_INVALID_ARGS == 5 && PTO2_ERROR_DEPENDENCY_OVERFLOW == 6);
static_assert(PTO2_ERROR_REQUIRE_SYNC_START_INVALID == 7 && PTO2_ERROR_TENSOR_WAIT_TIMEOUT == 8);
static_assert(PTO2_ERROR_EXPLICIT_ORCH_FATAL == 9 && PTO2_ERROR_SCOPE_TASKS_OVERFLOW == 10);
static_assert(PTO2_ERROR_SCHEDULER_TIMEOUT == 100 && PTO2_ERROR_ASYNC_COMPLETION_INVALID == 101);
static_assert(PTO2_ERROR_ASYNC_WAIT_OVERFLOW == 102 && PTO2_ERROR_ASYNC_REGISTRATION_FAILED == 103);

static_assert(RUNTIME_MAX_TENSOR_DIMS == 5 && MAX_TENSOR_ARGS == 16 && MAX_SCALAR_ARGS == 32);
static_assert(MAX_COMPLETIONS_PER_TASK == 64 && PTO2_EXT_PARAMS_COUNT == 2);
static_assert(SPMD_LOCAL_CONTEXT_INDEX == 48 && SPMD_GLOBAL_CONTEXT_INDEX == 49);
static_assert(PAYLOAD_LOCAL_CONTEXT_INDEX == 48 && PAYLOAD_GLOBAL_CONTEXT_INDEX == 49);
static_assert(COMPLETION_ENGINE_SDMA == 0 && COMPLETION_ENGINE_ROCE == 1);
static_assert(COMPLETION_ENGINE_URMA == 2 && COMPLETION_ENGINE_CCU == 3 && COMPLETION_TYPE_COUNTER == 0);
static_assert(ASYNC_ENGINE_SDMA == 0 && ASYNC_ENGINE_ROCE == 1 && ASYNC_ENGINE_URMA == 2 && ASYNC_ENGINE_CCU == 3);
static_assert(NUM_ASYNC_ENGINES == 4 && same<std::underlying_type_t<CompletionType>, int32_t>);

static_assert(same<std::underlying_type_t<PTO2ScopeMode>, uint8_t> && static_cast<int>(PTO2ScopeMode::MANUAL) == 1);
static_assert(static_cast<int>(PTO2ScopeMode::AUTO) == 0 && static_cast<int>(CompletionType::COUNTER) == 0);
static_assert(static_cast<int>(PTO2SubtaskSlot::AIC) == 0 && static_cast<int>(PTO2SubtaskSlot::AIV0) == 1);
static_assert(static_cast<int>(PTO2SubtaskSlot::AIV1) == 2 && PTO2_SUBTASK_SLOT_COUNT == 3);
static_assert(static_cast<int>(PTO2ResourceShape::AIC) == 0 && static_cast<int>(PTO2ResourceShape::AIV) == 1);
static_assert(static_cast<int>(PTO2ResourceShape::MIX) == 2 && static_cast<int>(PTO2ResourceShape::DUMMY) == 3);
static_assert(PTO2_NUM_RESOURCE_SHAPES == 3 && INVALID_KERNEL_ID == -1);
static_assert(ActiveMask(8).requires_sync_start() && ActiveMask(12).to_shape() == PTO2ResourceShape::AIV);
static_assert(ActiveMask(1).to_shape() == PTO2ResourceShape::AIC && ActiveMask(6).to_shape() == PTO2ResourceShape::MIX);
static_assert(ActiveMask(8).to_shape() == PTO2ResourceShape::DUMMY && ActiveMask(15).core_mask() == 7);

static_assert(PTO2TaskId::make(2, 7).raw == 0x200000007 && PTO2TaskId{0}.is_valid());
static_assert(PTO2TaskId::invalid().raw == UINT64_MAX && PTO2TaskId::invalid().is_invalid());
static_assert(PTO2TaskId::make(255, UINT32_MAX).ring() == 255 && PTO2TaskId::make(1, UINT32_MAX).local() == UINT32_MAX);
static_assert(std::is_trivially_default_constructible_v<PTO2TaskId>);
static_assert(!std::is_default_constructible_v<Tensor> && sizeof(ArgWithDeps<>) == 648);

template <typename T, typename = void>
inline constexpr bool has_block_num = false;
template <typename T>
inline constexpr bool has_block_num<T, std::void_t<decltype(std::declval<T>().block_num())>> = true;
template <typename T, typename = void>
inline constexpr bool has_core_num = false;
template <typename T>
inline constexpr bool has_core_num<T, std::void_t<decltype(std::declval<T>().core_num())>> = true;

#if defined(SIMPLER_ARCH_A5)
static_assert(has_core_num<PTO2LaunchSpec> && !has_block_num<PTO2LaunchSpec>);
enum { TaskSubmitResult, COMPLETION_TYPE_SDMA_EVENT_RECORD, async_ctx_is_deferred };  // the names are free
#else
static_assert(has_block_num<PTO2LaunchSpec> && !has_core_num<PTO2LaunchSpec>);
static_assert(same<TaskSubmitResult, TaskOutputTensors> && COMPLETION_TYPE_SDMA_EVENT_RECORD == 1);
static_assert(same<decltype(&async_ctx_is_deferred), bool (*)(const AsyncCtx &)>);
#endif

// The symbols that a runtime looks up.
static_assert(same<decltype(&framework_bind_runtime), void (*)(PTO2Runtime *)>);
static_assert(same<decltype(&framework_current_runtime), PTO2Runtime *(*)()>);
