// The channels by which the kernels of this scene meet, one per use: a task leaves its own empty.
#ifndef SCENES_MIXED_EXAMPLE_KEYS_H_
#define SCENES_MIXED_EXAMPLE_KEYS_H_

#include "channel.h"
#include "trb_kernel.h"

constexpr uint64_t ONE_VECTOR_CORE = 1;
constexpr uint64_t BOTH_VECTOR_CORES = 2;  ///< and the next
constexpr uint64_t VECTOR_CORES = 4;       ///< and the next

#endif  // SCENES_MIXED_EXAMPLE_KEYS_H_
