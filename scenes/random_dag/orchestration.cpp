// A graph in layers, drawn from a seed; scene.rs says how.
//
// Arguments: the uint64 tensor of results, one per task (inout); then the scalars seed, layers, width,
// window, most predecessors of a task.
#include "orchestration_api.h"

namespace {

enum Kernel { FOLD_AIC = 0, FOLD_AIV = 1 };

constexpr uint64_t MOST_PREDECESSORS = 4;

/// The random number `index` (0 to 7) of a task.
uint64_t draw(uint64_t seed, uint64_t task, uint64_t index) {
    uint64_t value = seed + (task * 8 + index + 1) * 0x9e3779b97f4a7c15;
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
    value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
    return value ^ (value >> 31);
}

}  // namespace

extern "C" int build_random_dag(OrchestrationRuntime *rt, const ChipStorageTaskArgs &args) {
    const ContinuousTensor &results = args.tensor(0);
    const uint64_t seed = args.scalar(0);
    const uint64_t layers = args.scalar(1);
    const uint64_t width = args.scalar(2);
    const uint64_t window = args.scalar(3);
    const uint64_t most = args.scalar(4);
    if (layers * width * sizeof(uint64_t) != results.nbytes() || most == 0 || most > MOST_PREDECESSORS) {
        return 1;
    }
    void *dev = device_malloc(rt, results.nbytes());
    copy_to_device(rt, dev, results.data_as<void>(), results.nbytes());
    record_tensor_pair(rt, results.data_as<void>(), dev, results.nbytes());

    for (uint64_t task = 0; task < layers * width; ++task) {
        const uint64_t earlier = task / width * width;
        const uint64_t reach = earlier < window ? earlier : window;
        const uint64_t predecessors = earlier == 0 ? 0 : 1 + draw(seed, task, 1) % most;
        uint64_t slots[3 + MOST_PREDECESSORS] = {reinterpret_cast<uint64_t>(dev), task, predecessors};
        for (uint64_t i = 0; i < predecessors; ++i) {
            slots[3 + i] = earlier - 1 - draw(seed, task, 2 + i) % reach;
        }
        const bool cube = draw(seed, task, 0) % 3 == 0;
        const int count = static_cast<int>(3 + predecessors);
        const int id = cube ? add_task(rt, slots, count, FOLD_AIC, CoreType::AIC)
                            : add_task(rt, slots, count, FOLD_AIV, CoreType::AIV);
        for (uint64_t i = 0; i < predecessors; ++i) {
            add_successor(rt, static_cast<int>(slots[3 + i]), id);
        }
    }
    return 0;
}
