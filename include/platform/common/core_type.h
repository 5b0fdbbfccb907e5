// The two kinds of compute core on a chip.
// Contract: spec/public-abi.md, section B.1.
#ifndef SIMPLER_PLATFORM_COMMON_CORE_TYPE_H_
#define SIMPLER_PLATFORM_COMMON_CORE_TYPE_H_

#include <cstdint>

/// Where a kernel runs.
enum class CoreType : int32_t {
    AIC = 0,  ///< cube core: matrix work
    AIV = 1,  ///< vector core
};

/// Name of the enumerator, for messages; "UNKNOWN" for any other value.
inline const char *core_type_to_string(CoreType core_type) {
    if (core_type == CoreType::AIC) {
        return "AIC";
    }
    return core_type == CoreType::AIV ? "AIV" : "UNKNOWN";
}

static_assert(sizeof(CoreType) == 4, "spec/public-abi.md, section B.1");

#endif  // SIMPLER_PLATFORM_COMMON_CORE_TYPE_H_
