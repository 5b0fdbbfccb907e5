// Folds the results of a task's predecessors and its id into its own result; scene.rs says how.
// Arguments: results, id, number of predecessors, their ids (at most 4).
//
// Compiled for both kinds of cores, with a constant that differs, so a task on the wrong kind shows.
#include "simpler_kernel.h"

namespace {

#if defined(__DAV_CUBE__)
constexpr uint64_t START = 0xa24baed4963ee407;
#else
constexpr uint64_t START = 0x9fb21c651e98df25;
#endif

uint64_t mix(uint64_t value) {
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
    value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
    return value ^ (value >> 31);
}

}  // namespace

SIMPLER_KERNEL void kernel_entry(__gm__ int64_t *args) {
    auto *results = reinterpret_cast<__gm__ uint64_t *>(args[0]);
    const int64_t id = args[1];
    const int64_t predecessors = args[2];
    uint64_t value = static_cast<uint64_t>(id) ^ START;
    for (int64_t i = 0; i < predecessors; ++i) {
        value = (value << 23 | value >> 41) + results[args[3 + i]];
    }
    results[id] = mix(value);
}
