// Names of tasks.
// Contract: spec/public-abi.md, section D.3; layout: spec/public-layouts.json.
#ifndef SIMPLER_TENSORMAP_AND_RINGBUFFER_PTO_TASK_ID_H_
#define SIMPLER_TENSORMAP_AND_RINGBUFFER_PTO_TASK_ID_H_

#include <cstddef>
#include <cstdint>

/// Names one task of a run: the ring its slot lies in and its number in that ring. Plain data without a
/// constructor; the first task of ring 0 is all zeros, so zeros do not mean "none", invalid() does.
struct PTO2TaskId {
    uint64_t raw;  ///< number in bits 0..31, ring in bits 32..39; all ones is no task

    static constexpr PTO2TaskId make(uint8_t ring_id, uint32_t local_id) {
        return PTO2TaskId{(static_cast<uint64_t>(ring_id) << 32) | local_id};
    }

    /// No task.
    static constexpr PTO2TaskId invalid() { return PTO2TaskId{UINT64_MAX}; }

    constexpr uint8_t ring() const { return static_cast<uint8_t>(raw >> 32); }
    constexpr uint32_t local() const { return static_cast<uint32_t>(raw); }
    constexpr bool is_valid() const { return raw != UINT64_MAX; }
    constexpr bool is_invalid() const { return raw == UINT64_MAX; }
    constexpr bool operator==(const PTO2TaskId &other) const { return raw == other.raw; }
    constexpr bool operator!=(const PTO2TaskId &other) const { return raw != other.raw; }
};

static_assert(sizeof(PTO2TaskId) == 8 && alignof(PTO2TaskId) == 8, "spec/public-layouts.json");
static_assert(offsetof(PTO2TaskId, raw) == 0, "spec/public-layouts.json");

#endif  // SIMPLER_TENSORMAP_AND_RINGBUFFER_PTO_TASK_ID_H_
