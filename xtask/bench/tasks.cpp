// scalar 0: number of tasks; scalar 1: whether each waits for the one before it.
#include "orchestration_api.h"

extern "C" int build_tasks(OrchestrationRuntime *runtime, const ChipStorageTaskArgs &args) {
    const uint64_t tasks = args.scalar(0);
    const bool chain = args.scalar(1) != 0;
    for (uint64_t task = 0; task < tasks; ++task) {
        uint64_t slots[3] = {task, 0, 0};
        const int id = add_task(runtime, slots, 3, 0, CoreType::AIV);
        if (id < 0) {
            return -1;
        }
        if (chain && id > 0) {
            add_successor(runtime, id - 1, id);
        }
    }
    return 0;
}
