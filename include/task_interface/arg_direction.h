// Argument roles in callable signatures and the argument limits of callables.
// Contract: spec/public-abi.md, sections B.1 and F.1.
#ifndef SIMPLER_TASK_INTERFACE_ARG_DIRECTION_H_
#define SIMPLER_TASK_INTERFACE_ARG_DIRECTION_H_

#include <cstdint>

/// What a callable does with one argument. Carried in signatures; execution does not depend on it.
enum class ArgDirection : int32_t {
    SCALAR = 0,
    IN = 1,
    OUT = 2,
    INOUT = 3,
};

inline constexpr int CORE_MAX_TENSOR_ARGS = 16;   ///< tensors of one task on a core
inline constexpr int CORE_MAX_SCALAR_ARGS = 32;   ///< scalars of one task on a core
inline constexpr int CHIP_MAX_TENSOR_ARGS = 128;  ///< tensors of one run
inline constexpr int CHIP_MAX_SCALAR_ARGS = 128;  ///< scalars of one run
inline constexpr uint32_t CALLABLE_ALIGN = 64;    ///< bytes; alignment inside callable images

/// Rounds a byte count up to a multiple of CALLABLE_ALIGN. Counts above 2^32 - 64 wrap to 0.
static inline uint32_t callable_align_up(uint32_t bytes) {
    const uint32_t beyond = bytes % CALLABLE_ALIGN;
    return beyond == 0 ? bytes : bytes - beyond + CALLABLE_ALIGN;
}

/// Name of the enumerator, for messages; "UNKNOWN" for any other value.
inline const char *arg_direction_name(ArgDirection direction) {
    switch (direction) {
        case ArgDirection::SCALAR:
            return "SCALAR";
        case ArgDirection::IN:
            return "IN";
        case ArgDirection::OUT:
            return "OUT";
        case ArgDirection::INOUT:
            return "INOUT";
    }
    return "UNKNOWN";
}

#endif  // SIMPLER_TASK_INTERFACE_ARG_DIRECTION_H_
