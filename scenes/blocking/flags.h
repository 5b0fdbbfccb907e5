// Words in device memory by which running kernels talk to each other.
#ifndef SCENES_BLOCKING_FLAGS_H_
#define SCENES_BLOCKING_FLAGS_H_

#include "simpler_kernel.h"

inline void send(__gm__ uint64_t *flag, uint64_t value) { __atomic_store_n(flag, value, __ATOMIC_RELEASE); }

/// Loops until the flag is not 0.
inline uint64_t receive(__gm__ const uint64_t *flag) {
    uint64_t value = 0;
    while (value == 0) {
        value = __atomic_load_n(flag, __ATOMIC_ACQUIRE);
    }
    return value;
}

#endif  // SCENES_BLOCKING_FLAGS_H_
