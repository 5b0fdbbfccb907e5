// A condition that a kernel adds to the completion of its task.
// Contract: spec/public-abi.md, section E.7; layout: spec/public-layouts.json.
#ifndef SIMPLER_TENSORMAP_AND_RINGBUFFER_PTO_COMPLETION_TOKEN_H_
#define SIMPLER_TENSORMAP_AND_RINGBUFFER_PTO_COMPLETION_TOKEN_H_

#include <cstddef>
#include <cstdint>

#include "aicore_completion_mailbox.h"
#include "pto_runtime_status.h"

/// What to wait for. The engine and type are COMPLETION_ENGINE_* and COMPLETION_TYPE_*.
struct CompletionToken {
    uint64_t addr;            ///< of the counter or of the event record
    uint32_t expected_value;  ///< counters only
    uint32_t engine;
    int32_t completion_type;
    uint64_t backend_cookie;  ///< the engine's own; the runtime does not see it
};

static_assert(sizeof(CompletionToken) == 32 && alignof(CompletionToken) == 8, "spec/public-layouts.json");
static_assert(offsetof(CompletionToken, addr) == 0, "spec/public-layouts.json");
static_assert(offsetof(CompletionToken, expected_value) == 8, "spec/public-layouts.json");
static_assert(offsetof(CompletionToken, engine) == 12, "spec/public-layouts.json");
static_assert(offsetof(CompletionToken, completion_type) == 16, "spec/public-layouts.json");
static_assert(offsetof(CompletionToken, backend_cookie) == 24, "spec/public-layouts.json");

#endif  // SIMPLER_TENSORMAP_AND_RINGBUFFER_PTO_COMPLETION_TOKEN_H_
