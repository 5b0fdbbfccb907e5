// Where a kernel writes what its task still waits for after the kernel has returned. Kernels write through
// pto_async_kernel_api.h.
// Contract: spec/public-abi.md, sections E.3 and E.7; layouts: spec/public-layouts.json.
#ifndef SIMPLER_TENSORMAP_AND_RINGBUFFER_AICORE_COMPLETION_MAILBOX_H_
#define SIMPLER_TENSORMAP_AND_RINGBUFFER_AICORE_COMPLETION_MAILBOX_H_

#include <cstddef>
#include <cstdint>

inline constexpr int32_t MAX_COMPLETIONS_PER_TASK = 64;  ///< conditions of one task

// Who will meet a condition. Told to the runtime for its messages.
inline constexpr uint32_t COMPLETION_ENGINE_SDMA = 0;
inline constexpr uint32_t COMPLETION_ENGINE_ROCE = 1;
inline constexpr uint32_t COMPLETION_ENGINE_URMA = 2;
inline constexpr uint32_t COMPLETION_ENGINE_CCU = 3;

/// Met when the uint32_t at the address is at least the expected value.
inline constexpr int32_t COMPLETION_TYPE_COUNTER = 0;
#if !defined(SIMPLER_ARCH_A5)
/// Met when the flag of the event record at the address is not 0.
inline constexpr int32_t COMPLETION_TYPE_SDMA_EVENT_RECORD = 1;
#endif

/// One condition.
struct DeferredCompletionEntry {
    uint64_t addr;
    uint32_t expected_value;
    uint32_t engine;
    int32_t completion_type;
    uint32_t _pad;
};

/// All conditions of one task; one of these per core. The task completes when all of them are met.
struct alignas(64) DeferredCompletionSlab {
    volatile uint32_t count;
    volatile int32_t error_code;  ///< 0, or why the run fails
    DeferredCompletionEntry entries[MAX_COMPLETIONS_PER_TASK];
};

static_assert(sizeof(DeferredCompletionEntry) == 24 && alignof(DeferredCompletionEntry) == 8,
              "spec/public-layouts.json");
static_assert(offsetof(DeferredCompletionEntry, addr) == 0, "spec/public-layouts.json");
static_assert(offsetof(DeferredCompletionEntry, expected_value) == 8, "spec/public-layouts.json");
static_assert(offsetof(DeferredCompletionEntry, engine) == 12, "spec/public-layouts.json");
static_assert(offsetof(DeferredCompletionEntry, completion_type) == 16, "spec/public-layouts.json");
static_assert(offsetof(DeferredCompletionEntry, _pad) == 20, "spec/public-layouts.json");
static_assert(sizeof(DeferredCompletionSlab) == 1600 && alignof(DeferredCompletionSlab) == 64,
              "spec/public-layouts.json");
static_assert(offsetof(DeferredCompletionSlab, count) == 0, "spec/public-layouts.json");
static_assert(offsetof(DeferredCompletionSlab, error_code) == 4, "spec/public-layouts.json");
static_assert(offsetof(DeferredCompletionSlab, entries) == 8, "spec/public-layouts.json");

#endif  // SIMPLER_TENSORMAP_AND_RINGBUFFER_AICORE_COMPLETION_MAILBOX_H_
