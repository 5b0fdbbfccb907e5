// y = relu(x W1) W2, where this rank has some columns of W1 and the same rows of W2, and the ranks add up what they
// have. Arguments: x [m, k], w1 [k, h], w2 [h, n], y [m, n], all float; the scalar context.
#include "orchestration_api.h"

namespace {

enum Func { MATMUL = 0, RELU = 1, ALLREDUCE = 2 };

uint64_t address(void *pointer) { return reinterpret_cast<uint64_t>(pointer); }

uint64_t on_device(OrchestrationRuntime *rt, const ContinuousTensor &tensor) {
    void *dev = device_malloc(rt, tensor.nbytes());
    copy_to_device(rt, dev, tensor.data_as<void>(), tensor.nbytes());
    return address(dev);
}

TensorInfo matrix(uint64_t rows, uint64_t columns) {
    const uint32_t shape[] = {static_cast<uint32_t>(rows), static_cast<uint32_t>(columns)};
    return make_tensor_info(DataType::FLOAT32, 2, shape);
}

int matmul(OrchestrationRuntime *rt, uint64_t a, uint64_t b, uint64_t out, uint64_t m, uint64_t k, uint64_t n) {
    uint64_t slots[6] = {a, b, out, m, k, n};
    const TensorInfo tensors[] = {matrix(m, k), matrix(k, n), matrix(m, n)};
    return add_task_with_tensor_info(rt, slots, 6, MATMUL, CoreType::AIC, tensors, 3);
}

}  // namespace

extern "C" int build_comm_ffn(OrchestrationRuntime *rt, const ChipStorageTaskArgs &args) {
    const ContinuousTensor &x = args.tensor(0);
    const ContinuousTensor &w1 = args.tensor(1);
    const ContinuousTensor &w2 = args.tensor(2);
    const ContinuousTensor &y = args.tensor(3);
    const uint64_t m = x.shapes[0], k = x.shapes[1], h = w1.shapes[1], n = w2.shapes[1];

    const uint64_t hidden = address(device_malloc(rt, m * h * sizeof(float)));
    const uint64_t partial = address(device_malloc(rt, y.nbytes()));
    void *sum = device_malloc(rt, y.nbytes());
    record_tensor_pair(rt, y.data_as<void>(), sum, y.nbytes());

    const int up = matmul(rt, on_device(rt, x), on_device(rt, w1), hidden, m, k, h);
    uint64_t relu_slots[2] = {hidden, m * h};
    const TensorInfo hidden_info = matrix(m, h);
    const int relu = add_task_with_tensor_info(rt, relu_slots, 2, RELU, CoreType::AIV, &hidden_info, 1);
    const int down = matmul(rt, hidden, on_device(rt, w2), partial, m, h, n);
    uint64_t sum_slots[4] = {partial, address(sum), m * n, args.scalar(0)};
    const TensorInfo sum_infos[] = {matrix(m, n), matrix(m, n)};
    const int allreduce = add_task_with_tensor_info(rt, sum_slots, 4, ALLREDUCE, CoreType::AIV, sum_infos, 2);
    add_successor(rt, up, relu);
    add_successor(rt, relu, down);
    add_successor(rt, down, allreduce);
    return 0;
}
