// y += alpha * x block by block on vector cores, then the sum of y on a cube core.
//
// Arguments: the uint64 tensors x (in), y (inout), total (out, one element); the scalars alpha, blocks.
#include <vector>

#include "orchestration_api.h"

namespace {

enum Kernel { AXPY = 0, SUM = 1 };

// Elements one behind the other, for dumps.
TensorInfo elements(uint64_t count) {
    const auto extent = static_cast<uint32_t>(count);
    return make_tensor_info(DataType::UINT64, 1, &extent);
}

uint64_t copy_in(OrchestrationRuntime *rt, const ContinuousTensor &tensor) {
    void *dev = device_malloc(rt, tensor.nbytes());
    copy_to_device(rt, dev, tensor.data_as<void>(), tensor.nbytes());
    return reinterpret_cast<uint64_t>(dev);
}

}  // namespace

extern "C" int build_axpy_sum(OrchestrationRuntime *rt, const ChipStorageTaskArgs &args) {
    const ContinuousTensor &y = args.tensor(1);
    const ContinuousTensor &total = args.tensor(2);
    const uint64_t alpha = args.scalar(0);
    const uint64_t blocks = args.scalar(1);
    const uint64_t count = y.nbytes() / sizeof(uint64_t);
    if (blocks == 0 || count % blocks != 0) {
        return 1;
    }
    const uint64_t dev_x = copy_in(rt, args.tensor(0));
    const uint64_t dev_y = copy_in(rt, y);
    record_tensor_pair(rt, y.data_as<void>(), reinterpret_cast<void *>(dev_y), y.nbytes());
    void *dev_total = device_malloc(rt, total.nbytes());
    record_tensor_pair(rt, total.data_as<void>(), dev_total, total.nbytes());

    const uint64_t block = count / blocks;
    const TensorInfo of_block[] = {elements(block), elements(block)};
    std::vector<int> tasks;
    for (uint64_t first = 0; first < count; first += block) {
        const uint64_t offset = first * sizeof(uint64_t);
        uint64_t slots[] = {dev_x + offset, dev_y + offset, block, alpha};
        tasks.push_back(add_task_with_tensor_info(rt, slots, 4, AXPY, CoreType::AIV, of_block, 2));
    }
    uint64_t slots[] = {dev_y, count, reinterpret_cast<uint64_t>(dev_total)};
    const TensorInfo of_sum[] = {elements(count), elements(1)};
    const int sum = add_task_with_tensor_info(rt, slots, 3, SUM, CoreType::AIC, of_sum, 2);
    for (int task : tasks) {
        add_successor(rt, task, sum);
    }
    return 0;
}
